"""`changeover compare` on the sandbox: what both sides answer, computed here without it; votes; what cannot be compared."""

from __future__ import annotations

import asyncio
import io
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from changeover.decision.answers import QueriesAnswer, TargetAnswer
from changeover.embed.protocol import load
from changeover.engine import control
from changeover.engine.folder import RunFolder
from changeover.errors import ExitCode
from changeover.plan.model import Plan
from changeover.sandbox import server
from changeover.side_by_side import votes
from changeover_tui import cli
from changeover_tui.app import ChangeoverApp
from changeover_tui.screens.compare import CompareScreen
from tests.engine import live
from tests.engine.route_cases import CASES, LIVE, NAMED, TARGET, unit
from tests.engine.small_world import ACCEPTED, NEW, OLD, World
from tests.engine.test_routes_end_to_end import world_on

pytestmark = pytest.mark.slow
Said = pytest.CaptureFixture[str]


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Runs the command with the environment of a world."""

    def call(environ: dict[str, str], *arguments: str, typed: str = "") -> int:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        return cli.main(["compare", *arguments])

    monkeypatch.chdir(tmp_path)
    yield call


def until_ready(world: World, plan: Plan, environ: dict[str, str]) -> RunFolder:
    """A run that waits for its cutover."""
    run = RunFolder.create(plan, environ, accepted=ACCEPTED | {f.code for f in plan.findings})
    live.start(run, environ)
    live.wait_for(run, lambda state: state.ready is not None and state.ready.ready, 90)
    return run


def cut_over(run: RunFolder) -> None:
    control.ask(run.control, "cutover", run.plan().job.name_in_use)
    live.wait_for(run, lambda state: state.status == "finished")
    live.wait_until_gone(run)


def nearest(world: World, collection: str, vector: str, query: Any) -> list[str]:
    """The ten nearest ids as text, by arithmetic on what is stored."""
    stored = world.stored(collection)
    ids = list(stored)
    rows = unit([stored[i]["vector"][vector] for i in ids])
    scores = rows @ unit(query)
    return [str(ids[row]) for row in np.argsort(-scores)[:10]]


def rows_of(said: str) -> list[dict[str, str]]:
    """The rows of the first table: rank on the new side, on the old side, move, id."""
    table = said.partition("what it says\n")[2].partition("\n\n")[0]
    found = [re.split(r"\s{2,}", line.strip(), maxsplit=5) for line in table.splitlines()]
    return [{"new": row[0], "old": row[1], "move": row[2], "id": row[4], "text": row[5]} for row in found]


def ranked(rows: list[dict[str, str]], side: str) -> list[str]:
    """Ids of one side in its order."""
    return [row["id"] for row in sorted((row for row in rows if row[side] != "-"), key=lambda row: int(row[side]))]


def test_before_and_after_the_cutover_both_sides_answer_and_votes_reach_the_report(
    tmp_path: Path, shell: Any, capsys: Said
) -> None:
    with world_on("1.17", tmp_path, alias=LIVE, documents=40) as (world, environ):
        answers = world.answers(model=NEW, target=TargetAnswer(collection=TARGET))
        run = until_ready(world, world.plan(answers, environ), environ)
        job = run.plan().job
        query = msgspec.json.decode(world.queries.read_bytes().splitlines()[0])["query"]
        wanted = {
            "old": nearest(world, job.source, job.source_vector, load(OLD).embed_query(query)),
            "new": nearest(world, job.target, job.target_vector, load(NEW).embed_query(query)),
        }
        for moment in ("before", "after"):
            if moment == "after":
                cut_over(run)
            capsys.readouterr()
            assert shell(environ, run.name, "--query", query) == ExitCode.DONE
            said = capsys.readouterr().out
            assert f"old: wordllama on {job.source}" in said and f"new: minilm on {job.target}" in said
            assert len(re.findall(r"[\d.]+ ms to embed \+ [\d.]+ ms to search", said)) == 2
            rows = rows_of(said)
            assert {side: ranked(rows, side) for side in wanted} == wanted, moment
            shared = set(wanted["old"]) & set(wanted["new"])
            assert f"{len(shared)} of 10 in both" in said
            assert {row["id"] for row in rows if row["move"] == "gone"} == set(wanted["old"]) - shared
            assert "Which did people prefer?" not in (run.report.read_text() if moment == "after" else "")

        asked = [run.name, "--queries", str(world.queries), "--vote"]
        assert shell(environ, *asked, typed="1\nmaybe\n2\nq\n") == ExitCode.DONE
        said = capsys.readouterr()
        assert "new better 1 · old better 1 · the same 0 · skipped 0" in said.out
        assert "a number from 1 to 4" in said.err and "the report shows them" in said.err
        assert "Which did people prefer?" in run.report.read_text()
        assert shell(environ, *asked, typed="3\n") == ExitCode.DONE
        assert "new better 1 · old better 0 · the same 1 · skipped 0" in capsys.readouterr().out
        assert votes.path_of(run).stat().st_mode & 0o777 == 0o600

        assert interrupted(run, environ, world.queries) == ExitCode.INTERRUPTED
        asyncio.run(vote_on_the_screen(run, environ))
        assert votes.tally(votes.read(run).values()).new == 2, "the next one without a vote"

        world.send("DELETE", f"/collections/{job.source}")
        assert shell(environ, run.name, "--query", query) == ExitCode.BLOCKED
        assert one_line(capsys) == f"changeover: old side: collection {job.source} is not there: it was removed"


@pytest.mark.long
def test_a_hybrid_shows_what_it_is_fused_from(tmp_path: Path, shell: Any, capsys: Said) -> None:
    case = next(case for case in CASES if case.name == "hybrid-local")
    with world_on("1.18", tmp_path, documents=60) as (world, environ):
        plan = world.plan(case.answers(world), environ)
        run = RunFolder.create(plan, environ, accepted=ACCEPTED | {f.code for f in plan.findings})
        assert shell(environ, run.name, "--query", "read a file") == ExitCode.BLOCKED
        assert "has no sparse vector words: the run has not made it yet" in one_line(capsys)
        run, _ = world.run(plan, environ, writes=False)
        capsys.readouterr()
        assert shell(environ, run.name) == ExitCode.DONE, "the plan names the queries"
        said = capsys.readouterr().out
        queries = world.queries.read_text().splitlines()
        assert f"query {len(queries)} of {len(queries)}: " in said
        first = said.partition("query 1 of")[2].partition("query 2 of")[0]
        assert "dense alone: " in first and "sparse alone: " in first
        dense = nearest(world, NAMED, "text", load(OLD).embed_query(msgspec.json.decode(queries[0])["query"]))
        assert ranked(rows_of(first), "old") == dense, "the old side is dense search"
        alone = first.partition("dense alone: ")[2].partition("sparse alone: ")[0].splitlines()[2:12]
        assert [line.split()[4] for line in alone] == dense


def test_points_that_the_new_side_lacks_are_not_held_against_the_model(
    tmp_path: Path, shell: Any, capsys: Said
) -> None:
    case = next(case for case in CASES if case.name == "dimensions-leading")
    with world_on("1.18", tmp_path, documents=60) as (world, environ):
        run, _ = world.run(world.plan(case.answers(world), environ), environ, writes=False)
        assert shell(environ, run.name, "--query", "sort a list of numbers") == ExitCode.DONE
        [first, *_] = ranked(rows_of(capsys.readouterr().out), "old")
        point: Any = int(first) if first.isdecimal() else first
        body = {"points": [point], "vector": ["short"]}
        world.send("POST", f"/collections/{NAMED}/points/vectors/delete?wait=true", body)
        assert shell(environ, run.name, "--query", "sort a list of numbers") == ExitCode.DONE
        said = capsys.readouterr().out
        assert [row["id"] for row in rows_of(said) if row["move"] == "absent"] == [first]
        assert "1 of the old list not on the new side (yet)" in said


def test_without_the_old_model_and_without_a_server_one_line_says_so(tmp_path: Path, shell: Any, capsys: Said) -> None:
    environ = live.environ_for(tmp_path / "runs")
    with server.start("1.17", tmp_path / "server") as running:
        world = World(running.url, collection=NAMED, folder=tmp_path, alias=LIVE, documents=30)
        answers = world.answers(
            model=OLD, old_model=None, target=TargetAnswer(collection=TARGET), queries=QueriesAnswer()
        )
        plan = world.plan(answers, environ)
        run = RunFolder.create(plan, environ, accepted=ACCEPTED | {f.code for f in plan.findings})
        assert shell(environ, run.name, "--query", "x") == ExitCode.USAGE
        assert "old side: the plan names no model" in one_line(capsys)
        named = ["--set", "old_model.provider=sandbox", "--set", "old_model.name=wordllama"]
        assert shell(environ, run.name, "--query", "x", *named) == ExitCode.BLOCKED
        assert f"new side: collection {TARGET} is not there: the run has not made it yet" in one_line(capsys)
        shape = {"size": 256, "distance": "Cosine"}
        world.send("PUT", f"/collections/{TARGET}", {"vectors": {plan.job.target_vector: shape}})
        assert shell(environ, run.name, *named) == ExitCode.USAGE
        assert "give --query TEXT, or --queries FILE" in one_line(capsys)
        assert shell(environ, run.name, "--query", "   ", *named) == ExitCode.USAGE
        assert "the query is empty" in one_line(capsys)
        world.close(TARGET)
    assert shell(environ, run.name, "--query", "x", *named) == ExitCode.UNREACHABLE
    assert "nothing listens there; start Qdrant" in one_line(capsys)


def interrupted(run: RunFolder, environ: dict[str, str], queries: Path) -> int:
    """Ctrl+C at the question which list is better; the exit code."""
    command = [sys.executable, "-m", "changeover_tui", "compare", run.name, "--queries", str(queries), "--vote"]
    pipe = subprocess.PIPE

    def listen() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # shells have what they start in the background ignore it

    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, env=environ, text=True, preexec_fn=listen
    ) as asking:
        assert asking.stderr is not None
        said = ""
        while not said.endswith("stop: "):
            letter = asking.stderr.read(1)
            assert letter, said
            said += letter
        asking.send_signal(signal.SIGINT)
        _, said = asking.communicate(timeout=30)
        assert said.endswith("changeover: interrupted\n") and "Traceback" not in said
        return asking.returncode


async def vote_on_the_screen(run: RunFolder, environ: dict[str, str]) -> None:
    """What a person does: open the comparison, wait for the first answer, say that the new list is better, leave."""
    app = ChangeoverApp(None, environ, warm_up=False)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = CompareScreen(run)
        await app.push_screen(screen)
        async with asyncio.timeout(60):
            while screen._answer is None:
                await pilot.pause(0.05)
        await pilot.press("2", "escape")
        await app.workers.wait_for_complete()


def one_line(capsys: Said) -> str:
    """The error, which is one line after the narration; nothing is on stdout."""
    said = capsys.readouterr()
    assert said.out == ""
    [*narration, last] = said.err.splitlines()
    assert all(line.endswith(" ...") for line in narration), said.err
    return last
