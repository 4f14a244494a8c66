"""A bundle holds no key, host or text of anybody's; it is data, and the walk on it is the walk on the cluster."""

from __future__ import annotations

import asyncio
import socket
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from changeover import seals
from changeover.bundle import file as bundle_file
from changeover.bundle.make import Contents, make, thinned
from changeover.bundle.model import Allowed, Bundle
from changeover.bundle.offline import BundleWizard, opened, unpacked
from changeover.bundle.phrases import Phrases
from changeover.bundle.places import filled, keep
from changeover.bundle.redact import RULES, rule_of, shape_of
from changeover.checks.model import Probes
from changeover.decision.answers import QueriesAnswer, set_answer
from changeover.embed.model import ModelSpec
from changeover.engine import events as ev
from changeover.errors import BlockedError, ChangeoverError, UnreachableError, UsageError
from changeover.plan.model import Access, Plan
from changeover.plan.text import as_text
from changeover.quality.trials import Cut, DimensionsTrial, GainTrial
from changeover.survey import lease
from changeover.survey.model import Peer, Sampled
from changeover.wizard import Wizard
from tests.unit.surveys import NEW, PROBES, answers, survey

KEY = "sk-mark-key-0123456789"
ENVIRON = {"CLUSTER_KEY": KEY, "OTHER_TOKEN": "mark-token-0123", "KEYBOARD": "docs_v1"}
HOST = "mark-host.acme.example"
HOSTED = ModelSpec(provider="openai", name="embed-small", url="https://mark-model.acme.example/v1", dimension=384)
ALL: tuple[frozenset[Allowed], ...] = (frozenset(), frozenset({"hosts"}), frozenset({"payload"}))

marks = st.from_regex(r"mark[a-z]{4}[0-9]{4}", fullmatch=True)
texts = st.builds("{} {}".format, marks, st.text(max_size=12))
numbers = st.integers(min_value=10**11, max_value=10**15)
payloads = st.dictionaries(
    st.sampled_from(["title", "text", "tags", "meta"]),
    st.one_of(texts, numbers, st.lists(texts, max_size=3), st.fixed_dictionaries({"who": texts, "n": numbers})),
    min_size=1,
)
SAYING = (
    "{}",
    "Wrong input: {} (HTTP 400)",
    "PUT /collections/docs_v1/points?wait=true: Format error in JSON body: invalid value: {} (HTTP 422)",
    "point 17 skipped: openai: HTTP 400: the input '{}' is too long",
    "finished: {}; {}, 12 points in 3.1 s",
    "{}: see http://mark-other.acme.example/x, 10.77.66.55 and /home/mark-home/it",
    'Traceback (most recent call last)\n  File "/home/mark-home/site-packages/httpx/x.py", line 3, in go\nValueError: {}',
)


def leaves(value: Any) -> list[str]:
    """Every text and number of a payload that must not be seen, as the bytes would show it."""
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [value[:12] if isinstance(value, str) else str(value)]


def a_plan(**changes: Any) -> Plan:
    """A sealed plan on the synthetic survey, of a cluster with a name."""
    walk = Wizard(Access(url=f"https://{HOST}:6333/base", api_key_env="CLUSTER_KEY"), {})
    walk.survey = survey(url=f"https://{HOST}:6333/base", **changes)
    walk.probes = PROBES
    walk.answers = answers(model=HOSTED, queries=QueriesAnswer(title_field="title"))
    return walk.plan()


PLAN = a_plan()


