"""Labelled queries made from a payload field: the field's value asks for the very point that holds it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from changeover.errors import UsageError
from changeover.quality.queries import LabelledQuery
from changeover.survey.model import PointId
from changeover.survey.template import render


class KnownItems(msgspec.Struct, frozen=True, kw_only=True):
    """Queries, and how many points gave none."""

    queries: tuple[LabelledQuery, ...] = ()
    blank: int = 0
    """Points without a text in the field."""
    repeated: int = 0
    """Points whose value another point has too: no single right answer."""
    whole: int = 0
    """Points whose value is the whole embedded text: asking with it proves nothing."""

    @property
    def skipped(self) -> str:
        """What was left out, in words; "" for nothing."""
        parts = (
            (self.blank, "without a text"),
            (self.repeated, "with a value that others share"),
            (self.whole, "whose value is the whole embedded text"),
        )
        return ", ".join(f"{count:,} {words}" for count, words in parts if count)


def known_items_of(
    points: Iterable[tuple[PointId, Mapping[str, Any]]],
    title_field: str,
    template: str | None = None,
    count: int = 500,
    seed: int = 0,
) -> KnownItems:
    """Up to `count` queries from (id, payload) pairs; `template` is how the embedded text is made, where known.

    Values are compared without regard to white space. Raises UsageError for a field that is no payload path.
    """
    if not title_field.strip() or "{" in title_field or "}" in title_field:
        raise UsageError(f"queries.title_field {title_field!r} is not a payload field; give its name, such as title")
    blank = whole = 0
    holders: dict[str, list[PointId]] = {}
    for point, payload in points:
        title = _plain(render(f"{{{title_field}}}", dict(payload)))
        if not title:
            blank += 1
        elif template and title == _plain(render(template, dict(payload))):
            whole += 1
        else:
            holders.setdefault(title, []).append(point)
    single = sorted(title for title, ids in holders.items() if len(ids) == 1)
    chosen = random.Random(seed).sample(single, min(count, len(single)))
    return KnownItems(
        queries=tuple(LabelledQuery(title, {holders[title][0]: 1}) for title in chosen),
        blank=blank,
        repeated=sum(len(ids) for ids in holders.values() if len(ids) > 1),
        whole=whole,
    )


def _plain(text: str) -> str:
    return " ".join(text.split())
