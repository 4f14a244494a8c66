"""Options of the whole test suite; pytest reads them only from here."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--snapshot-update` writes the pictures in snapshots/ anew instead of comparing."""
    parser.addoption("--snapshot-update", action="store_true", help="write the pictures in snapshots/ anew")
