"""`inspect`: the collections of a cluster, or all about one of them; reading only."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from changeover_tui.verbs.common import access_needed, out, out_bytes, say

if TYPE_CHECKING:
    from changeover.survey.listing import Listed
    from changeover.wizard import Wizard


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """Print what there is."""
    access = access_needed(options, environ)
    from changeover.wizard import Wizard

    return asyncio.run(_run(options, Wizard(access, environ)))


async def _run(options: argparse.Namespace, wizard: Wizard) -> int:
    try:
        if options.collection is None:
            _list(await wizard.collections(), as_json=options.json)
        else:
            await _one(options, wizard)
    finally:
        await wizard.close()
    return 0


def _list(listed: Sequence[Listed], *, as_json: bool) -> None:
    import msgspec

    if as_json:
        out_bytes(msgspec.json.format(msgspec.json.encode(listed), indent=2))
        return
    if not listed:
        say("there are no collections on this cluster")
    for row in table(
        ("collection", "points", "vectors", "aliases", ""),
        [
            (one.name, f"{one.points:,}", "; ".join(one.vectors), ", ".join(one.aliases), ", ".join(one.flags))
            for one in listed
        ],
    ):
        out(row)


async def _one(options: argparse.Namespace, wizard: Wizard) -> None:
    from changeover.survey import describe
    from changeover.survey.model import to_json
    from changeover_tui.plain.words import finding_lines

    survey = await wizard.take_survey(options.collection)
    if options.json:
        out_bytes(to_json(survey))
        return
    rows = describe.lines(survey)
    wide = max(len(name) for name, _ in rows)
    for name, value in rows:
        out(f"{name:<{wide}}  {one_line(value)}")
    for finding in wizard.findings():
        out("")
        for line in finding_lines(finding):
            out(line)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines with aligned columns; nothing for no rows."""
    from changeover.safe_text import cells, clean

    if not rows:
        return []
    safe = [tuple(clean(cell) for cell in row) for row in (head, *rows)]
    wide = [max(cells(row[column]) for row in safe) for column in range(len(head))]
    return [
        "  ".join(cell + " " * (wide[column] - cells(cell)) for column, cell in enumerate(row)).rstrip() for row in safe
    ]


def one_line(text: str) -> str:
    """Foreign text on one line."""
    from changeover.safe_text import clean

    return clean(text)
