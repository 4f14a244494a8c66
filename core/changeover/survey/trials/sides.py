"""The same labelled queries asked on both sides: stored vectors with the old model, fresh ones with the new model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover.embed import protocol
from changeover.errors import UsageError
from changeover.quality.queries import LabelledQuery
from changeover.survey.trials.budget import Budget, asked, embedded, require_size
from changeover.survey.trials.collect import Found, Subject, models_of, rows_of, within

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

FOR_QUERIES = 0.3
"""Share of the time in which queries are embedded; models take them one by one."""


@dataclass(frozen=True)
class Sides:
    """Points that both models made a vector of, and queries that both were asked with."""

    points: list[Found]
    fresh: list[Any]
    """The new model's vector of each point: float32 (d,), or (tokens, d) of a late-interaction model."""
    queries: tuple[LabelledQuery, ...]
    """With labels only of points that may be searched."""
    asked_old: Rows
    asked_new: list[Any]
    skipped: int
    """Points at the end of the list that the time did not reach."""

    @property
    def ids(self) -> list[int | str]:
        """Ids of the points."""
        return [point.id for point in self.points]


def both_sides(
    subject: Subject,
    queries: Sequence[LabelledQuery],
    points: Sequence[Found],
    environ: Mapping[str, str],
    budget: Budget,
    searched: Sequence[Found] | None = None,
) -> Sides:
    """Embed queries with both models and the points' texts with the new one, in their order, until time is up.

    Labels count only for points of `searched` (all when None). Blocking. Raises ChangeoverError for what is wrong
    with a model, and UsageError when no query can be asked.
    """
    import numpy as np

    old_spec, new_spec = models_of(subject)
    texts = [query.query for query in queries]
    old = protocol.load(old_spec, environ)
    try:
        before = asked(old, texts, budget, FOR_QUERIES / 2, f"asking with {old_spec.label}")
    finally:
        old.close()
    new = protocol.load_encoder(new_spec, environ)
    try:
        after = asked(new, texts[: len(before)], budget, FOR_QUERIES, f"asking with {new_spec.label}")
        fresh = embedded(new, [point.text for point in points], budget, f"embedding with {new_spec.label}")
    finally:
        new.close()
    made = [(point, vector) for point, vector in zip(points, fresh, strict=False) if vector is not None]
    if not made:
        raise UsageError(f"{new_spec.label} refused all of {len(fresh)} sampled texts")
    known = {point.id for point, _ in made} & {point.id for point in (points if searched is None else searched)}
    ready = [
        (left[0], one, other)
        for query, one, other in zip(queries, before, after, strict=False)
        if one is not None and other is not None and (left := within([query], known))
    ]
    if not ready:
        raise UsageError("no labelled query could be asked with both models in the time that a trial has")
    asking = np.array([one for _, one, _ in ready], dtype=np.float32)
    kept = [point for point, _ in made]
    require_size(asking, rows_of(kept).shape[1], old_spec.label)
    return Sides(
        points=kept,
        fresh=[vector for _, vector in made],
        queries=tuple(query for query, _, _ in ready),
        asked_old=asking,
        asked_new=[other for _, _, other in ready],
        skipped=len(points) - len(fresh),
    )
