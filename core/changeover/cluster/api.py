"""What the rest of Changeover asks of a cluster: an async gateway for requests, a blocking wire for the hot path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import msgspec

from changeover.survey.model import PointId, ShardKey

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Filter = dict[str, Any]
"""A Qdrant filter as its REST JSON."""


@dataclass(frozen=True, slots=True)
class SparseValue:
    """A sparse vector: `indices` uint32 (n,), unique; `values` float32 (n,). n is at least 1: the server takes no empty one."""

    indices: NDArray[np.uint32]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Inference:
    """A text that the server embeds itself: written as a vector, or asked with (REST: {"text", "model", "options"})."""

    text: str
    model: str
    options: tuple[tuple[str, Any], ...] = ()


Column: TypeAlias = "NDArray[np.float32] | Sequence[SparseValue | NDArray[np.float32] | Inference | None]"
"""One new vector of several points. Dense: float32 (points, dimension), a row of NaN for none. Else one entry per point:
`SparseValue`, a multivector as float32 (tokens, dimension), or `Inference`; None for none."""

Query: TypeAlias = "Sequence[float] | SparseValue | NDArray[np.float32] | Inference"
"""What a search asks with: a dense vector, a sparse one, a multivector as float32 (tokens, dimension), or a text."""


class Part(msgspec.Struct, frozen=True):
    """One part of a fused search: what it asks with, and the vector name that it searches."""

    query: Any
    using: str


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A point as read over REST; `vectors` maps names ("" for the unnamed) to what the server answered."""

    id: PointId
    payload: dict[str, Any] = {}
    vectors: dict[str, Any] = {}
    shard_key: str | int | None = None


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One search result."""

    id: PointId
    score: float
    payload: dict[str, Any] = {}


class Optimizations(msgspec.Struct, frozen=True, kw_only=True):
    """State of the optimizer; None counts where the server has no such endpoint."""

    color: str
    error: str | None = None
    queued: int | None = None
    running: int | None = None
    queued_points: int | None = None
    in_hand: int | None = None
    """Points that are queued or worked on; None too where they are not to be seen until that is done."""

    @property
    def quiet(self) -> bool:
        """Green, nothing queued, nothing running."""
        return self.color == "green" and not self.error and not self.queued and not self.running


class Gateway(Protocol):
    """Single requests, async. Every method raises ClusterError; names may be collections or aliases unless said."""

    @property
    def inexact_counts(self) -> AbstractSet[str]:
        """Names that were counted approximately, because strict mode forbids exact counts there."""

    async def version(self) -> str: ...
    async def send(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = None) -> Any:
        """Send one REST request exactly as given; returns `result` of the answer.

        An update that answers `wait_timeout` raises ClusterError(RETRY).
        """
        ...

    async def collections(self) -> tuple[str, ...]: ...
    async def collection(self, name: str) -> dict[str, Any]:
        """`result` of GET /collections/{name}."""
        ...

    async def exists(self, name: str) -> bool: ...
    async def aliases(self) -> dict[str, str]:
        """Alias -> collection, all of them."""
        ...

    async def count(self, name: str, filter: Filter | None = None) -> int:
        """Exact; approximate only where strict mode forbids exact counts (the name is then in `inexact_counts`)."""
        ...

    async def retrieve(
        self,
        name: str,
        ids: Sequence[PointId],
        *,
        payload: bool | Sequence[str] = True,
        vectors: bool | Sequence[str] = False,
    ) -> list[Point]: ...
    async def scroll(
        self,
        name: str,
        *,
        limit: int,
        offset: PointId | None = None,
        payload: bool | Sequence[str] = True,
        vectors: bool | Sequence[str] = False,
        filter: Filter | None = None,
    ) -> tuple[list[Point], PointId | None]: ...
    async def sample(
        self,
        name: str,
        n: int,
        *,
        payload: bool | Sequence[str] = True,
        vectors: bool | Sequence[str] = False,
        shard_key: ShardKey | None = None,
    ) -> list[Point]:
        """About n random points (query `sample: random`), of one shard key or of all."""
        ...

    async def search(
        self,
        name: str,
        vector: Query,
        *,
        using: str = "",
        limit: int = 10,
        exact: bool = False,
        quantization: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> list[Hit]:
        """Nearest points; `quantization` is {"ignore", "rescore", "oversampling"} as REST has it."""
        ...

    async def fused(self, name: str, parts: Sequence[Part], *, fusion: str = "rrf", limit: int = 10) -> list[Hit]:
        """Several searches fused by the server ("rrf" or "dbsf"), each over 5 x limit points."""
        ...

    async def optimizations(self, name: str) -> Optimizations: ...
    async def close(self) -> None: ...


class Page(Protocol):
    """One page of a scroll; rows keep the transport's own representation so that carried vectors are not decoded."""

    @property
    def ids(self) -> Sequence[PointId]:
        """Ids in ascending order."""

    @property
    def next(self) -> PointId | None:
        """The id to read after this page, or None at the end."""

    def payload(self, row: int) -> dict[str, Any]: ...
    def has_vector(self, row: int, name: str) -> bool: ...
    def vector(self, row: int, name: str) -> Any:
        """The vector as REST JSON would give it (list, list of lists, or {"indices", "values"}); None when absent."""
        ...


class Wire(Protocol):
    """The hot path: blocking and thread-safe. Writes use wait=true and must be answered `completed`.

    Every method raises ClusterError; after MISSING or SKIP part of the batch may have been applied.
    """

    transport: str
    """"grpc" or "rest"."""

    def of(self, shard_key: ShardKey) -> Wire:
        """The same connections, for the points of one shard key only: reads see no others, writes go there."""
        ...

    def scroll(
        self,
        name: str,
        *,
        start: PointId | None,
        limit: int,
        payload: bool | Sequence[str] = True,
        vectors: Sequence[str] = (),
        filter: Filter | None = None,
    ) -> Page: ...
    def upsert(
        self,
        name: str,
        page: Page,
        rows: Sequence[int],
        new: Mapping[str, Column],
        *,
        carry: Mapping[str, str] | None = None,
        insert_only: bool = False,
    ) -> None:
        """Write whole points: payload of `rows`, `carry` {source vector name: target name} unchanged, `new` vectors.

        `new[name]` has an entry for every one of `rows`.
        """
        ...

    def update_vectors(
        self, name: str, ids: Sequence[PointId], new: Mapping[str, Column], *, only_absent: bool = False
    ) -> None:
        """Write vectors of existing points, an entry per id; points without any are left out.

        `only_absent` leaves points alone that have any of these vectors (update_filter).
        """
        ...

    def delete(self, name: str, ids: Sequence[PointId]) -> None: ...
    def delete_vectors(self, name: str, ids: Sequence[PointId], vectors: Sequence[str]) -> None:
        """Take these vectors away from points; the points stay."""
        ...

    def clear_payload(self, name: str, ids: Sequence[PointId]) -> None:
        """Take the whole payload away from points."""
        ...

    def close(self) -> None: ...
