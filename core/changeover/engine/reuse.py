"""Points of which only the payload changed: their new vectors are copied from the new side, not embedded once more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from changeover.cluster.api import SparseValue
from changeover.engine import by_ids
from changeover.engine.hashes import payload_hash
from changeover.engine.ledger import Entry, Mark
from changeover.engine.recipe import Made, entry

if TYPE_CHECKING:
    from changeover.cluster.api import Column, Page
    from changeover.engine.context import Context


def reused(ctx: Context, page: Page, rows: Sequence[int], basis: Sequence[bytes]) -> Made:
    """The new vectors of these rows as the new side holds them; those that it lacks, or that are stale, are made.

    A vector is copied only where the ledger says that it was made from what the row holds now.
    """
    recipe, ids = ctx.recipe, [page.ids[row] for row in rows]
    there = {
        point_id: (found, at)
        for found in by_ids.read(ctx, ctx.job.target, ids, payload=False, vectors=recipe.names)
        for at, point_id in enumerate(found.ids)
    }
    known = ctx.ledger.get(ids)
    columns: dict[str, list[Any]] = {name: [None] * len(rows) for name in recipe.names}
    lacking = []
    for position, (point_id, row) in enumerate(zip(ids, rows, strict=True)):
        fresh = point_id in there and point_id in known and _right(known[point_id], basis[position], page, row)
        for make in recipe.makes:
            found = _stored(*there[point_id], make.vector) if fresh else None
            columns[make.vector][position] = found
            if found is None and recipe.can_make(make, page, row) and position not in lacking:
                lacking.append(position)
    made = recipe.make(page, [rows[position] for position in lacking])
    for name, column in made.columns.items():
        for number, position in enumerate(lacking):
            columns[name][position] = entry(column, number)
    refused = {lacking[number]: reason for number, reason in made.refused.items()}
    return Made(columns={name: _column(values) for name, values in columns.items()}, refused=refused)


def _right(entry: Entry, basis: bytes, page: Page, row: int) -> bool:
    """Whether the new vectors that the ledger knows of were made from what the row holds now."""
    return entry.text == basis or (entry.mark is Mark.TRUSTED and entry.payload == payload_hash(page.payload(row)))


def _stored(page: Page, row: int, name: str) -> Any:
    """A stored vector in the form that writes take; None when there is none."""
    stored = page.vector(row, name)
    if stored is None:
        return None
    if isinstance(stored, dict):
        return SparseValue(
            np.asarray(stored["indices"], dtype=np.uint32), np.asarray(stored["values"], dtype=np.float32)
        )
    return np.asarray(stored, dtype=np.float32)


def _column(values: list[Any]) -> Column:
    """Dense vectors of one size as an array, absent ones as NaN; everything else as a list."""
    dense = [value for value in values if isinstance(value, np.ndarray) and value.ndim == 1]
    if not dense or len(dense) < sum(value is not None for value in values):
        return values
    out = np.full((len(values), len(dense[0])), np.nan, dtype=np.float32)
    for position, value in enumerate(values):
        if value is not None:
            out[position] = value
    return out
