"""What a handler of a REST call gets, and the two kinds of answers that are not a plain result."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import orjson

from changeover.sandbox.server import refusals
from changeover.sandbox.server.cluster import Cluster
from changeover.sandbox.server.collection import Collection
from changeover.sandbox.server.convert import Vectors
from changeover.sandbox.server.filters import Filters
from changeover.sandbox.server.queries import Queries
from changeover.sandbox.server.strict import Strict


class Text(NamedTuple):
    """A plain text answer."""

    text: str


class Whole(NamedTuple):
    """A JSON answer that has no `result` around it."""

    document: Any


class Call:
    """One request: where it goes, what it asks, and the means to answer it."""

    def __init__(
        self,
        cluster: Cluster,
        path: Mapping[str, str],
        query: Mapping[str, str],
        raw: bytes,
        *,
        takes: Any = None,
        partly: bool = False,
    ) -> None:
        """`takes`: the type that the body has to have. `partly`: the fault "partial-404" was ordered."""
        self.cluster = cluster
        self.generation = cluster.generation
        self.path = path
        self.query = query
        self.raw = raw
        self.partly = partly
        self._takes = takes

    @functools.cached_property
    def body(self) -> dict[str, Any]:
        """The JSON body; an absent one is {}."""
        if not self.raw:
            return {}
        try:
            document = orjson.loads(self.raw)
        except orjson.JSONDecodeError as error:
            raise refusals.malformed(str(error)) from error
        if not isinstance(document, dict):
            raise refusals.malformed(f"invalid type: {type(document).__name__}, expected a map")
        if self._takes is not None:
            try:
                msgspec.convert(document, self._takes)
            except msgspec.ValidationError as error:
                raise refusals.malformed(str(error)) from error
        return document

    @functools.cached_property
    def collection(self) -> Collection:
        """The collection that the path names, through an alias too."""
        return self.cluster.find(self.path["name"])

    @property
    def waits(self) -> bool:
        """Whether the sender waits for the update to be applied; without `wait=true` it only hears that it was taken."""
        return self.query.get("wait") == "true"

    def strict(self) -> Strict:
        """The limits of the collection."""
        collection = self.collection
        return Strict(collection.config, collection.indexes, collection.buckets)

    def filters(self) -> Filters:
        """Reads this request's filters."""
        return Filters(self.generation, len(self.raw))

    def vectors(self, *, early_sizes: bool = False) -> Vectors:
        """Reads this request's vectors."""
        return Vectors(self.collection.config, early_sizes=early_sizes, inference=self.cluster.inference)

    def queries(self) -> Queries:
        """Reads this request's queries."""
        collection = self.collection

        def lookup(point: int | str) -> Any:
            return next(iter(collection.read(lambda shard: shard.retrieve([point], False, True))), None)

        return Queries(self.vectors(), self.filters(), lookup, scores_text=self.generation.scores_text)

    def written(self, work: Callable[[], int]) -> dict[str, Any]:
        """The answer to an update; without waiting, what is only noticed while applying it goes unheard (issue 9521)."""
        try:
            operation = work()
        except refusals.Refused as refused:
            if self.waits or not refused.late:
                raise
            operation = self.collection.next_operation()
        return {"operation_id": operation, "status": "completed" if self.waits else "acknowledged"}


Handler = Callable[[Call], Any]
