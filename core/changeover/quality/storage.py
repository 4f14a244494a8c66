"""Quantizations of a stored vector: the request that asks for each, who takes it, and how many bytes it searches in.

The originals stay whatever the quantization, so every change here is undone by another PATCH. Measured on 1.17.1,
1.18.3 and 1.19.0, sent for the collection and for one vector, named and unnamed, of float32, float16, uint8 and several
vectors per point: all take scalar, product and binary with every encoding and answer exactly what was sent; `turbo` is
400 `did not match any variant of untagged enum QuantizationConfigDiff` on 1.17.1, and `bits8` is that on all three.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from changeover.cluster.capabilities import TABLE, Feature, supports
from changeover.decision.answers import QuantizationKind, QueryEncoding
from changeover.errors import UsageError
from changeover.survey.model import Survey, Vector

Config = dict[str, Any]
"""A `quantization_config` as REST has it."""
Body = dict[str, Any]
"""The body of `PATCH /collections/{name}`."""

DISABLED = "Disabled"
"""In place of a `quantization_config` it takes one away; for one vector the collection's counts again (measured)."""
QUANTILE = 0.99
BINARY_FROM = 1024
"""Numbers under which Qdrant's documentation advises against one bit for each."""
PLACEMENT = ("always_ram", "memory")
"""Where quantized vectors are kept; `memory` counts from 1.19 on and is dropped silently before (measured)."""
NUMBER_BYTES = {"float32": 4.0, "float16": 2.0, "uint8": 1.0, "turbo4": 0.5, "turbo8": 1.0, "turbo16": 2.0}


class _Kind(NamedTuple):
    config: Config
    bits: float
    """Bits that a number takes, before whole bytes."""
    needs: Feature | None = None


KINDS: dict[QuantizationKind, _Kind] = {
    "scalar": _Kind({"scalar": {"type": "int8", "quantile": QUANTILE}}, 8),
    "product-x4": _Kind({"product": {"compression": "x4"}}, 8),
    "product-x8": _Kind({"product": {"compression": "x8"}}, 4),
    "product-x16": _Kind({"product": {"compression": "x16"}}, 2),
    "product-x32": _Kind({"product": {"compression": "x32"}}, 1),
    "product-x64": _Kind({"product": {"compression": "x64"}}, 0.5),
    "binary": _Kind({"binary": {}}, 1),
    "binary-1.5": _Kind({"binary": {"encoding": "one_and_half_bits"}}, 1.5, "binary_encodings"),
    "binary-2": _Kind({"binary": {"encoding": "two_bits"}}, 2, "binary_encodings"),
    "turbo-1": _Kind({"turbo": {"bits": "bits1"}}, 1, "turbo_quantization"),
    "turbo-1.5": _Kind({"turbo": {"bits": "bits1_5"}}, 1.5, "turbo_quantization"),
    "turbo-2": _Kind({"turbo": {"bits": "bits2"}}, 2, "turbo_quantization"),
    "turbo-4": _Kind({"turbo": {"bits": "bits4"}}, 4, "turbo_quantization"),
    "turbo-8": _Kind({"turbo": {"bits": "bits8"}}, 8, "turbo_bits8"),
}
"""Every kind but "none"."""


def config_of(
    kind: QuantizationKind, *, query_encoding: QueryEncoding | None = None, always_ram: bool | None = None
) -> Config | None:
    """The `quantization_config` of a kind, None for "none"; raises UsageError for a query encoding that is not binary's."""
    if query_encoding not in (None, "default") and not _binary(kind):
        raise UsageError(
            f"quantization.query_encoding {query_encoding}: only binary quantization has one, and quantization.kind"
            f" is {kind}; leave it out"
        )
    if kind == "none":
        return None
    config = copy.deepcopy(KINDS[kind].config)
    options = next(iter(config.values()))
    if query_encoding not in (None, "default"):
        options["query_encoding"] = query_encoding
    if always_ram is not None:
        options["always_ram"] = always_ram
    return config


