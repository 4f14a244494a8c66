"""What a plan says and holds: the application's change, names, settings, datatypes, estimates, drift."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qdrant_client.http.exceptions import UnexpectedResponse

from changeover.checks.model import ModelProbe, Probes
from changeover.checks.registry import run
from changeover.decision.answers import AliasAnswer, Answers, Limits, TargetAnswer
from changeover.decision.tree import propose
from changeover.errors import UsageError
from changeover.plan import model as pm
from changeover.plan.application import diff
from changeover.plan.drift import differences
from changeover.plan.text import as_text, render
from changeover.routes import names
from changeover.routes.build import build
from changeover.survey.model import Alias, Rights, Size, Survey, Vector
from tests.unit.surveys import ACCESS, NEW, OLD, PROBES, answers, survey

WRITER = Rights(read=True, write_points=True, write_collection=True, manage=False)
SAME = Probes(new_model=ModelProbe(dimension=256))
ON_DISK = {"size": 256, "distance": "Cosine", "on_disk": True}


def plan_of(taken: Survey, said: Answers | None = None, probes: Probes = PROBES) -> pm.Plan:
    completed = propose(taken, said or answers(), probes)
    return build(taken, completed, run(taken, completed, probes), probes, ACCESS)


def one(plan: pm.Plan, kind: type[Any]) -> Any:
    [step] = [step for step in plan.steps if isinstance(step, kind)]
    return step


def after(text: str) -> str:
    """The new side of a unified diff whose context covers the whole file."""
    rows = [row for row in text.rstrip("\n").split("\n")[2:] if not row.startswith("@@")]
    return "\n".join(row[1:] for row in rows if not row.startswith("-"))


class Server:
    """Answers a search as Qdrant does: 400 unless vector name and dimension fit, 404 for a name that is not there."""

    def __init__(self, name: str, using: str, model: str) -> None:
        self.name, self.using, self.model, self.asked = name, using, model, 0

    def query_points(self, *, collection_name: str, query: Any, limit: int, using: str | None = None) -> Any:
        self.asked += 1
        if collection_name != self.name:
            raise UnexpectedResponse(404, "Not Found", b"", None)  # type: ignore[arg-type]
        if (using or "") != self.using or query[0] != self.model:
            raise UnexpectedResponse(400, "Bad Request", b"", None)  # type: ignore[arg-type]
        return SimpleNamespace(points=[query])


def embed(model: str, text: str) -> tuple[str, str]:
    return model, text


@pytest.mark.parametrize("named", [True, False])
def test_the_build_that_speaks_both_models_serves_before_and_after_the_swap(named: bool) -> None:
    new = msgspec.structs.replace(NEW, query_prefix="query: ")
    plan = plan_of(survey(version="1.17.1", named=named), answers(model=new))
    before, behind = (
        Server("docs", vector, model)
        for vector, model in ((plan.job.source_vector, OLD.name), (plan.job.target_vector, NEW.name))
    )
    scope: dict[str, Any] = {"client": before, "embed": embed}
    exec(after(plan.application), scope)
    assert scope["search"]("x") == [("wordllama", "x")]
    scope["client"] = behind
    assert scope["search"]("x") == [("minilm", "query: x")]
    assert scope["search"]("y") == [("minilm", "query: y")]
    assert behind.asked == 3, "the side that fitted last is asked first"
    scope["client"] = before
    assert scope["search"]("x") == [("wordllama", "x")], "and the way back works too"
    scope["client"] = Server("elsewhere", "", "")
    with pytest.raises(UnexpectedResponse):
        scope["search"]("x")


@pytest.mark.parametrize(
    ("taken", "name"),
    [
        (survey(), "docs"),
        (survey(named=False, version="1.18.3"), "docs"),
        (survey(version="1.17.1", alias=False), "docs_v1_live"),
    ],
)
def test_the_call_after_the_cutover_fits_what_serves_then(taken: Survey, name: str) -> None:
    route: Any = "blue-green" if taken.cluster.version == "1.17.1" else "in-place"
    plan = plan_of(taken, answers(route=route))
    scope: dict[str, Any] = {
        "client": Server(name, plan.job.target_vector, "minilm"),
        "embed": embed,
        "text": 'a "quoted" text',
    }
    exec(after(plan.application), scope)
    assert scope["points"] == [("minilm", 'a "quoted" text')]


def test_a_plain_name_is_told_to_deploy_after_the_cutover() -> None:
    plan = plan_of(survey(version="1.17.1", alias=False), answers(alias=AliasAnswer(name="live")))
    swap = one(plan, pm.SwapAlias)
    assert (swap.alias, swap.expected) == ("live", None)
    assert "right after the cutover, which makes the alias live" in plan.application
    assert '+    collection_name="live",' in plan.application


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_foreign_names_stay_inside_their_quotes(vector: str, prefix: str, model: str) -> None:
    job = msgspec.structs.replace(
        plan_of(survey()).job,
        target_vector=vector,
        makes=(pm.FromText(vector=vector, dimension=384),),
        model=msgspec.structs.replace(NEW, name=model, query_prefix=prefix),
    )
    fits = Server("docs", vector, job.model.label)
    scope: dict[str, Any] = {"client": fits, "embed": embed, "text": "x"}
    exec(after(diff(job)), scope)
    assert scope["points"] == [(job.model.label, prefix + "x")]


def test_without_the_manage_right_no_setting_is_changed_and_none_is_promised() -> None:
    own = (Vector(name="text", kind="dense", size=256, distance="Cosine", on_disk=True, params=ON_DISK),)
    plan = plan_of(survey(vectors=own, rights=WRITER))
    assert not [step for step in plan.steps if isinstance(step, pm.PatchVector | pm.WriteMetadata)]
    assert "right-missing-manage" in {f.code for f in plan.findings if f.acknowledge}
    managed = plan_of(survey(vectors=own))
    assert one(managed, pm.PatchVector).request.body == {"vectors": {"minilm": {"on_disk": True}}}
    assert managed.estimate.memory_bytes < plan.estimate.memory_bytes


@pytest.mark.parametrize(("datatype", "kept"), [("float16", "float16"), ("uint8", None), (None, None)])
@pytest.mark.parametrize("version", ["1.17.1", "1.18.3"])
def test_a_datatype_that_loses_numbers_is_not_given_to_the_new_vector(
    datatype: str | None, kept: str | None, version: str
) -> None:
    params = {"size": 256, "distance": "Cosine"} | ({"datatype": datatype} if datatype else {})
    own = (Vector(name="text", kind="dense", size=256, distance="Cosine", datatype=datatype, params=params),)
    plan = plan_of(survey(version=version, vectors=own))
    body = plan.steps[0].request.body  # type: ignore[union-attr]
    new = body["dense"] if version == "1.18.3" else body["vectors"]["text"]
    assert new.get("datatype") == kept


def test_the_model_is_recorded_without_anything_of_this_machine() -> None:
    model = msgspec.structs.replace(NEW, path="/home/me/models", api_key_env="MY_KEY", url="http://10.0.0.1")
    write = one(plan_of(survey(), answers(model=model)), pm.WriteMetadata)
    recorded = write.request.body["metadata"]["changeover"]
    assert recorded["model"]["fingerprint"] == "abc"
    assert recorded["model"]["dimension"] == 384
    assert not {"path", "url", "api_key_env"} & set(recorded["model"])


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (answers(alias=AliasAnswer(name="other")), "alias.name 'other': a collection of this name exists"),
        (answers(alias=AliasAnswer(name="a/b")), "alias.name 'a/b': it holds"),
        (answers(target=TargetAnswer(collection="docs_v1")), "target.collection 'docs_v1'"),
    ],
)
def test_names_that_the_server_would_refuse_are_refused_here(said: Answers, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan_of(survey(version="1.17.1", alias=False), said)


@given(st.sets(st.sampled_from(["d_live", "d_live2", "d_live3", "d"])))
def test_a_proposed_alias_is_free(taken: set[str]) -> None:
    assert names.alias_name("d", taken) not in taken


def test_time_follows_the_slowest_part() -> None:
    assert plan_of(survey()).estimate.seconds == 10.0, "1,000 points at 100 texts a second"
    limited = plan_of(survey(strict={"enabled": True, "write_rate_limit": 60}))
    assert limited.estimate.seconds == 1000.0
    assert "60 points a minute" in limited.estimate.basis
    assert plan_of(survey(), answers(limits=Limits(rate=20.0))).estimate.seconds == 50.0


def test_room_is_for_the_new_vector_and_blue_green_for_what_is_copied() -> None:
    size = Size(points=1000, vector_bytes=1000 * 256 * 4, payload_bytes=50_000)
    in_place = plan_of(survey(size=size)).estimate
    assert in_place.memory_bytes == 1000 * 384 * 4 * 1.5
    assert in_place.disk_bytes == 2 * in_place.memory_bytes
    blue_green = plan_of(survey(version="1.17.1", size=size)).estimate
    assert blue_green.memory_bytes == in_place.memory_bytes, "the replaced vector is not copied, the payload is on disk"
    assert blue_green.disk_bytes == in_place.disk_bytes + 2 * 50_000


def test_the_price_is_the_one_that_was_given() -> None:
    priced = msgspec.structs.replace(NEW, price_per_million_tokens=2.0)
    plan = plan_of(survey(), answers(model=priced))
    assert plan.estimate.tokens == 40_000
    assert plan.estimate.money == 0.08
    assert "0.08" in as_text(plan)
    assert plan_of(survey()).estimate.money is None


def test_an_alias_that_appears_before_it_could_be_made_is_drift() -> None:
    taken = survey(version="1.17.1", alias=False)
    plan = plan_of(taken)
    appeared = survey(version="1.17.1", alias=False, other_aliases=(Alias(name="docs_v1_live", collection="other"),))
    assert differences(plan, taken) == ()
    assert differences(plan, appeared) == ("alias docs_v1_live is new",)


def test_one_upgraded_peer_of_two_is_no_drift_but_all_are() -> None:
    plan = plan_of(survey(peers=("1.18.3", "1.18.3")))
    assert differences(plan, survey(peers=("1.18.3", "1.19.0"))) == ()
    both = msgspec.structs.replace(survey(peers=("1.19.0", "1.19.0"), version="1.19.0"))
    assert differences(plan, both) == ("the server was 1.18.3, now it is 1.19.0",)


def test_every_step_that_writes_shows_its_request() -> None:
    for taken in (survey(), survey(version="1.17.1")):
        plan = plan_of(taken)
        for step, line in zip(plan.steps, render(plan), strict=True):
            for request in (getattr(step, "request", None), *getattr(step, "requests", ())):
                if request is not None:
                    assert f"{request.method} {request.path}" in line.detail
                    assert line.sign in "+~"


def test_a_key_is_nowhere_in_a_plan() -> None:
    text = as_text(plan_of(survey(has_key=True), answers(model=msgspec.structs.replace(NEW, api_key_env="MY_KEY"))))
    assert "MY_KEY" not in text


def test_what_a_create_request_does_not_take_is_carried_by_a_patch() -> None:
    plain = survey(version="1.17.1")
    assert one(plan_of(plain), pm.PauseIndexing).request.body == {"optimizers_config": {"indexing_threshold": 0}}
    params = {**plain.config["params"], "read_fan_out_factor": 2, "read_fan_out_delay_ms": None}
    plan = plan_of(survey(version="1.17.1", config={**plain.config, "params": params}))
    assert "read_fan_out_factor" not in one(plan, pm.CreateCollection).request.body
    pause = one(plan, pm.PauseIndexing)
    assert pause.request.body == {
        "optimizers_config": {"indexing_threshold": 0},
        "params": {"read_fan_out_factor": 2},
    }
    assert "read fan-out" in pause.title
