"""The text of a point as a template over its payload: `{title}\n{body.text}`; `{{` and `}}` are literal braces."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

from changeover.errors import UsageError


def render(template: str, payload: dict[str, Any]) -> str:
    """The text of one payload; a path that is not there gives "", a list gives its texts a line each."""
    return "".join(text if kind == "text" else _text_at(payload, text) for kind, text in _parts(template))


def paths(template: str) -> tuple[str, ...]:
    """The payload paths that the template reads, each once, in order; raises UsageError for unbalanced braces."""
    return tuple(dict.fromkeys(text for kind, text in _parts(template) if kind == "path"))


@lru_cache(maxsize=256)
def _parts(template: str) -> tuple[tuple[Literal["text", "path"], str], ...]:
    parts: list[tuple[Literal["text", "path"], str]] = []
    literal, i = "", 0
    while i < len(template):
        pair, char = template[i : i + 2], template[i]
        if pair in ("{{", "}}"):
            literal, i = literal + char, i + 2
        elif char == "{":
            end = template.find("}", i)
            path = template[i + 1 : end].strip() if end > 0 else ""
            if not path or "{" in path:
                raise UsageError(f"text.template {template!r}: a {{ at character {i + 1} has no path and }} behind it")
            parts += [("text", literal), ("path", path)]
            literal, i = "", end + 1
        elif char == "}":
            raise UsageError(
                f"text.template {template!r}: a }} at character {i + 1} closes nothing; write }}}} for one"
            )
        else:
            literal, i = literal + char, i + 1
    parts.append(("text", literal))
    return tuple(part for part in parts if part[1])


def _text_at(payload: Any, path: str) -> str:
    """The text at a dotted path; a key that itself holds dots is found too, and Qdrant's `a[].b` is `a.b`."""
    if isinstance(payload, dict):
        if path in payload:
            return _as_text(payload[path])
        for end in range(len(path) - 1, 0, -1):
            if path[end] == "." and path[:end] in payload:
                return _text_at(payload[path[:end]], path[end + 1 :])
        return _text_at(payload, path.replace("[]", "")) if "[]" in path else ""
    if isinstance(payload, list):
        return "\n".join(text for item in payload if (text := _text_at(item, path)))
    return ""


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None or isinstance(value, dict):
        return ""
    if isinstance(value, list):
        return "\n".join(text for item in value if (text := _as_text(item)))
    return str(value)
