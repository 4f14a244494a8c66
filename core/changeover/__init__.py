"""Change the embedding model of a Qdrant collection: survey, decide, plan, run, verify, cut over, roll back."""

from changeover.version import __version__

__all__ = ["__version__"]
