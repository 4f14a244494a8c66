"""What the sandbox does differently as each server generation: one row a generation, from calls recorded on real servers."""

from __future__ import annotations

import msgspec

from changeover.errors import UsageError

PLAIN_TYPES = ("float32", "float16", "uint8")
TURBO_BITS = ("bits1", "bits1_5", "bits2", "bits4")


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """One server generation; every flag was measured on the version named, on a single node."""

    version: str
    commit: str
    adds_vectors: bool
    """PUT and DELETE /collections/{c}/vectors/{v}; otherwise 404 with an empty body."""
    reports_memory: bool
    """GET /collections/{c}/memory; otherwise 404 with an empty body."""
    has_quotas: bool
    """GET /quotas; otherwise 404 with an empty body."""
    knows_slices: bool
    """The `slice` filter condition; otherwise 400."""
    turbo_bits: tuple[str, ...]
    """Sizes of TurboQuant quantization; 400 for any other, and for all of it where there are none."""
    datatypes: tuple[str, ...]
    """Of stored vectors. `turbo4` stands in the API of 1.18.3, and its core panicked: here it is refused."""
    scores_text: bool
    """A query by the words of a scored text index; otherwise 400, and `scoring` of an index is dropped (measured)."""
    keeps_stale_vectors: bool
    """An upsert keeps the vectors and the payload that it omits when the point sits in an optimised segment."""
    names_vector_of_wrong_size: bool
    """The refusal of a wrongly sized vector in an upsert names the vector."""
    lists_slow_updates: bool
    """/profiler/slow_requests listed the index and vector-name updates of the recorded sequence."""
    too_large: str
    """What stands before the refusal of too large a body."""
    standalone: tuple[int, str]
    """Status and text of the refusal to create a shard key on a single node."""


GENERATIONS: dict[str, Generation] = {
    "1.17": Generation(
        version="1.17.1",
        commit="eabee371fda447974a94d29fbaa675a6a596cc7b",
        adds_vectors=False,
        reports_memory=False,
        has_quotas=False,
        knows_slices=False,
        turbo_bits=(),
        datatypes=PLAIN_TYPES,
        scores_text=False,
        keeps_stale_vectors=True,
        names_vector_of_wrong_size=False,
        lists_slow_updates=True,
        too_large="Payload error: ",
        standalone=(400, "Bad request: Distributed mode disabled"),
    ),
    "1.18": Generation(
        version="1.18.3",
        commit="db8fa43fcb6aedec1e739487e17a99731b74590a",
        adds_vectors=True,
        reports_memory=True,
        has_quotas=False,
        knows_slices=False,
        turbo_bits=TURBO_BITS,
        datatypes=PLAIN_TYPES,
        scores_text=False,
        keeps_stale_vectors=True,
        names_vector_of_wrong_size=True,
        lists_slow_updates=True,
        too_large="",
        standalone=(400, "Bad request: Distributed mode disabled"),
    ),
    "1.19": Generation(
        version="1.19.0",
        commit="74f3e85b9473c62560006c043e13737ce6b48412",
        adds_vectors=True,
        reports_memory=True,
        has_quotas=True,
        knows_slices=True,
        turbo_bits=TURBO_BITS,
        datatypes=(*PLAIN_TYPES, "turbo4"),
        scores_text=False,
        keeps_stale_vectors=False,
        names_vector_of_wrong_size=True,
        lists_slow_updates=False,
        too_large="",
        standalone=(405, "Qdrant is running in standalone mode"),
    ),
}

GENERATIONS["1.20"] = msgspec.structs.replace(
    GENERATIONS["1.19"],
    version="1.20.0",
    commit="0" * 40,
    scores_text=True,
    turbo_bits=(*TURBO_BITS, "bits8"),
    datatypes=(*PLAIN_TYPES, "turbo4", "turbo8", "turbo16"),
)
"""Not measured on a server: 1.19 with what the core and the client of 1.20 add."""


def generation(name: str) -> Generation:
    """The row of a generation such as "1.18"; UsageError for one that the sandbox does not know."""
    if name not in GENERATIONS:
        raise UsageError(f"The sandbox knows no server generation {name!r}; choose one of {', '.join(GENERATIONS)}.")
    return GENERATIONS[name]
