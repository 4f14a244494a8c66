"""The sandbox's text: docstrings of the running Python's standard library, read from source, never imported.

A docstring's first line becomes a query; the rest is the document. So each query has one known answer.
"""

from __future__ import annotations

import ast
import platform
import random
import sysconfig
import uuid
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from changeover.errors import UsageError
from changeover.quality.queries import LabelledQuery
from changeover.survey.model import PointId

SKIPPED_FOLDERS = frozenset(
    {"test", "tests", "idlelib", "lib2to3", "turtledemo", "pydoc_data", "ensurepip", "site-packages", "distutils"}
)
FEWEST_WORDS = 6
FEWEST_QUERY_WORDS = 3
DEFAULT_LIMIT = 3_000
UUID_EVERY = 10
"""Every tenth document has a UUID, so that both kinds of id appear."""
NAMESPACE = uuid.UUID("6f1d0f4e-2f0c-5d55-9a53-1b7a0d3c8a11")


class Document(msgspec.Struct, frozen=True):
    """One docstring: what the application stores and searches."""

    id: PointId
    title: str
    """The first line, kept in the payload but not in the text that is embedded."""
    text: str
    """The docstring without its first line."""
    module: str
    name: str
    kind: str
    """module, class or function."""
    lineno: int
    file: str
    """Path below the library's folder."""
    tags: tuple[str, ...]
    version: str
    """The Python version it came from."""

    def payload(self) -> dict[str, object]:
        """The payload as stored: every field but the id."""
        fields = {field: getattr(self, field) for field in self.__struct_fields__ if field != "id"}
        return {**fields, "tags": list(self.tags)}


def documents(limit: int | None = DEFAULT_LIMIT) -> list[Document]:
    """The first `limit` documents (all when None) of one fixed order; the same on every call of one Python.

    The order is shuffled by a fixed seed, so that a small limit still draws from the whole library.
    """
    return list(_all()[:limit])


def queries(docs: Sequence[Document], n: int, seed: int = 0) -> list[LabelledQuery]:
    """`n` known-item queries drawn from `docs` (fewer when there are fewer): title -> the document of that title.

    Only titles that are a whole sentence of three words or more and that no two documents share.
    """
    relevant: dict[str, dict[PointId, int]] = {}
    for document in docs:
        relevant.setdefault(document.title, {})[document.id] = 1
    usable = sorted(title for title, points in relevant.items() if _specific(title) and len(points) == 1)
    chosen = random.Random(seed).sample(usable, min(n, len(usable)))
    return [LabelledQuery(title, relevant[title]) for title in chosen]


def _specific(title: str) -> bool:
    return len(title.split()) >= FEWEST_QUERY_WORDS and title.endswith((".", "?", "!"))


@lru_cache(maxsize=1)
def _all() -> tuple[Document, ...]:
    """Every usable docstring of the library, duplicates by text left out, in the corpus's order."""
    root = Path(sysconfig.get_path("stdlib"))
    seen: set[str] = set()
    found: list[Document] = []
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if SKIPPED_FOLDERS.intersection(relative.parts) or relative.parts[0].startswith("config-"):
            continue
        for document in _in_file(path, relative):
            if document.text not in seen:
                seen.add(document.text)
                found.append(document)
    if not found:
        raise UsageError(f"The sandbox reads its text from Python's own library, but {root} has no source files.")
    random.Random(20).shuffle(found)
    return tuple(
        document if number % UUID_EVERY else msgspec.structs.replace(document, id=_uuid(document))
        for number, document in enumerate(
            (msgspec.structs.replace(document, id=number) for number, document in enumerate(found, 1)), 1
        )
    )


def _uuid(document: Document) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{document.module}:{document.name}:{document.lineno}"))


def _in_file(path: Path, relative: Path) -> Iterator[Document]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    parts = relative.with_suffix("").parts
    module = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
    for name, kind, lineno, docstring in _docstrings(tree, module):
        title, _, rest = docstring.strip().partition("\n")
        text = rest.strip()
        if title and len(text.split()) >= FEWEST_WORDS:
            yield Document(
                id=0,
                title=title.strip(),
                text=text,
                module=module,
                name=name,
                kind=kind,
                lineno=lineno,
                file=relative.as_posix(),
                tags=_tags(module, name, kind),
                version=platform.python_version(),
            )


def _docstrings(tree: ast.Module, module: str) -> Iterator[tuple[str, str, int, str]]:
    """(qualified name, kind, line, docstring) of the module and everything in it."""
    waiting: list[tuple[ast.AST, str, str, int]] = [(tree, module, "module", 1)]
    while waiting:
        node, name, kind, lineno = waiting.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                yield name, kind, lineno, docstring
        inside = [
            (child, f"{name}.{child.name}", "class" if isinstance(child, ast.ClassDef) else "function", child.lineno)
            for child in ast.iter_child_nodes(node)
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        waiting.extend(reversed(inside))


def _tags(module: str, name: str, kind: str) -> tuple[str, ...]:
    last = name.rsplit(".", 1)[-1]
    tags = [module.split(".")[0]]
    if kind == "function":
        tags.append("special" if last.startswith("__") else "private" if last.startswith("_") else "public")
    return tuple(tags)
