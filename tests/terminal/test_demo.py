"""The demo by keys alone at 80x24, from its first screen to the report, in tmux as a person sees it."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import pytest

from changeover.engine.folder import RunFolder

from .panes import Pane

DEMO = [sys.executable, "-m", "changeover_tui", "demo", "--documents", "120"]
MOST_QUESTIONS = 40


@pytest.mark.slow
def test_from_the_first_screen_to_the_report_by_keys(runs: Path, tmp_path: Path) -> None:
    environ = {**os.environ, "TERM": "xterm-256color", "CHANGEOVER_RUNS": str(runs)}
    with Pane(DEMO, environ, tmp_path) as pane:
        pane.until("What do you want to see?", "enter Start it")
        pane.keys("Enter")
        pane.until("[2 collection]", "docs_v1", "enter Survey it")
        pane.keys("Enter")
        take_every_proposal(pane)
        acknowledge(pane)
        pane.until("[5 plan]", "enter Accept", "Nothing has been written so far")
        assert not list(runs.glob("*"))
        pane.keys("Enter")
        pane.until("enter Confirm")
        pane.keys("docs", "Enter")
        pane.until("[6 run]")
        [folder] = [path.parent for path in runs.glob("*/plan.json")]
        pane.until("READY", "c Cutover")
        pane.keys("c")
        pane.until("Ready for the cutover?", "Every lamp is on", "F3 Deploy")
        pane.keys("F3")
        pane.until(lambda shown: "F3 Deploy" not in shown)
        pane.keys("docs", "Enter")
        pane.until("enter Summary")
        pane.keys("Enter")
        pane.until("[7 report]", "q Quit")
        run = RunFolder(folder)
        state = run.state()
        assert state.status == "finished" and state.failures == 0 and state.searches > 0
        assert run.report.exists()
        pane.keys("q")
        assert pane.exit_code() == 0
        assert not pane.alternate()


def take_every_proposal(pane: Pane) -> None:
    """Enter at every question, each once it is shown, until the checks come."""
    before = ""
    for _ in range(MOST_QUESTIONS):
        shown = pane.until(lambda shown, before=before: counted(shown) not in ("", before) or "[4 checks]" in shown)  # type: ignore[misc]
        if "[4 checks]" in shown:
            return
        before = counted(shown)
        pane.keys("Enter")
    pytest.fail(f"still a question:\n{pane.text()}")


def counted(shown: str) -> str:
    """The `3 of 18` of the question that is shown, or ""."""
    found = re.search(r"\d+ of \d+ ·", shown)
    return found[0] if found and "[3 questions]" in shown else ""


def acknowledge(pane: Pane) -> None:
    """Type the code of each finding that has to be acknowledged, then go on to the plan."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        shown = pane.until(
            lambda shown: bool(re.search(r"Enter: acknowledge |Enter goes on to the plan|type \S+ to ack", shown))
        )
        if "Enter goes on to the plan" in shown:
            pane.keys("Enter")
            return
        if asked := re.search(r"type (\S+) to acknowledge it", shown):
            pane.keys(asked[1], "Enter")
            pane.until(lambda shown, code=asked[1]: f"type {code} to acknowledge it" not in shown)  # type: ignore[misc]
        else:
            pane.keys("Enter")
            pane.until("to acknowledge it")
    pytest.fail(f"not acknowledged:\n{pane.text()}")
