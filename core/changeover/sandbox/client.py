"""The application's search client, ready for both sides: it looks at what the collection behind the name offers.

When a request is refused because the vector name or the size is another now, it looks again and asks once more; that is
all an application needs to live through an alias swap.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import httpx
import msgspec

from changeover.errors import ChangeoverError, UsageError
from changeover.survey.model import PointId

RESULTS = 10
CANDIDATES = 50
"""Points that a part of a search hands on."""
STALE_OFFER = frozenset({400, 404, 422})
"""Statuses of a request that no longer fits the collection (seen on 1.17.1 to 1.19.0 for names and sizes)."""


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The sparse vector that is searched beside a dense one; the server makes it from the text by BM25."""

    using: str
    language: str
    average_length: float

    def document(self, text: str) -> dict[str, Any]:
        """The text as the server embeds it, for a point and for a query."""
        options = {"language": self.language, "avg_len": self.average_length}
        return {"text": text, "model": "qdrant/bm25", "options": options}


class Speaks(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A way to search: a model, and the vector name ("" if unnamed) that belongs to it."""

    model: str
    using: str
    dimension: int
    """Numbers of a vector; fewer than the model gives keep the leading ones."""
    tokens: bool = False
    """One vector per token; the dense vectors find the candidates that these put in order."""
    words: Words | None = None
    """Searched too, and fused by rank."""
    params: dict[str, Any] = {}
    """Search parameters, as the server takes them."""
    label: str = ""

    @property
    def said(self) -> str:
        """How the way is called in statistics."""
        return self.label or self.model

    @property
    def vectors(self) -> tuple[str, ...]:
        """Every vector name that it needs."""
        return (self.using,) if self.words is None else (self.using, self.words.using)


class Deploy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The application's configuration; a changed file is a deployment."""

    speaks: tuple[Speaks, ...]
    """Old first, new last."""
    prefer: Literal["old", "new", "auto"] = "auto"
    """old: the first only. auto: the first that the collection offers. new: the last that it offers."""
    writes: bool = True
    searches: bool = True


class RequestFailed(ChangeoverError):
    """A request that the server refused, or that never got an answer; one line."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(reason)


Numbers = list[float] | list[list[float]]
"""One vector, or one per token."""


class Encoder(Protocol):
    """What the client needs of a model."""

    def document(self, way: Speaks, text: str) -> Numbers:
        """The vector to store."""

    def query(self, way: Speaks, text: str) -> Numbers:
        """The vector to search with."""


def offered(info: Mapping[str, Any]) -> dict[str, int]:
    """Vector names and sizes of `GET /collections/NAME`'s result: the unnamed one is "", a sparse one has size 0."""
    params = info["config"]["params"]
    vectors = params.get("vectors") or {}
    named = {"": vectors} if "size" in vectors else vectors
    sizes = {name: parameters["size"] for name, parameters in named.items()}
    return {**sizes, **dict.fromkeys(params.get("sparse_vectors") or {}, 0)}


def usable(deploy: Deploy, offer: Mapping[str, int]) -> tuple[Speaks, ...]:
    """The spoken ways whose vectors the collection has, the one to search with first."""
    spoken = deploy.speaks[:1] if deploy.prefer == "old" else deploy.speaks
    fitting = tuple(
        one for one in spoken if offer.get(one.using) == one.dimension and all(name in offer for name in one.vectors)
    )
    return fitting[::-1] if deploy.prefer == "new" else fitting


class Client:
    """Searches and writes points through one name; used by several threads.

    What the collection offers is kept until a request is refused, so a vector added behind its back is not noticed
    (nor written) before the next deployment: as with an application that knows nothing of the migration.
    """

    def __init__(self, http: httpx.Client, name: str, deploy: Deploy, encoder: Encoder) -> None:
        self._http = http
        self._path = f"/collections/{name}"
        self._deploy = deploy
        self._encoder = encoder
        self._lock = threading.Lock()
        self._offer: dict[str, int] | None = None
        self.searching_with = ""
        """The way of the last search."""

    def search(self, text: str) -> tuple[list[PointId], float]:
        """Ids of the ten nearest points, and the seconds that the search request took."""
        found: tuple[list[PointId], float] = self._fitting(lambda offer: self._search(text, offer))
        return found

    def put(self, point: PointId, payload: Mapping[str, Any]) -> None:
        """Store a point with its payload and every vector that the application makes and the collection has."""
        self._fitting(lambda offer: self._put(point, payload, offer))

    def set_payload(self, point: PointId, fields: Mapping[str, Any]) -> None:
        """Change some payload fields and no vector."""
        self._call("POST", "/points/payload?wait=true", {"payload": dict(fields), "points": [point]})

    def delete(self, point: PointId) -> None:
        """Delete a point."""
        self._call("POST", "/points/delete?wait=true", {"points": [point]})

    def scroll(self) -> dict[PointId, dict[str, Any]]:
        """Every point's payload."""
        found: dict[PointId, dict[str, Any]] = {}
        offset: PointId | None = None
        while True:
            body = {"limit": 1000, "with_payload": True, "with_vector": False, "offset": offset}
            page = self._call("POST", "/points/scroll", body)
            found.update((point["id"], point.get("payload") or {}) for point in page["points"])
            offset = page.get("next_page_offset")
            if offset is None:
                return found

    def _fitting(self, work: Callable[[Mapping[str, int]], Any]) -> Any:
        """Run `work` with the offer; when it no longer fits, look at the collection again and run it once more."""
        offer = self._offer
        if offer is None:
            return work(self._look())
        try:
            return work(offer)
        except RequestFailed as failure:
            if failure.status not in STALE_OFFER:
                raise
        return work(self._look())

    def _look(self) -> dict[str, int]:
        offer = offered(self._call("GET", "", None))
        with self._lock:
            self._offer = offer
        return offer

    def _ways(self, offer: Mapping[str, int]) -> Sequence[Speaks]:
        ways = usable(self._deploy, offer)
        if not ways:
            has = ", ".join(f"{name or 'unnamed'} ({size})" for name, size in offer.items()) or "none"
            raise RequestFailed(f"The collection has none of this application's vectors; it has {has}.", 400)
        return ways

    def _search(self, text: str, offer: Mapping[str, int]) -> tuple[list[PointId], float]:
        ways = self._ways(offer)
        body = {**self._query(ways, text), "limit": RESULTS, "with_payload": False}
        started = time.perf_counter()
        response = self._send("POST", "/points/query", body)
        seconds = time.perf_counter() - started
        self.searching_with = ways[0].said
        points = msgspec.json.decode(response.content)["result"]["points"]
        return [point["id"] for point in points], seconds

    def _query(self, ways: Sequence[Speaks], text: str) -> dict[str, Any]:
        """The body for the first way; tokens order what the next dense way finds, words are fused with it by rank."""
        way = ways[0]
        part = self._part(way, text)
        first = next((one for one in ways if not one.tokens), None)
        if way.tokens and first is not None:
            return {**part, "prefetch": [{**self._part(first, text), "limit": CANDIDATES}]}
        if way.words is not None:
            words = {"query": way.words.document(text), "using": way.words.using, "limit": CANDIDATES}
            return {"prefetch": [{**part, "limit": CANDIDATES}, words], "query": {"fusion": "rrf"}}
        return part

    def _part(self, way: Speaks, text: str) -> dict[str, Any]:
        using = {"using": way.using} if way.using else {}
        params = {"params": way.params} if way.params else {}
        return {"query": self._encoder.query(way, text), **using, **params}

    def _put(self, point: PointId, payload: Mapping[str, Any], offer: Mapping[str, int]) -> None:
        vectors: dict[str, Any] = {}
        for way in self._ways(offer):
            if way.using not in vectors:
                vectors[way.using] = self._encoder.document(way, payload["text"])
            if way.words is not None:
                vectors[way.words.using] = way.words.document(payload["text"])
        vector = vectors[""] if set(vectors) == {""} else vectors
        body = {"points": [{"id": point, "payload": dict(payload), "vector": vector}]}
        self._call("PUT", "/points?wait=true", body)

    def _call(self, method: str, path: str, body: Any) -> Any:
        response = self._send(method, path, body)
        result = msgspec.json.decode(response.content)["result"]
        if path.endswith("wait=true") and result.get("status") != "completed":
            raise RequestFailed(f"{method} {path} ended as {result.get('status')}, not completed")
        return result

    def _send(self, method: str, path: str, body: Any) -> httpx.Response:
        content = None if body is None else msgspec.json.encode(body)
        try:
            response = self._http.request(
                method, self._path + path, content=content, headers={"Content-Type": "application/json"}
            )
        except httpx.TransportError as error:
            raise RequestFailed(f"{method} {path}: {type(error).__name__}") from error
        if not response.is_success:
            words = " ".join(response.text.split())[:200]
            raise RequestFailed(f"{method} {path}: {response.status_code} {words}", response.status_code)
        return response


def read_deploy(content: bytes, where: str) -> Deploy:
    """The configuration of a deploy file; UsageError in one line."""
    try:
        deploy = msgspec.json.decode(content, type=Deploy)
    except msgspec.DecodeError as error:
        raise UsageError(f"{where} is not a deploy file: {error}") from error
    if not deploy.speaks:
        raise UsageError(f"{where} names no model in `speaks`.")
    return deploy
