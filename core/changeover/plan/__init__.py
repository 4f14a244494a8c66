"""The plan: ordered steps with exact requests, estimates and what must be acknowledged."""