def contents_of(sample: list[dict[str, Any]], said: str) -> Contents:
    """Everything that a bundle can hold, with these payloads and this text wherever text can be."""
    asked = answers(
        model=HOSTED, old_model=NEW, queries=QueriesAnswer(file="/home/mark-home/queries.jsonl", title_field="title")
    )
    metadata = {
        "owner": "mark-owner",
        "model": "acme/embed-1",
        lease.KEY: {"run": "r", "host": "mark-box", "beat": 1, "at": 1.0},
    }
    found = survey(
        url=f"https://{HOST}:6333",
        sample=tuple(Sampled(id=n, payload=payload) for n, payload in enumerate(sample)),
        metadata=metadata,
        config={**survey().config, "metadata": metadata},
        notes=(said, f"the peers could not be read: https://{HOST}:6333: {said}"),
    )
    peers = (Peer(id=1, version="1.18.3", uri="http://mark-peer.internal:6335/"),)
    cluster = msgspec.structs.replace(found.cluster, peers=peers)
    state = msgspec.structs.replace(found.state, optimizer_error=said)
    journal = (
        ev.EngineStarted(at=1.0, pid=4, host="mark-box", version="0.1.0", server="1.18.3"),
        ev.StepStarted(at=1.0, step="load"),
        ev.Progress(at=1.5, step="load", done=5, total=10, note=said),
        ev.Skipped(at=2.0, id=17, reason=said),
        ev.Log(
            at=2.0, level="warning", text=f"could not reach {HOST} on mark-box with {KEY} and mark-token-0123: {said}"
        ),
        ev.Canary(at=2.0, searches=1, failures=1, p50_ms=1, p95_ms=2, last_error=said),
        ev.StepDone(at=3.0, step="load", detail=said),
        ev.Controlled(at=3.0, number=1, verb="cutover", value=said, refused=said),
        ev.CutoverReady(at=3.0, lamps=(ev.Lamp(name="verified", on=False, detail=said),)),
        ev.Verified(
            at=3.0, source_points=1, target_points=1, checked_ids=1, sampled=1, worst_cosine=None, problems=(said,)
        ),
        ev.EngineStopped(at=4.0, reason=said, exit_code=3),
    )
    return Contents(
        about="docs",
        access=PLAN.job.access,
        answers=asked,
        survey=msgspec.structs.replace(found, cluster=cluster, state=state),
        probes=Probes(
            new_model=msgspec.structs.replace(PROBES.new_model, error=said) if PROBES.new_model else None,
            gain=GainTrial(points=1, queries=1, reason=said, error=said),
        ),
        plan=PLAN,
        journal=journal,
        engine_log=(*said.split("\n"), f"connecting to {HOST}", KEY),
    )


@given(st.lists(payloads, min_size=1, max_size=4), st.sampled_from(SAYING), texts, st.sampled_from(ALL))
@settings(max_examples=40)
def test_nothing_of_anybodys_is_in_the_bytes(
    sample: list[dict[str, Any]], saying: str, quoted: str, allowed: frozenset[Allowed]
) -> None:
    said = saying.replace("{}", quoted)
    bundle, _ = make(contents_of(sample, said), allowed, ENVIRON)
    data = bundle_file.to_json(bundle)
    seen = data.decode() + msgspec.json.encode(msgspec.json.decode(data)).decode()
    assert KEY not in seen and "mark-token-0123" not in seen and "docs_v1" in seen
    if "payload" not in allowed:
        for mark in [*(leaf for payload in sample for leaf in leaves(payload)), quoted[:12], "mark-owner"]:
            assert mark not in seen
    if "hosts" not in allowed:
        for host in (
            HOST,
            "mark-model.acme",
            "mark-other",
            "10.77.66.55",
            "mark-peer",
            "mark-box",
            "/base",
            socket.gethostname(),
        ):
            assert host not in seen or (host == socket.gethostname() and len(host) < 6)
        assert "mark-home" not in seen
    assert bundle_file.from_json(data, "it") == bundle


@given(st.lists(payloads, min_size=1, max_size=6))
@settings(max_examples=30)
def test_the_checks_and_questions_say_the_same_on_a_bundle(sample: list[dict[str, Any]]) -> None:
    found = survey(sample=tuple(Sampled(id=n, payload=payload) for n, payload in enumerate(sample)))
    walk = Wizard(Access(url="http://127.0.0.1:6333"), {})
    walk.survey, walk.probes, walk.answers = found, PROBES, answers()
    contents = Contents(about="docs", access=walk.access, answers=walk.answers, survey=found, probes=PROBES)
    offline = BundleWizard(make(contents, frozenset(), {})[0])
    assert offline.questions() == walk.questions()
    assert offline.findings() == walk.findings()
    assert offline.passed() == walk.passed()


