"""Queries of the REST calls as the core takes them: nearest by vector, id or text, sample, order, fusion of prefetches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qdrant_edge as edge

from changeover.sandbox.server import refusals
from changeover.sandbox.server.convert import Vectors, named, payload_selector, point_id, vector_selector
from changeover.sandbox.server.filters import Filters
from changeover.sandbox.server.text_index import words_query

DEFAULT_LIMIT = 10
RRF_K = 2
"""The servers' constant of reciprocal rank fusion (scores recorded on 1.17.1 to 1.19.0 agree)."""

Lookup = Callable[[int | str], Any]
"""Finds the stored record of a point id, with its vectors; None when there is none."""


class Queries:
    """Converts the queries of one request to one collection."""

    def __init__(self, vectors: Vectors, filters: Filters, lookup: Lookup, *, scores_text: bool = False) -> None:
        """`scores_text`: the generation ranks by the words of a text index."""
        self._vectors = vectors
        self._scores_text = scores_text
        self._filters = filters
        self._lookup = lookup

    def read(self, body: dict[str, Any]) -> Any:
        """The core's request of a `points/query` body."""
        query, excluded = self._query(body)
        return edge.QueryRequest(
            limit=limit_of(body),
            offset=body.get("offset"),
            query=query,
            prefetches=[self._prefetch(one) for one in _list(body.get("prefetch"))] or None,
            with_vector=vector_selector(body.get("with_vector"), self._vectors.names()),
            with_payload=payload_selector(body.get("with_payload"), default=False),
            filter=self._filter(body, excluded),
            score_threshold=body.get("score_threshold"),
            params=search_params(body.get("params")),
        )

    def _prefetch(self, body: dict[str, Any]) -> Any:
        query, excluded = self._query(body)
        return edge.Prefetch(
            limit=limit_of(body),
            query=query,
            prefetches=[self._prefetch(one) for one in _list(body.get("prefetch"))] or None,
            params=search_params(body.get("params")),
            filter=self._filter(body, excluded),
            score_threshold=body.get("score_threshold"),
        )

    def _filter(self, body: dict[str, Any], excluded: int | str | None) -> Any:
        wanted = self._filters.read(body.get("filter"))
        if excluded is None:
            return wanted
        return edge.Filter(must=[wanted] if wanted else None, must_not=[edge.HasIdCondition({excluded})])

    def _query(self, body: dict[str, Any]) -> tuple[Any, int | str | None]:
        """The query, and the id of the point that it asks with, which is not its own answer."""
        given, using = body.get("query"), body.get("using") or ""
        if given is None:
            return None, None
        if isinstance(given, dict):
            if "sample" in given:
                return edge.Sample.Random, None
            if "fusion" in given or "rrf" in given:
                return _fusion(given), None
            if "order_by" in given:
                return order_by(given["order_by"]), None
            if "text" in given and "model" not in given:
                if not self._scores_text:
                    raise refusals.malformed(refusals.NO_QUERY)
                return words_query(given["text"], using), None
            if "nearest" in given:
                given = given["nearest"]
            elif not given.keys() & {"indices", "text"}:
                raise refusals.Refused(400, f"Bad request: the sandbox does not speak the query {sorted(given)}")
        if isinstance(given, (int, str)):
            return self._by_id(given, using)
        return edge.Query.Nearest(self._vectors.one(using, given, query=True), using=using), None

    def _by_id(self, given: Any, using: str) -> tuple[Any, int | str]:
        wanted = point_id(given)
        if using not in self._vectors.names():
            raise refusals.no_vector(using)
        found = self._lookup(wanted)
        if found is None:
            raise refusals.Refused(404, f"Not found: No point with id {given} found")
        vectors = named(found.vector)
        if using not in vectors:
            raise refusals.no_vector(using)
        return edge.Query.Nearest(vectors[using], using=using), wanted


def limit_of(body: dict[str, Any]) -> int:
    """How many points a query asks for."""
    limit: int | None = body.get("limit")
    return DEFAULT_LIMIT if limit is None else limit


def search_params(given: dict[str, Any] | None) -> Any:
    """`params` of a query: hnsw_ef, exact, indexed_only and quantization."""
    if not given:
        return None
    options = given.get("quantization")
    quantization = None
    if options:
        quantization = edge.QuantizationSearchParams(
            ignore=bool(options.get("ignore")),
            rescore=options.get("rescore"),
            oversampling=options.get("oversampling"),
        )
    return edge.SearchParams(
        hnsw_ef=given.get("hnsw_ef"),
        exact=bool(given.get("exact")),
        quantization=quantization,
        indexed_only=bool(given.get("indexed_only")),
    )


def order_by(given: Any) -> Any:
    """`order_by` of a scroll or a query: a key, or key, direction and start_from."""
    if isinstance(given, str):
        return edge.OrderBy(given)
    direction = edge.Direction.Desc if given.get("direction") == "desc" else edge.Direction.Asc
    return edge.OrderBy(given["key"], direction, given.get("start_from"))


def _fusion(given: dict[str, Any]) -> Any:
    options = given.get("rrf") or {}
    if given.get("fusion") == "dbsf":
        return edge.Fusion.Dbsf()
    return edge.Fusion.Rrf(options.get("k") or RRF_K, options.get("weights"))


def _list(given: Any) -> list[Any]:
    return [] if given is None else given if isinstance(given, list) else [given]
