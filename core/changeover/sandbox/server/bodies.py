"""What the body of each call is made of, as far as types go; a wrong type is refused (400) before anything is done.

Fields that have a refusal with a text of its own (points, ids, vectors, conditions) are read where they are used.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

Unsigned = Annotated[int, msgspec.Meta(ge=0)]
Object = dict[str, Any]


class Select(msgspec.Struct, frozen=True):
    """POST points/delete and points/payload/clear: points by id or by filter."""

    filter: Object | None = None


class Columns(msgspec.Struct, frozen=True):
    """Points of an upsert by column."""

    ids: list[Any]
    vectors: list[Any] | dict[str, list[Any]]
    payloads: list[Object | None] | None = None


class Upsert(msgspec.Struct, frozen=True):
    """PUT points."""

    batch: Columns | None = None
    update_filter: Object | None = None
    update_mode: str | None = None


class UpdateVectors(msgspec.Struct, frozen=True):
    """PUT points/vectors."""

    update_filter: Object | None = None


class DeleteVectors(Select, frozen=True, kw_only=True):
    """POST points/vectors/delete."""

    vector: list[str]


class SetPayload(Select, frozen=True, kw_only=True):
    """POST and PUT points/payload."""

    payload: Object
    key: str | None = None


class DeletePayload(Select, frozen=True, kw_only=True):
    """POST points/payload/delete."""

    keys: list[str]


class Retrieve(Select, frozen=True):
    """POST points, and what each call that answers points has."""

    with_payload: bool | list[str] | dict[str, list[str]] | None = None
    with_vector: bool | list[str] | None = None


class Scroll(Retrieve, frozen=True):
    """POST points/scroll."""

    limit: Unsigned | None = None
    order_by: str | Object | None = None


class Count(Select, frozen=True):
    """POST points/count."""

    exact: bool | None = None


class Quantization(msgspec.Struct, frozen=True):
    """`params.quantization` of a query."""

    ignore: bool | None = None
    rescore: bool | None = None
    oversampling: float | None = None


class Params(msgspec.Struct, frozen=True):
    """`params` of a query."""

    hnsw_ef: Unsigned | None = None
    exact: bool | None = None
    indexed_only: bool | None = None
    quantization: Quantization | None = None


class Query(Retrieve, frozen=True):
    """POST points/query, each of points/query/batch, each prefetch; POST points/search."""

    using: str | None = None
    limit: Unsigned | None = None
    offset: Unsigned | None = None
    score_threshold: float | None = None
    params: Params | None = None
    prefetch: Query | list[Query] | None = None


class Queries(msgspec.Struct, frozen=True):
    """POST points/query/batch."""

    searches: list[Query]


class Facet(Select, frozen=True, kw_only=True):
    """POST facet."""

    key: str
    limit: Unsigned | None = None
    exact: bool | None = None


class Index(msgspec.Struct, frozen=True):
    """PUT index."""

    field_name: str
    field_schema: str | Object | None = None


class VectorName(msgspec.Struct, frozen=True):
    """PUT vectors/{vector}."""

    dense: Object | None = None
    sparse: Object | None = None


class Patch(msgspec.Struct, frozen=True):
    """PATCH a collection."""

    vectors: dict[str, Object] | None = None
    sparse_vectors: dict[str, Object | None] | None = None
    hnsw_config: Object | None = None
    optimizers_config: Object | None = None
    params: Object | None = None
    quantization_config: Object | str | None = None
    strict_mode_config: Object | None = None
    metadata: Object | None = None


class Create(msgspec.Struct, frozen=True):
    """PUT a collection."""

    vectors: Object | None = None
    sparse_vectors: dict[str, Object | None] | None = None
    hnsw_config: Object | None = None
    optimizers_config: Object | None = None
    wal_config: Object | None = None
    quantization_config: Object | None = None
    strict_mode_config: Object | None = None
    metadata: Object | None = None


class Aliases(msgspec.Struct, frozen=True):
    """POST collections/aliases."""

    actions: list[dict[str, dict[str, str]]]
