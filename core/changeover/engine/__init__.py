"""Runs a plan in its own process: slices, pipeline, ledger, catch-up, verification, cutover, journal, control."""
