"""The comparison on the screen: every state at the design sizes, by keys; over a comparison from memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from changeover.cluster.api import Hit
from changeover.engine.folder import RunFolder
from changeover.engine.lock import RunLock
from changeover.errors import ChangeoverError, UnreachableError, UsageError
from changeover.report.build import write as write_report
from changeover.side_by_side import votes
from changeover.side_by_side.excerpt import Excerpt, Reader
from changeover.side_by_side.model import Answer, query_of
from changeover.side_by_side.ranks import Found, Held, rankings
from changeover.side_by_side.sides import sides_of
from changeover_tui import doors
from changeover_tui.screens.compare import CompareScreen
from changeover_tui.screens.run import RunScreen
from changeover_tui.screens.summary import SummaryScreen

from . import stories
from .conftest import Check, as_text
from .route_plans import route_plan
from .test_hostile import each_text, is_safe
from .test_screens import Size, app_of, each_size, settle, showing

QUERIES = ("read a file line by line", "sort a list of dicts by a key", "run a function in a thread")
TITLES = {
    11: ("fileinput.input", "Iterate over the lines of several files, or of the standard input."),
    12: ("io.open", "Open a file and return a stream; the mode says whether it is read or written."),
    13: ("io.TextIOBase.readline", "Read until a newline or the end of the file."),
    14: ("codecs.open", "Open an encoded file and return a wrapped version."),
    15: ("linecache.getline", "One line of a Python source file; never raises."),
    16: ("csv.reader", "A reader that iterates over the lines of a file."),
    17: ("mailbox.mbox", "A mailbox in one file."),
    18: ("shelve.open", "Open a persistent dictionary."),
    19: ("tokenize.open", "Open a file in read only mode with the encoding of its source."),
    20: ("os.read", "Read at most n bytes from a file descriptor."),
    21: ("pathlib.Path.read_text", "Open the file in text mode, read it, and close the file."),
    "6f1d0f4e-2f0c-5d55-9a53-1b7a0d3c8a11": ("gzip.open", "Open a gzip-compressed file in binary or text mode."),
}
OLD = (11, 14, 12, 16, 15, 17, 18, 19, 13, "6f1d0f4e-2f0c-5d55-9a53-1b7a0d3c8a11")
NEW = (12, 11, 13, 21, 15, 16, 19, 14, 20, 17)
SPARSE = (13, 16, 11, 15, 12, 19, 14)


class FakeComparison:
    """Answers from memory; `gate` holds every answer back until it is set."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.old, self.new = sides_of(run.plan())
        self.asked: list[str] = []
        self.listed: tuple[str, ...] | ChangeoverError = QUERIES
        self.error: ChangeoverError | None = None
        self.gate: asyncio.Event | None = None
        self.titles: Mapping[Any, tuple[str, str]] = TITLES
        self.lists = {"old": OLD, "new": NEW}
        self.absent: tuple[Any, ...] = (18,)
        self.no_old = ""
        self.closed = False

    async def queries(self) -> tuple[str, ...]:
        if isinstance(self.listed, ChangeoverError):
            raise self.listed
        return self.listed

    async def ask(self, text: str) -> Answer:
        self.asked.append(text)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        excerpts = {i: Excerpt(*said) for i, said in self.titles.items()}
        held = {
            "old": Held(set(self.titles), excerpts),
            "new": Held(set(self.titles) - set(self.absent), excerpts),
        }
        parts = {"old": ("dense", 3.1, 2.0), "new": ("dense", 12.4, 2.2)}
        found = [_found(side, way, self.lists[side], a, b) for side, (way, a, b) in parts.items()]
        if self.new.lexical:
            fused = _found("new", "fused", self.lists["new"], 13.0, 4.0)
            found = [found[0], _found("new", "dense", OLD, 12.4, 2.2), _found("new", "sparse", SPARSE, 0.6, 1.1), fused]
        if self.no_old:
            found = found[1:]
        old = None if self.no_old else found[0]
        ranked = rankings(found, old, found[-1], held)  # type: ignore[arg-type]
        return Answer(
            query=query_of(text),
            old=None if self.no_old else ranked[0],
            new=ranked[-1],
            parts=ranked[1:-1] if self.new.lexical else (),
            why_no_old=self.no_old,
        )

    async def close(self) -> None:
        self.closed = True


