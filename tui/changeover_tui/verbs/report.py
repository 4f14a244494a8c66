"""`report`: write the report of a run from its journal as it is now, and say where it is."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from changeover.errors import UsageError
from changeover_tui.verbs.common import out, say


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """Print the path of the file that was written."""
    from changeover.engine.folder import find
    from changeover.report.build import write

    folder = find(options.name, environ)
    try:
        written = write(folder)
        if options.output:
            written = copy(written, Path(options.output))
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot write the report: {error.strerror}") from None
    say(f"report of {folder.name}:")
    out(str(written))
    return 0


def copy(report: Path, target: Path) -> Path:
    """Copy the HTML report, or the Markdown one when the target ends in .md; returns the target's full path."""
    source = report.with_suffix(".md") if target.suffix == ".md" else report
    target = target / source.name if target.is_dir() else target
    shutil.copyfile(source, target)
    return target.absolute()
