"""A survey in words: (label, value) lines for `inspect` and the screens."""

from __future__ import annotations

from changeover import words
from changeover.safe_text import clean
from changeover.survey.model import Survey, Vector


def lines(survey: Survey) -> tuple[tuple[str, str], ...]:
    """What the cluster and the collection are, top down; names of the cluster's are made safe to print."""
    cluster, size, state = survey.cluster, survey.size, survey.state
    peers = f", {len(cluster.peers)} peers" if len(cluster.peers) > 1 else ""
    rows = [
        ("server", f"Qdrant {cluster.version} at {cluster.url}{peers}"),
        ("transport", f"REST{f' and gRPC on port {cluster.grpc_port}' if cluster.grpc_port else ', no gRPC'}"),
        ("key", _rights(survey)),
        (
            "collection",
            survey.collection + (f" (asked for as {survey.asked})" if survey.asked != survey.collection else ""),
        ),
        ("aliases", ", ".join(a.name for a in survey.aliases) or "none: the application uses the plain name"),
        ("points", f"{size.points:,}{'' if size.exact else ' (an estimate of the server)'}"),
        ("state", _state(survey)),
        *(("vector", vector_words(v, size.points)) for v in survey.vectors),
        ("size", f"vectors {in_bytes(size.vector_bytes)}, payload about {in_bytes(size.payload_bytes)}"),
        ("shards", _shards(survey)),
        ("indexes", ", ".join(f"{i.field} ({i.schema.get('type')})" for i in survey.indexes) or "none"),
        ("strict mode", ", ".join(f"{k}={v}" for k, v in survey.strict.items() if v is not None) or "off"),
        ("text", _text(survey)),
        ("text proven", _proven(survey)),
    ]
    if state.optimizer_error:
        rows.append(("optimizer error", state.optimizer_error))
    if size.memory_total_bytes:
        rows.append(("memory", f"{in_bytes(size.memory_total_bytes)} on the server's machine"))
    return tuple((label, clean(value)) for label, value in (*rows, *(("note", note) for note in survey.notes)))


def vector_words(vector: Vector, points: int) -> str:
    """One vector in words."""
    name = vector.name or "(unnamed)"
    if vector.kind == "sparse":
        line = f"{name}: sparse"
    else:
        kind = "multivector, " if vector.kind == "multi" else ""
        line = f"{name}: {kind}{vector.size} numbers, {vector.distance}"
        line += ", on disk" if vector.on_disk else ""
    if vector.points is not None and vector.points != points:
        line += f", on {vector.points:,} points"
    return line


def in_bytes(count: float) -> str:
    """A number of bytes for people."""
    return words.size(count)


def _rights(survey: Survey) -> str:
    cluster = survey.cluster
    if not cluster.has_key:
        return "none"
    names = (("read", cluster.rights.read), ("write points", cluster.rights.write_points))
    more = (("change the collection", cluster.rights.write_collection), ("manage", cluster.rights.manage))
    return "may " + ", ".join(name for name, has in (*names, *more) if has)


def _state(survey: Survey) -> str:
    state = survey.state
    parts = [state.color]
    if state.queued_optimizations:
        parts.append(f"{state.queued_optimizations} optimizations queued")
    if state.running_optimizations:
        parts.append(f"{state.running_optimizations} running")
    if state.deferred_points:
        parts.append(f"{state.deferred_points:,} deferred points")
    return ", ".join(parts)


def _shards(survey: Survey) -> str:
    shards = survey.shards
    parts = [f"{shards.number}, replication {shards.replication_factor}"]
    if shards.method != "auto":
        parts.append(f"{shards.method} sharding by {', '.join(map(str, shards.keys)) or 'keys'}")
    waiting = sum(replica.state != "Active" for replica in shards.replicas)
    if waiting:
        parts.append(f"{words.plural(waiting, 'replica')} not active")
    if shards.transfers or shards.resharding:
        parts.append("shards are being moved")
    return ", ".join(parts)


def _text(survey: Survey) -> str:
    text = survey.text
    if not survey.sample:
        return "unknown: the collection has no points"
    if text.template is None:
        return "no payload field looks like text"
    # A newline between two fields is part of the answer, so it is shown.
    parts = [text.template.replace("\n", "\\n")]
    if text.missing:
        parts.append(f"missing on {text.missing:.0%} of the sample")
    if text.empty:
        parts.append(f"blank on {text.empty:.0%} of the sample")
    return ", ".join(parts)


def _proven(survey: Survey) -> str:
    text = survey.text
    if text.proven is None:
        return "not tried: no old model was given" if text.old_model is None else "not tried: there is no text"
    best = text.proofs[0] if text.proofs else None
    if best is None:
        return "no: the old model could not have made these vectors"
    verdict = "yes" if text.proven else "no"
    prefix = f" with prefix {best.prefix!r}" if best.prefix else ""
    cosine = f"a median cosine of {best.median:.4f} on {words.plural(best.n, 'point')}"
    return f"{verdict}: {best.template!r}{prefix} gives the stored vectors at {cosine}"