def test_every_text_of_a_bundle_has_a_rule_or_passes_through_the_phrases() -> None:
    """A new field of a survey, plan or event fails here until somebody decides what a support desk may see of it."""
    free = sorted(
        f"{owner.__name__}.{name}"
        for owner in _structs(Bundle, set())
        if owner is not Bundle and owner.__name__ != "TakenOut"
        for name, hint in typing.get_type_hints(owner).items()
        if _holds_text(hint) and rule_of(owner, name) is None
    )
    assert free == [
        "Canary.last_error",
        "ColocatedTrial.error",
        "Conflict.reason",
        "Controlled.refused",
        "Controlled.value",
        "CutOver.detail",
        "DimensionsTrial.error",
        "EngineStopped.reason",
        "Estimate.basis",
        "Finding.consequence",
        "Finding.limit",
        "Finding.measured",
        "Finding.remedy",
        "Finding.source",
        "Finding.title",
        "GainTrial.error",
        "GainTrial.reason",
        "HybridTrial.error",
        "HybridTrial.note",
        "Lamp.detail",
        "Lamp.name",
        "Log.text",
        "MapTrial.error",
        "Metrics.throttle",
        "ModelProbe.error",
        "Paused.reason",
        "Progress.note",
        "QualityReport.reason",
        "QuantizationTrial.error",
        "Retried.reason",
        "RunFinished.summary",
        "Skipped.reason",
        "State.optimizer_error",
        "StepDone.detail",
        "Stream.doing",
        "Survey.notes",
        "Verified.problems",
    ]
    known = _structs(Bundle, set())
    for owner, name in RULES:
        assert name in owner.__struct_fields__, f"{owner.__name__} has no {name}"  # type: ignore[attr-defined]
        assert any(issubclass(one, owner) for one in known)


def test_what_the_program_says_stays_and_what_it_quotes_does_not() -> None:
    phrases = Phrases(["docs_v1", "text_minilm", "The application searches text_minilm"])
    for line in (
        "slowed: search p95 45 ms > 32 ms (2x baseline)",
        "pass 1: 436 points compared in 11.0 s, 2 new, 17 edited, 5 deleted, 12 without their vector",
        "finished: the application searches text_minilm in docs_v1 from now on",
        "Wrong input: Vector dimension error: expected dim: 384, got 256 (HTTP 400)",
        "http://cluster-1.0123456789ab.invalid:6333: nothing listens there; start Qdrant, or correct the address",
    ):
        assert phrases.kept(line) == line
    assert phrases.replaced == 0
    quoting = "openai: HTTP 400: the input 'Patient John has the flu' is too long"
    assert phrases.kept(quoting) == "openai: [2 words, 8 characters]: [10 words, 48 characters]"
    frame = '  File "/home/ann/venv/lib/python3.11/site-packages/changeover/engine/engine.py", line 7, in run'
    assert phrases.kept(frame) == '  File "lib/python3.11/site-packages/changeover/engine/engine.py", line 7, in run'
    assert phrases.replaced == 2


@given(st.text())
def test_a_shape_is_as_long_and_has_the_same_blanks(text: str) -> None:
    shape = shape_of(text)
    assert len(shape) == len(text) and len(shape.split()) == len(text.split())
    assert bool(shape.strip()) == bool(text.strip())
    assert set(shape.split()) <= set("".join(shape.split()).split()) or set("".join(shape.split())) <= set("xж0.")


def test_keys_of_payloads_that_are_data_are_renamed() -> None:
    sample = tuple(Sampled(id=n, payload={"text": "t", "seen_by": {f"user-{n}@mark.example": 1}}) for n in range(20))
    contents = Contents(about="docs", access=Access(url="http://localhost:6333"), survey=survey(sample=sample))
    bundle, _ = make(contents, frozenset(), {})
    assert bundle.survey is not None
    assert bundle.survey.sample[0].payload == {"text": "x", "seen_by": {"field-1": 0}}
    assert b"mark.example" not in bundle_file.to_json(bundle)


