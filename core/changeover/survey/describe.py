"""A survey in words: (label, value) lines for `inspect` and the screens."""

from __future__ import annotations

from changeover.survey.model import Survey, Vector


def lines(survey: Survey) -> tuple[tuple[str, str], ...]:
    """What the cluster and the collection are, top down."""
    cluster, size, state, text = survey.cluster, survey.size, survey.state, survey.text
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
        ("points", f"{size.points:,}{'' if size.exact else ' (approximate: strict mode forbids exact counts)'}"),
        ("state", _state(survey)),
        *(("vector", vector_words(v, size.points)) for v in survey.vectors),
        ("size", f"vectors {in_bytes(size.vector_bytes)}, payload about {in_bytes(size.payload_bytes)}"),
        ("shards", f"{survey.shards.number}, replication {survey.shards.replication_factor}"),
        ("indexes", ", ".join(f"{i.field} ({i.schema.get('type')})" for i in survey.indexes) or "none"),
        ("strict mode", ", ".join(f"{k}={v}" for k, v in survey.strict.items() if v is not None) or "off"),
        ("text", text.template or "no payload field looks like text"),
        ("text proven", _proven(survey)),
    ]
    if state.optimizer_error:
        rows.append(("optimizer error", state.optimizer_error))
    if size.memory_total_bytes:
        rows.append(("memory", f"{in_bytes(size.memory_total_bytes)} on the server's machine"))
    return (*rows, *(("note", note) for note in survey.notes))


def vector_words(vector: Vector, points: int) -> str:
    """One vector in words."""
    name = vector.name or "(unnamed)"
    if vector.kind == "sparse":
        words = f"{name}: sparse"
    else:
        kind = "multivector, " if vector.kind == "multi" else ""
        words = f"{name}: {kind}{vector.size} numbers, {vector.distance}"
        words += ", on disk" if vector.on_disk else ""
    if vector.points is not None and vector.points != points:
        words += f", on {vector.points:,} points"
    return words


def in_bytes(size: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in ("B", "KB") else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


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


def _proven(survey: Survey) -> str:
    text = survey.text
    if text.proven is None:
        return "not tried: no old model was given"
    best = text.proofs[0] if text.proofs else None
    if best is None:
        return "no: the old model gives vectors of another size"
    verdict = "yes" if text.proven else "no"
    prefix = f" with prefix {best.prefix!r}" if best.prefix else ""
    return f"{verdict}: {best.template!r}{prefix} gives the stored vectors at cosine {best.median} (median of {best.n})"
