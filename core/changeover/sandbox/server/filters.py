"""Filters of the REST calls as the core takes them, and the payload keys that they need an index for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import qdrant_edge as edge

from changeover.sandbox.server import refusals
from changeover.sandbox.server.convert import point_ids
from changeover.sandbox.server.generations import Generation

CLAUSES = ("must", "should", "must_not")
NO_CONDITION = (
    "Expected some form of condition, which can be a field condition (like "
    '{"key": ..., "match": ... }), or some other mentioned in the documentation: '
    "https://qdrant.tech/documentation/concepts/filtering/#filtering-conditions"
)
MATCHES = {
    "value": edge.MatchValue,
    "text": edge.MatchText,
    "text_any": edge.MatchTextAny,
    "phrase": edge.MatchPhrase,
    "any": edge.MatchAny,
    "except": edge.MatchExcept,
    "prefix": edge.MatchPrefix,
}
_SLICE: Any = vars(edge)["SliceCondition"]
"""In qdrant-edge-py 0.9.0, and missing from its type stubs."""
MATCH_INDEXES = {"text": ("text",), "text_any": ("text",), "phrase": ("text",)}


class Filters:
    """Converts the filters of one request; `length` is that of its body, where the servers point at."""

    def __init__(self, generation: Generation, length: int) -> None:
        self._generation = generation
        self._length = length

    def read(self, given: Any) -> Any:
        """The core's filter; None stays None."""
        if given is None:
            return None
        if not isinstance(given, dict):
            raise refusals.malformed("invalid type: expected struct Filter")
        clauses: dict[str, Any] = {
            name: [self._condition(one) for one in _list(given[name])] for name in CLAUSES if given.get(name)
        }
        fewest = given.get("min_should")
        if fewest:
            conditions = [self._condition(one) for one in fewest["conditions"]]
            clauses["min_should"] = edge.MinShould(conditions, fewest["min_count"])
        return edge.Filter(**clauses)

    def _condition(self, given: Any) -> Any:
        """One condition; whatever the core's constructors do not take is none, as the servers' untagged enum has it."""
        if not isinstance(given, dict):
            raise self._unknown()
        try:
            return self._known(given)
        except (TypeError, KeyError, AttributeError, ValueError, OverflowError) as error:
            raise self._unknown() from error

    def _known(self, given: dict[str, Any]) -> Any:
        if "has_vector" in given:
            return edge.HasVectorCondition(given["has_vector"])
        if "has_id" in given:
            return edge.HasIdCondition(set(point_ids(given["has_id"])))
        if "slice" in given and self._generation.knows_slices:
            return _SLICE(given["slice"]["total"], given["slice"]["index"])
        if isinstance(given.get("is_empty"), dict):
            return edge.IsEmptyCondition(given["is_empty"]["key"])
        if isinstance(given.get("is_null"), dict):
            return edge.IsNullCondition(given["is_null"]["key"])
        if "nested" in given:
            return edge.NestedCondition(given["nested"]["key"], self.read(given["nested"]["filter"]))
        if "key" in given:
            return self._field(given)
        if given.keys() & {*CLAUSES, "min_should"}:
            return self.read(given)
        raise self._unknown()

    def _field(self, given: dict[str, Any]) -> Any:
        tests: dict[str, Any] = {name: given[name] for name in ("is_empty", "is_null") if given.get(name) is not None}
        if given.get("match"):
            kind = next((kind for kind in MATCHES if kind in given["match"]), None)
            if kind is None:
                raise self._unknown()
            tests["match"] = MATCHES[kind](given["match"][kind])
        if given.get("range"):
            bounds = {key: value for key, value in given["range"].items() if value is not None}
            dates = any(isinstance(value, str) for value in bounds.values())
            tests["range"] = (edge.RangeDateTime if dates else edge.RangeFloat)(**bounds)
        if given.get("values_count"):
            tests["values_count"] = edge.ValuesCount(**given["values_count"])
        if not tests:
            raise self._unknown()
        return edge.FieldCondition(given["key"], **tests)

    def _unknown(self) -> refusals.Refused:
        return refusals.malformed(f"{NO_CONDITION} at line 1 column {self._length}")


def conditions(given: Any) -> Iterator[dict[str, Any]]:
    """Every leaf condition of a filter, at any depth."""
    if not isinstance(given, dict):
        return
    nested = given.get("min_should") or {}
    for one in [item for name in CLAUSES for item in _list(given.get(name) or [])] + list(nested.get("conditions", [])):
        if isinstance(one, dict) and one.keys() & {*CLAUSES, "min_should"}:
            yield from conditions(one)
        elif isinstance(one, dict) and "nested" in one:
            yield from conditions(one["nested"].get("filter"))
        elif isinstance(one, dict):
            yield one


def indexes_needed(given: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Payload keys of a filter with the index types that would serve each; has_id and has_vector need none."""
    for one in conditions(given):
        if "key" not in one:
            continue
        match = one.get("match") or {}
        if match:
            kind = next(iter(match))
            value = match[kind][0] if isinstance(match[kind], list) and match[kind] else match[kind]
            plain = ("bool",) if isinstance(value, bool) else ("integer",) if isinstance(value, int) else ("keyword",)
            yield one["key"], MATCH_INDEXES.get(kind, plain)
        elif one.get("range"):
            dates = any(isinstance(value, str) for value in one["range"].values())
            yield one["key"], ("datetime",) if dates else ("float", "integer")


def _list(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]
