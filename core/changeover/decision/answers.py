"""Answers: question id -> value; the same ids are prompts, `--set id=value` flags and keys of an answers file."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from changeover.decision.questions import by_id
from changeover.embed.model import Encoder, ModelSpec, SecretInSpecError
from changeover.errors import UsageError

Avoid = Literal["none", "dimensions", "quantization", "linear-map"]
RouteName = Literal["in-place", "blue-green", "side-by-side", "hybrid", "dimensions", "quantization", "linear-map"]
Writers = Literal["none", "dual", "unknown"]
CutoverMode = Literal["manual", "when-ready", "never"]
Cleanup = Literal["keep", "after-window"]
Reduction = Literal["leading", "pca"]
MapMethod = Literal["ridge", "procrustes"]
QuantizationKind = Literal[
    "none",
    "scalar",
    "product-x4",
    "product-x8",
    "product-x16",
    "product-x32",
    "product-x64",
    "binary",
    "binary-1.5",
    "binary-2",
    "turbo-1",
    "turbo-1.5",
    "turbo-2",
    "turbo-4",
    "turbo-8",
]
QueryEncoding = Literal["default", "binary", "scalar4bits", "scalar8bits"]


class _Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of answers that belong together."""


class TextAnswer(_Group, frozen=True, kw_only=True):
    """Where the text comes from; `field` is one payload path, `template` has {path} holes."""

    field: str | None = None
    template: str | None = None

    @property
    def as_template(self) -> str | None:
        """The answer as a template, or None when neither was given."""
        return self.template if self.template is not None else (f"{{{self.field}}}" if self.field else None)


class VectorAnswer(_Group, frozen=True, kw_only=True):
    """`source` is the stored vector being replaced ("" if unnamed), `name` the new one."""

    source: str | None = None
    name: str | None = None
    distance: str | None = None
    on_disk: bool | None = None
    carried_name: str | None = None
    """Both models live in a new collection: the name that an unnamed old vector gets there."""
    reserve: str | None = None
    """A further vector name that the new collection is made with, for the next migration."""
    reserve_dimension: Annotated[int, msgspec.Meta(ge=1, le=65536)] | None = None


class TargetAnswer(_Group, frozen=True, kw_only=True):
    """What the new vectors or the new collection are to be."""

    collection: str | None = None
    """Name of the new collection (blue-green)."""
    dimension: Annotated[int, msgspec.Meta(ge=1, le=65536)] | None = None
    """Numbers kept when the stored vectors are cut."""
    reduction: Reduction | None = None
    """How they are cut: the leading numbers, or after a rotation by their own principal components."""
    same_name: bool | None = None
    """Without zero downtime: the old collection is removed after verification and its name becomes the alias."""


class SparseAnswer(_Group, frozen=True, kw_only=True):
    """The sparse side of a hybrid search."""

    encoder: Encoder | None = None
    model: str | None = None
    path: str | None = None
    language: str | None = None
    average_length: Annotated[float, msgspec.Meta(gt=0)] | None = None
    name: str | None = None


class QuantizationAnswer(_Group, frozen=True, kw_only=True):
    """The storage of vectors that stay as they are."""

    kind: QuantizationKind | None = None
    query_encoding: QueryEncoding | None = None
    always_ram: bool | None = None
    least_recall: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    """Recall@10 against exact search that the changed collection must reach."""


class MapAnswer(_Group, frozen=True, kw_only=True):
    """The learned linear map."""

    anchors: Annotated[int, msgspec.Meta(ge=50, le=100_000)] | None = None
    method: MapMethod | None = None


class AliasAnswer(_Group, frozen=True, kw_only=True):
    """The alias that the application uses, or will use."""

    name: str | None = None


class QueriesAnswer(_Group, frozen=True, kw_only=True):
    """A JSONL file of labelled queries, or a payload field whose values are known-item queries."""

    file: str | None = None
    title_field: str | None = None


class Limits(_Group, frozen=True, kw_only=True):
    """How hard the engine may work the cluster and the model."""

    batch: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Points per request."""
    streams: Annotated[int, msgspec.Meta(ge=1, le=64)] | None = None
    """Requests under way at once, each with threads of its own."""
    rate: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Points per second at most; None for no limit."""
    spend: float | None = None
    """Money at most, in the currency of the model's price."""
    thorough: bool | None = None
    """Whether catch-up also reads the carried vectors, for applications that update them alone."""


UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
DURATION = re.compile(r"0|(\d{1,6}(?:\.\d{1,3})?)\s*(s|m|min|h|d)")


class RollbackAnswer(_Group, frozen=True, kw_only=True):
    """How long the way back is kept open after the cutover."""

    window: str | None = None
    """A duration such as `24h`; `0` for none: going back then begins when it is asked for."""

    def __post_init__(self) -> None:
        """Refuse what is no duration."""
        if self.window is not None and DURATION.fullmatch(self.window.strip()) is None:
            raise ValueError("write a duration such as 90m, 24h or 3d, or 0 for none")

    @property
    def seconds(self) -> float:
        """The window in seconds."""
        found = DURATION.fullmatch((self.window or "0").strip())
        assert found is not None
        return float(found[1]) * UNITS[found[2]] if found[1] else 0.0


