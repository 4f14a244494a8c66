"""A comparison in words; the same on every screen and line."""

from __future__ import annotations

from changeover.side_by_side.model import Answer, Ranking, Row
from changeover.side_by_side.sides import Side

MOVES = (
    ("up 2, down 2", "ranks that the point moved on the new side"),
    ("same", "both sides rank it alike"),
    ("new, gone", "only the new list has it; only the old list has it"),
    ("absent", "the other side does not hold the point or its vector (yet), so this says nothing about the model"),
    ("aside", "neither of the two lists has it"),
)
"""What stands in the column of moves, and what it means."""


def move(row: Row) -> str:
    """`up 2`, `down 1`, `same`, `new`, `gone`, `absent`, `aside`; "" where only one side was asked."""
    if row.move in ("up", "down") and row.old is not None and row.new is not None:
        return f"{row.move} {abs(row.old - row.new)}"
    return "" if row.move == "alone" else row.move


def rank(value: int | None) -> str:
    """A rank, `-` for none."""
    return "-" if value is None else str(value)


def score(value: float) -> str:
    """Four digits that tell: 0.8123, 12.34, 1,234."""
    size = abs(value)
    return f"{value:.4f}" if size < 10 else f"{value:.2f}" if size < 1_000 else f"{value:,.0f}"


def times(found: Ranking) -> str:
    """`3.1 ms to embed + 2.0 ms to search`."""
    if found.embed_ms is None:
        return f"{_ms(found.search_ms)} to search, the embedding on the server included"
    return f"{_ms(found.embed_ms)} to embed + {_ms(found.search_ms)} to search"


def short_times(found: Ranking | None) -> str:
    """`3.1 + 2.0 ms`; the search alone where the server embeds."""
    if found is None:
        return "not asked"
    return f"{found.embed_ms:.1f} + {found.search_ms:.1f} ms" if found.embed_ms is not None else _ms(found.search_ms)


def shared(answer: Answer) -> str:
    """`7 of 10 in both`."""
    return f"{answer.shared} of {len(answer.new.rows) if answer.new else 0} in both"


def absent(answer: Answer) -> str:
    """How many points of the old list the new side does not hold; "" for none."""
    count = absent_count(answer)
    return f"{count} of the old list not on the new side (yet)" if count else ""


def absent_count(answer: Answer) -> int:
    """Points of the old list that the new side does not hold."""
    return sum(row.move == "absent" for row in answer.old.rows) if answer.old else 0


def about(row: Row) -> str:
    """Title and text on one line."""
    return f"{row.title}: {row.text}" if row.title and row.text else row.title or row.text or "(no text in the payload)"


def head(side: Side) -> str:
    """`old: wordllama on docs_v1, vector text`."""
    return f"{side.name}: {side.words}"


def _ms(value: float) -> str:
    return f"{value:.1f} ms"