def kind_of(config: Config | None) -> QuantizationKind | None:
    """The kind of a `quantization_config` as a server answers it; None for one that is not known here.

    A binary one without encoding has one bit; a turbo one without bits has 4 (server source).
    """
    if not config:
        return "none"
    family, options = next(iter(config.items()))
    options = options or {}
    return next((kind for kind, known in KINDS.items() if _same(known.config, family, options)), None)


def present(survey: Survey, vector: Vector) -> Config | None:
    """The quantization that counts for the vector now: its own, else the collection's; None without any."""
    if vector.kind == "sparse":
        return None
    found: Config | None = vector.params.get("quantization_config") or survey.config.get("quantization_config")
    return found or None


def closed(kind: QuantizationKind, vector: Vector, version: str, query_encoding: QueryEncoding | None = None) -> str:
    """Why a server of this version cannot give the vector this quantization, in words; "" when it can."""
    if vector.kind == "sparse":
        return "Sparse vectors are not quantized; only dense vectors and multivectors are."
    if kind == "none":
        return ""
    needs = KINDS[kind].needs
    if query_encoding not in (None, "default") and _binary(kind):
        needs = needs or "binary_encodings"
    if needs is None or supports(needs, version):
        return ""
    since = ".".join(map(str, TABLE[needs].since))
    return f"{kind} needs servers from {since} on; this cluster has {version}."


def caution(kind: QuantizationKind, vector: Vector) -> str:
    """What speaks against a kind that is open, in words; "" for nothing."""
    size = vector.size or 0
    if _binary(kind) and 0 < size < BINARY_FROM:
        return (
            f"Binary quantization suits vectors of {BINARY_FROM} numbers and more; these have {size}, so expect to need"
            " more oversampling, and measure it."
        )
    if kind.startswith("product"):
        return "Product quantization is slow to build and slow to search; scalar or turbo often keep more for as many bytes."
    if kind != "none" and vector.datatype not in (None, "float32", "float16"):
        return f"The stored vectors are {vector.datatype} already: rescoring compares with those, not with the model's numbers."
    return ""


