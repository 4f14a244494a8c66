"""What your cluster says for each question: lines of figures with the call that they come from."""

from __future__ import annotations

from changeover.checks import way
from changeover.checks.model import Probes
from changeover.decision.answers import Answers
from changeover.decision.route import MODES, wanted
from changeover.routes.job import server_version, source_vector
from changeover.survey.describe import in_bytes, vector_words
from changeover.survey.model import Survey

Lines = tuple[str, ...]


def avoid(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """Shape and size of what is stored; then what the way that is looked at does to it, where that was tried."""
    stored = [vector_words(vector, survey.size.points) for vector in survey.vectors]
    ways = (
        {"dimensions": dimensions, "quantization": storage, "linear-map": bridge}
        if way.old(survey, answers) is not None
        else {}
    )
    tried = ways.get(answers.avoid or "", gain)
    return (
        *(f"{words}  (GET /collections/{survey.collection})" for words in stored),
        f"{survey.size.points:,} points, vectors {in_bytes(survey.size.vector_bytes)}  (count, computed)",
        *tried(survey, answers, probes),
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
    lines = [f"Qdrant {version}; vectors can be added from 1.18.1 on  (GET /)"]
    trial = probes.colocated
    if trial is not None and trial.error:
        lines.append(f"{trial.error}  (trial)")
    elif trial is not None and trial.bytes_per_point:
        times = trial.bytes_per_point / max(trial.dense_bytes_per_point, 1)
        lines.append(f"vectors per token of {trial.vector} take {times:,.0f} times the bytes of dense ones  (sample)")
    return (*lines, *gain(survey, answers, probes))


def sparse(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """Sparse vectors that are there."""
    found = [vector.name for vector in survey.vectors if vector.kind == "sparse"]
    return (
        f"sparse vectors: {', '.join(found) or 'none'}  (GET /collections/{survey.collection})",
        *hybrid(survey, answers, probes),
    )


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
    if not survey.vectors:
        return (f"no vectors  (GET /collections/{survey.collection})",)
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
    strict = f"strict mode: {', '.join(found) or 'off'}  (GET /collections/{survey.collection})"
    return (strict, *levers(survey, answers, probes))


def queries(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """Labelled queries that were read, and what they say of both models."""
    tried = gain(survey, answers, probes)
    if probes.queries is not None:
        return (f"labelled queries: {probes.queries:,}  ({answers.queries.file})", *tried)
    counted = "counted before the checks" if answers.queries.file else "none given"
    return (f"labelled queries: {counted}", *tried)


def cutover(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """What is verified before."""
    return ("before the cutover: every id, every payload, a re-embedded sample, configuration and indexes",)


def way_back(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """What going back would cost."""
    if way.intended(survey, answers) == "blue-green" and wanted(answers) == "side-by-side":
        return ("the old vectors are carried along, so that going back needs no model",)
    if answers.old_model is None:
        return ("no old model was given: points written after the cutover would come back without an old vector",)
    return ("the old model was given: points written after the cutover come back with an old vector",)


def _proof(survey: Survey) -> Lines:
    found = survey.text
    if found.proven is None:
        return ("the text is not proven: no old model was given",)
    best = found.proofs[0] if found.proofs else None
    if best is None:
        return ("the old model gives vectors of another size than the stored ones  (re-embedded sample)",)
    words = "proven" if found.proven else "not reproduced"
    return (f"{words}: {best.template!r} at cosine {best.median}, {best.share:.0%} of {best.n}  (re-embedded sample)",)


def dimensions(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """What stays of the stored vectors at each size."""
    trial = probes.dimensions
    if trial is None:
        return ("not tried yet: what stays of your stored vectors when they are cut",)
    lines = [f"{trial.error}  (trial)"] if trial.error else []
    # Both are told once every size is measured.
    if trial.matryoshka is None and trial.gap:
        lines.append(f"{trial.sampled:,} stored vectors are too few to tell whether it is a Matryoshka model  (trial)")
    elif trial.matryoshka is not None:
        told = "a Matryoshka model" if trial.matryoshka else "not a Matryoshka model"
        lines.append(f"leading keep {trial.gap:+.1%} more than random numbers: {told}  (trial)")
    return tuple(lines)


def storage(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """The present quantization, and what the asked one does to a sample."""
    from changeover.quality import storage as kinds

    vector = source_vector(survey, answers)
    now = kinds.kind_of(kinds.present(survey, vector)) or "one that is not known here"
    where = f"  (GET /collections/{survey.collection})"
    lines = [f"{vector.name or 'the vector'} is stored with quantization {now}{where}"]
    trial = probes.quantization
    if trial is None:
        return (*lines, "not tried yet: recall@10 of that kind, against exact search")
    if trial.error:
        return (*lines, f"{trial.error}  (trial)")
    return tuple(lines)


def hybrid(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """Dense, sparse and fused on the user's own chunks."""
    trial = probes.hybrid
    if trial is None:
        asked = answers.add_sparse or wanted(answers) == "hybrid"
        return ("not tried yet: dense, sparse and fused search on your own chunks",) if asked else ()
    if trial.error:
        return (f"{trial.error}  (trial)",)
    lines = []
    if trial.difference is not None:
        d = trial.difference
        lines.append(f"best fused against dense: {d.mean:+.3f} ({d.low:+.3f} to {d.high:+.3f})  (trial)")
    lines.append(
        f"{trial.average_length:.0f} terms in a text, {trial.without_terms:.1%} of texts without any  (sample)"
    )
    if trial.stopword_share is not None:
        guess = f"; the texts look {trial.guessed_language}" if trial.guessed_language else ""
        lines.append(f"stop words are {trial.stopword_share:.0%} of all words{guess}  (sample)")
    if trial.note:
        lines.append(f"{trial.note}  (trial)")
    return tuple(lines)


def bridge(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """Old, mapped, new and the gain recovered, on queries that the map has not seen."""
    trial = probes.map
    if trial is None:
        return ("not tried yet: old, mapped and new vectors on queries that the map has not seen",)
    if trial.error:
        return (f"{trial.error}  (trial)",)
    lines = []
    if trial.over_old is not None:
        o = trial.over_old
        lines.append(f"mapped against doing nothing: {o.mean:+.3f} ({o.low:+.3f} to {o.high:+.3f})  (trial)")
    return tuple(lines)


def server_inference(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """What server inference means for the next switch."""
    return (
        "texts are sent and the server embeds them; open-source servers know qdrant/bm25 only  (measured)",
        "with Qdrant Cloud inference the next switch of a model is a change of configuration, no pipeline",
    )


def money(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """What embedding everything would cost."""
    price = answers.model.price_per_million_tokens if answers.model is not None else None
    probe = probes.new_model
    if not price or probe is None or not probe.tokens_per_text:
        return ("the cost is estimated once the model was tried",)
    tokens = survey.size.points * probe.tokens_per_text
    return (f"about {tokens:,.0f} tokens: {tokens / 1e6 * price:,.2f} at that price  (sample)",)


def levers(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """What makes a slow load quicker, each with what it changes here."""
    from changeover.decision.levers import levers as found

    return found(survey, answers, probes)


def gain(survey: Survey, answers: Answers, probes: Probes) -> Lines:
    """The new model against the old one on the user's own queries; () where it was not tried."""
    trial = probes.gain
    if trial is None:
        return ()
    if trial.error or trial.difference is None:
        return (f"{trial.error or trial.reason}  (trial)",)
    d = trial.difference
    return (f"new against old: {d.mean:+.3f} ({d.low:+.3f} to {d.high:+.3f}): {trial.verdict}  (trial)",)
