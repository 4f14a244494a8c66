"""The gRPC wire against a server in this process: real messages, a dictionary for a collection."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from qdrant_client import grpc as messages

from changeover.cluster.address import resolve
from changeover.cluster.connect import open_wire
from changeover.cluster.errors import Action, ClusterError, NeedsRestError
from changeover.cluster.grpc_messages import packed
from changeover.cluster.wire_grpc import GrpcPage, GrpcWire
from changeover.plan.model import Access

UUID = "6c8f1a0e-2f3b-4a55-9d0a-0123456789ab"
KEY = "s3cret"
COMPLETED = messages.UpdateStatus.Value("Completed")
WAIT_TIMEOUT = messages.UpdateStatus.Value("WaitTimeout")


class Service(messages.QdrantServicer, messages.CollectionsServicer, messages.PointsServicer):
    """Keeps upserted points as they came and scrolls what it was told to."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.rows: list[Any] = []
        self.next: Any = None
        self.status = COMPLETED
        self.fail: tuple[grpc.StatusCode, str] | None = None
        self.title = "qdrant - vector search engine"
        self.keys: set[str] = set()

    def _heard(self, request: Any, context: grpc.ServicerContext) -> None:
        self.requests.append(request)
        self.keys.add(dict(context.invocation_metadata()).get("api-key", ""))
        if self.fail is not None:
            context.abort(*self.fail)

    def HealthCheck(self, request: Any, context: grpc.ServicerContext) -> Any:
        return messages.HealthCheckReply(title=self.title, version="1.18.3")

    def List(self, request: Any, context: grpc.ServicerContext) -> Any:
        return messages.ListCollectionsResponse(collections=[messages.CollectionDescription(name="docs")])

    def Scroll(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._heard(request, context)
        return messages.ScrollResponse(result=self.rows, next_page_offset=self.next)

    def Upsert(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._heard(request, context)
        return messages.PointsOperationResponse(result=messages.UpdateResult(status=self.status))

    UpdateVectors = Delete = DeleteVectors = ClearPayload = Upsert


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Service, int]]:
    service = Service()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    messages.add_QdrantServicer_to_server(service, server)
    messages.add_CollectionsServicer_to_server(service, server)
    messages.add_PointsServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield service, port
    server.stop(None).wait()


@pytest.fixture
def service(running: tuple[Service, int]) -> Service:
    running[0].__init__()  # type: ignore[misc]
    return running[0]


@pytest.fixture
def wire(running: tuple[Service, int], service: Service) -> Iterator[GrpcWire]:
    access = Access(url="http://127.0.0.1:1", grpc_port=running[1], api_key_env="QD")
    opened = open_wire(access, {"QD": KEY})
    assert isinstance(opened, GrpcWire)
    yield opened
    opened.close()


def dense(*values: float) -> Any:
    return messages.VectorOutput(dense=messages.DenseVector(data=values))


def row(point_id: int | str, payload: dict[str, Any], **vectors: Any) -> Any:
    made = messages.RetrievedPoint(payload=payload)
    if isinstance(point_id, int):
        made.id.num = point_id
    else:
        made.id.uuid = point_id
    for name, vector in vectors.items():
        made.vectors.vectors.vectors[name].CopyFrom(vector)
    return made


def value(**kind: Any) -> Any:
    return messages.Value(**kind)


def test_who_answers_is_known_and_the_key_is_sent(service: Service, wire: GrpcWire) -> None:
    found = wire.identity()
    assert found is not None
    assert (found.version, found.collections) == ("1.18.3", {"docs"})
    wire.scroll("docs", start=None, limit=1)
    assert service.keys == {KEY}
    assert KEY not in repr(wire)


def test_threads_that_come_and_go_use_the_same_connections(service: Service, wire: GrpcWire) -> None:
    """Every pass of catch-up has threads of its own, and a cutover may be waited for for days."""
    for _ in range(6):
        with futures.ThreadPoolExecutor(2) as threads:
            for done in [threads.submit(wire.scroll, "docs", start=None, limit=1) for _ in range(4)]:
                done.result()
    part = wire.of("key")
    part.scroll("docs", start=None, limit=1)
    assert len(service.requests) == 25
    assert len(wire._channels) <= 2


