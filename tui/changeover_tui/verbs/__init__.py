"""One module per family of verbs; each has `run(options, environ)`, which returns the exit code."""
