"""What your cluster says for each question: lines of figures with the call that they come from."""

from __future__ import annotations

from changeover.checks.model import Probes
from changeover.decision.answers import Answers
from changeover.decision.route import MODES
from changeover.routes.job import server_version
from changeover.survey.describe import in_bytes, vector_words
from changeover.survey.model import Survey

Lines = tuple[str, ...]


def avoid(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """Shape and size of what is stored."""
    stored = [vector_words(vector, survey.size.points) for vector in survey.vectors]
    return (
        *(f"{words}  (GET /collections/{survey.collection})" for words in stored),
        f"{survey.size.points:,} points, vectors {in_bytes(survey.size.vector_bytes)}  (count, computed)",
    )


def downtime(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """Name in use, state."""
    name = (
        f"alias {', '.join(a.name for a in survey.aliases)}" if survey.aliases else "no alias: the plain name is used"
    )
    return (f"{name}  (GET /aliases)", f"{survey.state.color}  (GET /collections/{survey.collection})")


def both(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """Version and room."""
    version = server_version(survey)
    return (f"Qdrant {version}; vectors can be added from 1.18 on  (GET /)",)


def sparse(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """Sparse vectors that are there."""
    found = [vector.name for vector in survey.vectors if vector.kind == "sparse"]
    return (f"sparse vectors: {', '.join(found) or 'none'}  (GET /collections/{survey.collection})",)


def model(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """What the probe measured."""
    probe = probes.new_model
    if probe is None:
        return ("not tried yet: it is loaded and measured before the checks",)
    if probe.error:
        return (f"{probe.error}  (probe)",)
    return (
        f"{probe.dimension} numbers, {probe.texts_per_s:,.0f} texts/s on this machine  (probe)",
        f"{probe.tokens_per_text:.0f} tokens per text, limit {probe.max_tokens or 'unknown'}  (probe)",
    )


def old_model(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """Hints to the old model."""
    recorded = survey.metadata.get("model") or (survey.metadata.get("changeover") or {}).get("model")
    hint = f"the collection's metadata names {recorded}" if recorded else "the collection's metadata names no model"
    return (f"{hint}  (GET /collections/{survey.collection})", *_proof(survey))


def text(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """Candidate fields and proof."""
    fields = [f"{f.path}: {f.text:.0%} of points, {f.mean_chars:.0f} characters" for f in survey.text.fields[:4]]
    return (*(f"{words}  (sample of {len(survey.sample)})" for words in fields), *_proof(survey))


def route(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """Every gate, held or not."""
    lines = []
    for name, gates in MODES.items():
        for gate in gates:
            reason = gate.closed(survey, answers)
            lines.append(f"{'no ' if reason else 'yes'} {name}: {gate.name}" + (f" ({reason})" if reason else ""))
    return tuple(lines)


def vectors(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """The vectors that are there."""
    return tuple(
        f"{vector_words(v, survey.size.points)}  (GET /collections/{survey.collection})" for v in survey.vectors
    )


def names(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """Names that are taken."""
    aliases = ", ".join(f"{a.name} -> {a.collection}" for a in (*survey.aliases, *survey.other_aliases)) or "none"
    return (f"collections: {', '.join(survey.collections)}  (GET /collections)", f"aliases: {aliases}  (GET /aliases)")


def prefix(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """Prefixes that reproduced the stored vectors."""
    best = survey.text.proofs[0] if survey.text.proven and survey.text.proofs else None
    if best is None:
        return ("the stored vectors tell nothing about a prefix: the text is not proven",)
    return (f"the old model was given the prefix {best.prefix!r}  (re-embedded sample)",)


def length(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """Length of the new vectors."""
    probe = probes.new_model
    made = "not measured yet" if probe is None or probe.error else f"mean length {probe.norm}"
    return (f"the new model's vectors: {made}  (probe)", *vectors(survey, answers, probes))


def memory(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """Memory of the server's machine."""
    size = survey.size
    if size.memory_total_bytes is None:
        return ("the server does not tell its memory  (GET /telemetry)",)
    used = in_bytes(size.memory_resident_bytes or 0)
    return (f"memory: {used} used of {in_bytes(size.memory_total_bytes)}  (GET /telemetry)",)


def writers(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """The update queue."""
    queue = survey.state.update_queue
    return (f"updates waiting: {'unknown' if queue is None else queue}  (GET /collections/{survey.collection})",)


def limits(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """Strict mode."""
    found = [f"{key} = {value}" for key, value in survey.strict.items() if value is not None and key != "enabled"]
    return (f"strict mode: {', '.join(found) or 'off'}  (GET /collections/{survey.collection})",)


def queries(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """Labelled queries that were read."""
    if probes.queries is not None:
        return (f"labelled queries: {probes.queries:,}  ({answers.queries.file})",)
    return ("labelled queries: counted before the checks" if answers.queries.file else "labelled queries: none given",)


def cutover(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """What is verified before."""
    return ("before the cutover: every id, every payload, a re-embedded sample, configuration and indexes",)


def _proof(survey: Survey) -> Lines:
    found = survey.text
    if found.proven is None:
        return ("the text is not proven: no old model was given",)
    best = found.proofs[0] if found.proofs else None
    if best is None:
        return ("the old model gives vectors of another size than the stored ones  (re-embedded sample)",)
    words = "proven" if found.proven else "not reproduced"
    return (f"{words}: {best.template!r} at cosine {best.median}, {best.share:.0%} of {best.n}  (re-embedded sample)",)