def test_another_kind_of_server_does_not_count(service: Service, running: tuple[Service, int]) -> None:
    service.title = "some other service"
    access = Access(url="http://127.0.0.1:1", grpc_port=running[1])
    rest = open_wire(access, {})
    assert rest.transport == "rest"
    rest.close()


def test_a_scroll_asks_as_rest_does(service: Service, wire: GrpcWire) -> None:
    wire.scroll("docs", start=UUID, limit=3, payload=["a", "b.c"], vectors=["old", "kw"])
    wire.scroll("docs", start=2**64 - 1, limit=3, payload=False, vectors=[""])
    wire.scroll(
        "docs", start=None, limit=3, filter={"must": [{"has_id": [1, UUID]}], "must_not": [{"has_vector": "n"}]}
    )
    first, second, third = service.requests
    assert (first.offset.uuid, first.limit) == (UUID, 3)
    assert list(first.with_payload.include.fields) == ["a", "b.c"]
    assert list(first.with_vectors.include.names) == ["old", "kw"]
    assert second.offset.num == 2**64 - 1
    assert (second.with_payload.enable, second.with_vectors.enable) == (False, True)
    assert not third.HasField("offset")
    assert (third.with_payload.enable, third.with_vectors.enable) == (True, False)
    assert [i.num or i.uuid for i in third.filter.must[0].has_id.has_id] == [1, UUID]
    assert third.filter.must_not[0].has_vector.has_vector == "n"
    with pytest.raises(ValueError, match="not known"):
        wire.scroll("docs", start=None, limit=1, filter={"must": [{"key": "a", "match": {"value": 1}}]})


def test_payloads_are_the_json_that_rest_gives(service: Service, wire: GrpcWire) -> None:
    nested = messages.Struct(fields={"x": value(null_value=0), "y": value(double_value=1.0)})
    many = messages.ListValue(values=[value(integer_value=-3), value(bool_value=False), value(struct_value=nested)])
    kinds = {
        "text": value(string_value="é"),
        "many": value(list_value=many),
        "none": value(null_value=0),
        "unset": value(),
        "big": value(integer_value=2**62 + 1),
    }
    service.rows = [row(5, kinds), row(UUID, {})]
    service.next = messages.PointId(num=9)
    page = wire.scroll("docs", start=None, limit=2)
    assert (page.ids, page.next) == ([5, UUID], 9)
    payload = page.payload(0)
    assert payload == {
        "text": "é",
        "many": [-3, False, {"x": None, "y": 1.0}],
        "none": None,
        "unset": None,
        "big": 2**62 + 1,
    }
    assert isinstance(payload["many"][2]["y"], float)
    assert payload["many"][1] is False
    assert page.payload(1) == {}


def test_an_integer_that_grpc_turned_into_a_float_is_not_written_back(service: Service, wire: GrpcWire) -> None:
    deep = messages.ListValue(values=[value(double_value=float(2**63 + 2**20))])
    service.rows = [row(1, {"x": value(list_value=deep)}), row(2, {"x": value(double_value=1e30)})]
    page = wire.scroll("docs", start=None, limit=2)
    assert [page.payload(i)["x"] for i in range(2)] == [[float(2**63 + 2**20)], 1e30]
    wire.upsert("docs", page, [1], {})
    with pytest.raises(NeedsRestError, match="gRPC cannot carry") as caught:
        wire.upsert("docs", page, [0, 1], {})
    assert caught.value.action is Action.STOP


