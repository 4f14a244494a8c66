"""The whole plain wizard on a dumb terminal, typed by a person who knows only what is said: no code reaches it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from changeover.engine.folder import RunFolder
from changeover.sandbox.demo import open_demo
from tests.engine import live

from .terminal import Terminal, codes


@pytest.mark.slow
@pytest.mark.long
def test_from_the_first_question_to_the_report(runs: Path, tmp_path: Path) -> None:
    environ = {**live.environ_for(runs), "TERM": "dumb"}
    with open_demo(environ, documents=150) as world:
        words = [sys.executable, "-m", "changeover_tui", "--url", world.access.url]
        with Terminal(words, environ) as person:
            person.answer(b"Which collection?", b"1")
            person.answer(b"Can re-embedding be avoided?", b"2")
            person.answer(b"target.dimension [", b"64")
            person.answer(b"target.reduction", b"back")
            person.answer(b"target.dimension [64]", b"128")
            person.answer(b"target.reduction", b"map")
            person.answer(b"you are at: ", b"explain dimensions")
            person.answer(b"Fewer dimensions: the stored", b"1")
            while b"Type docs to start the engine" not in person.until_asked():
                person.type(person.asked_for(b"Type ", b" to acknowledge it"))
            person.answer(b"Type docs to start the engine", b"docs")
            person.answer(b"Everything is ready. Type docs", b"")
            world.deploy_new()
            person.answer(b"that is not docs", b"docs")
            person.answer(b"What now?", b"")
            assert person.wait() == 0
        assert not codes(person.seen)
        assert b"report:" in person.seen and b"answers:" in person.seen
    [plan] = runs.glob("*/plan.json")
    run = RunFolder(plan.parent)
    state = run.state()
    assert state.status == "finished" and state.cutover is not None and state.failures == 0
    assert run.plan().answers.target.dimension == 128
    assert run.report.exists() and run.answers.exists()
