"""`compare`: a query on both sides of a run, as lines; with `--vote` a person says which list is better."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.errors import ExitCode, UsageError
from changeover_tui.verbs.common import answers_given, out, say

if TYPE_CHECKING:
    from changeover.engine.folder import RunFolder
    from changeover.side_by_side.comparison import Comparison
    from changeover.side_by_side.model import Answer, Ranking, Row
    from changeover.side_by_side.votes import Choice

TYPED: dict[str, Choice] = {"1": "old", "2": "new", "3": "same", "4": "skip"}
"""What is typed for a vote; the same digits as on the screen."""
PROMPT = "Which list is better? 1 old, 2 new, 3 the same, 4 skip, q stop: "
WIDE = 100
"""Terminal cells of what a line says of a point."""


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """Print both lists of every query; exit code 2 to 4 when a side cannot be asked."""
    from changeover.side_by_side import words
    from changeover.side_by_side.comparison import open_comparison, refuse_one_sided
    from changeover.side_by_side.sides import run_about

    old_model = answers_given(None, options.set).old_model
    found = run_about(options.name, environ)
    if found.name not in (options.name, Path(options.name).name):
        say(f"{options.name} belongs to run {found.name}")
    # The loop runs only while something is asked: while a person is, Ctrl+C ends the command as anywhere else.
    with asyncio.Runner() as loop:
        comparison = loop.run(
            open_comparison(found, environ, old_model=old_model, tell=lambda line: say(f"{line} ..."))
        )
        try:
            refuse_one_sided(loop.run(comparison.problems()))
            queries = loop.run(_queries(options, comparison))
            for side in (comparison.old, comparison.new):
                out(words.head(side))
            voted = _each(queries, comparison, loop, vote=options.vote)
        finally:
            loop.run(comparison.close())
    _sum_up(comparison.run, voted=voted)
    return int(ExitCode.DONE)


async def _queries(options: argparse.Namespace, comparison: Comparison) -> Sequence[str]:
    from changeover.quality.queries import read
    from changeover.side_by_side.model import query_of

    if options.query is not None:
        return (query_of(options.query),)
    if options.queries is not None:
        return tuple(query.query for query in read(Path(options.queries)))
    queries = await comparison.queries()
    if not queries:
        raise UsageError("the plan names no queries: give --query TEXT, or --queries FILE")
    return queries


def _each(queries: Sequence[str], comparison: Comparison, loop: asyncio.Runner, *, vote: bool) -> bool:
    """Ask one after the other; returns whether a vote was cast. A person may stop before the last one."""
    from changeover.side_by_side import votes
    from changeover.side_by_side.comparison import refuse_one_sided

    voted = False
    for number, query in enumerate(queries, 1):
        answer = loop.run(comparison.ask(query))
        if not answer.both:
            # What was there when it began is gone now.
            refuse_one_sided(loop.run(comparison.problems()))
        out("")
        out(f"query {number} of {len(queries)}: {_one_line(query)}")
        for line in lines(answer):
            out(line)
        if vote:
            choice = ask_for_vote()
            if choice is None:
                break
            votes.cast(comparison.run, query, choice)
            voted = True
    return voted


def lines(answer: Answer) -> list[str]:
    """An answer as lines: times, the list that merges both sides, and each part of a fused search by itself."""
    from changeover.side_by_side import words
    from changeover_tui.verbs.inspect import table

    said = [f"  {found.side} {words.times(found)}" for found in (answer.old, answer.new) if found is not None]
    said.append("  " + "; ".join(text for text in (words.shared(answer), words.absent(answer)) if text))
    if not answer.merged:
        return [*said, "  neither side found anything"]
    said += table(("new", "old", "move", "score", "id", "what it says"), [_cells(row) for row in answer.merged])
    for part in answer.parts:
        said += ["", f"  {part.way} alone: {words.times(part)}", *_part(part)]
    return said


def _cells(row: Row) -> tuple[str, ...]:
    from changeover.side_by_side import words

    where = (words.rank(row.new), words.rank(row.old), words.move(row))
    return (*where, words.score(row.score), _id(row), _one_line(words.about(row), WIDE))


def _part(part: Ranking) -> list[str]:
    from changeover.side_by_side import words
    from changeover_tui.verbs.inspect import table

    rows = [
        (words.rank(row.rank), words.rank(row.new), words.rank(row.old), words.score(row.score), _id(row))
        for row in part.rows
    ]
    described = [(*cells, _one_line(words.about(row), WIDE)) for cells, row in zip(rows, part.rows, strict=True)]
    return table((part.way, "new", "old", "score", "id", "what it says"), described) or ["  nothing found"]


def ask_for_vote() -> Choice | None:
    """The vote that is typed; None for q or the end of the input. Anything else is asked for again."""
    while True:
        sys.stderr.write(PROMPT)
        sys.stderr.flush()
        line = sys.stdin.readline()
        typed = line.strip().lower()
        if not line or typed == "q":
            return None
        if typed in TYPED:
            return TYPED[typed]
        say("a number from 1 to 4, or q")


def _sum_up(run: RunFolder, *, voted: bool) -> None:
    from changeover.side_by_side import votes

    tally = votes.tally(votes.read(run).values())
    if not tally.empty:
        out("")
        out(f"votes: {tally.words}")
    if voted:
        written = votes.into_report(run)
        say(f"kept in {votes.path_of(run)}" + ("; the report shows them" if written else ""))


def _id(row: Row) -> str:
    return _one_line(row.id, 36)


def _one_line(text: object, most: int = 300) -> str:
    from changeover.safe_text import clean

    return clean(text, most)
