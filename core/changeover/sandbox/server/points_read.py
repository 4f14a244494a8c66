"""Calls that read points: retrieve, scroll, count, query, facet."""

from __future__ import annotations

from typing import Any

import qdrant_edge as edge

from changeover.sandbox.server import refusals
from changeover.sandbox.server.calls import Call
from changeover.sandbox.server.convert import (
    payload_selector,
    point_id,
    point_ids,
    records,
    scored,
    vector_selector,
)
from changeover.sandbox.server.queries import DEFAULT_LIMIT, limit_of, order_by

OFFSET_WITH_ORDER = (
    "Wrong input: Cannot use an `offset` when using `order_by`. The alternative for paging is to use "
    "`order_by.start_from` and a filter to exclude the IDs that you've already seen for the "
    "`order_by.start_from` value"
)


def retrieve(call: Call) -> list[dict[str, Any]]:
    """POST /collections/{c}/points; no payload unless asked for (measured on 1.17.1 to 1.19.0)."""
    collection, body = call.collection, call.body
    ids = point_ids(body.get("ids"))
    call.strict().read(None)
    payload = payload_selector(body.get("with_payload"), default=False)
    vector = vector_selector(body.get("with_vector"), call.vectors().names())
    return records(collection.read(lambda shard: shard.retrieve(ids, payload, vector)))


def scroll(call: Call) -> dict[str, Any]:
    """POST /collections/{c}/points/scroll."""
    collection, body = call.collection, call.body
    limit = body.get("limit") or DEFAULT_LIMIT
    if body.get("limit") == 0:
        raise refusals.invalid("JSON body", "internal.limit: value 0 invalid, must be 1 or larger")
    if body.get("offset") is not None and body.get("order_by"):
        raise refusals.Refused(400, OFFSET_WITH_ORDER)
    given = body.get("filter")
    condition = call.filters().read(given)
    call.strict().read(given, limit=limit)
    request = edge.ScrollRequest(
        offset=None if body.get("offset") is None else point_id(body["offset"]),
        limit=limit,
        filter=condition,
        with_payload=payload_selector(body.get("with_payload"), default=True),
        with_vector=vector_selector(body.get("with_vector"), call.vectors().names()),
        order_by=order_by(body["order_by"]) if body.get("order_by") else None,
    )
    found, following = collection.read(lambda shard: shard.scroll(request))
    after = following if following is None or isinstance(following, int) else str(following)
    return {"points": records(found), "next_page_offset": after}


def count(call: Call) -> dict[str, int]:
    """POST /collections/{c}/points/count; strict mode forbids an exact one together with exact searches."""
    collection, given = call.collection, call.body.get("filter")
    exact = bool(call.body.get("exact", True))
    condition = call.filters().read(given)
    call.strict().read(given, exact=exact)
    request = edge.CountRequest(exact=exact, filter=condition)
    return {"count": collection.read(lambda shard: shard.count(request))}


def query(call: Call) -> dict[str, Any]:
    """POST /collections/{c}/points/query."""
    return {"points": _query(call, call.body)}


def query_batch(call: Call) -> list[dict[str, Any]]:
    """POST /collections/{c}/points/query/batch."""
    searches = call.body["searches"]
    call.strict().searches(len(searches))
    return [{"points": _query(call, one)} for one in searches]


def search(call: Call) -> list[dict[str, Any]]:
    """POST /collections/{c}/points/search, the older form of a query; 1.19.0 still answers it (recorded)."""
    body = dict(call.body)
    vector = body.pop("vector", None)
    named = isinstance(vector, dict) and "name" in vector
    body |= {"query": vector["vector"], "using": vector["name"]} if named else {"query": vector}
    return _query(call, body)


def facet(call: Call) -> dict[str, Any]:
    """POST /collections/{c}/facet; the key needs an index."""
    collection, body = call.collection, call.body
    request = edge.FacetRequest(
        body["key"],
        limit=body.get("limit") or DEFAULT_LIMIT,
        exact=bool(body.get("exact")),
        filter=call.filters().read(body.get("filter")),
    )
    call.strict().read(body.get("filter"))
    found = collection.read(lambda shard: shard.facet(request))
    return {"hits": [{"value": hit.value, "count": hit.count} for hit in found.hits]}


def _query(call: Call, body: dict[str, Any]) -> list[dict[str, Any]]:
    collection = call.collection
    exact = bool((body.get("params") or {}).get("exact"))
    request = call.queries().read(body)
    call.strict().read(body.get("filter"), limit=limit_of(body), exact=exact)
    return scored(collection.read(lambda shard: shard.query(request)))