def _found(side: Any, way: Any, ids: tuple[Any, ...], embed: float, search: float) -> Found:
    return Found(side, way, [Hit(id=i, score=0.87 - 0.0213 * n) for n, i in enumerate(ids)], embed, search)


@pytest.fixture
def run() -> RunFolder:
    return stories.new_run(Path("runs"))


@pytest.fixture
def opened(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> FakeComparison:
    """What the screen opens."""
    fake = FakeComparison(run)

    async def open_it(run: RunFolder, environ: Mapping[str, str], say: doors.Say) -> Any:
        say("opening minilm")
        return fake

    monkeypatch.setattr(doors, "real_comparison", open_it)
    return fake


async def press(pilot: Pilot[int], *keys: str) -> None:
    await pilot.press(*keys)
    await settle(pilot)


@each_size
async def test_two_lists_or_one_with_both_ranks(
    size: Size, check: Check, run: RunFolder, opened: FakeComparison
) -> None:
    async with showing(CompareScreen(run), size) as pilot:
        await check(pilot.app, "compare/answer")
        text = as_text(pilot.app)
        assert QUERIES[0] in text and "query 1 of 3" in text
        assert ("─ both sides ─" in text) == (size[0] < 100)
        assert "8 of 10 in both" in text and "old 3.1 + 2.0 ms" in text
        assert "absent" in text and "Which list is better" in text


@each_size
async def test_a_vote_is_kept_and_counted(size: Size, check: Check, run: RunFolder, opened: FakeComparison) -> None:
    async with showing(CompareScreen(run), size) as pilot:
        await press(pilot, "2")
        await press(pilot, "n", "3")
        await press(pilot, "p", "1")
        await check(pilot.app, "compare/voted")
        assert "new better 0 · old better 1 · the same 1 · skipped 0" in as_text(pilot.app)
        assert "query 1 of 3 · your vote: old better" in as_text(pilot.app)
    assert {vote.query: vote.choice for vote in votes.read(run).values()} == {QUERIES[0]: "old", QUERIES[1]: "same"}
    assert opened.closed


async def test_the_next_query_without_a_vote_comes_first(run: RunFolder, opened: FakeComparison) -> None:
    votes.cast(run, QUERIES[0], "new")
    async with showing(CompareScreen(run), (80, 24)) as pilot:
        assert opened.asked == [QUERIES[1]]
        await press(pilot, "n", "n")
        assert opened.asked[-1] == QUERIES[0], "after the last comes the first"
        await press(pilot, "p")
        assert opened.asked[-1] == QUERIES[2]
        assert "query 3 of 3" in as_text(pilot.app)


async def test_the_report_takes_up_the_votes(run: RunFolder, opened: FakeComparison) -> None:
    stories.Story(run).until_cutover()
    write_report(run)
    async with showing(CompareScreen(run), (80, 24)) as pilot:
        await press(pilot, "2", "escape")
    assert "Which did people prefer?" in run.report.read_text()


@each_size
async def test_without_queries_one_is_typed(size: Size, check: Check, run: RunFolder, opened: FakeComparison) -> None:
    opened.listed = ()
    async with showing(CompareScreen(run), size) as pilot:
        assert isinstance(pilot.app.focused, Input)
        await check(pilot.app, "compare/empty")
        assert "Nothing was asked yet." in as_text(pilot.app)
        await press(pilot, "enter")
        assert "the query is empty" in as_text(pilot.app)
        await press(pilot, *"2n l", "enter")
        assert opened.asked == ["2n l"], "digits and letters are typed, not taken for votes"
        assert not votes.read(run)
        await press(pilot, "n", "l", "4")
        assert votes.read(run)["2n l"].choice == "skip"
        await press(pilot, "tab")
        assert isinstance(pilot.app.focused, Input)


@each_size
async def test_while_it_opens_and_asks(
    size: Size, check: Check, run: RunFolder, opened: FakeComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, opening = asyncio.Event(), asyncio.Event()
    opened.gate = gate

    async def open_slowly(run: RunFolder, environ: Mapping[str, str], say: doors.Say) -> Any:
        say("opening minilm")
        await opening.wait()
        return opened

    monkeypatch.setattr(doors, "real_comparison", open_slowly)
    app = app_of()
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await app.push_screen(CompareScreen(run))
        for _ in range(3):
            await pilot.pause()
        await check(app, "compare/opening")
        await pilot.press("2")
        assert not votes.read(run), "nothing to vote on yet"
        opening.set()
        for _ in range(5):
            await pilot.pause()
        assert "Asking both sides …" in as_text(app)
        gate.set()
        await settle(pilot)
        assert "8 of 10 in both" in as_text(app)


async def test_an_answer_that_comes_late_is_not_shown_under_another_query(
    run: RunFolder, opened: FakeComparison
) -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(CompareScreen(run))
        await settle(pilot)
        opened.gate = gate = asyncio.Event()
        await pilot.press("n")
        await pilot.pause()
        await pilot.press("n")
        await pilot.pause()
        gate.set()
        await settle(pilot)
        assert opened.asked == list(QUERIES)
        assert "query 3 of 3" in as_text(app) and "8 of 10" in as_text(app)
        await press(pilot, "2")
    assert list(votes.read(run)) == [QUERIES[2]]


@each_size
async def test_a_server_that_does_not_answer(size: Size, check: Check, run: RunFolder, opened: FakeComparison) -> None:
    opened.error = UnreachableError("http://localhost:6333: no answer within 20 s; the server hangs or is very busy")
    async with showing(CompareScreen(run), size) as pilot:
        await check(pilot.app, "compare/unreachable")
        assert "Error: http://localhost:6333: no answer within 20 s" in as_text(pilot.app)
        await press(pilot, "2")
        assert not votes.read(run)
        opened.error = None
        await press(pilot, "n")
        assert "8 of 10 in both" in as_text(pilot.app)


async def test_a_failure_to_open_can_be_tried_again(
    run: RunFolder, opened: FakeComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = doors.real_comparison

    async def fails(*_: Any) -> Any:
        raise UnreachableError("http://localhost:6333: nothing listens there; start Qdrant")

    monkeypatch.setattr(doors, "real_comparison", fails)
    async with showing(CompareScreen(run), (80, 24)) as pilot:
        assert "Error: http://localhost:6333: nothing listens there" in as_text(pilot.app)
        await press(pilot, "tab", *"files", "enter")
        assert "Error: http://localhost:6333: nothing listens there" in as_text(pilot.app)
        monkeypatch.setattr(doors, "real_comparison", works)
        await press(pilot, "enter")
        assert opened.asked == ["files"]
        assert "8 of 10 in both" in as_text(pilot.app)


@each_size
async def test_a_side_that_cannot_be_asked(size: Size, check: Check, run: RunFolder, opened: FakeComparison) -> None:
    opened.no_old = "old side: collection docs_v1 is not there: it was removed"
    async with showing(CompareScreen(run), size) as pilot:
        await check(pilot.app, "compare/one-side")
        assert "Error: old side: collection docs_v1 is not there" in as_text(pilot.app)
        assert "io.open" in as_text(pilot.app), "the new side is shown"
        await press(pilot, "2")
        assert not votes.read(run)


async def test_queries_that_cannot_be_read_are_typed_instead(run: RunFolder, opened: FakeComparison) -> None:
    opened.listed = UsageError("queries.file /gone.jsonl cannot be read")
    async with showing(CompareScreen(run), (80, 24)) as pilot:
        assert "Error: queries.file /gone.jsonl cannot be read" in as_text(pilot.app)
        await press(pilot, *"x", "enter")
        assert "8 of 10 in both" in as_text(pilot.app)


async def test_a_vote_that_cannot_be_kept_is_said(run: RunFolder, opened: FakeComparison) -> None:
    votes.path_of(run).mkdir()
    async with showing(CompareScreen(run), (80, 24)) as pilot:
        assert "the votes cannot be read" in as_text(pilot.app)
        votes.path_of(run).rmdir()
        await press(pilot, "tab", *"x", "enter")
        votes.path_of(run).mkdir()
        await press(pilot, "1")
        assert "the vote cannot be kept: Is a directory" in " ".join(as_text(pilot.app).split())


@each_size
async def test_a_hybrid_shows_its_parts(size: Size, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stories.run_of(route_plan("hybrid"), Path("runs"))
    fake = FakeComparison(run)

    async def open_it(*_: Any) -> Any:
        return fake

    monkeypatch.setattr(doors, "real_comparison", open_it)
    async with showing(CompareScreen(run), size) as pilot:
        await check(pilot.app, "compare/fused")
        await press(pilot, "l")
        assert "new: dense alone" in as_text(pilot.app)
        await press(pilot, "l")
        await check(pilot.app, "compare/sparse")
        assert "new: sparse alone" in as_text(pilot.app)
        await press(pilot, "l")
        assert "sparse alone" not in as_text(pilot.app)


async def test_nothing_found_is_said(run: RunFolder, opened: FakeComparison) -> None:
    opened.lists = {"old": (), "new": ()}
    async with showing(CompareScreen(run), (80, 24)) as pilot:
        assert "Nothing was found." in as_text(pilot.app)


async def test_no_colour_and_light(
    check: Check, run: RunFolder, opened: FakeComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with showing(CompareScreen(run), (80, 24)) as pilot:
        await press(pilot, "f2")
        await check(pilot.app, "compare/light")
    monkeypatch.setenv("NO_COLOR", "1")
    async with showing(CompareScreen(run), (80, 24)) as pilot:
        await check(pilot.app, "compare/no-colour")


async def test_at_the_smallest_size_the_first_rows_are_there(
    check: Check, run: RunFolder, opened: FakeComparison
) -> None:
    async with showing(CompareScreen(run), (60, 20)) as pilot:
        await check(pilot.app, "compare/narrow")
        assert "io.open" in as_text(pilot.app)


@each_size
async def test_help_says_what_the_moves_mean(size: Size, check: Check, run: RunFolder, opened: FakeComparison) -> None:
    async with showing(CompareScreen(run), size) as pilot:
        await press(pilot, "f1")
        await check(pilot.app, "help/compare")
        assert "does not hold the point" in " ".join(as_text(pilot.app).split())


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@each_text
async def test_foreign_text_is_text(text: str, size: Size, run: RunFolder, opened: FakeComparison) -> None:
    reader = Reader(run.plan())
    opened.titles = dict.fromkeys(TITLES, reader.excerpt({"title": text, "text": text}))
    opened.listed = (text.encode("utf-8", "replace").decode(),)
    async with showing(CompareScreen(run), size) as pilot:
        assert is_safe(as_text(pilot.app))
        opened.error = UsageError(text)
        await press(pilot, "n")
        assert is_safe(as_text(pilot.app))


async def test_it_is_reached_from_the_run_and_from_the_report(run: RunFolder, opened: FakeComparison) -> None:
    story = stories.Story(run)
    story.until_load()
    lock = RunLock(run.lock)
    lock.acquire()
    screen = RunScreen(run)
    async with showing(screen, (80, 24)) as pilot:
        await press(pilot, "v")
        assert pilot.app.screen is screen, "there is no new side yet"
        story.loading()
        screen.tick()
        await press(pilot, "v")
        assert isinstance(pilot.app.screen, CompareScreen)
        assert "8 of 10 in both" in as_text(pilot.app)
        await press(pilot, "escape")
        assert pilot.app.screen is screen
    lock.release()


async def test_it_is_reached_from_the_summary(run: RunFolder, opened: FakeComparison) -> None:
    story = stories.Story(run)
    story.until_cutover()
    story.finish()
    async with showing(RunScreen(run), (80, 24)) as pilot:
        await press(pilot, "enter", "v")
        assert isinstance(pilot.app.screen, CompareScreen)
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, SummaryScreen)


def test_every_key_of_the_footer_has_room(run: RunFolder) -> None:
    """At 80 cells; three more for each key are its padding."""
    from changeover_tui.bindings import KEYS, shown

    listed = [key for key in KEYS["compare"] if key.shown and key.action != "ask"]
    assert sum(len(shown(key.key)) + len(key.words) + 3 for key in listed) + len("F1 Help") + 3 <= 80
