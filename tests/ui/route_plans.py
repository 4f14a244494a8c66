"""The plans that the core makes for every route, from the collection of `fakes`."""

from __future__ import annotations

from typing import Any

import msgspec

from changeover import seals
from changeover.decision.answers import Answers
from changeover.decision.tree import propose
from changeover.plan import file as plan_file
from changeover.plan import model as pm
from changeover.routes.build import build
from changeover.survey import model as sm

from .fakes import FINDINGS, OLD, PROBES, said, survey

NEW_ONE = {"model__provider": "sandbox", "model__name": "minilm"}
NO_ALIAS: dict[str, Any] = {"aliases": (), "asked": "docs_v1"}
NEWER = sm.Cluster(url="http://localhost:6333", version="1.20.0", peers=(sm.Peer(id=0, version="1.20.0"),))


def answered(**values: str) -> Answers:
    """What a person said who took every proposal but these."""
    return said(Answers(collection="docs", old_model=OLD), **values)


ROUTES: dict[str, tuple[Answers, dict[str, Any]]] = {
    "dimensions": (answered(avoid="dimensions", target__reduction="pca"), {}),
    "quantization": (answered(avoid="quantization", quantization__kind="scalar"), {}),
    "linear-map": (answered(avoid="linear-map", queries__title_field="module", **NEW_ONE), {}),
    "hybrid": (answered(add_sparse="true", sparse__encoder="local-bm25"), {}),
    "text-index": (answered(add_sparse="true", sparse__encoder="text-index"), {"cluster": NEWER}),
    "side-by-side": (answered(keep_both="true", **NEW_ONE), {}),
    "offline": (answered(zero_downtime="false", **NEW_ONE), {}),
    "same-name": (answered(zero_downtime="false", target__same_name="true", **NEW_ONE), NO_ALIAS),
    "server": (answered(model__provider="qdrant", model__name="a/b", model__dimension="384"), {}),
}
"""Route -> (answers, what of the survey is another)."""


def route_plan(which: str) -> pm.Plan:
    """The plan that the core makes for a route; always the same id, time and hash."""
    given, other = ROUTES[which]
    seen = msgspec.structs.replace(survey(), **other)
    made = build(seen, propose(seen, given, PROBES), FINDINGS, PROBES, pm.Access(url="http://localhost:6333"))
    text = plan_file.to_json(made).decode().replace(made.id, f"docs-{which}-1").replace(made.hash, "")
    fixed = msgspec.json.decode(text, type=pm.Plan)
    return seals.seal(msgspec.structs.replace(fixed, created_at="2027-01-15T08:00:00Z", changeover="0.1.0"))
