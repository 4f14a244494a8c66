"""Text for people that may quote somebody's data: only what Changeover's own program writes is let through.

Logs, reasons and errors mix Changeover's words with a server's, a provider's or a payload's. The texts of the program
itself are read from its source: a line that fits one of them keeps these words; what stands in its gaps is kept where
it is a number, a known name, or again such a text, and is else replaced by how much it was.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from changeover.words import plural

LEAST_LETTERS = 4
"""Of a text with gaps: fewer would fit anything."""
LONGEST = 1_000
"""Characters of a line that are looked at."""
TRIED = 3
"""Texts of the program that are tried on one line; the one that lets most through is taken."""
MOST_PIECES = 12
SEPARATORS = ("; ", ": ", ", ")
NUMBER = re.compile(r"[-+]?\d{1,3}(?:,?\d{3}){0,2}(?:\.\d{1,4}){0,2}(?: ?%)?")
COUNTED = re.compile(rf"({NUMBER.pattern}) (.+)")
REPLACED = re.compile(
    r"(?:https?://)?[a-z0-9-]+\.[0-9a-f]{12}\.invalid(?::\d{1,5})?|https?://(?:localhost|127\.0\.0\.1)(?::\d{1,5})?"
)
"""What stands for a host that was taken out, and the host that every machine has."""
FRAME = re.compile(
    r'(\s*File ")[^"]*?((?:changeover|changeover_tui|site-packages|lib/python[\d.]+)/[\w./-]+\.py", line \d+, in [\w<>]+)'
)
"""A line of a traceback: where in the program, without the folders before it."""
REQUEST = re.compile(r"(?:GET|PUT|POST|PATCH|DELETE) /(\S*)")
SEGMENTS = frozenset(
    [
        "collections",
        "aliases",
        "points",
        "vectors",
        "payload",
        "index",
        "snapshots",
        "shards",
        "optimizations",
        "query",
        "batch",
        "search",
        "scroll",
        "count",
        "delete",
        "exists",
        "cluster",
        "telemetry",
        "profiler",
        "slow_requests",
        "wait=true",
        "details_level=2",
        "details_level=3",
    ]
)
"""What stands between the slashes of Qdrant's requests, beside names."""
WELL_KNOWN = (
    "All connection attempts failed",
    "Bad request",
    "Connection refused",
    "ConnectError",
    "ConnectTimeout",
    "Forbidden",
    "No space left on device",
    "Not found",
    "Permission denied",
    "PoolTimeout",
    "ReadError",
    "ReadTimeout",
    "RemoteProtocolError",
    "Resident memory usage is at",
    "Service internal error",
    "Timeout",
    "Too many requests",
    "Traceback (most recent call last)",
    "Unauthorized",
    "WriteError",
    "WriteTimeout",
    "Wrong input",
    "timed out",
)
"""What servers and the client libraries say, word for word; data never fits whole."""


class _Kept(NamedTuple):
    text: str
    replaced: int
    """Pieces that were replaced."""
    letters: int
    """Letters in them."""


def _cost(found: _Kept) -> tuple[int, int]:
    return found.letters, found.replaced


class Template(NamedTuple):
    """A text with gaps: `parts` stand around them, `longest` is looked for first."""

    longest: str
    parts: tuple[str, ...]


