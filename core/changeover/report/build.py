"""Write the report of a run: `report.html` for people, `report.md` for tickets; both from the run folder alone."""

from __future__ import annotations

from pathlib import Path

from changeover.engine.folder import RunFolder, write_private
from changeover.engine.journal import read_all
from changeover.report import content, html, markdown
from changeover.side_by_side import votes


def write(run: RunFolder) -> Path:
    """Fold the journal as it is now and write both files, mode 0600; returns the path of the HTML file."""
    accepted = run.path / "accepted.txt"
    codes = accepted.read_text("utf-8").split() if accepted.exists() else []
    tally = votes.tally(votes.read(run).values())
    report = content.make(run.plan(), read_all(run.journal), codes, tally)
    write_private(run.report, html.render(report).encode("utf-8", "replace"))
    write_private(run.report.with_suffix(".md"), markdown.render(report).encode("utf-8", "replace"))
    return run.report
