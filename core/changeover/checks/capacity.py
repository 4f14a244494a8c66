"""Room: memory, disk, and the bytes that strict mode allows."""

from __future__ import annotations

from changeover.checks import way
from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers
from changeover.decision.route import wanted
from changeover.plan.estimate import TERMS_BYTES, Added, added
from changeover.quality import storage
from changeover.routes.job import may_set, vector_settings
from changeover.survey.describe import in_bytes
from changeover.survey.model import Survey

HIGH = 0.85
"""Share of the machine's memory from which it is tight."""


def _need(survey: Survey, answers: Answers, probes: Probes) -> Added | None:
    """Bytes that the change adds, or None while the new size is not known or there is nothing to start from."""
    old, numbers = way.old(survey, answers), way.numbers(answers, probes)
    if old is None or numbers is None:
        return None
    points, mode = survey.size.points, way.mode(survey, answers)
    if wanted(answers) == "quantization":
        kind = answers.quantization.kind
        extra = points * storage.bytes_per_vector(kind, old) if kind not in (None, "none") else 0
        return Added(memory=extra if answers.quantization.always_ram is not False else 0, disk=2 * extra)
    if not way.writes_points(answers):
        return None
    room = added(survey, old, numbers, mode or "in-place", _stays_on_disk(survey, answers))
    terms = points * TERMS_BYTES if way.adds_sparse(answers) else 0
    # `added` takes the old vector for replaced, and here it comes along
    kept = points * (old.size or 0) * 4 if mode == "blue-green" and _old_stays(answers) else 0
    return Added(memory=room.memory + terms + kept, disk=room.disk + 2 * (terms + kept))


def _old_stays(answers: Answers) -> bool:
    return wanted(answers) == "side-by-side" or (wanted(answers) == "hybrid" and answers.model is None)


def _stays_on_disk(survey: Survey, answers: Answers) -> bool:
    """Whether the new vector is kept on disk: as answered, as the old one, and always for a vector per token."""
    old = way.old(survey, answers)
    if way.multi(answers):
        asked = answers.vector.on_disk is not False
    else:
        asked = old is not None and bool(vector_settings(old, answers.vector.on_disk).get("on_disk"))
    return asked and (way.mode(survey, answers) == "blue-green" or may_set(survey))


def memory_headroom(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The new vectors may not fit into memory, or the server does not tell."""
    adds, size = _need(survey, answers, probes), survey.size
    if adds is None:
        return None
    need = adds.memory
    if size.memory_total_bytes is None:
        return Finding(
            code="memory-headroom",
            severity="info",
            title="whether the new vectors fit into memory is not known",
            measured=f"about {in_bytes(need)} more; the server does not tell its memory",
            remedy="compare with the memory of your nodes, or answer vector.on_disk = true",
            source="telemetry",
        )
    used = size.memory_resident_bytes or 0
    after = (used + need) / size.memory_total_bytes
    if after <= HIGH:
        return None
    return Finding(
        code="memory-headroom",
        severity="blocker" if after > 1 else "warning",
        title="the new vectors do not fit into memory with room to spare",
        measured=f"{in_bytes(used)} used + {in_bytes(need)} = {after:.0%} of {in_bytes(size.memory_total_bytes)}",
        limit=f"{HIGH:.0%}",
        consequence="a server out of memory is killed and restarts in the middle of the load",
        remedy="answer vector.on_disk = true, add memory, or take a smaller model",
        source="telemetry, computed",
    )


def disk_headroom(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The disk may not hold old and new side by side, or the server does not tell."""
    adds, size = _need(survey, answers, probes), survey.size
    if adds is None:
        return None
    need = adds.disk
    if size.disk_free_bytes is None:
        return Finding(
            code="disk-headroom",
            severity="info",
            title="whether the disk has room is not known",
            measured=f"up to {in_bytes(need)} for a while; the server does not tell its free disk",
            consequence="a full disk stops every write of the collection",
            remedy="compare with the free disk of your nodes",
            source="computed: segments are rewritten beside the old ones",
        )
    if need < size.disk_free_bytes * HIGH:
        return None
    return Finding(
        code="disk-headroom",
        severity="blocker" if need > size.disk_free_bytes else "warning",
        title="the disk has too little room",
        measured=f"up to {in_bytes(need)} needed, {in_bytes(size.disk_free_bytes)} free",
        limit=f"{HIGH:.0%} of what is free",
        consequence="a full disk stops every write of the collection",
        remedy="add disk before you start",
        source="computed: segments are rewritten beside the old ones",
    )


def strict_mode_size(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The new vectors would go beyond the bytes that strict mode allows a collection."""
    cap, numbers, old = _cap(survey), way.numbers(answers, probes), way.old(survey, answers)
    if not cap or numbers is None or old is None or not way.writes_points(answers):
        return None
    points = survey.size.points
    replaces = way.mode(survey, answers) == "blue-green" and not _old_stays(answers)
    terms = points * TERMS_BYTES if way.adds_sparse(answers) else 0
    after = survey.size.vector_bytes + 4 * points * (numbers - ((old.size or 0) if replaces else 0)) + terms
    if after <= cap:
        return None
    return Finding(
        code="strict-mode-size",
        severity="blocker",
        title="strict mode allows the collection fewer bytes of vectors",
        measured=f"{in_bytes(after)} with the new vectors",
        limit=in_bytes(cap),
        consequence="from there on every write is refused, the application's too",
        remedy="raise max_collection_vector_size_bytes before the run",
        source="recorded answer: Max vector storage size limit reached; checked on update_vectors too",
    )


def _cap(survey: Survey) -> int:
    return int(survey.strict.get("max_collection_vector_size_bytes") or 0)


CHECKS = (
    Check(
        code="memory-headroom",
        looks_at="the new vectors fit into memory",
        run=memory_headroom,
        explain=(
            "Old and new vectors are there at the same time until the old ones are dropped: points x dimensions x 4 bytes,\n"
            "and half as much again for the index. Where telemetry tells the machine's memory it is compared with that."
        ),
    ),
    Check(
        code="disk-headroom",
        looks_at="the disk has room for both sides",
        run=disk_headroom,
        explain=(
            "An optimization writes a new segment beside the old one, so for a while about twice the new data is on disk.\n"
            "Qdrant tells its free disk on few versions; where it does not, the need is shown for you to compare."
        ),
    ),
    Check(
        code="strict-mode-size",
        looks_at="strict mode leaves room for the new vectors",
        run=strict_mode_size,
        explain=(
            "Strict mode can cap the bytes of a collection's vectors (max_collection_vector_size_bytes). In place the new\n"
            "vectors come on top of the old ones; blue-green clones the cap for the new collection. Beyond it every write is\n"
            "answered 400, the application's too, so the cap has to be raised before the run."
        ),
    ),
)
