"""Hashes of text and payload: what the ledger remembers of the state that a vector was made from."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import orjson


def text_hash(text: str) -> bytes:
    """Sixteen bytes over the text as it is embedded."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def payload_hash(payload: dict[str, Any]) -> bytes:
    """Sixteen bytes over the payload with sorted keys; equal for both transports."""
    return blake2b(orjson.dumps(payload, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()
