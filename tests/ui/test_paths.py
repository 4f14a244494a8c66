"""Every path of the tree by keys alone: what is asked, what Enter takes, and the route that a plan is made for."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import pytest
from textual.pilot import Pilot

from changeover.decision.answers import Answers, value_of
from changeover.routes.build import build
from changeover_tui.screens.ask import AskScreen
from changeover_tui.screens.checks import ChecksScreen

from . import fakes
from .conftest import as_text
from .test_screens import ACCESS, app_of, settle

Keys = dict[str, tuple[str, ...]]


class Path(NamedTuple):
    """Keys that are pressed before Enter, by question; the route, the answers, and questions that must not come up."""

    keys: Keys
    route: str
    answers: dict[str, object]
    unasked: tuple[str, ...] = ()


TO_THE_FIELD = "tab"
# The sandbox's models are the last row.
NEW_MODEL: Keys = {"model.provider": ("end",), "model.name": tuple("minilm")}
PATHS: dict[str, Path] = {
    "fewer dimensions, a size of one's own": Path(
        {"avoid": ("2",), "target.dimension": (TO_THE_FIELD, *"100"), "target.reduction": ("2",)},
        "dimensions",
        {"target.dimension": 100, "target.reduction": "pca"},
        ("model.provider", "text.template", "keep_both", "add_sparse"),
    ),
    "fewer dimensions, a size that is offered": Path(
        {"avoid": ("2",), "target.dimension": ("3",)}, "dimensions", {"target.dimension": 64}
    ),
    "quantization": Path(
        {"avoid": ("3",), "quantization.kind": ("down",), "quantization.least_recall": ()},
        "quantization",
        {"quantization.kind": "turbo-4", "quantization.least_recall": 0.9},
        ("zero_downtime", "model.provider", "old_model.provider", "writers", "limits.batch", "cutover", "route"),
    ),
    "a linear map": Path(
        {"avoid": ("4",), "queries.title_field": tuple("module"), "map.anchors": tuple("1500"), **NEW_MODEL},
        "linear-map",
        {"map.anchors": 1500, "map.method": "ridge", "queries.title_field": "module"},
        ("keep_both", "add_sparse"),
    ),
    "words beside the dense vectors": Path(
        {"add_sparse": ("1",), "sparse.language": (TO_THE_FIELD, *"german")},
        "hybrid",
        {"sparse.encoder": "server-bm25", "sparse.language": "german", "model": None},
        ("model.name", "vector.name"),
    ),
    "both models stay": Path(
        {"keep_both": ("1",), "route": ("2",), **NEW_MODEL}, "side-by-side", {"keep_both": True, "route": "blue-green"}
    ),
    "the application is stopped": Path(
        {"zero_downtime": ("2",), **NEW_MODEL}, "in-place", {"zero_downtime": False}, ("writers",)
    ),
    "the server embeds": Path(
        {"model.provider": ("9",), "model.name": tuple("a/b"), "model.dimension": tuple("384")},
        "in-place",
        {"model.provider": "qdrant", "model.dimension": 384},
        ("model.path", "model.url"),
    ),
}


async def answer(pilot: Pilot[int], keys: Keys) -> list[str]:
    """Walk from the first question past all that have keys, then from the last on; the ids of what came up."""
    seen: list[str] = []
    for _ in range(40):
        screen = pilot.app.screen
        if not isinstance(screen, AskScreen):
            break
        assert screen._at not in seen, f"{screen._at} came up twice: {as_text(pilot.app)}"
        seen.append(screen._at)
        for key in keys.get(screen._at, ()):
            await pilot.press({"/": "slash"}.get(key, key))
        await pilot.press("enter")
        if set(keys) <= set(seen) and isinstance(pilot.app.screen, AskScreen) and screen._at not in seen:
            screen._show(screen._asked[-1])
    await settle(pilot)
    assert isinstance(pilot.app.screen, ChecksScreen), as_text(pilot.app)
    return seen


async def opened(pilot: Pilot[int], given: Answers) -> fakes.FakeWizard:
    app = pilot.app
    wizard = fakes.FakeWizard(ACCESS, {})
    await wizard.take_survey("docs")
    wizard.answer(given)
    app.wizard = wizard  # type: ignore[attr-defined]
    await settle(pilot)
    await app.push_screen(AskScreen(wizard))  # type: ignore[arg-type]
    await settle(pilot)
    return wizard


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
async def test_a_path_by_keys(path: Path) -> None:
    async with app_of().run_test(size=(80, 24)) as pilot:
        wizard = await opened(pilot, Answers(collection="docs", old_model=fakes.OLD))
        seen = await answer(pilot, path.keys)
        assert not set(path.keys) - set(seen)
        assert not set(path.unasked) & {asked.question.id for asked in wizard.questions()}
        said = wizard.completed()
        assert {id_: value_of(said, id_) for id_ in path.answers} == path.answers
        assert wizard.survey is not None
        made = build(wizard.survey, said, (), fakes.PROBES, ACCESS)  # type: ignore[arg-type]
        assert made.route == path.route


async def test_a_closed_choice_shows_its_reason_and_is_not_taken() -> None:
    async with app_of().run_test(size=(80, 24)) as pilot:
        given = fakes.said(Answers(collection="docs"), add_sparse="true")
        wizard = await opened(pilot, given)
        screen = pilot.app.screen
        assert isinstance(screen, AskScreen)
        while screen._at != "sparse.encoder":
            await pilot.press("enter")
        assert "closed: text indexes score from 1.20" in as_text(pilot.app)
        await pilot.press("4", "enter")
        await settle(pilot)
        assert wizard.answers.sparse.encoder == "server-bm25"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=str)
@pytest.mark.parametrize("which", ["sparse.language", "target.dimension", "text.template", "model.document_prefix"])
async def test_the_field_is_in_sight_under_any_list(which: str, size: tuple[int, int]) -> None:
    async with app_of().run_test(size=size) as pilot:
        given = fakes.said(fakes.answers(), add_sparse="true", model__provider="fastembed", model__name="a/b")
        if which == "target.dimension":
            given = fakes.said(Answers(collection="docs"), avoid="dimensions")
        await opened(pilot, given)
        screen = pilot.app.screen
        assert isinstance(screen, AskScreen)
        screen._show(next(asked for asked in screen._asked if asked.question.id == which))
        await settle(pilot)
        assert "or type another" in as_text(pilot.app)
        field = screen.query_one("#typed").region
        assert field.height == 3 and field.bottom <= size[1] - 2


async def test_a_model_that_was_given_can_be_taken_back_for_hybrid() -> None:
    async with app_of().run_test(size=(80, 24)) as pilot:
        given = msgspec.structs.replace(fakes.answers(), add_sparse=True)
        wizard = await opened(pilot, given)
        await answer(pilot, {"model.provider": ("1",)})
        assert wizard.answers.model is None
        assert wizard.completed().model is None
