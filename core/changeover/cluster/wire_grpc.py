"""The hot path over gRPC: vectors move as messages from the scroll answer to the upsert, new ones as packed bytes.

`VectorOutput` (in answers) and `Vector` (in requests) have the same field numbers, so bytes of one parse as the other.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from changeover.cluster.address import Address
from changeover.cluster.api import Filter, Page
from changeover.cluster.errors import Action, ClusterError, from_grpc, wait_timeout
from changeover.survey.model import PointId

if TYPE_CHECKING:
    import numpy as np

TIMEOUT_S = 120.0
PROBE_S = 3.0
HUGE = 2.0**63
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
        self.ids: list[PointId] = [_id(row.id) for row in self.rows]
        self.next: PointId | None = _id(answer.next_page_offset) if answer.HasField("next_page_offset") else None
        self.doubtful: set[int] = set()

    def payload(self, row: int) -> dict[str, Any]:
        """The payload as REST's JSON would have it."""
        huge: list[float] = []
        decoded = {key: _json(value, huge) for key, value in self.rows[row].payload.items()}
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
        return None if message is None else _vector_json(message)


class GrpcWire:
    """The Wire protocol over gRPC. Thread-safe: each thread has a connection of its own."""

    transport = "grpc"

    def __init__(self, address: Address) -> None:
        self._address = address
        self._local = threading.local()
        self._channels: list[Any] = []
        self._lock = threading.Lock()
        self._metadata = (("api-key", address.key),) if address.key else ()

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

    def _stub(self) -> Any:
        from qdrant_client import grpc as messages

        stub = getattr(self._local, "stub", None)
        if stub is None:
            channel = self._open()
            with self._lock:
                self._channels.append(channel)
            stub = self._local.stub = messages.PointsStub(channel)  # type: ignore[no-untyped-call]
        return stub

    def _call(self, method: str, request: Any, where: str) -> Any:
        import grpc

        try:
            return getattr(self._stub(), method)(request, timeout=TIMEOUT_S, metadata=self._metadata)
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
            request.offset.CopyFrom(_point_id(start))
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
            request.filter.CopyFrom(_filter(filter))
        return GrpcPage(self._call("Scroll", request, f"scroll {name}"))

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
        """Whole points; see Wire. The page must come from this wire."""
        from qdrant_client import grpc as messages

        from changeover.cluster.vectors import checked

        if not isinstance(page, GrpcPage):
            raise TypeError("a gRPC upsert takes the pages of a gRPC scroll")
        if not rows:
            return
        if doubtful := page.doubtful & set(rows):
            raise ClusterError(
                f"the payload of point {page.ids[min(doubtful)]} holds a number beyond 2^63, which gRPC cannot carry "
                "as an integer; copy over REST (leave --grpc-port out)",
                Action.STOP,
            )
        ids = [page.ids[row] for row in rows]
        fresh = [(target, *checked(values, ids, target)) for target, values in new.items()]
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
            for target, values, present in fresh:
                if present[position]:
                    _put_dense(named[target], values[position])
            if list(named) == [""]:
                _make_unnamed(point)
        self._written(self._call("Upsert", request, f"upsert {name}"), f"upsert {name}")

    def update_vectors(
        self, name: str, ids: Sequence[PointId], vector: str, values: np.ndarray, *, only_absent: bool = False
    ) -> None:
        """One vector of existing points; see Wire."""
        from qdrant_client import grpc as messages

        from changeover.cluster.vectors import checked

        request = messages.UpdatePointVectors(collection_name=name, wait=True)
        for point_id, value, present in zip(ids, *checked(values, ids, vector), strict=True):
            if not present:
                continue
            point = request.points.add()
            point.id.CopyFrom(_point_id(point_id))
            _put_dense(point.vectors.vectors.vectors[vector], value)
        if not request.points:
            return
        if only_absent:
            request.update_filter.CopyFrom(_filter({"must_not": [{"has_vector": vector}]}))
        self._written(self._call("UpdateVectors", request, f"update vectors of {name}"), f"update vectors of {name}")

    def delete(self, name: str, ids: Sequence[PointId]) -> None:
        """Delete points by id."""
        from qdrant_client import grpc as messages

        if not ids:
            return
        request = messages.DeletePoints(collection_name=name, wait=True)
        request.points.points.ids.extend(_point_id(point_id) for point_id in ids)
        self._written(self._call("Delete", request, f"delete from {name}"), f"delete from {name}")

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for channel in self._channels:
                channel.close()
            self._channels.clear()

    def _written(self, answer: Any, where: str) -> None:
        from qdrant_client import grpc as messages

        status = answer.result.status
        if status == messages.UpdateStatus.Value("WaitTimeout"):
            raise wait_timeout(where)
        if status != messages.UpdateStatus.Value("Completed"):
            raise ClusterError(f"{where}: answered status {status} instead of Completed", Action.RETRY, where=where)


