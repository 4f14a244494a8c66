"""Single requests over qdrant-client's async REST transport; the body goes out exactly as given."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from changeover.cluster.address import Address
from changeover.cluster.api import Filter, Hit, Optimizations, Part, Point, Query
from changeover.cluster.capabilities import parse_version
from changeover.cluster.errors import Action, ClusterError, from_exception, wait_timeout
from changeover.errors import UsageError
from changeover.survey.model import PointId, ShardKey

TIMEOUT_S = 60.0
"""qdrant-client's own default of 5 s gives up while the server goes on (measured)."""
CONNECT_S = 10.0
FUSED = 5
"""Points that each part of a fused search brings, times those asked for."""


class QdrantGateway:
    """The Gateway protocol on qdrant-client; imported on first use of a cluster (1.2 s)."""

    def __init__(self, address: Address) -> None:
        from qdrant_client import AsyncQdrantClient

        self._address = address
        with warnings.catch_warnings():
            # A key over http is a finding of ours (clear-text-key), not a warning in the middle of a screen.
            warnings.simplefilter("ignore", UserWarning)
            self._client = AsyncQdrantClient(
                url=address.url, api_key=address.key, timeout=int(TIMEOUT_S), check_compatibility=False
            )
        self._version: str | None = None
        self.inexact_counts: set[str] = set()
        """Names of collections whose strict mode forbids exact counts; approximate ones were taken."""

    def __repr__(self) -> str:
        return f"QdrantGateway({self._address.url})"

    async def version(self) -> str:
        """The server's version; raises ClusterError when something else answers."""
        if self._version is None:
            answer = await self._request("GET", "/", None, None)
            try:
                title, version = str(answer["title"]), str(answer["version"])
                parse_version(version)
            except (KeyError, TypeError, ValueError):
                title, version = "", ""
            if "qdrant" not in title.lower():
                raise ClusterError("something answers here, but it is not Qdrant", Action.STOP)
            self._version = version
        return self._version

    async def send(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = None) -> Any:
        """Send one REST request, once; `path` is already percent-encoded. Returns `result`."""
        answer = await self._request(method, path, body, timeout_s)
        result = answer.get("result") if isinstance(answer, dict) else answer
        if isinstance(result, dict) and result.get("status") == "wait_timeout":
            raise wait_timeout(f"{method} {path.partition('?')[0]}")
        return result

    async def _request(self, method: str, path: str, body: Any, timeout_s: float | None) -> Any:
        import httpx

        where = f"{method} {path.partition('?')[0]}"
        whole = timeout_s or TIMEOUT_S
        options: dict[str, Any] = {"timeout": httpx.Timeout(whole, connect=min(whole, CONNECT_S))}
        if body is not None:
            options |= {"content": orjson.dumps(body), "headers": {"content-type": "application/json"}}
        try:
            # The transport formats braces in the path, so they are doubled.
            url = path.replace("{", "{{").replace("}", "}}")
            return await self._client.http.client.request(type_=Any, method=method, url=url, **options)
        except Exception as error:
            raise from_exception(error, where) from None

    async def collections(self) -> tuple[str, ...]:
        """Names of all collections, sorted."""
        result = await self.send("GET", "/collections")
        return tuple(sorted(c["name"] for c in result["collections"]))

    async def collection(self, name: str) -> dict[str, Any]:
        """`result` of GET /collections/{name}, unknown fields included."""
        result: dict[str, Any] = await self.send("GET", f"/collections/{segment(name)}")
        return result

    async def exists(self, name: str) -> bool:
        """Whether a collection or alias of that name exists."""
        return bool((await self.send("GET", f"/collections/{segment(name)}/exists"))["exists"])

    async def aliases(self) -> dict[str, str]:
        """Alias -> collection, all of them."""
        result = await self.send("GET", "/aliases")
        return {a["alias_name"]: a["collection_name"] for a in result["aliases"]}

    async def count(self, name: str, filter: Filter | None = None) -> int:
        """Exact; approximate where strict mode forbids exact counts (`Exact search disabled`)."""
        body: dict[str, Any] = {"exact": name not in self.inexact_counts}
        if filter is not None:
            body["filter"] = filter
        path = f"/collections/{segment(name)}/points/count"
        try:
            return int((await self.send("POST", path, body))["count"])
        except ClusterError as error:
            if "Exact search disabled" not in str(error):
                raise
        answer = int((await self.send("POST", path, {**body, "exact": False}))["count"])
        self.inexact_counts.add(name)
        return answer

    async def retrieve(
        self,
        name: str,
        ids: Sequence[PointId],
        *,
        payload: bool | Sequence[str] = True,
        vectors: bool | Sequence[str] = False,
    ) -> list[Point]:
        """The points of these ids that exist, in no promised order."""
        body = {"ids": list(ids), "with_payload": _select(payload), "with_vector": select_vectors(vectors)}
        return [point(row) for row in await self.send("POST", f"/collections/{segment(name)}/points", body)]

    async def scroll(
        self,
        name: str,
        *,
        limit: int,
        offset: PointId | None = None,
        payload: bool | Sequence[str] = True,
        vectors: bool | Sequence[str] = False,
        filter: Filter | None = None,
    ) -> tuple[list[Point], PointId | None]:
        """One page in id order and the id to go on from; a smaller page where strict mode limits queries."""
        body: dict[str, Any] = {
            "limit": limit,
            "with_payload": _select(payload),
            "with_vector": select_vectors(vectors),
        }
        body |= {"offset": offset} if offset is not None else {}
        body |= {"filter": filter} if filter is not None else {}
        result = await self._limited(f"/collections/{segment(name)}/points/scroll", body)
        return [point(row) for row in result["points"]], result.get("next_page_offset")

    async def sample(
        self,
        name: str,
        n: int,
        *,
        payload: bool | Sequence[str] = True,
        vectors: bool | Sequence[str] = False,
        shard_key: ShardKey | None = None,
    ) -> list[Point]:
        """About n random points (query `sample: random`, servers from 1.11); fewer where strict mode limits queries."""
        body = {
            "query": {"sample": "random"},
            "limit": n,
            "with_payload": _select(payload),
            "with_vector": select_vectors(vectors),
        }
        body |= {"shard_key": shard_key} if shard_key is not None else {}
        result = await self._limited(f"/collections/{segment(name)}/points/query", body)
        return [point(row) for row in result["points"]]

    async def _limited(self, path: str, body: dict[str, Any]) -> Any:
        """Ask again for as many as strict mode allows, when it says that they were too many."""
        try:
            return await self.send("POST", path, body)
        except ClusterError as error:
            allowed = re.search(r'Limit exceeded \d+ > (\d+) for "limit"', str(error))
            if allowed is None or int(allowed[1]) < 1:
                raise
        return await self.send("POST", path, {**body, "limit": int(allowed[1])})

    async def search(
        self,
        name: str,
        vector: Query,
        *,
        using: str = "",
        limit: int = 10,
        exact: bool = False,
        quantization: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> list[Hit]:
        """Nearest points without payload."""
        body = _asking(vector, using) | {"limit": limit, "with_payload": False}
        params: dict[str, Any] = {"exact": True} if exact else {}
        params |= {"quantization": dict(quantization)} if quantization is not None else {}
        body |= {"params": params} if params else {}
        return await self._hits(name, body, timeout_s)

    async def fused(self, name: str, parts: Sequence[Part], *, fusion: str = "rrf", limit: int = 10) -> list[Hit]:
        """Several searches fused by the server, each over five times as many points."""
        prefetch = [_asking(part.query, part.using) | {"limit": FUSED * limit} for part in parts]
        body = {"prefetch": prefetch, "query": {"fusion": fusion}, "limit": limit, "with_payload": False}
        return await self._hits(name, body, None)

    async def _hits(self, name: str, body: dict[str, Any], timeout_s: float | None) -> list[Hit]:
        result = await self.send("POST", f"/collections/{segment(name)}/points/query", body, timeout_s=timeout_s)
        return [Hit(id=hit["id"], score=hit["score"]) for hit in result["points"]]

    async def optimizations(self, name: str) -> Optimizations:
        """Colour and queue; the queue only where the optimizations endpoint exists (from 1.17)."""
        info = await self.collection(name)
        status = info.get("optimizer_status", "ok")
        error = str(status["error"]) if isinstance(status, dict) and status.get("error") else None
        try:
            now = await self.send("GET", f"/collections/{segment(name)}/optimizations")
            summary = now["summary"]
        except (ClusterError, KeyError, TypeError) as problem:
            if isinstance(problem, ClusterError) and problem.action is Action.RETRY:
                raise
            return Optimizations(color=info["status"], error=error)
        hidden = (info.get("config", {}).get("optimizer_config") or {}).get("prevent_unoptimized")
        return Optimizations(
            color=info["status"],
            error=error,
            queued=summary["queued_optimizations"],
            running=len(now["running"]),
            queued_points=summary.get("queued_points"),
            in_hand=None if hidden else _in_hand(now),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _in_hand(now: dict[str, Any]) -> int | None:
    try:
        worked_on = [part["points_count"] for running in now["running"] for part in running["segments"]]
        return int(now["summary"]["queued_points"] + sum(worked_on))
    except (KeyError, TypeError):
        return None


def _asking(query: Any, using: str) -> dict[str, Any]:
    """A query in plain JSON: the client's own encoder does not know arrays."""
    from changeover.cluster.vectors import as_json

    plain = as_json(query)
    if isinstance(plain, dict):
        plain = {key: value.tolist() if hasattr(value, "tolist") else value for key, value in plain.items()}
    elif hasattr(plain, "tolist"):
        plain = plain.tolist()
    else:
        plain = list(plain)
    return {"query": plain, **({"using": using} if using else {})}


def segment(name: str) -> str:
    """A name as one percent-encoded path segment; raises UsageError for an empty one."""
    if not name:
        raise UsageError("the name of a collection is empty; give one")
    # "." and ".." would be resolved as folders on the way.
    return name.replace(".", "%2E") if name in (".", "..") else quote(name, safe="")


def point(row: dict[str, Any]) -> Point:
    """A point of a REST answer; the unnamed vector of either shape is under ""."""
    vectors = row.get("vector")
    if vectors is not None and not isinstance(vectors, dict):
        vectors = {"": vectors}
    return Point(id=row["id"], payload=row.get("payload") or {}, vectors=vectors or {}, shard_key=row.get("shard_key"))


def select_vectors(vectors: bool | Sequence[str]) -> bool | list[str]:
    """`with_vector`: a list of names; the unnamed vector alone is asked for with true."""
    if isinstance(vectors, bool):
        return vectors
    return True if list(vectors) == [""] else list(vectors)


def _select(payload: bool | Sequence[str]) -> bool | list[str]:
    return payload if isinstance(payload, bool) else list(payload)
