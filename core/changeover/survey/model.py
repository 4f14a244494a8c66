"""The survey: what is true of a cluster and a collection now. Frozen, serialisable, read without the cluster."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from changeover.embed.model import ModelSpec

PointId: TypeAlias = int | str
"""A point id: an unsigned 64-bit integer or a UUID in its hyphenated text form."""

ShardKey: TypeAlias = int | str
"""Under custom sharding, what the application files a point under: a word, or an unsigned 64-bit integer."""

VectorKind: TypeAlias = Literal["dense", "sparse", "multi"]


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """One node of the cluster; a single server is one peer with id 0."""

    id: int
    version: str
    uri: str = ""


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """What the key in use may do, found by probes without side effects (facts: rbac, measured answers)."""

    read: bool
    write_points: bool
    write_collection: bool
    manage: bool


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """The servers behind the URL."""

    url: str
    version: str
    peers: tuple[Peer, ...] = ()
    distributed: bool = False
    grpc_port: int | None = None
    """The gRPC port when it answered, else None."""
    tls: bool = False
    has_key: bool = False
    rights: Rights = Rights(read=True, write_points=True, write_collection=True, manage=True)


class Vector(msgspec.Struct, frozen=True, kw_only=True):
    """One vector of the collection; `name` is "" for the unnamed vector."""

    name: str
    kind: VectorKind
    size: int | None = None
    """Dimension of a dense vector or of each token of a multivector; None for sparse."""
    distance: str | None = None
    datatype: str | None = None
    on_disk: bool | None = None
    params: dict[str, Any] = {}
    """The vector's configuration as the server answers it, for cloning."""
    points: int | None = None
    """How many points have this vector (counted exactly where the server allows it)."""


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """One payload index."""

    field: str
    schema: dict[str, Any]
    """What to send to create it again, e.g. {"type": "keyword", "is_tenant": true}."""
    points: int = 0


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """An alias and the collection that it points to."""

    name: str
    collection: str


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    """One replica of one shard."""

    shard: int
    peer: int
    state: str
    points: int | None = None
    shard_key: str | int | None = None


class Shards(msgspec.Struct, frozen=True, kw_only=True):
    """How the collection is laid out over peers."""

    number: int = 1
    replication_factor: int = 1
    method: str = "auto"
    keys: tuple[str | int, ...] = ()
    replicas: tuple[Replica, ...] = ()
    transfers: int = 0
    resharding: int = 0


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What the collection is busy with now."""

    color: str
    optimizer_error: str | None = None
    queued_optimizations: int | None = None
    """None where the server has no optimizations endpoint (before 1.17)."""
    running_optimizations: int | None = None
    update_queue: int | None = None
    deferred_points: int | None = None


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is, in points and bytes; bytes are computed or measured on the sample, never guessed."""

    points: int
    exact: bool = True
    vector_bytes: int = 0
    payload_bytes: int = 0
    text_chars: int = 0
    """Characters of text over the whole collection, from the sample's mean of the proposed text."""
    memory_total_bytes: int | None = None
    """Memory of the server's machine where it tells (telemetry), else None."""
    memory_resident_bytes: int | None = None
    disk_free_bytes: int | None = None
    disk_used_bytes: int | None = None


class Sampled(msgspec.Struct, frozen=True, kw_only=True):
    """One sampled point, without vectors."""

    id: PointId
    payload: dict[str, Any]
    shard_key: str | int | None = None


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A payload field as seen on the sample; a candidate for the text behind the vectors."""

    path: str
    present: float
    """Share of sampled points that have it, 0 to 1."""
    text: float
    """Share of sampled points where it is a non-blank string (or list of strings)."""
    mean_chars: float = 0.0
    distinct: float = 0.0
    score: float = 0.0
    """Rank among text candidates, 0 to 1; higher is likelier to be the embedded text."""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """How closely re-embedding a candidate with the old model reproduces the stored vectors."""

    template: str
    """The text as a template, e.g. "{title} {text}"."""
    prefix: str
    n: int
    median: float
    """Median cosine between re-embedded and stored vectors."""
    low: float
    """Fifth percentile of that cosine."""
    share: float
    """Share of sampled points at cosine >= 0.99."""
    apart: float = 0.0
    """Share of sampled points at cosine < 0.3: of another text, or of another model."""


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about the text behind the vectors."""

    template: str | None = None
    """The proposed or proven template; None when no field looks like text."""
    fields: tuple[Field, ...] = ()
    """Candidate fields, best first."""
    proofs: tuple[Proof, ...] = ()
    """Every candidate tried with the old model, best first; empty when there was no old model."""
    proven: bool | None = None
    """True: reproduced. False: tried and not reproduced. None: not tried (no old model)."""
    missing: float = 0.0
    """Share of sampled points without any of the template's fields."""
    empty: float = 0.0
    """Share of sampled points whose text is blank."""
    old_model: ModelSpec | None = None


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the questions, checks and plans are made from. `collection` is the real name."""

    taken_at: str
    asked: str
    """The name that was asked for: the collection itself or an alias of it."""
    collection: str
    cluster: Cluster
    vectors: tuple[Vector, ...]
    state: State
    size: Size
    indexes: tuple[Index, ...] = ()
    aliases: tuple[Alias, ...] = ()
    """Aliases of this collection."""
    other_aliases: tuple[Alias, ...] = ()
    collections: tuple[str, ...] = ()
    """Names of all collections, to keep a new name from clashing."""
    shards: Shards = Shards()
    strict: dict[str, Any] = {}
    """Strict mode configuration as the server answers it; {} when off."""
    config: dict[str, Any] = {}
    """The collection's configuration as the server answers it, for cloning and comparing."""
    metadata: dict[str, Any] = {}
    sample: tuple[Sampled, ...] = ()
    text: Text = Text()
    id_cuts: tuple[PointId, ...] = ()
    """Ascending ids (integers, then UUIDs) that cut the id space into parts of about the same number of points."""
    notes: tuple[str, ...] = ()
    """What could not be read and why, in words."""

    def vector(self, name: str) -> Vector | None:
        """The vector of that name, or None."""
        return next((v for v in self.vectors if v.name == name), None)


def to_json(survey: Survey) -> bytes:
    """The survey as JSON bytes, indented."""
    return msgspec.json.format(msgspec.json.encode(survey), indent=2)


def from_json(data: bytes) -> Survey:
    """Read a survey back; raises msgspec.ValidationError on any other shape."""
    return msgspec.json.decode(data, type=Survey)
