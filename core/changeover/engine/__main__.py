"""`python -m changeover.engine RUN_FOLDER`: the engine process; started by `launch`, not by people."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from changeover.engine.engine import run, threads_left
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


def leave(code: int) -> NoReturn:
    """End the process, also where a thread still waits for an answer: Python's own way out would wait for it."""
    if not threads_left():
        sys.exit(code)
    sys.stderr.write(
        "the engine ends without an answer to a request that was still open; `changeover resume` goes on\n"
    )
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
