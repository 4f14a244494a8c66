"""Everything read from a cluster before any decision; reading only."""