def test_a_plan_made_on_a_bundle_gets_its_addresses_back_where_it_was_made(tmp_path: Path) -> None:
    environ = {"CHANGEOVER_RUNS": str(tmp_path / "runs")}
    metadata = {"owner": "mark-owner"}
    found = survey(
        url=f"https://{HOST}:6333", version="1.17.1", metadata=metadata, config=survey().config | {"metadata": metadata}
    )
    asked = answers(model=HOSTED, queries=QueriesAnswer(file="/data/mark.jsonl"))
    probes = msgspec.structs.replace(PROBES, queries=40)
    access = Access(url=f"https://{HOST}:6333", api_key_env="CLUSTER_KEY")
    contents = Contents(about="docs", access=access, answers=asked, survey=found, probes=probes)
    bundle, places = make(contents, frozenset(), ENVIRON)
    plan = BundleWizard(bundle_file.from_json(bundle_file.to_json(bundle), "it")).plan()
    assert "mark" not in as_text(plan) and "acme" not in as_text(plan)

    with pytest.raises(BlockedError, match="cluster, metadata, model, queries"):
        filled(plan, environ)
    kept = keep(places, environ)
    assert kept is not None and kept.stat().st_mode & 0o777 == 0o600
    full = filled(plan, environ)
    walk = Wizard(access, {})
    walk.survey, walk.probes, walk.answers = found, probes, asked
    here = walk.plan()
    assert _same(full) == _same(here)
    assert full.hash != plan.hash and filled(plan, environ) == full
    other = filled(plan, environ, "http://10.0.0.7:6333")
    assert other.job.access.url == "http://10.0.0.7:6333"


def test_the_url_alone_is_enough_where_only_the_cluster_was_taken_out() -> None:
    access = Access(url=f"https://{HOST}:6333")
    contents = Contents(
        about="docs",
        access=access,
        answers=answers(),
        survey=survey(url=f"https://{HOST}:6333", has_key=True),
        probes=PROBES,
    )
    plan = BundleWizard(make(contents, frozenset(), {})[0]).plan()
    with pytest.raises(BlockedError, match="give --url"):
        filled(plan, {"CHANGEOVER_RUNS": "/nowhere/runs"})
    full = filled(plan, {"CHANGEOVER_RUNS": "/nowhere/runs"}, f"https://{HOST}:6333")
    assert full.job.access.url == f"https://{HOST}:6333"


def a_bundle(**changes: Any) -> Bundle:
    return make(
        Contents(
            about="docs",
            access=Access(url="http://localhost:6333"),
            answers=answers(),
            survey=survey(),
            probes=PROBES,
            **changes,
        ),
        frozenset(),
        {},
    )[0]


def edited(data: bytes, **changes: Any) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(data) | changes)


def test_a_file_that_is_no_bundle_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bundle_file.to_json(a_bundle())
    journal = [{"event": "step-started", "at": 1.0, "step": "no-such"}]
    run = bundle_file.to_json(msgspec.structs.replace(a_bundle(plan=PLAN), journal=()))
    for bad, match in (
        (b"PK\x03\x04", "not a bundle"),
        (b"\xff\xfe", "not a bundle"),
        (b"[" * 200_000, "not a bundle"),
        (b"{}", "missing required field"),
        (edited(data, survey=5), "survey"),
        (edited(data, extra=1), "unknown field"),
        (edited(data, about="another"), "changed after it was written"),
        (edited(data, journal=journal), "no plan"),
        (data.replace(b'"asked"', b'"foreign": 1, "asked"', 1), "survey.foreign is not what a bundle has"),
        (data.replace(b"changeover-bundle-1", b"changeover-bundle-2", 1), "format"),
    ):
        if b'"journal":[{' in bad:
            bad = _resealed(bad)
        with pytest.raises(UsageError, match=match) as refused:
            bundle_file.from_json(bad, "it")
        assert "\n" not in str(refused.value)
    with pytest.raises(UsageError, match="no-such"):
        bundle_file.from_json(_resealed(edited(run, journal=journal)), "it")
    monkeypatch.setattr(bundle_file, "MOST_BYTES", 100)
    with pytest.raises(UsageError, match="more than 100 bytes"):
        bundle_file.from_json(data, "it")


def test_a_bundle_connects_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("something connects")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    wizard = BundleWizard(a_bundle())
    for job in (wizard.gateway(), wizard.collections()):
        with pytest.raises(UnreachableError, match="no cluster here"):
            asyncio.run(job)
    with pytest.raises(UsageError, match="the bundle is of docs"):
        asyncio.run(wizard.take_survey("other"))
    asyncio.run(wizard.probe())
    with pytest.raises(ChangeoverError, match="changeover apply"):
        wizard.start(wizard.plan(), frozenset())
    with pytest.raises(UsageError, match="no run in it"):
        unpacked(wizard.bundle, tmp_path)