def test_every_kind_of_vector_is_carried_as_it_came(service: Service, wire: GrpcWire) -> None:
    sparse = messages.VectorOutput(sparse=messages.SparseVector(indices=[4, 9], values=[0.5, 2.0]))
    rows = [messages.DenseVector(data=[1, 2]), messages.DenseVector(data=[3, 4])]
    multi = messages.VectorOutput(multi_dense=messages.MultiDenseVector(vectors=rows))
    service.rows = [
        row(1, {"a": value(integer_value=1)}, old=dense(0.1, 0.2), kw=sparse, late=multi),
        row(2, {}, kw=sparse),
        row(3, {}),
    ]
    page = wire.scroll("docs", start=None, limit=3, vectors=["old", "kw", "late"])
    assert page.vector(0, "old") == pytest.approx([0.1, 0.2])
    assert page.vector(0, "kw") == {"indices": [4, 9], "values": [0.5, 2.0]}
    assert page.vector(0, "late") == [[1, 2], [3, 4]]
    assert [page.has_vector(i, "old") for i in range(3)] == [True, False, False]
    new = np.array([[1, 2, 3], [np.nan] * 3], dtype=np.float32)
    carry = {"old": "kept", "kw": "kw", "late": "late"}
    wire.upsert("docs", page, [0, 2], {"new": new}, carry=carry, insert_only=True)
    request = service.requests[-1]
    assert request.wait
    assert request.update_mode == messages.UpdateMode.Value("InsertOnly")
    first, bare = request.points
    assert first.id.num == 1
    assert first.payload["a"].integer_value == 1
    sent = first.vectors.vectors.vectors
    assert set(sent) == {"kept", "kw", "late", "new"}
    assert list(sent["kept"].dense.data) == list(dense(0.1, 0.2).dense.data)
    assert list(sent["kw"].sparse.indices) == [4, 9]
    assert [list(r.data) for r in sent["late"].multi_dense.vectors] == [[1, 2], [3, 4]]
    assert list(sent["new"].dense.data) == [1, 2, 3]
    assert bare.vectors.WhichOneof("vectors_options") == "vectors"
    assert not bare.vectors.vectors.vectors


def test_vectors_in_the_form_of_older_servers_are_read(service: Service, wire: GrpcWire) -> None:
    flat = messages.VectorOutput(data=[1, 2, 3, 4])
    many = messages.VectorOutput(data=[1, 2, 3, 4], vectors_count=2)
    thin = messages.VectorOutput(data=[0.5], indices=messages.SparseIndices(data=[7]))
    service.rows = [row(1, {}, old=flat, late=many, kw=thin)]
    page = wire.scroll("docs", start=None, limit=1, vectors=["old"])
    assert page.vector(0, "old") == [1, 2, 3, 4]
    assert page.vector(0, "late") == [[1, 2], [3, 4]]
    assert page.vector(0, "kw") == {"indices": [7], "values": [0.5]}
    wire.upsert("docs", page, [0], {}, carry={"old": "old"})
    assert list(service.requests[-1].points[0].vectors.vectors.vectors["old"].data) == [1, 2, 3, 4]


def test_the_vector_without_a_name(service: Service, wire: GrpcWire) -> None:
    plain = row(1, {})
    plain.vectors.vector.CopyFrom(dense(1, 2))
    both = row(2, {})
    both.vectors.vectors.vectors[""].CopyFrom(dense(3, 4))
    both.vectors.vectors.vectors["new"].CopyFrom(dense(5))
    service.rows = [plain, both]
    page = wire.scroll("docs", start=None, limit=2, vectors=[""])
    assert [page.vector(i, "") for i in range(2)] == [[1, 2], [3, 4]]
    assert page.vector(0, "new") is None
    wire.upsert("docs", page, [0, 1], {}, carry={"": ""})
    wire.upsert("docs", page, [0, 1], {"b": np.ones((2, 2), np.float32)}, carry={"": "a"})
    alone, named = service.requests[-2:]
    assert [p.vectors.WhichOneof("vectors_options") for p in alone.points] == ["vector", "vector"]
    assert list(alone.points[1].vectors.vector.dense.data) == [3, 4]
    assert {k: list(v.dense.data) for k, v in named.points[0].vectors.vectors.vectors.items()} == {
        "a": [1, 2],
        "b": [1, 1],
    }


