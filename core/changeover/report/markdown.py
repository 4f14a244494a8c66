"""A report as Markdown that a ticket or a pull request shows; foreign text cannot become markup."""

from __future__ import annotations

import re

from changeover.report.model import Bars, Block, Code, Facts, Items, Line, Paragraph, Report, Table
from changeover.safe_text import clean, clean_block

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|!~&])")


def render(report: Report) -> str:
    """The whole file."""
    parts = [f"# {_md(report.title)}", f"**{_md(report.outcome)}**"]
    for section in report.sections:
        parts.append(f"## {_md(section.title)}")
        parts += [text for block in section.blocks if (text := _block(block))]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    match block:
        case Paragraph():
            return _line_start(_md(block.text))
        case Items():
            return "\n".join(f"- {_md(line)}" for line in block.lines)
        case Facts():
            return _table(("", ""), block.rows)
        case Table():
            return _table(block.head, block.rows)
        case Code():
            text = clean_block(block.text)
            longest = max((len(run) for run in re.findall("`+", text)), default=0)
            fence = "`" * max(3, longest + 1)
            return f"{fence}\n{text.rstrip()}\n{fence}"
        case Line():
            return _line_start(_md(block.caption))
        case Bars():
            return ""


def _table(head: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> str:
    lines = [_row(head), "|" + " --- |" * len(head), *map(_row, rows)]
    return "\n".join(lines)


def _row(row: tuple[str, ...]) -> str:
    return "| " + " | ".join(_md(cell) for cell in row) + " |"


def _md(text: str) -> str:
    return _MARKUP.sub(r"\\\1", clean(text))


def _line_start(text: str) -> str:
    """A paragraph that begins like a list or a heading does not become one."""
    return re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", text)