def test_what_was_measured_counts_for_the_answers_that_it_was_measured_for() -> None:
    cuts = (Cut(method="leading", size=64, overlap=0.6),)
    trial = DimensionsTrial(vector="text", full=256, sampled=200, cuts=cuts)
    cut = answers(avoid="dimensions", model=None)
    cut = set_answer(cut, "target.dimension", "64")
    contents = Contents(
        about="docs",
        access=Access(url="http://localhost:6333"),
        answers=cut,
        survey=survey(),
        probes=Probes(dimensions=trial),
    )
    wizard = BundleWizard(make(contents, frozenset(), {})[0])
    assert wizard.untried() == () and wizard.probes.dimensions == trial
    wizard.answer(set_answer(wizard.answers, "target.dimension", "128"))
    assert wizard.untried() == ("fewer dimensions on stored vectors",) and wizard.probes.dimensions is None
    wizard.answer(cut)
    assert wizard.probes.dimensions == trial
    wizard.answer(answers(avoid="none"))
    assert "the new model" in wizard.untried()
    with pytest.raises(BlockedError, match="dimension is not known"):
        wizard.plan()
    wizard.answer(answers(avoid="none", model=msgspec.structs.replace(NEW, dimension=384), old_model=None))
    assert "text-unproven" in {finding.code for finding in wizard.findings()}
    assert wizard.plan().job.dimension == 384


def test_a_bundle_that_breaks_the_walk_is_refused_in_one_line(tmp_path: Path) -> None:
    bundle = a_bundle()
    assert bundle.survey is not None
    survey_ = msgspec.structs.replace(bundle.survey, config={"params": 5})
    path = tmp_path / "odd.json"
    path.write_bytes(bundle_file.to_json(seals.seal(msgspec.structs.replace(bundle, survey=survey_))))
    with pytest.raises(UsageError, match="not a bundle that can be walked"):
        opened(path)
    path.write_bytes(bundle_file.to_json(bundle))
    assert opened(path).findings()


def test_a_very_long_journal_loses_figures_and_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [ev.Progress(at=float(n), step="load", done=n) for n in range(300)]
    log = ev.Log(at=1.0, level="warning", text="x")
    monkeypatch.setattr("changeover.bundle.make.MOST_JOURNAL", 2_000)
    kept, notes = thinned([*events, log])
    assert log in kept and 0 < len(kept) < 60 and "the journal is long" in notes[0]
    assert thinned([log]) == ((log,), ())


def test_a_run_is_unpacked_as_it_stood(tmp_path: Path) -> None:
    events = (
        ev.EngineStarted(at=1.0, pid=4, host="box", version="0.1.0", server="1.18.3"),
        ev.StepStarted(at=1.0, step="load"),
        ev.EngineStopped(at=4.0, reason="stopped by a person", exit_code=6),
    )
    bundle = a_bundle(plan=PLAN, journal=events, accepted=("text-unproven",), engine_log=("ready",))
    run = unpacked(msgspec.structs.replace(bundle, about="../../etc"), tmp_path)
    assert run.path == tmp_path / "run"
    assert run.path.stat().st_mode & 0o777 == 0o700
    assert run.state().status == "stopped" and run.plan() == bundle.plan


def _resealed(data: bytes) -> bytes:
    tree = msgspec.json.decode(data)
    bundle = msgspec.convert(tree, Bundle)
    return bundle_file.to_json(msgspec.structs.replace(bundle, hash=seals.digest(bundle)))


def _same(plan: Plan) -> Any:
    """A plan without what differs from one making to the next."""
    bare = msgspec.structs.replace(plan, created_at="", hash="", findings=())
    return msgspec.json.decode(msgspec.json.encode(bare).replace(plan.id.encode(), b"RUN"))


def _structs(owner: Any, seen: set[type]) -> set[type]:
    """Every struct that a value of that type can hold."""
    if isinstance(owner, type) and issubclass(owner, msgspec.Struct):
        if owner not in seen:
            seen.add(owner)
            for hint in typing.get_type_hints(owner).values():
                _structs(hint, seen)
    else:
        for part in typing.get_args(owner):
            _structs(part, seen)
    return seen


def _holds_text(hint: Any) -> bool:
    """Whether a value of that type can hold text by itself: not by a struct, which has rules of its own."""
    if hint in (str, Any):
        return True
    if typing.get_origin(hint) is typing.Literal:
        return False
    return any(map(_holds_text, typing.get_args(hint)))
