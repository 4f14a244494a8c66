"""The hot path over REST: httpx and orjson, no models in between."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import orjson

from changeover.cluster.address import Address
from changeover.cluster.api import Column, Filter, Page
from changeover.cluster.errors import Action, ClusterError, classify, foreign_answer, from_exception, wait_timeout
from changeover.cluster.gateway import segment, select_vectors
from changeover.survey.model import PointId, ShardKey

TIMEOUT_S = 120.0
BODY_BYTES = 30 * 1024 * 1024
"""Larger bodies are not sent: a server takes 32 MiB unless it is told otherwise (recorded answer, 400)."""
NUMPY = orjson.OPT_SERIALIZE_NUMPY


class RestPage:
    """One page; rows are the decoded JSON of the answer."""

    def __init__(self, rows: list[dict[str, Any]], following: PointId | None) -> None:
        self._rows = rows
        self.ids: Sequence[PointId] = [row["id"] for row in rows]
        self.next = following

    def payload(self, row: int) -> dict[str, Any]:
        """The payload of a row; {} when there is none."""
        return self._rows[row].get("payload") or {}

    def has_vector(self, row: int, name: str) -> bool:
        """Whether the point has that vector ("" for the unnamed one)."""
        return self.vector(row, name) is not None

    def vector(self, row: int, name: str) -> Any:
        """The vector as JSON, or None."""
        vectors = self._rows[row].get("vector")
        if isinstance(vectors, dict):
            return vectors.get(name)
        return vectors if name == "" else None


class RestWire:
    """The Wire protocol over REST. Thread-safe."""

    transport = "rest"

    def __init__(self, address: Address, streams: int) -> None:
        self._address = address
        self._shard: dict[str, Any] = {}
        self._client = httpx.Client(
            base_url=address.url,
            headers={"api-key": address.key} if address.key else {},
            timeout=httpx.Timeout(TIMEOUT_S, connect=10.0),
            limits=httpx.Limits(max_connections=2 * streams + 4, max_keepalive_connections=2 * streams + 4),
        )

    def of(self, shard_key: ShardKey) -> RestWire:
        """The points of one shard key; see Wire."""
        part = copy.copy(self)
        part._shard = {"shard_key": shard_key}
        return part

    def __repr__(self) -> str:
        return f"RestWire({self._address.url})"

    def scroll(
        self,
        name: str,
        *,
        start: PointId | None,
        limit: int,
        payload: bool | Sequence[str] = True,
        vectors: Sequence[str] = (),
        filter: Filter | None = None,
    ) -> RestPage:
        """Points from `start` on, in id order."""
        body: dict[str, Any] = {
            "limit": limit,
            "with_payload": payload if isinstance(payload, bool) else list(payload),
            "with_vector": select_vectors(vectors) if vectors else False,
        }
        body |= {"offset": start} if start is not None else {}
        body |= {"filter": filter} if filter is not None else {}
        body |= self._shard
        result = self._send("POST", f"/collections/{segment(name)}/points/scroll", orjson.dumps(body))
        return RestPage(result["points"], result.get("next_page_offset"))

    def upsert(
        self,
        name: str,
        page: Page,
        rows: Sequence[int],
        new: Mapping[str, Column],
        *,
        carry: Mapping[str, str] | None = None,
        insert_only: bool = False,
    ) -> None:
        """Whole points; see Wire."""
        from changeover.cluster.vectors import as_json, rows_with

        if not rows:
            return
        ids = [page.ids[row] for row in rows]
        fresh = rows_with(new, ids)
        points = []
        for position, row in enumerate(rows):
            vectors: dict[str, Any] = {}
            for source, target in (carry or {}).items():
                carried = page.vector(row, source)
                if carried is not None:
                    vectors[target] = carried
            vectors |= {name: as_json(value) for name, value in fresh[position].items()}
            # A point whose only vector is the unnamed one is sent in the plain form.
            vector = vectors[""] if list(vectors) == [""] else vectors
            points.append({"id": ids[position], "payload": page.payload(row), "vector": vector})
        body: dict[str, Any] = {"points": points}
        body |= {"update_mode": "insert_only"} if insert_only else {}
        self._write("PUT", f"/collections/{segment(name)}/points?wait=true", body)

    def update_vectors(
        self, name: str, ids: Sequence[PointId], new: Mapping[str, Column], *, only_absent: bool = False
    ) -> None:
        """Vectors of existing points; see Wire."""
        from changeover.cluster.vectors import as_json, rows_with

        points = [
            {"id": point, "vector": {target: as_json(value) for target, value in vectors.items()}}
            for point, vectors in zip(ids, rows_with(new, ids), strict=True)
            if vectors
        ]
        if not points:
            return
        body: dict[str, Any] = {"points": points}
        body |= {"update_filter": {"must_not": [{"has_vector": target} for target in new]}} if only_absent else {}
        self._write("PUT", f"/collections/{segment(name)}/points/vectors?wait=true", body)

    def delete(self, name: str, ids: Sequence[PointId]) -> None:
        """Delete points by id."""
        if not ids:
            return
        self._write("POST", f"/collections/{segment(name)}/points/delete?wait=true", {"points": list(ids)})

    def delete_vectors(self, name: str, ids: Sequence[PointId], vectors: Sequence[str]) -> None:
        """Take vectors away from points."""
        if ids:
            body = {"points": list(ids), "vector": list(vectors)}
            self._write("POST", f"/collections/{segment(name)}/points/vectors/delete?wait=true", body)

    def clear_payload(self, name: str, ids: Sequence[PointId]) -> None:
        """Take the payload away from points."""
        if ids:
            self._write("POST", f"/collections/{segment(name)}/points/payload/clear?wait=true", {"points": list(ids)})

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _write(self, method: str, path: str, body: dict[str, Any]) -> None:
        where = f"{method} {path.partition('?')[0]}"
        content = orjson.dumps(body | self._shard, option=NUMPY)
        if len(content) > BODY_BYTES and len(body.get("points", ())) > 1:
            raise ClusterError(
                f"{where}: {len(content):,} bytes are too many for one request", Action.SPLIT, where=where
            )
        status = (self._send(method, path, content) or {}).get("status")
        if status == "wait_timeout":
            raise wait_timeout(where)
        if status != "completed":
            raise ClusterError(f"{where}: answered {status} instead of completed", Action.RETRY, where=where)

    def _send(self, method: str, path: str, content: bytes) -> Any:
        where = f"{method} {path.partition('?')[0]}"
        try:
            answer = self._client.request(method, path, content=content, headers={"content-type": "application/json"})
        except httpx.HTTPError as error:
            raise from_exception(error, where) from None
        if answer.status_code >= 300:
            raise classify(answer.status_code, answer.content, answer.headers, where)
        try:
            return orjson.loads(answer.content)["result"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise foreign_answer(where) from None
