"""Plans that go back or clean up: exchanged sides, what is refused and why, and the words for it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from changeover.embed.model import ModelSpec
from changeover.engine import state as run_state
from changeover.errors import BlockedError, UsageError
from changeover.plan import model as pm
from changeover.plan.text import as_text, purpose
from changeover.report.content import make
from changeover.routes.way_back import Sides, build, removal, removed
from changeover_tui import plan_words
from tests.engine import fakes

OLD = ModelSpec(provider="sandbox", name="wordllama")
INFO = {"config": {"params": {"vectors": {"old": {"size": 4, "distance": "Cosine"}}}}}
SIDES = Sides(version="1.18.3", old=INFO, aliases={"app": "target"}, points=10)


def done(mode: pm.Mode = "blue-green", **job: Any) -> pm.Plan:
    if mode == "blue-green":
        job.setdefault("carry", {"image": "picture"})
    plan = fakes.plan(mode, fakes.slices(500))
    return msgspec.structs.replace(plan, job=msgspec.structs.replace(plan.job, **job))


def back(plan: pm.Plan, model: ModelSpec | None = OLD, sides: Sides = SIDES) -> pm.Plan:
    return build(plan, sides, model, run="one", name="one-back")


def test_the_sides_are_exchanged() -> None:
    plan = back(done())
    job = plan.job
    assert (job.source, job.target, job.name_in_use) == ("target", "source", "app")
    assert (job.source_vector, job.target_vector, job.carry) == ("new", "old", {"picture": "image"})
    assert job.makes == (pm.FromText(vector="old", dimension=4),) and job.model == OLD
    swap = next(step for step in plan.steps if isinstance(step, pm.SwapAlias))
    assert (swap.alias, swap.expected) == ("app", "target")
    assert swap.request.body == {"actions": [{"create_alias": {"alias_name": "app", "collection_name": "source"}}]}
    assert next(step.slices for step in plan.steps if isinstance(step, pm.CatchUp)) == fakes.slices(500)
    assert (plan.follows, plan.id) == ("one", "one-back")


def test_without_the_old_model_it_is_counted_first() -> None:
    plan = back(done(), None)
    assert plan.job.makes == (pm.Kept(vector="old"),) and plan.job.model is None
    assert isinstance(plan.steps[0], pm.CountLacking)
    assert "nobody can make it anew" in as_text(plan)
    carried = back(done(carry={"old": "old", "image": "image"}), None)
    assert carried.job.makes == () and not isinstance(carried.steps[0], pm.CountLacking)


@pytest.mark.parametrize(
    ("plan", "sides", "words"),
    [
        (done(), msgspec.structs.replace(SIDES, old=None), "not there any more"),
        (done(), msgspec.structs.replace(SIDES, aliases={"app": "other"}), "alias-moved: app points to other"),
        (done(), msgspec.structs.replace(SIDES, aliases={}), "alias-moved: app points to nothing"),
        (msgspec.structs.replace(done(), follows="zero"), SIDES, "itself a way back"),
        (done("in-place", target_vector="old"), SIDES, "the dense vector was not touched"),
        (msgspec.structs.replace(done(), steps=()), SIDES, "no cutover"),
    ],
)
def test_what_cannot_go_back_says_why(plan: pm.Plan, sides: Sides, words: str) -> None:
    with pytest.raises((BlockedError, UsageError), match=words):
        back(plan, sides=sides)


def test_cleanup_removes_the_old_collection_after_late_writes() -> None:
    plan = removal(done(), SIDES, run="one", name="one-cleanup", snapshot=True, safe=False)
    assert [type(step) for step in plan.steps] == [pm.TakeSnapshot, pm.Sweep, pm.DropCollection]
    assert (removed(plan), purpose(plan)) == ("source", "cleanup of one")
    assert "- Remove source" in as_text(plan) and "1 to remove" in as_text(plan)


@pytest.mark.parametrize(
    ("plan", "safe", "words"),
    [
        (done("in-place"), False, "old-vector-removal-unsafe: on 1.18.3"),
        (done("in-place", source_vector=""), True, "the unnamed vector has no name"),
        (msgspec.structs.replace(done("in-place"), route="side-by-side"), True, "both vectors were meant to stay"),
    ],
)
def test_a_vector_that_stays_says_why(plan: pm.Plan, safe: bool, words: str) -> None:
    with pytest.raises((BlockedError, UsageError), match=words):
        removal(plan, SIDES, run="one", name="one-cleanup", snapshot=True, safe=safe)


def test_from_119_an_old_vector_goes() -> None:
    plan = removal(done("in-place"), SIDES, run="one", name="one-cleanup", snapshot=True, safe=True)
    late, step = plan.steps
    assert isinstance(late, pm.Sweep)
    assert isinstance(step, pm.DropVector) and step.request.path == "/collections/source/vectors/old?wait=true"


def test_the_words_are_those_of_a_way_back() -> None:
    plan = back(done())
    assert (purpose(plan), plan_words.kind(plan)) == ("way back of one", "way back")
    assert "way back of one: target -> source serves again" in as_text(plan)
    assert "late writes to target are brought over; where both sides changed, source stays" in as_text(plan)
    state = run_state.begin(plan)
    assert "nothing was brought back" in plan_words.way_back(plan, state, "one-back")
    report = make(plan, ())
    titles = [section.title for section in report.sections]
    assert report.title == "Way back of app"
    assert "Is everything there?" not in titles and "Is search better?" not in titles
