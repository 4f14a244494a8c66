"""Sides, ranks, excerpts and votes of a comparison, without a cluster; and the comparison over a gateway from memory."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from changeover import seals
from changeover.cluster.api import Hit, Point
from changeover.cluster.errors import Action, ClusterError
from changeover.embed.model import ModelSpec, SparseSpec
from changeover.engine.folder import RunFolder
from changeover.errors import BlockedError, ChangeoverError, UnreachableError, UsageError
from changeover.plan import file as plan_file
from changeover.plan.model import (
    ChangeStorage,
    CreateTextIndex,
    FromTerms,
    FromText,
    FromVector,
    Kept,
    Make,
    Plan,
    Request,
    Step,
)
from changeover.report import content
from changeover.report.build import write as write_report
from changeover.safe_text import clean
from changeover.side_by_side import comparison as room
from changeover.side_by_side import votes, words
from changeover.side_by_side.comparison import Comparison
from changeover.side_by_side.excerpt import Excerpt, Reader
from changeover.side_by_side.model import Answer, query_of
from changeover.side_by_side.ranks import Found, Held, move, rankings
from changeover.side_by_side.sides import Side, not_there, run_about, sides_of, subject, unnamed_model
from tests.unit import journals

OLD, NEW = ModelSpec(provider="sandbox", name="wordllama"), ModelSpec(provider="sandbox", name="minilm")
BM25 = SparseSpec(encoder="local-bm25")
STORAGE = Request(method="PATCH", path="/collections/docs")


def plan_of(makes: tuple[Make, ...], *steps: Step, mode: str = "in-place", follows: str = "", **job: Any) -> Plan:
    """A plan with these new vectors."""
    plan = journals.a_plan(mode)
    given = {"old_model": OLD, "model": NEW, "source_vector": "text", "target_vector": "text", **job}
    new = msgspec.structs.replace(plan.job, makes=makes, **given)
    return seals.seal(msgspec.structs.replace(plan, job=new, steps=(*steps,), follows=follows, hash=""))


TEXT = FromText(vector="new", dimension=384)
CUT = FromVector(vector="new", source="text", dimension=64, distance="Cosine", method="leading")
MAP = FromVector(vector="new", source="text", dimension=384, distance="Cosine", method="ridge")
TERMS = FromTerms(vector="words", encoder=BM25)
INDEX = CreateTextIndex(id="i", title="i", request=Request(method="PUT", path="/x", body={"field_name": "text"}))
CHANGE = ChangeStorage(id="c", title="c", request=STORAGE, undo=STORAGE)


@pytest.mark.parametrize(
    ("plan", "model", "cut", "exact", "lexical"),
    [
        (plan_of((TEXT,), target_vector="new"), NEW, False, False, False),
        (plan_of((CUT,), target_vector="new"), OLD, True, False, False),
        (plan_of((MAP,), target_vector="new"), NEW, False, False, False),
        (plan_of((TERMS,)), OLD, False, False, True),
        (plan_of((TEXT, TERMS), target_vector="new"), NEW, False, False, True),
        (plan_of((), INDEX), OLD, False, False, True),
        (plan_of((), CHANGE), OLD, False, True, False),
        (plan_of((Kept(vector="new"),), target_vector="new"), None, False, False, False),
    ],
)
def test_each_side_is_asked_as_the_application_asks_it(
    plan: Plan, model: ModelSpec | None, cut: bool, exact: bool, lexical: bool
) -> None:
    old, new = sides_of(plan)
    assert (old.model, old.vector, old.cut, old.lexical) == (OLD, "text", False, False)
    assert (new.model, new.cut, old.exact, new.lexical) == (model, cut, exact, lexical)
    assert new.exact is False


def test_a_model_that_the_plan_does_not_name_can_be_named() -> None:
    plan = plan_of((TEXT,), target_vector="new", old_model=None)
    old, new = sides_of(plan)
    problem = unnamed_model(old, "r")
    assert isinstance(problem, UsageError)
    assert "changeover compare r --set old_model.provider" in str(problem)
    assert unnamed_model(new, "r") is None
    named, _ = sides_of(plan, OLD)
    assert unnamed_model(named, "r") is None
    _, sparse = sides_of(plan_of((TERMS,), old_model=None))
    assert unnamed_model(sparse, "r") is None, "its words can still be searched"


INFO = {
    "config": {"params": {"vectors": {"text": {"size": 2}, "new": {"size": 2}}, "sparse_vectors": {"words": {}}}},
    "payload_schema": {"text": {}},
}
SIDE = Side(name="new", collection="docs", vector="new", model=NEW, terms=BM25, terms_vector="words", text_field="text")


@pytest.mark.parametrize(
    ("side", "collections", "info", "lacks"),
    [
        (SIDE, ("docs",), INFO, ""),
        (SIDE, ("other",), INFO, "collection docs is not there: the run has not made it yet"),
        (msgspec.structs.replace(SIDE, name="old"), (), None, "old side: collection docs is not there: it was removed"),
        (msgspec.structs.replace(SIDE, vector="gone"), ("docs",), INFO, "no vector gone"),
        (msgspec.structs.replace(SIDE, vector=""), ("docs",), INFO, "docs has no unnamed vector"),
        (msgspec.structs.replace(SIDE, terms_vector="bm25"), ("docs",), INFO, "no sparse vector bm25"),
        (msgspec.structs.replace(SIDE, text_field="body"), ("docs",), INFO, "no text index on body"),
        (
            msgspec.structs.replace(SIDE, vector="", terms=None, text_field=""),
            ("docs",),
            {"config": {"params": {"vectors": {"size": 2}}}},
            "",
        ),
    ],
)
def test_what_a_side_lacks_is_one_line(side: Side, collections: Sequence[str], info: Any, lacks: str) -> None:
    problem = not_there(side, collections, info)
    assert (problem is None) == (not lacks)
    if problem is not None:
        assert lacks in str(problem) and "\n" not in str(problem)
        assert isinstance(problem, BlockedError)


def test_a_way_back_is_compared_as_the_run_that_it_follows(tmp_path: Path) -> None:
    first = RunFolder.create(msgspec.structs.replace(plan_of((TEXT,), target_vector="new")), {}, tmp_path / "first")
    for name, follows in (("back", "first"), ("again", "back")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "plan.json").write_bytes(plan_file.to_json(plan_of((TEXT,), follows=follows)))
    assert subject(RunFolder(tmp_path / "again"), {}).path == first.path
    assert subject(first, {}).path == first.path
    (tmp_path / "first" / "plan.json").unlink()
    with pytest.raises(UsageError, match="goes on from first, whose folder is not on this machine"):
        subject(RunFolder(tmp_path / "again"), {"CHANGEOVER_RUNS": str(tmp_path)})


# Ranks

lists = st.lists(st.integers(0, 15), max_size=10, unique=True)


def test_a_collection_or_alias_stands_for_its_newest_run(tmp_path: Path) -> None:
    environ = {"CHANGEOVER_RUNS": str(tmp_path)}
    for number, name in enumerate(("older", "newer")):
        made = RunFolder.create(plan_of((TEXT,), target_vector="new", name_in_use="docs"), {}, tmp_path / name)
        os.utime(made.path / "plan.json", (number, number))
    job = made.plan().job
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "plan.json").write_text("{", "utf-8")
    for name in ("docs", job.source, job.target):
        assert run_about(name, environ).name == "newer"
    assert run_about("older", environ).name == "older", "the name of a run goes before"
    with pytest.raises(UsageError, match="tickets: no run and no collection of a run"):
        run_about("tickets", environ)


def ranked(old: Sequence[int], new: Sequence[int], held: dict[Any, Held] | None = None) -> Answer:
    """An answer of two lists of ids; the score is 1/rank."""
    found = [
        Found(side, "dense", [Hit(id=i, score=1 / rank) for rank, i in enumerate(ids, 1)], 1.0, 2.0)  # type: ignore[arg-type]
        for side, ids in (("old", old), ("new", new))
    ]
    everything = set(range(16))
    both = held or {side: Held(everything, {}) for side in ("old", "new")}
    a, b = rankings(found, found[0], found[1], both)
    return Answer(query="q", old=a, new=b)


@given(lists, lists)
def test_every_point_is_where_both_lists_have_it(old: list[int], new: list[int]) -> None:
    answer = ranked(old, new)
    assert answer.old is not None and answer.new is not None
    assert [row.id for row in answer.old.rows] == old
    assert [row.id for row in answer.new.rows] == new
    merged = answer.merged
    assert sorted(int(row.id) for row in merged) == sorted(set(old) | set(new))
    for row in merged:
        assert row.old == (old.index(int(row.id)) + 1 if row.id in old else None)
        assert row.new == (new.index(int(row.id)) + 1 if row.id in new else None)
        where = {"same": 0, "up": 1, "down": -1}
        if row.move in where:
            assert row.old is not None and row.new is not None
            delta = row.old - row.new
            assert (delta > 0) - (delta < 0) == where[row.move]
        else:
            assert row.move == ("gone" if row.new is None else "new")
    assert answer.shared == len(set(old) & set(new))


def test_a_point_that_a_side_does_not_hold_is_absent_and_neither_gone_nor_new() -> None:
    held = {"old": Held({1, 2}, {}), "new": Held({1, 3}, {})}
    answer = ranked([1, 2], [1, 3], held)
    assert [(row.id, row.move) for row in answer.merged] == [(1, "same"), (3, "absent"), (2, "absent")]
    assert words.absent(answer) == "1 of the old list not on the new side (yet)"
    assert move(None, None) == "aside"


@pytest.mark.parametrize(
    ("value", "shown"), [(0.81234, "0.8123"), (-0.5, "-0.5000"), (31.4159, "31.42"), (12_345.6, "12,346")]
)
def test_a_score_has_the_digits_that_tell(value: float, shown: str) -> None:
    assert words.score(value) == shown


# Excerpts


def test_an_excerpt_is_the_title_and_the_text_that_is_embedded() -> None:
    plan = journals.a_plan()
    reader = Reader(msgspec.structs.replace(plan, job=msgspec.structs.replace(plan.job, template="{body}")))
    assert reader.excerpt({"title": "A", "body": "B", "other": "C" * 99}) == ("A", "B")
    assert reader.excerpt({"name": "N", "notes": "the longest text", "x": 1}) == ("N", "the longest text")
    assert reader.excerpt({}) == ("", "")
    assert reader.excerpt({"title": 7, "body": None}) == ("", "")


@given(st.dictionaries(st.sampled_from(["title", "text", "x"]), st.text() | st.integers() | st.none()))
def test_an_excerpt_is_safe_to_print(payload: dict[str, Any]) -> None:
    for text in Reader(journals.a_plan()).excerpt(payload):
        assert clean(text) == text
        assert "\x1b" not in text and "\n" not in text and len(text) <= 400


# Votes


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(journals.a_plan(), {}, tmp_path / "run")


def test_the_last_vote_on_a_query_counts(run: RunFolder) -> None:
    for query, choice in (("a b", "old"), ("c", "new"), ("a  b ", "same"), ("d", "skip"), ("c", "new")):
        votes.cast(run, query, choice)  # type: ignore[arg-type]
    kept = votes.read(run)
    assert {key: vote.choice for key, vote in kept.items()} == {"a b": "same", "c": "new", "d": "skip"}
    tally = votes.tally(kept.values())
    assert (tally.old, tally.new, tally.same, tally.skip) == (0, 1, 1, 1)
    assert (tally.judged, tally.empty) == (2, False)
    assert tally.words == "new better 1 · old better 0 · the same 1 · skipped 1"
    assert votes.path_of(run).stat().st_mode & 0o777 == 0o600
    assert len(votes.path_of(run).read_text().splitlines()) == 5, "nothing is overwritten"


def test_a_torn_line_costs_no_other_vote(run: RunFolder) -> None:
    votes.cast(run, "a", "old")
    path = votes.path_of(run)
    with path.open("ab") as file:
        file.write(b'{"query":"b","cho')
    votes.cast(run, "c\nd", "new")
    with path.open("ab") as file:
        file.write(b"\xff\xfe\n[]\nnull\n")
    assert {vote.query: vote.choice for vote in votes.read(run).values()} == {"a": "old", "c\nd": "new"}


VOTER = """
import sys
from pathlib import Path
from changeover.engine.folder import RunFolder
from changeover.side_by_side import votes
for number in range(100_000):
    votes.cast(RunFolder(Path(sys.argv[1])), f"query {number}", "new")
    print(number, flush=True)
