"""A report as a value: sections of paragraphs, tables, code and pictures; HTML and Markdown are two renderings."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Tone = Literal["good", "bad", "plain"]


class Paragraph(msgspec.Struct, frozen=True, kw_only=True, tag="paragraph"):
    text: str
    tone: Tone = "plain"


class Items(msgspec.Struct, frozen=True, kw_only=True, tag="items"):
    """A list of lines."""

    lines: tuple[str, ...]


class Facts(msgspec.Struct, frozen=True, kw_only=True, tag="facts"):
    """Pairs of name and value."""

    rows: tuple[tuple[str, str], ...]


class Table(msgspec.Struct, frozen=True, kw_only=True, tag="table"):
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Code(msgspec.Struct, frozen=True, kw_only=True, tag="code"):
    """Text kept as it is, e.g. a diff."""

    text: str


class Line(msgspec.Struct, frozen=True, kw_only=True, tag="line"):
    """A sparkline; in Markdown only its caption."""

    values: tuple[float, ...]
    caption: str


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A mean with its interval, all from 0 to 1."""

    label: str
    mean: float
    low: float
    high: float


class Bars(msgspec.Struct, frozen=True, kw_only=True, tag="bars"):
    """Bars with intervals; in Markdown left out, the table beside it has the numbers."""

    bars: tuple[Bar, ...]
    caption: str


Block: TypeAlias = Paragraph | Items | Facts | Table | Code | Line | Bars


class Section(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    blocks: tuple[Block, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that both files say; every text in it may come from a cluster and is escaped by the renderers."""

    title: str
    outcome: str
    tone: Tone
    sections: tuple[Section, ...]
