"""Trials on a sample of the collection: read only, on this machine, before anything is written."""
