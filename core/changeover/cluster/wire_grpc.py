"""The hot path over gRPC: vectors move as messages from the scroll answer to the upsert, new ones as packed bytes.

`VectorOutput` (in answers) and `Vector` (in requests) have the same field numbers, so bytes of one parse as the other.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from changeover.cluster.address import Address
from changeover.cluster.api import Column, Filter, Page
from changeover.cluster.errors import Action, ClusterError, NeedsRestError, from_grpc, wait_timeout
from changeover.cluster.grpc_messages import filter_of, id_of, make_unnamed, payload_json, point_id, put, vector_json
from changeover.survey.model import PointId, ShardKey

TIMEOUT_S = 120.0
PROBE_S = 3.0
OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    # Retrying is the engine's: it knows what a batch holds.
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
]


class Identity(NamedTuple):
    """What tells one server from another: its version and the names of its collections."""

    version: str
    collections: frozenset[str]


class GrpcPage:
    """One page; rows are the messages of the answer.

    Payload integers from 2^63 up come as doubles over gRPC, and would be written back as such (measured on 1.18.3):
    rows where `payload` met a number of that range are in `doubtful`.
    """

    def __init__(self, answer: Any) -> None:
        self.rows = list(answer.result)
        self.ids: list[PointId] = [id_of(row.id) for row in self.rows]
        self.next: PointId | None = id_of(answer.next_page_offset) if answer.HasField("next_page_offset") else None
        self.doubtful: set[int] = set()

    def payload(self, row: int) -> dict[str, Any]:
        """The payload as REST's JSON would have it."""
        huge: list[float] = []
        decoded = {key: payload_json(value, huge) for key, value in self.rows[row].payload.items()}
        if huge:
            self.doubtful.add(row)
        return decoded

    def message(self, row: int, name: str) -> Any:
        """The VectorOutput message of that vector, or None."""
        vectors = self.rows[row].vectors
        kind = vectors.WhichOneof("vectors_options")
        if kind == "vector":
            return vectors.vector if name == "" else None
        if kind == "vectors" and name in vectors.vectors.vectors:
            return vectors.vectors.vectors[name]
        return None

    def has_vector(self, row: int, name: str) -> bool:
        """Whether the point has that vector."""
        return self.message(row, name) is not None

    def vector(self, row: int, name: str) -> Any:
        """The vector as JSON, or None."""
        message = self.message(row, name)
        return None if message is None else vector_json(message)