class Answers(_Group, frozen=True, kw_only=True):
    """Every answer given so far; a missing one is None and is proposed by the wizard."""

    collection: str | None = None
    avoid: Avoid | None = None
    zero_downtime: bool | None = None
    keep_both: bool | None = None
    add_sparse: bool | None = None
    route: RouteName | None = None
    model: ModelSpec | None = None
    old_model: ModelSpec | None = None
    text: TextAnswer = TextAnswer()
    vector: VectorAnswer = VectorAnswer()
    target: TargetAnswer = TargetAnswer()
    sparse: SparseAnswer = SparseAnswer()
    quantization: QuantizationAnswer = QuantizationAnswer()
    map: MapAnswer = MapAnswer()
    alias: AliasAnswer = AliasAnswer()
    writers: Writers | None = None
    queries: QueriesAnswer = QueriesAnswer()
    limits: Limits = Limits()
    cutover: CutoverMode = "manual"
    rollback: RollbackAnswer = RollbackAnswer()
    cleanup: Cleanup = "keep"


def from_toml(path: Path) -> Answers:
    """Read an answers file; raises UsageError naming the file and the key."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such answers file; write one with `changeover` or give another path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise UsageError(f"{path}: not a TOML answers file: {error}") from None
    return from_mapping(_nest(raw), str(path))


def from_mapping(raw: dict[str, Any], where: str) -> Answers:
    """Check a nested mapping; raises UsageError that names `where` and the key."""
    try:
        return msgspec.convert(raw, Answers, strict=True)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {_reason(error)}; `changeover explain` lists the question ids") from None


def set_answer(answers: Answers, question: str, value: str) -> Answers:
    """One `--set id=value`; the value is read by the type of the question. Raises UsageError.

    A model's provider of "" means that there is no such model.
    """
    if question in ("model.provider", "old_model.provider") and not value.strip():
        return without_answer(answers, question)
    tree = msgspec.to_builtins(answers)
    node = tree
    *parents, leaf = question.split(".")
    for parent in parents:
        node = node.setdefault(parent, {})
        if not isinstance(node, dict):
            raise UsageError(f"--set {question}: {parent} has no parts")
    node[leaf] = _offered(question, value)
    _require_model_keys(tree)
    try:
        return msgspec.convert(tree, Answers, strict=False)
    except msgspec.ValidationError as error:
        given = question if isinstance(error.__cause__, SecretInSpecError) else f"{question}={value}"
        raise UsageError(f"--set {given}: {_reason(error)}") from None


def without_answer(answers: Answers, question: str) -> Answers:
    """The answers with that one taken back, or as they are when it was not given; no provider means no model."""
    tree = msgspec.to_builtins(answers)
    node = tree
    *parents, leaf = question.removesuffix(".provider").split(".")
    for parent in parents:
        node = node.get(parent, {})
    node.pop(leaf, None)
    try:
        return msgspec.convert(tree, Answers, strict=False)
    except msgspec.ValidationError:
        return answers


def value_of(answers: Answers, question: str) -> Any:
    """The answer to one question id, or None."""
    node: Any = answers
    for part in question.split("."):
        node = node.get(part) if isinstance(node, dict) else getattr(node, part, None)
        if node is None:
            return None
    return node


def to_toml(answers: Answers) -> str:
    """The answers as the text of an answers file."""
    tree = {k: v for k, v in msgspec.to_builtins(answers).items() if v not in (None, {})}
    lines = [f"{key} = {_toml(value)}" for key, value in tree.items() if not isinstance(value, dict)]
    for table, rows in tree.items():
        if isinstance(rows, dict):
            body = [f"{key} = {_toml(value)}" for key, value in rows.items() if value is not None]
            lines += ["", f"[{table}]", *body] if body else []
    return "\n".join(lines) + "\n"


def _offered(question: str, value: str) -> str:
    """A choice that has blanks around it where a prompt or a shell stripped them; any other value as it is."""
    asked = by_id(question)
    values = [choice.value for choice in asked.choices] if asked is not None else []
    return next((offered for offered in values if offered.strip() == value), value)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    # A JSON string is a TOML basic string but for DEL, which JSON leaves bare.
    return msgspec.json.encode(str(value)).decode().replace("\x7f", "\\u007F")


def _nest(raw: dict[str, Any]) -> dict[str, Any]:
    """Accept "model.name" = "x" beside [model] name = "x"."""
    out: dict[str, Any] = {}
    for key, value in raw.items():
        node = out
        *parents, leaf = key.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        if isinstance(value, dict) and isinstance(node.get(leaf), dict):
            node[leaf].update(value)
        else:
            node[leaf] = value
    return out


def _require_model_keys(tree: dict[str, Any]) -> None:
    for table in ("model", "old_model"):
        if isinstance(tree.get(table), dict):
            tree[table].setdefault("provider", "fastembed")
            tree[table].setdefault("name", "")


def _reason(error: msgspec.ValidationError) -> str:
    text = str(error)
    head, _, path = text.partition(" - at ")
    key = path.strip("`").removeprefix("$.") if path else ""
    return f"{key}: {head}" if key and key != "$" else head
