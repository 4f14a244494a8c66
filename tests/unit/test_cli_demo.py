"""What the unattended demo ends with: the table, and everything that forbids exit code 0."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from changeover.engine import events as ev
from changeover.engine import state as run_state
from changeover.errors import UsageError
from changeover.sandbox import corpus, demo, proof, world
from changeover.sandbox.application import Stats
from changeover_tui.verbs.demo import Outcome, closing, failures, worse_for_good
from tests.unit import journals

APPLICATION = Stats(pid=1, at=0.0, searches=900, p95=9.4, inserts=7, edits=3, deletes=1, searching_with="minilm")
PROOF = proof.Proof(collection="target", expected=1_004, stored=1_004, sampled=200, worst_cosine=1.0)
STATE = run_state.fold(run_state.begin(journals.a_plan()), journals.whole())
GOOD = Outcome(code=0, state=STATE, application=APPLICATION, proof=PROOF, seconds=61.0)


def but(**changes: object) -> Outcome:
    """The good outcome with something else in it."""
    return msgspec.structs.replace(GOOD, **changes)


def folded(*more: ev.Event) -> run_state.RunState:
    return run_state.fold(STATE, more)


def test_the_table() -> None:
    rows = dict(closing(GOOD))
    assert rows["application's searches"] == "900, 0 failed, p95 9 ms"
    assert rows["checked by the demo"] == "1,004 of 1,004 points, 200 embedded anew, lowest cosine 1.0000"
    assert rows["nDCG@10, old -> new"] == "0.350 [0.330, 0.370] -> 0.460 [0.440, 0.480]"
    assert rows["took"] == "1 min 1 s"
    assert failures(GOOD) == []


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (but(application=msgspec.structs.replace(APPLICATION, failed_searches=1, last_error="503")), "1 of the applic"),
        (but(application=msgspec.structs.replace(APPLICATION, searches=0)), "did not search"),
        (but(state=folded(ev.Canary(at=1.0, searches=641, failures=1, p50_ms=1, p95_ms=1))), "1 canary searches"),
        (but(state=msgspec.structs.replace(STATE, verified=None)), "did not verify"),
        (but(state=msgspec.structs.replace(STATE, cutover=None)), "nothing was cut over"),
        (
            but(state=folded(ev.Evaluated(at=1.0, report=msgspec.structs.replace(journals.QUALITY, verdict="NO-GO")))),
            "NO-GO",
        ),
        (but(proof=msgspec.structs.replace(PROOF, problems=("1 points are missing: 7",))), "1 points are missing: 7"),
        (but(proof=None), "could not check"),
    ],
)
def test_what_forbids_success(outcome: Outcome, words: str) -> None:
    assert any(words in line for line in failures(outcome)), failures(outcome)


def test_it_gives_up_on_a_worse_model_only() -> None:
    ready = run_state.fold(run_state.begin(journals.a_plan()), [*journals.loading(), *journals.ready()])
    assert worse_for_good(ready) == ""
    bad = ev.Evaluated(at=1.0, report=msgspec.structs.replace(journals.QUALITY, verdict="NO-GO", reason="worse"))
    dark = run_state.fold(ready, [bad, *journals.ready(on=False)[-1:]])
    assert worse_for_good(dark) == "NO-GO: worse"


def test_the_demos_own_check_knows_what_the_application_wrote(tmp_path: Path) -> None:
    here = world.describe("http://127.0.0.1:1", "1.18", tmp_path, 5, "upgrade")
    first, second, *_ = (document.id for document in corpus.documents(5))
    lines = [
        {"seq": 1, "op": "edit", "id": first, "payload": {"text": "edited"}, "failed": True},
        {"seq": 2, "op": "edit", "id": first, "payload": {"text": "edited"}},
        {"seq": 3, "op": "delete", "id": second, "payload": None},
        {"seq": 4, "op": "insert", "id": 77, "payload": {"text": "new"}},
        {"seq": 5, "op": "insert", "id": 78, "payload": {"text": "never stored"}, "failed": True},
    ]
    here.log_file.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    known = proof.expected(here)
    assert known[first] == {"text": "edited"}
    assert second not in known and 78 not in known
    assert known[77] == {"text": "new"}
    assert len(known) == 5


def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "PACKAGES", ("no_such_package", "sys"))
    with pytest.raises(UsageError, match=r"no-such-package missing.*pip install 'changeover\[sandbox\]'"):
        demo.require_extra()
