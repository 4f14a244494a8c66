"""The text behind the vectors."""

from __future__ import annotations

from changeover.checks import way
from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers
from changeover.decision.route import wanted
from changeover.survey.model import Proof, Sampled, Survey
from changeover.survey.template import paths, render

CHANGED = 0.01
"""Share of sampled points whose vector does not fit their text, from which it is said."""
MIXED = 0.1
"""Share of the sample on each side, from which two models are the likeliest reason."""


def _blank(survey: Survey, template: str) -> list[Sampled]:
    """Sampled points where every path of the template is absent or blank, whatever words stand around the paths."""
    alone = [f"{{{path}}}" for path in paths(template)]
    return [p for p in survey.sample if not any(render(one, p.payload).strip() for one in alone)]


def text_missing(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """No payload field holds text, or the answered one is nowhere."""
    if not way.reads_text(answers):
        return None
    template = way.template(survey, answers)
    if template and (not survey.sample or len(_blank(survey, template)) < len(survey.sample)):
        return None
    unread = None if template else answers.text.as_template
    return Finding(
        code="text-missing",
        severity="blocker",
        title="the text to embed was not found",
        measured=f"{template!r} is absent or blank on all of {len(survey.sample)} sampled points"
        if template
        else f"{unread!r} cannot be read: a brace is not closed"
        if unread
        else "no field holds text",
        limit="text on every point that shall get a new vector",
        consequence="there is nothing to embed",
        remedy="answer text.field or text.template with a payload path that holds the text",
        source="sampled payloads",
    )


def text_unproven(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """It was not shown that the stored vectors come from this text."""
    text = survey.text
    if not way.uses_model(answers) or not way.template(survey, answers):
        return None
    best = text.proofs[0] if text.proofs else None
    if text.proven is None:
        return Finding(
            code="text-unproven",
            severity="warning",
            title="nobody has shown that the stored vectors were made from this text",
            measured=(
                "not tried: no old model was given"
                if answers.old_model is None
                else f"not tried yet with {answers.old_model.label}: the collection was surveyed without it"
            ),
            consequence="embedding another text than before changes what is found, whatever the model",
            remedy=(
                "answer old_model.provider and old_model.name, and a sample is re-embedded and compared; accept if you"
                " know that the text is right"
                if answers.old_model is None
                else "survey the collection again, so that a sample is re-embedded and compared"
            ),
            source="re-embedded sample",
            acknowledge=True,
        )
    if text.proven and best is not None and answers.text.as_template in (None, best.template):
        return None
    if text.proven and best is not None:
        measured = f"proven is {best.template!r}, answered is {answers.text.as_template!r}"
    elif best is not None:
        measured = f"best: {best.template!r} at cosine {best.median} (median of {best.n})"
    else:
        measured = "the old model gives vectors of another size"
    return Finding(
        code="text-unproven",
        severity="warning",
        title="the old model does not reproduce the stored vectors from this text",
        measured=measured,
        limit="cosine 0.99 on 90 % of the sample",
        consequence="the old model, the field, a prefix or a truncation is not what was used",
        remedy="check old_model and the text; accept if you know that the text is right",
        source="re-embedded sample",
        acknowledge=True,
    )


def empty_text(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """Some points have no text."""
    template = way.template(survey, answers) if way.reads_text(answers) else None
    if not template or not survey.sample:
        return None
    blank = _blank(survey, template)
    if not blank or len(blank) == len(survey.sample):
        return None
    share = len(blank) / len(survey.sample)
    words_only = any(render(template, point.payload).strip() for point in blank)
    return Finding(
        code="empty-text",
        severity="warning",
        title="some points have no text",
        measured=f"{len(blank)} of {len(survey.sample)} sampled points ({share:.1%}), about {int(share * survey.size.points):,} in all",
        consequence=(
            "their vectors are made from the template's own words alone, so they are all alike"
            if words_only
            else "they get no new vector and are not found by it; nothing else happens to them"
        ),
        remedy="give these points text first, or accept that they drop out of this search",
        source="sampled payloads",
    )


def text_truncated(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """Texts reach the model's token limit."""
    probe = probes.new_model
    if probe is None or probe.error or probe.truncated <= 0.01 or not way.uses_model(answers):
        return None
    return Finding(
        code="text-truncated",
        severity="info",
        title="the new model reads only the beginning of long texts",
        measured=f"{probe.truncated:.0%} of the sampled texts reach {probe.max_tokens} tokens",
        consequence="what stands behind the limit cannot be found by meaning",
        remedy="nothing to do when the beginning tells it; else use smaller chunks or a model with a longer limit",
        source="probe",
    )


def text_changed_since(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """Most stored vectors fit their text, and some do not: the text was edited and the vector was not."""
    best = _best(survey)
    share = probes.texts_changed
    if share is None and survey.text.proven and best is not None:
        share = 1 - best.share
    if share is None or share < CHANGED or mixed_models(survey, answers, probes) is not None:
        return None
    followed = way.embeds(answers)
    return Finding(
        code="text-changed-since",
        severity="warning",
        title="some points have another text now than when they were embedded",
        measured=f"{share:.1%} of the sampled points, about {round(share * survey.size.points):,} in all",
        limit="cosine 0.99 between the stored vector and the text as it is",
        consequence=(
            "the new vectors follow the text as it is now, so a part of what changes in the results comes from these edits"
            if followed
            else "their dense vectors stay those of the former text, whatever is made beside or from them"
        ),
        remedy=(
            "nothing to do; find out which writer edits the payload and leaves the vector, or it will go on"
            if followed
            else "embed these points anew, and find out which writer edits the payload and leaves the vector"
        ),
        source="re-embedded sample",
    )


def mixed_models(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """Some stored vectors are reproduced exactly and the others not at all."""
    best = max(survey.text.proofs, key=lambda proof: proof.share, default=None)
    if best is None or best.share < MIXED or best.apart < MIXED or best.share + best.apart < 1 - MIXED:
        return None
    derived = wanted(answers) in ("dimensions", "linear-map")
    return Finding(
        code="mixed-models",
        severity="warning",
        title="the stored vectors come from more than one model",
        measured=f"{best.share:.0%} of {best.n} sampled points are reproduced, {best.apart:.0%} are not even near",
        limit="one model for all points",
        consequence=(
            "what is computed from the stored vectors is wrong for one part of the points, as their searches are today"
            if derived
            else "one part of the points cannot be found by meaning today; re-embedding mends that, and makes the old side"
            " look worse in the comparison than its model is"
            if way.embeds(answers)
            else "one part of the points cannot be found by meaning, and that stays so"
        ),
        remedy="re-embed everything: answer avoid = none"
        if derived
        else "nothing to do"
        if way.embeds(answers)
        else "re-embed everything with one model",
        source="re-embedded sample: nothing lies between cosine 0.99 and 0.3",
        acknowledge=derived,
    )


def _best(survey: Survey) -> Proof | None:
    return survey.text.proofs[0] if survey.text.proofs else None


CHECKS = (
    Check(
        code="text-missing",
        looks_at="the text to embed is in the payload",
        run=text_missing,
        explain=(
            "A vector cannot be turned back into its text, so the text has to be in the payload. The wizard ranks payload\n"
            "fields on a sample by length, variety and how often they are there; text.field and text.template override it."
        ),
    ),
    Check(
        code="text-unproven",
        looks_at="re-embedding the text gives the stored vectors",
        run=text_unproven,
        explain=(
            "With the old model at hand, a sample is embedded again for each likely field, pair of fields and prefix, and\n"
            "compared with the stored vectors. A cosine near 1 proves which text was used. Without a proof the new vectors\n"
            "may be made from another text than the old ones were, and no quality figure means what it seems to."
        ),
    ),
    Check(
        code="empty-text",
        looks_at="every sampled point has text",
        run=empty_text,
        explain=(
            "A point without text cannot be embedded. It keeps everything that it has, is counted, and gets no new vector;\n"
            "a search by the new vector does not return it. Where the template has words of its own around its fields, these\n"
            "words alone are embedded for such a point, and all of them get the same vector."
        ),
    ),
    Check(
        code="text-truncated",
        looks_at="the texts fit the model's token limit",
        run=text_truncated,
        explain=(
            "Every model reads a fixed number of tokens and ignores the rest. The probe counts how many sampled texts reach\n"
            "that limit."
        ),
    ),
    Check(
        code="text-changed-since",
        looks_at="the stored vectors fit the text as it is now",
        run=text_changed_since,
        explain=(
            "Qdrant does not embed: an application that edits the payload and forgets the vector leaves a point that is\n"
            "found by its former text. Where the old model reproduces nearly all stored vectors and some not, that is the\n"
            "likeliest reason. A migration mends these points, and changes their results for a reason that is not the model."
        ),
    ),
    Check(
        code="mixed-models",
        looks_at="the stored vectors come from one model",
        run=mixed_models,
        explain=(
            "When a part of the sample is reproduced exactly and the rest lies nowhere near (cosine below 0.3), two models\n"
            "wrote into one vector: a former change that did not reach all points, or two writers. No search finds both\n"
            "parts. Re-embedding everything mends it; cutting or mapping the stored vectors carries it on."
        ),
    ),
)
