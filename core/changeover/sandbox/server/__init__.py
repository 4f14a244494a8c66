"""The sandbox's server: the real Qdrant core behind a loopback HTTP server that behaves like a chosen generation.

A sandbox and a test fixture, never a database. `python -m changeover.sandbox.server --generation 1.18` starts it by hand.
"""

from changeover.sandbox.server.process import SandboxServer, start

__all__ = ["SandboxServer", "start"]