"""


def test_votes_survive_a_kill(run: RunFolder) -> None:
    voter = subprocess.Popen([sys.executable, "-c", VOTER, str(run.path)], stdout=subprocess.PIPE, text=True)
    assert voter.stdout is not None
    acknowledged = [int(voter.stdout.readline()) for _ in range(20)]
    os.kill(voter.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in voter.stdout.read().split()]
    voter.stdout.close()
    voter.wait()
    assert {f"query {number}" for number in acknowledged} <= set(votes.read(run))


def test_a_folder_that_cannot_be_written_is_one_line(run: RunFolder) -> None:
    votes.path_of(run).mkdir()
    with pytest.raises(UsageError, match=r"votes\.jsonl: the vote cannot be kept: Is a directory"):
        votes.cast(run, "a", "old")
    with pytest.raises(UsageError, match="the votes cannot be read"):
        votes.read(run)


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_interval_holds_the_share(old: int, new: int) -> None:
    share = votes.Tally(old=old, new=new, same=3).share()
    assert (share is None) == (old + new == 0)
    if share is not None:
        mean, low, high = share
        assert 0 <= low <= mean <= high <= 1
        assert mean == new / (old + new)


def test_the_interval_is_wilsons() -> None:
    share = votes.Tally(old=3, new=12).share()
    assert share == pytest.approx((0.8, 0.5481, 0.9295), abs=1e-4)


def test_the_report_shows_the_tally_and_no_query(run: RunFolder) -> None:
    assert not votes.into_report(run), "no report is made by a vote"
    write_report(run)
    assert "Which did people prefer?" not in run.report.read_text()
    for number in range(15):
        votes.cast(run, f"secret {number}", "old" if number < 3 else "new")
    assert votes.into_report(run)
    for path in (run.report, run.report.with_suffix(".md")):
        text = path.read_text()
        assert "Which did people prefer?" in text and "15 queries" in text
        assert "80% (95 % interval: 55% to 93%)" in text
        assert "secret" not in text
    plain = content.make(run.plan(), [], votes=votes.Tally(same=1))
    [section] = [section for section in plain.sections if section.title == "Which did people prefer?"]
    assert "interval" not in str(section) and "1 query and" in str(section)


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_an_empty_query_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="the query is empty"):
        query_of(text)


@given(st.text(min_size=1).filter(lambda text: text.strip()))
def test_a_query_can_be_kept_whatever_was_typed(text: str) -> None:
    assert msgspec.json.decode(msgspec.json.encode(query_of(text + "\ud800"))).startswith(query_of(text)[:1])


# The comparison over a gateway from memory


class Encoder:
    """A query's vector is its length, twice; counts how often it was asked."""

    def __init__(self, spec: ModelSpec) -> None:
        if spec.name == "broken":
            raise UsageError("broken: no such model")
        self.asked = 0

    def embed_query(self, text: str) -> list[float]:
        self.asked += 1
        return [float(len(text))] * 2

    def close(self) -> None:
        """Nothing to free."""


