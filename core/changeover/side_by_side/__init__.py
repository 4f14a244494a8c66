"""One query on both sides of a run, ranked side by side, and what people prefer; no screen."""
