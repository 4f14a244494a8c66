"""Verbs against a sandbox: `rollback` brings a configuration back, once, while it is to be undone; `check` and `plan`."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from changeover.errors import ExitCode
from changeover_tui import cli
from tests.engine.route_cases import CASES, NAMED
from tests.engine.test_routes_end_to_end import world_on

pytestmark = pytest.mark.slow


def test_a_quantization_is_brought_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = next(case for case in CASES if case.name == "quantization")
    monkeypatch.chdir(tmp_path)
    with world_on("1.18", tmp_path, **case.world) as (world, environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)

        def stored() -> object:
            return world.send("GET", f"/collections/{NAMED}")["config"]["quantization_config"]

        plan = world.plan(case.answers(world), environ)
        before = stored()
        world.run(plan, environ, writes=False)
        changed = stored()
        assert changed != before
        back = f"{plan.id}-back"

        assert cli.main(["rollback", plan.id]) == ExitCode.DONE
        said = capsys.readouterr()
        assert "Bring the former configuration back" in said.out
        assert f"changeover apply {back}.plan.json" in said.err
        assert stored() == changed, "nothing is sent without the name"
        assert (tmp_path / f"{back}.plan.json").stat().st_mode & 0o777 == 0o600
        assert cli.main(["rollback", plan.id, "--confirm", "another"]) == ExitCode.USAGE

        assert cli.main(["rollback", plan.id, "--confirm", plan.job.name_in_use]) == ExitCode.DONE
        assert stored() == before
        assert "way back: " in capsys.readouterr().err
        assert cli.main(["rollback", plan.id]) == ExitCode.BLOCKED
        assert "in force already" in capsys.readouterr().err

        world.send("PATCH", f"/collections/{NAMED}", {"quantization_config": {"binary": {"always_ram": True}}})
        assert cli.main(["rollback", plan.id]) == ExitCode.BLOCKED
        assert "changed again after this run" in capsys.readouterr().err


def test_check_and_plan_with_and_without_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with world_on("1.18", tmp_path, documents=80) as (world, environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        asked = [NAMED, "--url", world.url, "--set", "avoid=dimensions", "--set", "target.dimension=64"]
        assert cli.main(["check", *asked, "--quick"]) == ExitCode.DONE
        said = capsys.readouterr()
        assert "not tried: fewer dimensions on stored vectors" in said.out
        assert "looked at and well: " in said.out
        assert cli.main(["check", *asked, "--json"]) == ExitCode.DONE
        said = capsys.readouterr()
        assert isinstance(msgspec.json.decode(said.out), list)
        assert "fewer dimensions on stored vectors: comparing cut and whole vectors" in said.err
        assert cli.main(["plan", *asked, "--quick", "-o", "quick.json"]) == ExitCode.DONE
        assert "not tried: fewer dimensions on stored vectors" in capsys.readouterr().err
        assert (tmp_path / "quick.json").exists()
        closed = [NAMED, "--url", world.url, "--set", "avoid=dimensions", "--set", "target.dimension=9000"]
        assert cli.main(["check", *closed, "--quick"]) == ExitCode.BLOCKED
        assert "9000 are asked for" in capsys.readouterr().err
