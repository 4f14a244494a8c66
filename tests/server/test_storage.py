"""Every quantization is taken by the servers it is gated to, and the way back restores the configuration exactly."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from changeover.cluster.errors import ClusterError
from changeover.cluster.gateway import QdrantGateway
from changeover.decision.answers import QuantizationKind
from changeover.quality import storage
from changeover.survey.model import Survey
from changeover.survey.shape import vectors_of
from tests.server.conftest import Server
from tests.unit.surveys import survey

KINDS: tuple[QuantizationKind, ...] = get_args(QuantizationKind)
VECTOR: dict[str, Any] = {"size": 64, "distance": "Cosine"}
MULTI: dict[str, Any] = {**VECTOR, "multivector_config": {"comparator": "max_sim"}}
SCALAR = {"scalar": {"type": "int8", "quantile": 0.95, "always_ram": True}}
PRODUCT = {"product": {"compression": "x16"}}
SHAPES: dict[str, dict[str, Any]] = {
    "unnamed": {"vectors": VECTOR},
    "unnamed, quantized": {"vectors": VECTOR, "quantization_config": SCALAR},
    "unnamed, its own": {"vectors": {**VECTOR, "quantization_config": PRODUCT}},
    "dense and multi": {"vectors": {"a": VECTOR, "b": MULTI}},
    "one of several": {
        "vectors": {"a": VECTOR, "b": VECTOR, "c": {**VECTOR, "quantization_config": {"binary": {}}}},
        "sparse_vectors": {"s": {}},
        "quantization_config": SCALAR,
    },
    "one over the collection's": {
        "vectors": {"a": {**VECTOR, "quantization_config": PRODUCT}},
        "quantization_config": SCALAR,
    },
}


async def seen(gateway: QdrantGateway, name: str, version: str) -> Survey:
    info = await gateway.collection(name)
    return msgspec.structs.replace(survey(version=version), vectors=vectors_of(info), config=info["config"])


@pytest.mark.parametrize("shape", SHAPES)
async def test_change_and_undo(gateway: QdrantGateway, server: Server, name: str, shape: str) -> None:
    version = await gateway.version()
    await gateway.send("PUT", f"/collections/{name}", SHAPES[shape])
    before = await seen(gateway, name, version)
    for vector in [v for v in before.vectors if v.kind != "sparse"]:
        for kind in KINDS:
            change, undo = storage.patch(before, vector, kind)
            if storage.closed(kind, vector, version):
                if server.real:
                    with pytest.raises(ClusterError, match="did not match any variant"):
                        await gateway.send("PATCH", f"/collections/{name}", change)
                continue
            await gateway.send("PATCH", f"/collections/{name}", change)
            changed = await seen(gateway, name, version)
            now = {v.name: storage.present(changed, v) for v in changed.vectors}
            assert storage.kind_of(now.pop(vector.name)) == kind
            assert now == {v.name: storage.present(before, v) for v in before.vectors if v.name != vector.name}
            await gateway.send("PATCH", f"/collections/{name}", undo)
            assert (await seen(gateway, name, version)).config == before.config, kind
