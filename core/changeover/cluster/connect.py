"""Open a gateway and a wire to the cluster that the answers name."""

from __future__ import annotations

from collections.abc import Mapping

from changeover.cluster.address import resolve
from changeover.cluster.api import Gateway, Wire
from changeover.cluster.errors import ClusterError
from changeover.errors import UnreachableError
from changeover.plan.model import Access


async def open_gateway(access: Access, environ: Mapping[str, str]) -> Gateway:
    """Connect and ask for the version. Raises UsageError, or UnreachableError in one line without the key."""
    from changeover.cluster.gateway import QdrantGateway

    address = resolve(access, environ)
    gateway = QdrantGateway(address)
    try:
        await gateway.version()
        await gateway.collections()
    except ClusterError as error:
        await gateway.close()
        raise UnreachableError(
            f"{address.url}: {error}; is this the URL of a running Qdrant, and is the key right?"
        ) from None
    return gateway


def open_wire(access: Access, environ: Mapping[str, str], streams: int = 8) -> Wire:
    """gRPC where a port is given and answers, else REST. Blocking and thread-safe."""
    address = resolve(access, environ)
    if address.grpc_port is not None:
        from changeover.cluster.wire_grpc import GrpcWire

        wire = GrpcWire(address)
        if wire.answers():
            return wire
        wire.close()
    from changeover.cluster.wire_rest import RestWire

    return RestWire(address, streams)