class Gateway:
    """Two collections of the same points; the new one ranks them the other way round."""

    def __init__(self, fails: Sequence[BaseException | None] = ()) -> None:
        self.fails = list(fails)
        self.there = ["docs", "docs_v2"]

    async def collections(self) -> tuple[str, ...]:
        return tuple(self.there)

    async def collection(self, name: str) -> dict[str, Any]:
        return {"config": {"params": {"vectors": {"text": {"size": 2}}}}}

    async def search(self, name: str, vector: Any, **given: Any) -> list[Hit]:
        failure = self.fails.pop(0) if self.fails else None
        if isinstance(failure, asyncio.Event):
            await failure.wait()
        if isinstance(failure, BaseException):
            raise failure
        ids = [1, 2, 3] if name == "docs" else [3, 2, 1]
        return [Hit(id=i, score=1 / rank) for rank, i in enumerate(ids, 1)]

    async def retrieve(self, name: str, ids: Sequence[Any], **given: Any) -> list[Point]:
        return [Point(id=i, payload={"title": f"{name} {i}"}) for i in ids]

    async def close(self) -> None:
        """Nothing to close."""


def comparison(run: RunFolder, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, **job: Any) -> Comparison:
    """Open over the gateway from memory."""
    plan = plan_of((FromText(vector="text", dimension=2),), mode="blue-green", source="docs", target="docs_v2", **job)
    (run.path / "plan.json").write_bytes(plan_file.to_json(plan))
    monkeypatch.setattr("changeover.embed.protocol.load_encoder", lambda spec, environ: Encoder(spec))
    opened = Comparison(run, sides_of(plan), gateway, "http://localhost:6333")  # type: ignore[arg-type]
    opened.load_models({}, lambda line: None)
    return opened