def bytes_per_vector(kind: QuantizationKind, vector: Vector) -> int:
    """Bytes that searches touch for one vector (of a multivector: for one token), the graph not counted.

    As the server lays them out (source of 1.19.0, and the sizes of the core's files; 384 numbers: scalar 388, binary 48,
    1.5 bits 80, turbo-4 200).
    """
    size = vector.size or 0
    if kind == "none":
        return math.ceil(size * NUMBER_BYTES.get(vector.datatype or "float32", 4.0))
    bits = KINDS[kind].bits
    if kind == "scalar":
        return _up(size, 16) + 4
    if kind.startswith("product"):
        return math.ceil(size / (8 / bits))
    if _binary(kind):
        wide = math.ceil(size * bits)
        return _up(wide, _word(wide) if vector.kind == "multi" else 128) // 8
    # Turbo: packed to whole bytes, then a scale, for Euclid the length, and under 8 bits a correction.
    packed = math.ceil((size * 3 // 2 if bits == 1.5 else size * bits) / 8)
    return packed + 4 + 4 * (vector.distance == "Euclid") + 4 * (bits < 8)


def patch(
    survey: Survey,
    vector: Vector,
    kind: QuantizationKind,
    *,
    query_encoding: QueryEncoding | None = None,
    always_ram: bool | None = None,
) -> tuple[Body, Body]:
    """Bodies of the PATCH that changes the vector's quantization and of the one that brings the former back exactly.

    The vector's own configuration is changed where it has one or where the collection has several vectors; else the
    collection's (`level`). Options that were not asked for stay as they are. The two bodies are equal when there is
    nothing to change. Raises UsageError as `config_of` does.
    """
    former = present(survey, vector)
    wanted = _wanted(former, kind, query_encoding, always_ram)
    if wanted is None:
        return _without(survey, vector)
    own = vector.params.get("quantization_config")
    if level(survey, vector) == "collection":
        return {"quantization_config": wanted}, {"quantization_config": former or DISABLED}
    if own is None and wanted == former:
        return {"quantization_config": wanted}, {"quantization_config": wanted}
    return _own({vector.name: wanted}), _own({vector.name: own or DISABLED})


def in_force(config: Mapping[str, Any], change: Body, former: Body) -> Body | None:
    """Which of the two bodies of `patch` a collection is stored by now; None when by neither.

    `config` is the collection's as servers answer it. Values that a body does not name do not count; where both fit, the
    one that names more is meant.
    """
    return max((body for body in (change, former) if _asked_for(config, body)), key=_values, default=None)


def level(survey: Survey, vector: Vector) -> str:
    """Which configuration `patch` changes: "collection", or "vector" where others must not follow."""
    alone = not _others(survey, vector) and not vector.params.get("quantization_config")
    return "collection" if alone else "vector"


def _without(survey: Survey, vector: Vector) -> tuple[Body, Body]:
    """No quantization: where the collection has one it goes, and the other vectors get it as their own."""
    own, whole = vector.params.get("quantization_config"), survey.config.get("quantization_config")
    change: Body = {"quantization_config": DISABLED} if whole or not own else {}
    undo: Body = {"quantization_config": whole or DISABLED} if whole or not own else {}
    mine = {vector.name: DISABLED} if own else {}
    following = [other.name for other in _others(survey, vector) if not other.params.get("quantization_config")]
    kept = dict.fromkeys(following, whole) if whole else {}
    if mine or kept:
        change |= _own({**mine, **kept})
        undo |= _own({**({vector.name: own} if own else {}), **dict.fromkeys(kept, DISABLED)})
    return change, undo


def _wanted(
    former: Config | None, kind: QuantizationKind, query_encoding: QueryEncoding | None, always_ram: bool | None
) -> Config | None:
    """The new configuration: where quantized vectors are kept stays, and every option of a kind that stays."""
    fresh = config_of(kind, query_encoding=query_encoding, always_ram=always_ram)
    if fresh is None or not former:
        return fresh
    family, options = next(iter(fresh.items()))
    before = next(iter(former.values())) or {}
    same = kind_of(former) == kind
    answered = (PLACEMENT if always_ram is not None else ()) + (("query_encoding",) if query_encoding else ())
    stays = {key: before[key] for key in (before if same else PLACEMENT) if key in before and key not in answered}
    asked = {key: options[key] for key in ("query_encoding", "always_ram") if key in options}
    return {family: {**({} if same else options), **stays, **asked}}


def _asked_for(config: Mapping[str, Any], body: Body) -> bool:
    """Whether the configuration has everything that this body of a PATCH asks for."""
    stored = config["params"].get("vectors") or {}
    named = {"": stored} if "size" in stored else stored
    levels = [(config, body), *((named.get(name) or {}, wanted) for name, wanted in body.get("vectors", {}).items())]
    return all(_holds(there.get("quantization_config"), wanted.get("quantization_config")) for there, wanted in levels)


def _holds(there: Any, wanted: Any) -> bool:
    if wanted is None:
        return True
    if wanted == DISABLED:
        return not there
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(_holds(there.get(key), value) for key, value in wanted.items())
    return bool(there == wanted)


def _values(body: Any) -> int:
    return sum(map(_values, body.values())) if isinstance(body, Mapping) else 1


def _same(known: Config, family: str, options: dict[str, Any]) -> bool:
    if family not in known:
        return False
    if family == "binary":
        return bool(known[family].get("encoding", "one_bit") == (options.get("encoding") or "one_bit"))
    if family == "turbo":
        return bool(known[family]["bits"] == (options.get("bits") or "bits4"))
    return family == "scalar" or bool(known[family] == {"compression": options.get("compression")})


def _others(survey: Survey, vector: Vector) -> list[Vector]:
    return [other for other in survey.vectors if other.kind != "sparse" and other.name != vector.name]


def _own(configs: dict[str, Any]) -> Body:
    return {"vectors": {name: {"quantization_config": config} for name, config in configs.items()}}


def _binary(kind: QuantizationKind) -> bool:
    return kind.startswith("binary")


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


def _word(bits: int) -> int:
    """Bits that the tokens of a binary multivector are rounded up to (server source)."""
    return next((8 * width for least, width in ((128, 16), (64, 8), (32, 4)) if bits > least), 8)
