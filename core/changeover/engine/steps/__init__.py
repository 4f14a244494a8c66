"""One module per kind of work; `table.STEPS` says which function runs which step of a plan."""
