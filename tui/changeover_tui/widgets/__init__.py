"""Pieces of screens; each is given plain values and never asks a cluster."""
