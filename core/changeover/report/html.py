"""A report as one HTML file: no script, nothing loaded from elsewhere, readable in light and dark and on paper."""

from __future__ import annotations

from html import escape
from importlib.resources import files

from changeover.report import pictures
from changeover.report.model import Bars, Block, Code, Facts, Items, Line, Paragraph, Report, Table
from changeover.safe_text import clean, clean_block


def render(report: Report) -> str:
    """The whole file."""
    style = files("changeover.report").joinpath("report.css").read_text("utf-8")
    body = "".join(
        f"<section>\n<h2>{_t(section.title)}</h2>\n{''.join(map(_block, section.blocks))}</section>\n"
        for section in report.sections
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_t(report.title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{_t(report.title)}</h1>\n<p class="outcome {report.tone}">{_t(report.outcome)}</p>\n'
        f"{body}</main>\n</body>\n</html>\n"
    )


def _block(block: Block) -> str:
    match block:
        case Paragraph():
            return f'<p class="{block.tone}">{_t(block.text)}</p>\n'
        case Items():
            return "<ul>\n" + "".join(f"<li>{_t(line)}</li>\n" for line in block.lines) + "</ul>\n"
        case Facts():
            rows = "".join(
                f'<tr><th scope="row">{_t(name)}</th><td>{_t(value)}</td></tr>\n' for name, value in block.rows
            )
            return f"<table>\n{rows}</table>\n"
        case Table():
            head = "".join(f'<th scope="col">{_t(cell)}</th>' for cell in block.head)
            rows = "".join("<tr>" + "".join(f"<td>{_t(cell)}</td>" for cell in row) + "</tr>\n" for row in block.rows)
            return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
        case Code():
            return f"<pre>{escape(clean_block(block.text))}</pre>\n"
        case Line():
            return _figure(pictures.sparkline(block.values), block.caption)
        case Bars():
            return _figure(pictures.bars(block.bars), block.caption)


def _figure(svg: str, caption: str) -> str:
    return f"<figure>\n{svg}\n<figcaption>{_t(caption)}</figcaption>\n</figure>\n"


def _t(text: str) -> str:
    return escape(clean(text), quote=True)
