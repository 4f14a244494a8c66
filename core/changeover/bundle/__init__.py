"""One file about a collection or a run for a support desk: no key in it, and nothing of the payload or hosts."""