def packed(values: np.ndarray) -> bytes:
    """A DenseVector message (field 1, packed floats) without going through Python floats."""
    import numpy as np

    data = np.ascontiguousarray(values, dtype="<f4").tobytes()
    header, size = bytearray(b"\x0a"), len(data)
    while size > 0x7F:
        header.append(size & 0x7F | 0x80)
        size >>= 7
    header.append(size)
    return bytes(header) + data


def _put_dense(vector: Any, values: np.ndarray) -> None:
    vector.dense.MergeFromString(packed(values))


def _make_unnamed(point: Any) -> None:
    """A point whose only vector is the unnamed one is sent in the single form."""
    data = point.vectors.vectors.vectors[""].SerializeToString()
    point.vectors.Clear()
    point.vectors.vector.MergeFromString(data)


def _id(message: Any) -> PointId:
    return int(message.num) if message.WhichOneof("point_id_options") == "num" else str(message.uuid)


def _point_id(point_id: PointId) -> Any:
    from qdrant_client import grpc as messages

    return messages.PointId(num=point_id) if isinstance(point_id, int) else messages.PointId(uuid=point_id)


def _filter(chosen: Filter) -> Any:
    """The filters that the engine sends: has_id and has_vector under must, must_not or should; others are a bug."""
    from qdrant_client import grpc as messages

    made = messages.Filter()
    for clause, conditions in chosen.items():
        for condition in conditions if isinstance(conditions, list) else [conditions]:
            row = getattr(made, clause).add()
            match condition:
                case {"has_id": ids}:
                    row.has_id.has_id.extend(_point_id(i) for i in ids)
                case {"has_vector": name}:
                    row.has_vector.has_vector = name
                case _:
                    raise ValueError(f"this filter is not known to the gRPC wire: {condition}")
    return made


def _json(value: Any, huge: list[float]) -> Any:
    """A payload value as Python's JSON; numbers that may have been integers from 2^63 up are added to `huge`."""
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "integer_value":
            return value.integer_value
        case "double_value":
            number = value.double_value
            if HUGE <= number <= 2 * HUGE:
                huge.append(number)
            return number
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return {key: _json(item, huge) for key, item in value.struct_value.fields.items()}
        case "list_value":
            return [_json(item, huge) for item in value.list_value.values]
        case _:
            return None


def _vector_json(message: Any) -> Any:
    match message.WhichOneof("vector"):
        case "dense":
            return list(message.dense.data)
        case "sparse":
            return {"indices": list(message.sparse.indices), "values": list(message.sparse.values)}
        case "multi_dense":
            return [list(row.data) for row in message.multi_dense.vectors]
    # Servers before 1.17 answer in the older flat fields.
    data = list(message.data)
    if message.HasField("indices"):
        return {"indices": list(message.indices.data), "values": data}
    if message.HasField("vectors_count"):
        width = len(data) // message.vectors_count
        return [data[i : i + width] for i in range(0, len(data), width)]
    return data
