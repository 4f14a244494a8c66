"""The application's search client, ready for both models: it looks at what the collection behind the name offers.

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
STALE_OFFER = frozenset({400, 404, 422})
"""Statuses of a request that no longer fits the collection (seen on 1.17.1 to 1.19.0 for names and sizes)."""


class Speaks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model that the application can embed with, and the vector name ("" if unnamed) that belongs to it."""

    model: str
    using: str
    dimension: int


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


class Encoder(Protocol):
    """What the client needs of a model."""

    def document(self, model: str, text: str) -> list[float]:
        """The vector to store."""

    def query(self, model: str, text: str) -> list[float]:
        """The vector to search with."""


def offered(info: Mapping[str, Any]) -> dict[str, int]:
    """Dense vector names and sizes of `GET /collections/NAME`'s result; the unnamed vector is ""."""
    vectors = info["config"]["params"].get("vectors") or {}
    named = {"": vectors} if "size" in vectors else vectors
    return {name: parameters["size"] for name, parameters in named.items()}


def usable(deploy: Deploy, offer: Mapping[str, int]) -> tuple[Speaks, ...]:
    """The spoken models whose vector the collection has, the one to search with first."""
    spoken = deploy.speaks[:1] if deploy.prefer == "old" else deploy.speaks
    fitting = tuple(one for one in spoken if offer.get(one.using) == one.dimension)
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
        """Model of the last search."""

    def search(self, text: str) -> tuple[list[PointId], float]:
        """Ids of the ten nearest points, and the seconds that the search request took."""
        found: tuple[list[PointId], float] = self._fitting(lambda offer: self._search(text, offer))
        return found

    def put(self, point: PointId, payload: Mapping[str, Any]) -> None:
        """Store a point with its payload and every vector that the application speaks and the collection has."""
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

    def _models(self, offer: Mapping[str, int]) -> Sequence[Speaks]:
        models = usable(self._deploy, offer)
        if not models:
            has = ", ".join(f"{name or 'unnamed'} ({size})" for name, size in offer.items()) or "none"
            raise RequestFailed(f"The collection has none of this application's vectors; it has {has}.", 400)
        return models

    def _search(self, text: str, offer: Mapping[str, int]) -> tuple[list[PointId], float]:
        model = self._models(offer)[0]
        vector = self._encoder.query(model.model, text)
        body: dict[str, Any] = {"query": vector, "limit": RESULTS, "with_payload": False}
        if model.using:
            body["using"] = model.using
        started = time.perf_counter()
        response = self._send("POST", "/points/query", body)
        seconds = time.perf_counter() - started
        self.searching_with = model.model
        points = msgspec.json.decode(response.content)["result"]["points"]
        return [point["id"] for point in points], seconds

    def _put(self, point: PointId, payload: Mapping[str, Any], offer: Mapping[str, int]) -> None:
        vectors = {one.using: self._encoder.document(one.model, payload["text"]) for one in self._models(offer)}
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
