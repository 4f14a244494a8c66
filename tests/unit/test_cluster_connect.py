"""Opening a cluster: what is wrong with the address, the key or the server is one line, and never shows the key."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from changeover.cluster.address import resolve
from changeover.cluster.connect import open_gateway, open_wire
from changeover.errors import ChangeoverError, UnreachableError, UsageError
from changeover.plan.model import Access
from tests.unit.http_server import COLLECTIONS, ROOT, Call, Reply, serving

KEY = "s3cret-key-of-the-cluster"


async def refusal(access: Access, environ: dict[str, str] | None = None) -> ChangeoverError:
    with pytest.raises(ChangeoverError) as caught:
        await open_gateway(access, environ or {})
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("localhost", "http://localhost:6333"),
        ("http://localhost:6333/", "http://localhost:6333"),
        ("https://x.cloud.qdrant.io", "https://x.cloud.qdrant.io:6333"),
        ("https://gateway.example/qdrant/", "https://gateway.example:6333/qdrant"),
        ("http://[::1]:7333", "http://[::1]:7333"),
        (" 10.0.0.7:8080 ", "http://10.0.0.7:8080"),
    ],
)
def test_an_address_is_read_as_qdrants_clients_do(url: str, opened: str) -> None:
    assert resolve(Access(url=url), {}).url == opened


@pytest.mark.parametrize("url", ["", "ftp://x:1", "http://", "http://x:port", "http://x:99999", "http://[::1"])
def test_an_address_that_is_none_is_said_so(url: str) -> None:
    with pytest.raises(UsageError, match=r"^the address .*; write it like "):
        resolve(Access(url=url), {})


@pytest.mark.parametrize("url", [f"http://me:{KEY}@x:6333", f"http://{KEY}@x:port"])
def test_a_key_in_the_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(Access(url=url), {})
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("environ", [{}, {"QD": ""}, {"QD": " \n"}])
def test_a_missing_key_names_its_variable(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="variable QD is not set"):
        resolve(Access(url="localhost", api_key_env="QD"), environ)


def test_a_key_that_no_header_can_carry_is_not_shown() -> None:
    with pytest.raises(UsageError) as caught:
        resolve(Access(url="localhost", api_key_env="QD"), {"QD": f"{KEY}\nx"})
    assert KEY not in str(caught.value)


def test_the_key_is_in_no_repr() -> None:
    address = resolve(Access(url="localhost", grpc_port=6334, api_key_env="QD"), {"QD": KEY})
    assert address.key == KEY
    assert KEY not in repr(address)


async def test_the_key_is_sent_and_nothing_else_knows_it(recwarn: pytest.WarningsRecorder) -> None:
    with serving(lambda call: ROOT if call.path == "/" else COLLECTIONS) as server:
        access = Access(url=server.url, api_key_env="QD")
        gateway = await open_gateway(access, {"QD": f"{KEY}\n"})
        wire = open_wire(access, {"QD": KEY})
        assert await gateway.version() == "1.18.3"
        assert KEY not in repr(gateway) + repr(wire)
        assert server.calls[-1].headers["api-key"] == KEY
        await gateway.close()
        wire.close()
    assert not [w for w in recwarn if "Api key" in str(w.message)]


def key_refused(call: Call) -> Reply:
    return ROOT if call.path == "/" else Reply(401, b"Invalid API key or JWT")


def always(reply: Reply) -> Callable[[Call], Reply]:
    return lambda call: reply


@pytest.mark.parametrize(
    ("answer", "environ", "words"),
    [
        (key_refused, {}, "--api-key-env"),
        (key_refused, {"QD": KEY}, "refused the key in QD"),
        (always(Reply(403, b"ExpiredSignature")), {"QD": KEY}, "refused the key in QD"),
        (always(Reply(200, b"<html><body>Welcome to nginx</body></html>")), {}, "not Qdrant"),
        (always(Reply(200, {"hello": "world"})), {}, "not Qdrant"),
        (always(Reply(200, {"title": "elasticsearch", "version": "8.1.0"})), {}, "not Qdrant"),
        (always(Reply(200, {"title": "qdrant", "version": "unknown"})), {}, "not Qdrant"),
        (always(Reply(200, [1, 2])), {}, "not Qdrant"),
        (always(Reply(502, b"<html>bad gateway</html>")), {}, "HTTP 502"),
        (always(Reply(404, b"")), {}, "not Qdrant"),
        (always(Reply(0)), {}, "it does not speak HTTP there"),
    ],
)
async def test_a_server_that_cannot_be_used_is_one_line(
    answer: Callable[[Call], Reply], environ: dict[str, str], words: str
) -> None:
    with serving(answer) as server:
        error = await refusal(Access(url=server.url, api_key_env="QD" if environ else None), environ)
    assert isinstance(error, UnreachableError)
    assert server.url in str(error)
    assert words in str(error)


async def test_a_closed_port_is_said_so() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        error = await refusal(Access(url=f"http://127.0.0.1:{held.getsockname()[1]}"))
    assert "nothing listens there" in str(error)


async def test_an_unknown_host_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object, **more: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    assert "no such host" in str(await refusal(Access(url="http://nowhere.invalid:6333")))


async def test_https_on_a_port_without_tls_is_said_so() -> None:
    with serving(always(ROOT)) as server:
        error = await refusal(Access(url=server.url.replace("http://", "https://")))
    assert "TLS" in str(error)


def test_without_an_answer_on_the_grpc_port_rest_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("changeover.cluster.wire_grpc.PROBE_S", 0.2)
    with serving(always(ROOT)) as server, socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        wire = open_wire(Access(url=server.url, grpc_port=held.getsockname()[1]), {})
        assert wire.transport == "rest"
        wire.close()
