"""What was measured on a sample before anything is spent, and what follows when it speaks against the plan."""

from __future__ import annotations

from changeover.checks import way
from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers
from changeover.decision.route import wanted
from changeover.quality.model import Score
from changeover.quality.trials import Cut, DimensionsTrial
from changeover.routes.made import ANCHORS
from changeover.routes.quantization import LEAST_RECALL
from changeover.survey.model import Survey

FEWEST_ANCHORS = 2_000
KEPT = 0.95
"""nDCG@10 of cut vectors divided by that of whole ones, below which it is said."""
WITHIN = 0.01
"""Recall that may be lost against the present without a word."""


def _words(score: Score) -> str:
    return f"{score.mean:.3f} ({score.low:.3f} to {score.high:.3f})"


def worse_on_your_data(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """On the user's own queries the new side found less than the old one."""
    if wanted(answers) == "dimensions":
        return _cut_loses(answers, probes.dimensions)
    trial = probes.gain
    if trial is None or trial.error or not way.embeds(answers) or trial.difference is None:
        return None
    refused = trial.verdict == "NO-GO"
    if not refused and (trial.verdict == "GO" or trial.difference.mean >= 0):
        return None
    sides = f"old {_words(trial.old)}, new {_words(trial.new)}, " if trial.old and trial.new else ""
    return Finding(
        code="worse-on-your-data",
        severity="warning" if refused else "info",
        title="the new model finds less on your own queries"
        if refused
        else "the new model may find less on your queries",
        measured=(
            f"nDCG@10: {sides}difference {_words(trial.difference)}; {trial.queries:,} queries, {trial.points:,} points"
        ),
        limit="not below the old model" if refused else "an interval above zero; this one holds zero",
        consequence=(
            "people will find less after the cutover, and the whole load is spent for that"
            if refused
            else "the sample does not decide it; the run compares again on all points before the cutover"
        ),
        remedy="take another model, or check its prefixes, its text and its token limit first"
        if refused
        else "give more labelled queries",
        source="trial on a sample",
        acknowledge=refused,
    )


def _cut_loses(answers: Answers, trial: DimensionsTrial | None) -> Finding | None:
    cut = _cut(answers, trial, answers.target.reduction or "leading")
    if trial is None or cut is None or cut.ndcg_kept is None or cut.ndcg_kept >= KEPT:
        return None
    return Finding(
        code="worse-on-your-data",
        severity="warning",
        title="the cut vectors find less on your own queries",
        measured=f"{cut.ndcg_kept:.0%} of nDCG@10 kept at {cut.size} of {trial.full} numbers; {trial.queries:,} queries",
        limit=f"{KEPT:.0%}",
        consequence="people will find less after the cutover",
        remedy="answer target.dimension with more numbers, or try target.reduction = pca, or quantization instead",
        source="trial on a sample",
        acknowledge=True,
    )


def _cut(answers: Answers, trial: DimensionsTrial | None, method: str) -> Cut | None:
    """What was measured at the answered size; without an answer at the smallest that was tried."""
    if trial is None:
        return None
    found = [cut for cut in trial.cuts if cut.method == method]
    size = answers.target.dimension
    if size is not None:
        return next((cut for cut in found if cut.size == size), None)
    return min(found, key=lambda cut: cut.size, default=None)


def not_matryoshka(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The leading numbers of the stored vectors are worth no more than any others."""
    trial = probes.dimensions
    if wanted(answers) != "dimensions" or trial is None or not trial.cuts or trial.matryoshka:
        return None
    leading = answers.target.reduction != "pca"
    if not leading:
        return None
    kept = {method: _cut(answers, trial, method) for method in ("leading", "random", "pca")}
    said = [f"{method} {cut.overlap:.2f}" for method, cut in kept.items() if cut is not None]
    size = next((cut.size for cut in kept.values() if cut is not None), None)
    unsure = trial.matryoshka is None
    return Finding(
        code="not-matryoshka",
        severity="info" if unsure else "warning",
        title=(
            "the sample is too small to tell whether the leading numbers matter more"
            if unsure
            else "the leading numbers are worth no more than any others: this is no Matryoshka model"
        ),
        measured=(f"overlap@10 at {size} of {trial.full} numbers: {', '.join(said)}" if said else "no cut was measured")
        + f"; leading - random {trial.gap:+.2f} on {trial.sampled:,} vectors",
        limit="leading ahead of random by 0.03 or more",
        consequence="cutting keeps what random numbers would keep; a rotation by the principal components keeps far more",
        remedy="answer target.reduction = pca: the run writes the matrix that the application needs for its queries",
        source="stored vectors, several random draws as the control",
        acknowledge=not unsure,
    )


def no_gain_from_map(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The mapped vectors find no more than the old ones."""
    if wanted(answers) != "linear-map":
        return None
    trial = probes.map
    if trial is None or trial.error or trial.old is None or trial.mapped is None:
        return Finding(
            code="no-gain-from-map",
            severity="info",
            title="nobody knows yet whether the map finds more than the old vectors",
            measured=trial.error if trial is not None and trial.error else "not tried",
            limit="mapped above old on queries that it has not seen",
            consequence="the run tries it before it writes anything, and ends there when it gains nothing",
            remedy="give the old model and labelled queries, and try it on a sample now",
            source="plan",
        )
    loses = trial.mapped.mean <= trial.old.mean
    unsure = trial.over_old is not None and trial.over_old.low <= 0
    if not loses and not unsure:
        return None
    gain = f"; gain recovered {_words(trial.gain)}" if trial.gain is not None else ""
    new = f", new {_words(trial.new)}" if trial.new is not None else ""
    return Finding(
        code="no-gain-from-map",
        severity="blocker" if loses else "warning",
        title=(
            "the map finds less than leaving everything as it is"
            if loses
            else "the map does not surely find more than the old vectors"
        ),
        measured=f"nDCG@10: old {_words(trial.old)}, mapped {_words(trial.mapped)}{new}{gain}",
        limit="mapped above old",
        consequence="the collection would be rewritten for worse results" if loses else "the effort may be for nothing",
        remedy="re-embed (avoid = none), or keep the old model until that is affordable",
        source=f"trial: {trial.method} on {trial.anchors:,} anchors, {trial.queries:,} queries that it has not seen",
        acknowledge=not loses,
    )


def few_anchors(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The map is learnt from few pairs."""
    if wanted(answers) != "linear-map":
        return None
    planned = min(answers.map.anchors or ANCHORS, survey.size.points * 2 // 3)
    trial = probes.map
    tried = trial.anchors if trial is not None and not trial.error else planned
    anchors = min(planned, tried)
    if anchors >= FEWEST_ANCHORS:
        return None
    return Finding(
        code="few-anchors",
        severity="warning",
        title="the map is learnt from few pairs of old and new vectors",
        measured=f"{anchors:,} anchors",
        limit=f"{FEWEST_ANCHORS:,}",
        consequence="it fits these pairs better than the rest of the collection; measured, 500 anchors kept 10 to 20 % less",
        remedy=(
            f"answer map.anchors with {FEWEST_ANCHORS:,} or more"
            if survey.size.points * 2 // 3 >= FEWEST_ANCHORS
            else "re-embed: a collection this small takes no longer than the map"
        ),
        source="measured on five pairs of models with 500, 2,000 and 8,000 anchors",
    )


def quantization_recall(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """Searches find less of the true neighbours with the new quantization, or nobody has tried."""
    if wanted(answers) != "quantization":
        return None
    trial, least = probes.quantization, answers.quantization.least_recall or LEAST_RECALL
    if trial is None or trial.error or not trial.settings or trial.kind != answers.quantization.kind:
        return Finding(
            code="quantization-recall",
            severity="info",
            title="what the quantization does to the recall was not tried yet",
            measured=trial.error if trial is not None and trial.error else "not tried",
            limit=f"recall@10 of {least:g}",
            consequence="the run measures it after the change, and brings the former configuration back below the limit",
            remedy="try it on a sample now, on this machine, without touching the collection",
            source="plan",
        )
    best = max(trial.settings, key=lambda setting: setting.recall)
    below, lost = best.recall < least, best.recall < trial.before - WITHIN
    if not below and not lost:
        return None
    factor = f" with oversampling {best.oversampling:g}" if best.oversampling else ""
    return Finding(
        code="quantization-recall",
        severity="warning",
        title="searches would find less of the true neighbours",
        measured=f"recall@10 {best.recall:.3f} at best ({'rescored' if best.rescore else 'not rescored'}{factor}), now {trial.before:.3f}",
        limit=f"{least:g}" if below else f"{trial.before:.3f}, as it is now",
        consequence=(
            "the run would measure that, bring the former configuration back and end as not passed"
            if below
            else "some of what is found today is missed; memory is what is gained"
        ),
        remedy="choose a kind that keeps more (scalar, turbo-4), or answer quantization.least_recall with what is enough",
        source=f"scratch index on {trial.sampled:,} stored vectors, against exact search",
        acknowledge=True,
    )


CHECKS = (
    Check(
        code="worse-on-your-data",
        looks_at="no sample shows the new side finding less",
        run=worse_on_your_data,
        explain=(
            "Before anything is spent, one or two thousand points are embedded and searched with your own queries on both\n"
            "sides. An interval below zero is a NO-GO: the model may lead public rankings and lose here. Cut vectors are\n"
            "compared with whole ones in the same way. Going on all the same is possible, and has to be typed."
        ),
    ),
    Check(
        code="not-matryoshka",
        looks_at="the leading numbers are those that matter, or none are cut",
        run=not_matryoshka,
        explain=(
            "A Matryoshka model is trained so that the leading numbers carry most. It shows on stored vectors: leading\n"
            "numbers keep more neighbours than random ones of the same count. Where they do not, cutting is the same as\n"
            "throwing numbers away at random, and a rotation by the vectors' own principal components keeps far more."
        ),
    ),
    Check(
        code="no-gain-from-map",
        looks_at="a map, where there is one, finds more than the old vectors",
        run=no_gain_from_map,
        explain=(
            "What counts is (mapped - old) / (new - old) on queries that the map has not seen. Dividing by the new model\n"
            "alone flatters: where old and new agree anyway, 90 % of the new can be less than the old. At or below the old\n"
            "side the map is refused; where the interval holds zero it has to be accepted by typing."
        ),
    ),
    Check(
        code="few-anchors",
        looks_at="a map, where there is one, is learnt from enough pairs",
        run=few_anchors,
        explain=(
            "A map from 384 to 768 numbers has some 300,000 unknowns. With 500 pairs it mostly remembers them; from 2,000\n"
            "on it gets steady. The pairs must come from the collection itself: those of another corpus kept 55 to 93 %."
        ),
    ),
    Check(
        code="quantization-recall",
        looks_at="a new quantization, where there is one, finds what is found today",
        run=quantization_recall,
        explain=(
            "Smaller vectors rank roughly; asking for more of them (oversampling) and ranking those again with the\n"
            "originals (rescore) brings most of the recall back, at the cost of reading originals. It is tried on a sample\n"
            "of the stored vectors in a scratch index here, against exact search, before the collection is touched."
        ),
    ),
)
