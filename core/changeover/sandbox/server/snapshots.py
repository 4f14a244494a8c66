"""Snapshots: every point with its vectors and payload in a file; made and listed, not recovered, by the sandbox."""

from __future__ import annotations

import gzip
import hashlib
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import qdrant_edge as edge

from changeover.sandbox.server.calls import Call
from changeover.sandbox.server.cluster import PEER_ID
from changeover.sandbox.server.collection import Collection, write_json
from changeover.sandbox.server.convert import records
from changeover.sandbox.server.refusals import Refused

PAGE = 256
_writing = threading.Lock()


def create(call: Call) -> dict[str, Any]:
    """POST /collections/{c}/snapshots: JSON lines, gzipped, the configuration first."""
    collection = call.collection
    folder = _folder(collection)
    folder.mkdir(exist_ok=True)
    with _writing, collection.lock:
        path = _free_name(folder, collection.name)
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(orjson.dumps({"name": collection.name, "config": collection.config}) + b"\n")
            offset = None
            while True:
                found, offset = _page(collection, offset)
                for one in records(found):
                    file.write(orjson.dumps(one, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
                if offset is None:
                    break
        description = {
            "name": path.name,
            "creation_time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "size": path.stat().st_size,
            "checksum": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        write_json(path.with_suffix(".json"), description)
    return description


def listed(call: Call) -> list[dict[str, Any]]:
    """GET /collections/{c}/snapshots."""
    folder = _folder(call.collection)
    return [orjson.loads(file.read_bytes()) for file in sorted(folder.glob("*.json"))]


def delete(call: Call) -> bool:
    """DELETE /collections/{c}/snapshots/{snapshot}."""
    name = call.path["snapshot"]
    path = _folder(call.collection) / Path(name).name
    if not path.exists():
        raise Refused(404, f"Not found: Snapshot {name} not found")
    path.with_suffix(".json").unlink(missing_ok=True)
    path.unlink()
    return True


def _page(collection: Collection, offset: Any) -> tuple[list[Any], Any]:
    request = edge.ScrollRequest(offset=offset, limit=PAGE, with_payload=True, with_vector=True)
    page: tuple[list[Any], Any] = collection.read(lambda shard: shard.scroll(request))
    return page


def _folder(collection: Collection) -> Path:
    return collection.directory / "snapshots"


def _free_name(folder: Path, collection: str) -> Path:
    """The servers' form of the name; it holds the second, so a second one waits for the next."""
    while True:
        stamp = datetime.now(UTC).strftime("%Y-%m-%d-%H-%M-%S")
        path = folder / f"{collection}-{PEER_ID}-{stamp}.snapshot"
        if not path.exists():
            return path
        time.sleep(0.1)
