"""What which server version can do; the lowest version of all peers counts. Facts measured or from server source."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

Version = tuple[int, int, int]

Feature = Literal[
    "add_vector",
    "add_vector_safe",
    "drop_vector",
    "drop_vector_safe",
    "update_mode",
    "update_filter",
    "has_vector",
    "slice_condition",
    "optimizations",
    "metadata",
    "memory_report",
    "quotas",
    "shard_keys_list",
    "query_api",
    "server_bm25",
    "text_scoring",
    "drops_stale_vectors",
    "random_sample",
    "turbo_quantization",
    "turbo_bits8",
    "binary_encodings",
    "legacy_search",
]


class Capability(NamedTuple):
    """From which version on, what happens without it, and from which version on it is gone again."""

    since: Version
    otherwise: str
    until: Version | None = None


TABLE: dict[Feature, Capability] = {
    "add_vector": Capability((1, 18, 0), "404 with an empty body (measured on 1.17.1)"),
    "add_vector_safe": Capability((1, 18, 1), "1.18.0 can drop a fresh vector in an optimization under way"),
    "drop_vector": Capability((1, 18, 0), "404 with an empty body"),
    "drop_vector_safe": Capability((1, 19, 0), "whole points can be lost after a crash (measured on 1.18.3)"),
    "update_mode": Capability((1, 17, 0), "ignored silently: insert-only overwrites"),
    "update_filter": Capability((1, 16, 0), "ignored silently: every point is written"),
    "has_vector": Capability((1, 13, 0), "unknown condition"),
    "slice_condition": Capability((1, 19, 0), "400 (measured on 1.18.3)"),
    "optimizations": Capability((1, 17, 0), "another shape or 404"),
    "metadata": Capability((1, 16, 0), "ignored silently"),
    "memory_report": Capability((1, 18, 0), "404 (measured on 1.17.1)"),
    "quotas": Capability((1, 19, 0), "404"),
    "shard_keys_list": Capability((1, 16, 0), "404"),
    "query_api": Capability((1, 10, 0), "404"),
    "server_bm25": Capability((1, 15, 2), "inference error"),
    "text_scoring": Capability((1, 20, 0), "unknown parameter"),
    "drops_stale_vectors": Capability((1, 19, 0), "an upsert can leave a stale vector (measured on 1.18.3)"),
    "random_sample": Capability((1, 11, 0), "400"),
    "turbo_quantization": Capability((1, 18, 0), "400 (measured on 1.17.1)"),
    "turbo_bits8": Capability((1, 20, 0), "400 (measured on 1.19.0)"),
    "binary_encodings": Capability((1, 15, 0), "ignored silently: one bit, and queries of one bit"),
    "legacy_search": Capability((1, 0, 0), "no part of the API; 1.19.0 still answers (measured)", (1, 19, 0)),
}


def parse_version(text: str) -> Version:
    """`"1.18.3-dev"` -> (1, 18, 3); what is missing is 0. Raises ValueError for a text that is no version."""
    match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no server version")
    return int(match[1]), int(match[2]), int(match[3] or 0)


def lowest(versions: Iterable[str]) -> str:
    """The lowest of several versions; raises ValueError for none."""
    return min(versions, key=parse_version)


def supports(feature: Feature, version: str) -> bool:
    """Whether a server of this version can do it."""
    capability, asked = TABLE[feature], parse_version(version)
    return asked >= capability.since and (capability.until is None or asked < capability.until)


class Capabilities(NamedTuple):
    """What all servers of a cluster can do together."""

    version: str
    """The lowest of their versions."""
    highest: str

    @classmethod
    def of(cls, *versions: str) -> Capabilities:
        """From the versions of all peers."""
        return cls(lowest(versions), max(versions, key=parse_version))

    def supports(self, feature: Feature) -> bool:
        """Whether every server can do it."""
        return supports(feature, self.version) and supports(feature, self.highest)
