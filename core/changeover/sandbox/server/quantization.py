"""Quantizations and datatypes of vectors: which of them a generation takes, and how the core is told."""

from __future__ import annotations

from typing import Any

import qdrant_edge as edge

from changeover.sandbox.server.generations import Generation
from changeover.sandbox.server.refusals import malformed

Document = dict[str, Any]

DATATYPES = {
    name.lower(): getattr(edge.VectorStorageDatatype, name)
    for name in ("Float32", "Float16", "Uint8", "Turbo4", "Turbo8", "Turbo16")
}
"""By name: the stubs of qdrant-edge-py 0.9.0 lack Turbo4, which is there."""
SCALARS = {"int8": edge.ScalarType.Int8}
COMPRESSIONS = {f"x{n}": getattr(edge.CompressionRatio, f"X{n}") for n in (4, 8, 16, 32, 64)}
TURBO_BITS = {
    None: None,
    "bits1": edge.TurboQuantBitSize.Bits1,
    "bits1_5": edge.TurboQuantBitSize.Bits1_5,
    "bits2": edge.TurboQuantBitSize.Bits2,
    "bits4": edge.TurboQuantBitSize.Bits4,
    "bits8": edge.TurboQuantBitSize.Bits8,
}
ENCODINGS = {
    None: None,
    "one_bit": edge.BinaryQuantizationEncoding.OneBit,
    "one_and_half_bits": edge.BinaryQuantizationEncoding.OneAndHalfBits,
    "two_bits": edge.BinaryQuantizationEncoding.TwoBits,
}
QUERY_ENCODINGS = {
    None: None,
    "default": edge.BinaryQuantizationQueryEncoding.Default,
    "binary": edge.BinaryQuantizationQueryEncoding.Binary,
    "scalar4bits": edge.BinaryQuantizationQueryEncoding.Scalar4Bits,
    "scalar8bits": edge.BinaryQuantizationQueryEncoding.Scalar8Bits,
}
FAMILIES = ("scalar", "product", "binary", "turbo")
DEFAULT_BITS = "bits4"
"""Of turbo without bits (server source)."""
CREATED = "data did not match any variant of untagged enum QuantizationConfig"
NO_VECTORS = "data did not match any variant of untagged enum VectorsConfig"


def check_created(body: Document, generation: Generation) -> None:
    """Refused where a create request's quantization, of the collection or of a vector, is none of the generation."""
    _check(body.get("quantization_config"), generation, CREATED)
    vectors = body.get("vectors") or {}
    for given in [vectors] if "size" in vectors else vectors.values():
        if isinstance(given, dict):
            _check(given.get("quantization_config"), generation, NO_VECTORS)


def check_patched(body: Document, generation: Generation, length: int) -> None:
    """The same for a PATCH of `length` bytes, which may also say "Disabled"."""
    detail = f"data did not match any variant of untagged enum QuantizationConfigDiff at line 1 column {length}"
    for given in (body, *(body.get("vectors") or {}).values()):
        if isinstance(given, dict) and given.get("quantization_config") != "Disabled":
            _check(given.get("quantization_config"), generation, detail)


def check_datatype(given: Any, generation: Generation) -> None:
    """Refused for a datatype that the generation does not have."""
    if given is not None and given not in generation.datatypes:
        raise malformed(NO_VECTORS)


def core_quantization(given: Document | None) -> Any:
    """A `quantization_config` as the core takes it; None for none."""
    if given is None:
        return None
    family = next(name for name in FAMILIES if name in given)
    options = given[family]
    in_memory = options.get("always_ram")
    if family == "scalar":
        return edge.ScalarQuantizationConfig(SCALARS[options["type"]], options.get("quantile"), in_memory)
    if family == "product":
        return edge.ProductQuantizationConfig(COMPRESSIONS[options["compression"]], in_memory)
    if family == "binary":
        encoding, asked = ENCODINGS[options.get("encoding")], QUERY_ENCODINGS[options.get("query_encoding")]
        return edge.BinaryQuantizationConfig(in_memory, encoding, asked)
    return edge.TurboQuantQuantizationConfig(in_memory, TURBO_BITS[options.get("bits")])


def _check(given: Any, generation: Generation, otherwise: str) -> None:
    """Refused for what the core does not take, and for what only the core of a later generation takes."""
    if given is None:
        return
    try:
        if "turbo" in given and (given["turbo"].get("bits") or DEFAULT_BITS) not in generation.turbo_bits:
            raise malformed(otherwise)
        core_quantization(given)
    except (AttributeError, KeyError, StopIteration, TypeError, ValueError, OverflowError) as error:
        raise malformed(otherwise) from error