async def test_both_sides_answer_with_times(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = comparison(run, Gateway(), monkeypatch)
    answer = await opened.ask("  a query ")
    assert answer.both and answer.query == "a query"
    assert [(row.id, row.new, row.old, words.move(row)) for row in answer.merged] == [
        (3, 1, 3, "up 2"),
        (2, 2, 2, "same"),
        (1, 3, 1, "down 2"),
    ]
    assert answer.old is not None and answer.new is not None
    assert [row.title for row in answer.old.rows] == ["docs 1", "docs 2", "docs 3"]
    assert answer.new.rows[0].title == "docs_v2 3"
    assert answer.old.embed_ms is not None and answer.old.search_ms >= 0
    assert re.fullmatch(r"\d+\.\d ms to embed \+ \d+\.\d ms to search", words.times(answer.old))


async def test_a_model_of_both_sides_is_asked_once(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = comparison(run, Gateway(), monkeypatch, model=OLD)
    await opened.ask("x")
    [encoder] = opened._encoders.values()
    assert encoder.asked == 1  # type: ignore[attr-defined]


async def test_a_side_without_a_model_or_collection_leaves_the_other(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Gateway()
    opened = comparison(run, gateway, monkeypatch, model=ModelSpec(provider="sandbox", name="broken"))
    answer = await opened.ask("x")
    assert (answer.both, answer.new, answer.parts) == (False, None, ())
    assert answer.why_no_new == "new side: broken: no such model"
    assert answer.old is not None and {(row.move, words.move(row)) for row in answer.old.rows} == {("alone", "")}
    gateway.there = ["docs_v2"]
    answer = await opened.ask("x")
    assert answer.old is None and "docs is not there" in answer.why_no_old
    with pytest.raises(ChangeoverError, match="new side: broken"):
        room.refuse_one_sided(await opened.problems())


async def test_a_busy_server_is_asked_again_and_a_silent_one_is_one_line(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = ClusterError("too many requests", Action.RETRY, status=429, retry_after_s=0.001)
    opened = comparison(run, Gateway([busy, None, busy, busy]), monkeypatch)
    assert (await opened.ask("x")).both
    silent = ClusterError("POST /x: no answer from the server", Action.RETRY)
    with pytest.raises(UnreachableError, match=r"^http://localhost:6333: POST /x: no answer.*; ask again"):
        await comparison(run, Gateway([silent]), monkeypatch).ask("x")
    refused = ClusterError("wrong dimension", Action.STOP, status=400)
    with pytest.raises(ClusterError, match="wrong dimension"):
        await comparison(run, Gateway([refused]), monkeypatch).ask("x")
    monkeypatch.setattr(room, "PATIENCE_S", 0.01)
    with pytest.raises(UnreachableError, match="no answer within 0 s"):
        await comparison(run, Gateway([asyncio.Event()]), monkeypatch).ask("x")  # type: ignore[list-item]


async def test_the_queries_are_those_of_the_plan(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = comparison(run, Gateway(), monkeypatch)
    assert await opened.queries() == ()
    file = run.path / "queries.jsonl"
    answers = msgspec.structs.replace(
        opened._plan.answers, queries=msgspec.structs.replace(opened._plan.answers.queries, file=str(file))
    )
    opened._plan = msgspec.structs.replace(opened._plan, answers=answers)
    with pytest.raises(UsageError, match="cannot be read"):
        await opened.queries()
    file.write_text('{"query": "one"}\n{"query": "two", "relevant": [1]}\n')
    assert await opened.queries() == ("one", "two")


def test_excerpt_of_a_hit_without_payload_is_empty() -> None:
    held = {"old": Held({1}, {1: Excerpt("t", "x")}), "new": Held({1}, {})}
    answer = ranked([1], [1], held)  # type: ignore[arg-type]
    assert answer.old is not None and answer.new is not None
    assert words.about(answer.old.rows[0]) == "t: x"
    assert words.about(answer.new.rows[0]) == "(no text in the payload)"
