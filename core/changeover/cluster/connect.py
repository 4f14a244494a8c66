"""Open a gateway and a wire to the cluster that the answers name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from changeover.cluster.address import Address, resolve
from changeover.cluster.api import Gateway, Wire
from changeover.cluster.errors import ClusterError
from changeover.errors import UnreachableError
from changeover.plan.model import Access

WRONG: tuple[tuple[str, str], ...] = (
    (
        "Name or service not known|nodename nor servname|getaddrinfo|name resolution",
        "no such host; correct the address",
    ),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted; set SSL_CERT_FILE to the authority that signed it"),
    (
        "WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|UNEXPECTED_EOF|SSL",
        "it does not speak TLS there; try http:// or another port",
    ),
    ("refused|All connection attempts failed", "nothing listens there; start Qdrant, or correct the address"),
    ("Timeout|timed out", "no answer in time; check the address and what lies between"),
    (
        "RemoteProtocolError|disconnected|reset by peer",
        "it does not speak HTTP there; it may want https://, or this is the gRPC port",
    ),
    ("not Qdrant", "it is not Qdrant that answers there; correct the address"),
)
"""What the failure's text matches -> what is wrong and what to do; first match wins."""


async def open_gateway(access: Access, environ: Mapping[str, str]) -> Gateway:
    """Connect, ask for the version and try the key. Raises UsageError, or UnreachableError in one line without it."""
    from changeover.cluster.gateway import QdrantGateway

    address = resolve(access, environ)
    gateway = QdrantGateway(address)
    try:
        await gateway.version()
        await gateway.collections()
    except ClusterError as error:
        await gateway.close()
        raise UnreachableError(_why(address, access, error)) from None
    except BaseException:
        await gateway.close()
        raise
    return gateway


def open_wire(access: Access, environ: Mapping[str, str], streams: int = 4) -> Wire:
    """gRPC where a port is given and a Qdrant answers there, else REST. Blocking and thread-safe."""
    address = resolve(access, environ)
    if address.grpc_port is not None:
        from changeover.cluster.wire_grpc import GrpcWire

        wire = GrpcWire(address)
        if wire.answers():
            return wire
        wire.close()
    from changeover.cluster.wire_rest import RestWire

    return RestWire(address, streams)


def _why(address: Address, access: Access, error: ClusterError) -> str:
    if error.status in (401, 403):
        return f"{address.url}: {_refused(address, access, error)}"
    text = str(error)
    for pattern, words in WRONG:
        if re.search(pattern, text):
            return f"{address.url}: {words} ({text})"
    return f"{address.url}: {text}; is this the URL of a running Qdrant?"


def _refused(address: Address, access: Access, error: ClusterError) -> str:
    said = f"it answered HTTP {error.status}"
    if address.key is None:
        return f"the server wants a key ({said}); put it into an environment variable and name that (--api-key-env)"
    return f"the server refused the key in {access.api_key_env} ({said}); put the right one there"