class Phrases:
    """Lets through what the program itself writes, and these names."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = {name for given in names for name in (given, given[:1].lower() + given[1:]) if name}
        self._looked_at: dict[str, _Kept] = {}
        self.replaced = 0
        """How many pieces were replaced so far."""

    def kept(self, line: str) -> str:
        """The line with what is nobody's data; everything else as `[3 words, 17 characters]`."""
        if FRAME.fullmatch(line):
            return without_folders(line)
        found = self._kept(line[:LONGEST])
        self.replaced += found.replaced
        rest = f" [{plural(len(line) - LONGEST, 'character')} more]" if len(line) > LONGEST else ""
        return found.text + rest

    def _kept(self, text: str) -> _Kept:
        if text not in self._looked_at:
            self._looked_at[text] = self._look(text)
        return self._looked_at[text]

    def _look(self, text: str) -> _Kept:
        """The way to read the text that lets most of it through; pieces of it are shorter, so this ends."""
        core = text.strip()
        if not core or self._known(core):
            return _Kept(text, 0, 0)
        shape = f"[{plural(len(core.split()), 'word')}, {plural(len(core), 'character')}]"
        tried = [_Kept(shape, 1, len(core)), *(self._filled(*fitting) for fitting in _fitting(text))]
        if (best := min(tried, key=_cost)).replaced == 0:
            return best
        if counted := COUNTED.fullmatch(core):
            tried.append(self._filled(("", " ", ""), [counted[1], counted[2]]))
        for separator in SEPARATORS:
            head, found, rest = text.partition(separator)
            if found and rest.count(separator) < MOST_PIECES:
                tried.append(self._filled(("", separator, ""), [head, rest]))
        if text.endswith(")") and " (" in text:
            head, _, rest = text[:-1].partition(" (")
            tried.append(self._filled(("", " (", ")"), [head, rest]))
        return min(tried, key=_cost)

    def _filled(self, parts: tuple[str, ...], gaps: list[str]) -> _Kept:
        """The parts with what is kept of each gap between them."""
        found = [self._kept(gap) for gap in gaps]
        text = parts[0] + "".join(one.text + part for one, part in zip(found, parts[1:], strict=True))
        return _Kept(text, sum(one.replaced for one in found), sum(one.letters for one in found))

    def _known(self, core: str) -> bool:
        bare = core.strip("'\"`()")
        return (
            core in _program().constants
            or bare in self._names
            or NUMBER.fullmatch(bare) is not None
            or REPLACED.fullmatch(bare) is not None
            or self._request(bare)
        )

    def _request(self, text: str) -> bool:
        request = REQUEST.fullmatch(text)
        return request is not None and all(
            not part or part in SEGMENTS or part in self._names for part in re.split(r"[/?&]", request[1])
        )


def without_folders(line: str) -> str:
    """A line of a traceback without the folders before the program's own; any other as it is."""
    return FRAME.sub(r"\1\2", line)


class _Program(NamedTuple):
    constants: frozenset[str]
    templates: tuple[Template, ...]
    """Those with the most letters first."""


@lru_cache(maxsize=1)
def _program() -> _Program:
    """Every text that the source of this package holds, docstrings left out."""
    constants, found = set(WELL_KNOWN), set()
    root = Path(__file__).resolve().parents[1]
    for path in sorted(root.rglob("*.py")):
        for parts in _texts(ast.parse(path.read_bytes())):
            if len(parts) == 1:
                constants.add(parts[0])
            elif sum(char.isalpha() for part in parts for char in part) >= LEAST_LETTERS:
                found.add(parts)
    for path in sorted(root.rglob("*.toml")):
        constants.update(_strings(tomllib.loads(path.read_text("utf-8"))))
    ordered = sorted(found, key=lambda parts: (-sum(map(len, parts)), parts))
    return _Program(frozenset(constants), tuple(Template(max(parts, key=len), parts) for parts in ordered))


def _texts(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """Literals as one part; f-strings as the parts around their gaps."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            skipped.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            parts, literal = [], ""
            for value in node.values:
                if isinstance(value, ast.Constant):
                    skipped.add(value)
                    literal += str(value.value)
                else:
                    parts.append(literal)
                    literal = ""
            yield (*parts, literal)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in skipped:
            yield (node.value,)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _fitting(text: str) -> list[tuple[tuple[str, ...], list[str]]]:
    """The texts of the program with the most letters that fit, each with what stands in its gaps."""
    found = []
    for longest, parts in _program().templates:
        if longest in text:
            gaps = _gaps(parts, text)
            if gaps is not None and text not in gaps:
                found.append((parts, gaps))
                if len(found) == TRIED:
                    break
    return found


def _gaps(parts: tuple[str, ...], text: str) -> list[str] | None:
    """What stands between the parts, which follow each other from the first to the last character."""
    first, last = parts[0], parts[-1]
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return None
    at, end, gaps = len(first), len(text) - len(last), []
    for part in parts[1:-1]:
        found = text.find(part, at, end)
        if found < 0:
            return None
        gaps.append(text[at:found])
        at = found + len(part)
    return [*gaps, text[at:end]]
