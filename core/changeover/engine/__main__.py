"""`python -m changeover.engine RUN_FOLDER`: the engine process; started by `launch`, not by people."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from changeover.engine.engine import run
from changeover.engine.folder import RunFolder
from changeover.errors import ChangeoverError, ExitCode


def main(arguments: list[str]) -> int:
    """Run the engine; returns the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m changeover.engine RUN_FOLDER\n")
        return ExitCode.USAGE
    try:
        return run(RunFolder(Path(arguments[0])), os.environ)
    except ChangeoverError as error:
        sys.stderr.write(f"changeover: {error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