def test_updates_and_deletes(service: Service, wire: GrpcWire) -> None:
    values = np.array([[1, 2], [np.nan, np.nan], [3, 4]], dtype=np.float64)
    wire.update_vectors("docs", [1, 2, UUID], {"new": values}, only_absent=True)
    wire.update_vectors("docs", [2], {"new": values[1:2]})
    wire.delete("docs", [])
    wire.delete("docs", [7, UUID])
    update, delete = service.requests
    assert [p.id.num or p.id.uuid for p in update.points] == [1, UUID]
    assert list(update.points[1].vectors.vectors.vectors["new"].dense.data) == [3, 4]
    assert update.update_filter.must_not[0].has_vector.has_vector == "new"
    assert [i.num or i.uuid for i in delete.points.points.ids] == [7, UUID]
    with pytest.raises(ClusterError, match="not finite") as caught:
        wire.update_vectors("docs", [1], {"new": np.array([[1, np.inf]])})
    assert caught.value.action is Action.SKIP


@pytest.mark.parametrize(
    ("fail", "action"),
    [
        ((grpc.StatusCode.NOT_FOUND, "Not found: No point with id 999 found"), Action.MISSING),
        ((grpc.StatusCode.INVALID_ARGUMENT, "Wrong input: Vector dimension error: expected dim: 3"), Action.SKIP),
        ((grpc.StatusCode.RESOURCE_EXHAUSTED, "Write rate limit exceeded"), Action.RETRY),
        ((grpc.StatusCode.PERMISSION_DENIED, "Forbidden"), Action.STOP),
    ],
)
def test_failures_are_sorted(service: Service, wire: GrpcWire, fail: Any, action: Action) -> None:
    service.fail = fail
    for call in (
        lambda: wire.delete("docs", [1]),
        lambda: wire.scroll("docs", start=None, limit=1),
        lambda: wire.update_vectors("docs", [1], {"new": np.ones((1, 2), np.float32)}),
    ):
        with pytest.raises(ClusterError) as caught:
            call()
        assert caught.value.action is action
    service.fail = None
    wire.delete("docs", [1])


@pytest.mark.parametrize("status", [WAIT_TIMEOUT, messages.UpdateStatus.Value("Acknowledged")])
def test_a_write_counts_only_when_it_is_completed(service: Service, wire: GrpcWire, status: int) -> None:
    service.status = status
    with pytest.raises(ClusterError) as caught:
        wire.delete("docs", [1])
    assert caught.value.action is Action.RETRY


def test_a_page_of_the_other_transport_is_a_bug(wire: GrpcWire) -> None:
    with pytest.raises(TypeError, match="gRPC"):
        wire.upsert("docs", object(), [0], {})  # type: ignore[arg-type]


@given(nps.arrays(np.float32, st.integers(0, 400), elements=st.floats(width=32, allow_nan=False)))
def test_packed_bytes_are_the_message_that_protobuf_makes(values: np.ndarray) -> None:
    made = messages.DenseVector()
    made.MergeFromString(packed(values))
    assert np.array_equal(np.array(made.data, dtype=np.float32), values)
    if len(values):
        assert packed(values) == messages.DenseVector(data=values.tolist()).SerializeToString()


def test_a_page_knows_the_end() -> None:
    page = GrpcPage(messages.ScrollResponse())
    assert (page.ids, page.next) == ([], None)


def test_nothing_listening_is_to_be_retried() -> None:
    wire = GrpcWire(resolve(Access(url="http://127.0.0.1:1", grpc_port=1), {}))
    with pytest.raises(ClusterError) as caught:
        wire.delete("docs", [1])
    assert caught.value.action is Action.RETRY
    wire.close()


@pytest.mark.parametrize(("key", "kind"), [("acme", "keyword"), (42, "number")])
def test_requests_of_a_shard_key_name_it(service: Service, wire: GrpcWire, key: int | str, kind: str) -> None:
    service.rows = [row(1, {})]
    part = wire.of(key)
    rows = part.scroll("docs", start=None, limit=1)
    part.upsert("docs", rows, [0], {})
    part.update_vectors("docs", [1], {"new": np.ones((1, 2), dtype=np.float32)})
    part.delete("docs", [1])
    part.delete_vectors("docs", [1], ["new"])
    part.clear_payload("docs", [1])
    asked = [[getattr(one, kind) for one in request.shard_key_selector.shard_keys] for request in service.requests]
    assert asked == [[key]] * 6
    wire.delete("docs", [1])
    assert not service.requests[-1].HasField("shard_key_selector")
