"""Every scenario of the demo, unattended, with the application running; the demo's own proof decides."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from changeover.sandbox.scenarios import SCENARIOS
from changeover_tui import cli

DOCUMENTS = {"bad-model": 60, "old-server": 50}
SAID = {
    "old-server": ["alias docs points to"],
    "fewer-dimensions": ["verdict", "wordllama, 128 numbers"],
    "quantization": ["recall@10 before the change", "recall@10 after the change", "wordllama, rescored"],
    "hybrid": ["GO: nDCG@10 changes by +", "wordllama and words"],
}
ELSEWHERE = {"upgrade", "side-by-side"}
"""Run to their ends by test_sandbox_runs and test_routes_end_to_end, on the same worlds."""


def demo(scenario: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "changeover_tui", "demo", "--auto", "--plain", "--scenario", scenario]
    words += ["--documents", str(DOCUMENTS.get(scenario, 100)), "--report", str(folder / "report.html")]
    environ = {**os.environ, "CHANGEOVER_RUNS": str(folder / "runs")}
    return subprocess.run(words, capture_output=True, text=True, env=environ, timeout=240, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "scenario", [pytest.param(name, marks=() if name == "quantization" else pytest.mark.long) for name in SAID]
)
def test_a_scenario_ends_as_it_promises(scenario: str, tmp_path: Path) -> None:
    ended = demo(scenario, tmp_path)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 0, said[-3000:]
    assert SCENARIOS[scenario].teaches in said  # type: ignore[index]
    assert "checked by the demo" in said and "lowest cosine 1.0000" in said
    for words in SAID[scenario]:
        assert words in said, said[-3000:]
    assert (tmp_path / "report.html").stat().st_size > 1000


@pytest.mark.slow
def test_a_bad_model_is_a_no_go_and_nothing_is_cut_over(tmp_path: Path) -> None:
    """Acknowledging what the sample said before the run does not overrule what the run finds on all points."""
    ended = demo("bad-model", tmp_path)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 5, said[-3000:]
    assert "worse-on-your-data" in said
    assert "[OFF] quality: NO-GO" in said
    assert "cutover docs" not in said and "deployment 2" not in said
    assert "searches with               minilm" in said


def test_every_scenario_can_be_chosen() -> None:
    assert tuple(SCENARIOS) == cli.SCENARIOS
    assert {*SAID, *ELSEWHERE, "bad-model"} == set(SCENARIOS)