class GrpcWire:
    """The Wire protocol over gRPC. Thread-safe: a request has a connection of its own, which the next one takes over.

    Not one per thread: every pass of catch-up has new threads, and a cutover may be waited for for days.
    """

    transport = "grpc"

    def __init__(self, address: Address) -> None:
        self._address = address
        self._shard: ShardKey | None = None
        self._channels: list[Any] = []
        self._free: list[Any] = []
        self._lock = threading.Lock()
        self._metadata = (("api-key", address.key),) if address.key else ()

    def of(self, shard_key: ShardKey) -> GrpcWire:
        """The points of one shard key; see Wire."""
        part = copy.copy(self)
        part._shard = shard_key
        return part

    def _select(self, request: Any) -> None:
        """Let a request concern this wire's shard key only."""
        if self._shard is None:
            return
        key = request.shard_key_selector.shard_keys.add()
        if isinstance(self._shard, str):
            key.keyword = self._shard
        else:
            key.number = self._shard

    def __repr__(self) -> str:
        return f"GrpcWire({self._address.host}:{self._address.grpc_port})"

    def answers(self) -> bool:
        """Whether a Qdrant that takes this key answers on that port within three seconds."""
        return self.identity() is not None

    def identity(self) -> Identity | None:
        """Who answers on that port, or None when no Qdrant does within three seconds."""
        import grpc
        from qdrant_client import grpc as messages

        channel = self._open()
        how = {"timeout": PROBE_S, "metadata": self._metadata, "wait_for_ready": True}
        try:
            health = messages.QdrantStub(channel).HealthCheck(messages.HealthCheckRequest(), **how)  # type: ignore[no-untyped-call]
            listed = messages.CollectionsStub(channel).List(messages.ListCollectionsRequest(), **how)  # type: ignore[no-untyped-call]
        except grpc.RpcError:
            return None
        finally:
            channel.close()
        if "qdrant" not in health.title.lower():
            return None
        return Identity(health.version, frozenset(c.name for c in listed.collections))

    def _open(self) -> Any:
        import grpc

        target = f"{self._address.host}:{self._address.grpc_port}"
        if self._address.scheme == "https":
            return grpc.secure_channel(target, grpc.ssl_channel_credentials(), options=OPTIONS)
        return grpc.insecure_channel(target, options=OPTIONS)

    @contextmanager
    def _stub(self) -> Iterator[Any]:
        from qdrant_client import grpc as messages

        with self._lock:
            stub = self._free.pop() if self._free else None
        if stub is None:
            channel = self._open()
            with self._lock:
                self._channels.append(channel)
            stub = messages.PointsStub(channel)  # type: ignore[no-untyped-call]
        try:
            yield stub
        finally:
            with self._lock:
                self._free.append(stub)

    def _call(self, method: str, request: Any, where: str) -> Any:
        import grpc

        self._select(request)
        try:
            with self._stub() as stub:
                return getattr(stub, method)(request, timeout=TIMEOUT_S, metadata=self._metadata)
        except grpc.RpcError as error:
            raise from_grpc(error, where) from None

    def scroll(
        self,
        name: str,
        *,
        start: PointId | None,
        limit: int,
        payload: bool | Sequence[str] = True,
        vectors: Sequence[str] = (),
        filter: Filter | None = None,
    ) -> GrpcPage:
        """Points from `start` on, in id order."""
        from qdrant_client import grpc as messages

        request = messages.ScrollPoints(collection_name=name, limit=limit)
        if start is not None:
            request.offset.CopyFrom(point_id(start))
        if isinstance(payload, bool):
            request.with_payload.enable = payload
        else:
            request.with_payload.include.fields.extend(payload)
        if list(vectors) == [""]:
            request.with_vectors.enable = True
        elif vectors:
            request.with_vectors.include.names.extend(vectors)
        else:
            request.with_vectors.enable = False
        if filter is not None:
            request.filter.CopyFrom(filter_of(filter))
        return GrpcPage(self._call("Scroll", request, f"scroll {name}"))

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
        """Whole points; see Wire. The page must come from this wire."""
        from qdrant_client import grpc as messages

        from changeover.cluster.vectors import rows_with

        if not isinstance(page, GrpcPage):
            raise TypeError("a gRPC upsert takes the pages of a gRPC scroll")
        if not rows:
            return
        if doubtful := page.doubtful & set(rows):
            raise NeedsRestError(
                f"the payload of point {page.ids[min(doubtful)]} holds a number beyond 2^63, which gRPC cannot carry"
                " as an integer"
            )
        ids = [page.ids[row] for row in rows]
        fresh = rows_with(new, ids)
        request = messages.UpsertPoints(collection_name=name, wait=True)
        if insert_only:
            request.update_mode = messages.UpdateMode.Value("InsertOnly")
        for position, row in enumerate(rows):
            source = page.rows[row]
            point = request.points.add()
            point.id.CopyFrom(source.id)
            point.payload.MergeFrom(source.payload)
            # A point without any vector must still say that its (named) vectors are empty.
            point.vectors.vectors.SetInParent()
            named = point.vectors.vectors.vectors
            for old, target in (carry or {}).items():
                message = page.message(row, old)
                if message is not None:
                    named[target].MergeFromString(message.SerializeToString())
            for target, value in fresh[position].items():
                put(named[target], value)
            if list(named) == [""]:
                make_unnamed(point)
        self._written(self._call("Upsert", request, f"upsert {name}"), f"upsert {name}")

    def update_vectors(
        self, name: str, ids: Sequence[PointId], new: Mapping[str, Column], *, only_absent: bool = False
    ) -> None:
        """Vectors of existing points; see Wire."""
        from qdrant_client import grpc as messages

        from changeover.cluster.vectors import rows_with

        request = messages.UpdatePointVectors(collection_name=name, wait=True)
        for point, vectors in zip(ids, rows_with(new, ids), strict=True):
            if not vectors:
                continue
            row = request.points.add()
            row.id.CopyFrom(point_id(point))
            for target, value in vectors.items():
                put(row.vectors.vectors.vectors[target], value)
        if not request.points:
            return
        if only_absent:
            request.update_filter.CopyFrom(filter_of({"must_not": [{"has_vector": target} for target in new]}))
        self._written(self._call("UpdateVectors", request, f"update vectors of {name}"), f"update vectors of {name}")

    def delete(self, name: str, ids: Sequence[PointId]) -> None:
        """Delete points by id."""
        from qdrant_client import grpc as messages

        request = messages.DeletePoints(collection_name=name, wait=True)
        self._of_points("Delete", request, request.points, ids, f"delete from {name}")

    def delete_vectors(self, name: str, ids: Sequence[PointId], vectors: Sequence[str]) -> None:
        """Take vectors away from points."""
        from qdrant_client import grpc as messages

        request = messages.DeletePointVectors(collection_name=name, wait=True)
        request.vectors.names.extend(vectors)
        self._of_points("DeleteVectors", request, request.points_selector, ids, f"delete vectors of {name}")

    def clear_payload(self, name: str, ids: Sequence[PointId]) -> None:
        """Take the payload away from points."""
        from qdrant_client import grpc as messages

        request = messages.ClearPayloadPoints(collection_name=name, wait=True)
        self._of_points("ClearPayload", request, request.points, ids, f"clear payload of {name}")

    def _of_points(self, method: str, request: Any, selector: Any, ids: Sequence[PointId], where: str) -> None:
        """Send a request about points by id, given in its selector; nothing for none."""
        if ids:
            selector.points.ids.extend(point_id(point) for point in ids)
            self._written(self._call(method, request, where), where)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for channel in self._channels:
                channel.close()
            self._channels.clear()
            self._free.clear()

    def _written(self, answer: Any, where: str) -> None:
        from qdrant_client import grpc as messages

        status = answer.result.status
        if status == messages.UpdateStatus.Value("WaitTimeout"):
            raise wait_timeout(where)
        if status != messages.UpdateStatus.Value("Completed"):
            raise ClusterError(f"{where}: answered status {status} instead of Completed", Action.RETRY, where=where)
