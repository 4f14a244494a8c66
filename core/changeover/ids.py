"""The order of point ids, as Qdrant scrolls them: integers ascending, then UUIDs by value."""

from __future__ import annotations

from uuid import UUID

from changeover.survey.model import PointId


def id_key(point_id: PointId) -> bytes:
    """Seventeen bytes that sort like Qdrant's ids: a kind byte, then the value big-endian.

    Raises ValueError for a negative integer, one of 65 bits, or a text that is no UUID.
    """
    if isinstance(point_id, int):
        if not 0 <= point_id < 1 << 64:
            raise ValueError(f"{point_id} is no point id: integers are 0 to 2^64-1")
        return b"\x00" + point_id.to_bytes(16, "big")
    return b"\x01" + UUID(point_id).bytes


def from_key(key: bytes) -> PointId:
    """The id of a key made by `id_key`."""
    return int.from_bytes(key[1:], "big") if key[0] == 0 else str(UUID(bytes=key[1:]))


def successor(point_id: PointId) -> PointId | None:
    """The next possible id in order, or None after the last UUID."""
    key = int.from_bytes(id_key(point_id)[1:], "big") + 1
    if isinstance(point_id, int):
        return key if key < 1 << 64 else str(UUID(int=0))
    return str(UUID(int=key)) if key < 1 << 128 else None
