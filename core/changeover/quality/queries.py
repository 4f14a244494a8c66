"""Query sets: a JSONL file of `{"query": ..., "relevant": [ids]}`, or known items made from a title field."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from changeover.errors import UsageError
from changeover.survey.model import PointId


class LabelledQuery(msgspec.Struct, frozen=True):
    """A query and how relevant each point is to it (1 or more); without any it is a line of a query log."""

    query: str
    relevant: dict[PointId, int] = {}


class _Gain(msgspec.Struct, frozen=True):
    id: int | str
    gain: int


class _Line(msgspec.Struct, frozen=True):
    query: str
    relevant: list[int | str | _Gain] | dict[str, int] = []


def read(path: Path) -> tuple[LabelledQuery, ...]:
    """The queries of a JSONL file, in order; empty lines are skipped.

    `relevant` is a list of ids, a list of `{"id": ..., "gain": 1..}`, or an object of id to gain; it may be missing.
    Raises UsageError with the line's number.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"queries.file {path} cannot be read: {error}") from error
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(_labelled(msgspec.json.decode(line, type=_Line)))
            except (ValueError, RecursionError) as error:
                raise UsageError(f"queries.file {path}, line {number}: {error}") from error
    if not found:
        raise UsageError(f"queries.file {path} holds no query.")
    return tuple(found)


def write(path: Path, queries: Iterable[LabelledQuery]) -> None:
    """A JSONL file that `read` takes; gains are written only where one is not 1."""
    lines = []
    for query in queries:
        plain = all(gain == 1 for gain in query.relevant.values())
        relevant: Any = (
            list(query.relevant) if plain else [{"id": point, "gain": gain} for point, gain in query.relevant.items()]
        )
        lines.append(msgspec.json.encode({"query": query.query, "relevant": relevant}).decode())
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def known_items(titles: Sequence[tuple[PointId, str]], count: int, seed: int = 0) -> tuple[LabelledQuery, ...]:
    """Up to `count` queries made of points' own titles, each with the points of that title as relevant.

    `titles` are (id, title) pairs; a text field that contains the title makes such queries too easy, for both sides.
    """
    points: dict[str, list[PointId]] = {}
    for point, title in titles:
        if title.strip():
            points.setdefault(title.strip(), []).append(point)
    chosen = random.Random(seed).sample(sorted(points), min(count, len(points)))
    return tuple(LabelledQuery(title, dict.fromkeys(points[title], 1)) for title in chosen)


def _labelled(line: _Line) -> LabelledQuery:
    if not line.query.strip():
        raise ValueError("the query is empty")
    if isinstance(line.relevant, dict):
        gains: list[tuple[int | str, int]] = list(line.relevant.items())
    else:
        gains = [(item.id, item.gain) if isinstance(item, _Gain) else (item, 1) for item in line.relevant]
    relevant = {_point_id(point): gain for point, gain in gains}
    if any(gain < 0 for gain in relevant.values()):
        raise ValueError("a gain is negative")
    return LabelledQuery(line.query, {point: gain for point, gain in relevant.items() if gain})


def _point_id(written: int | str) -> PointId:
    """An id as Qdrant has it: an integer, or a UUID in its usual form."""
    if isinstance(written, int) or written.isdecimal():
        return int(written)
    try:
        return str(UUID(written))
    except ValueError:
        raise ValueError(f"{written!r} is not a point id (an integer or a UUID)") from None
