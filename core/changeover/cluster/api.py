"""What the rest of Changeover asks of a cluster: an async gateway for requests, a blocking wire for the hot path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from changeover.survey.model import PointId

if TYPE_CHECKING:
    import numpy as np

Filter = dict[str, Any]
"""A Qdrant filter as its REST JSON."""


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
        self, name: str, n: int, *, payload: bool | Sequence[str] = True, vectors: bool | Sequence[str] = False
    ) -> list[Point]:
        """About n random points (query `sample: random`)."""
        ...

    async def search(
        self,
        name: str,
        vector: Sequence[float],
        *,
        using: str = "",
        limit: int = 10,
        exact: bool = False,
        timeout_s: float | None = None,
    ) -> list[Hit]: ...
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
        new: Mapping[str, np.ndarray],
        *,
        carry: Mapping[str, str] | None = None,
        insert_only: bool = False,
    ) -> None:
        """Write whole points: payload of `rows`, `carry` {source vector name: target name} unchanged, `new` vectors.

        `new[name]` is float32 of shape (len(rows), dimension); a row of NaN means that the point gets no such vector.
        """
        ...

    def update_vectors(
        self, name: str, ids: Sequence[PointId], vector: str, values: np.ndarray, *, only_absent: bool = False
    ) -> None:
        """Write one vector of existing points; `only_absent` leaves points alone that have it (update_filter)."""
        ...

    def delete(self, name: str, ids: Sequence[PointId]) -> None: ...
    def close(self) -> None: ...
