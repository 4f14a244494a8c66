"""What is written when something unexpected happens: a file with the traceback, without any key."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

from changeover.safe_text import clean

_SECRET_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASS", re.IGNORECASE)
_typed: set[str] = set()


def remember_secret(secret: str) -> None:
    """A key that a person typed: it is blotted out like those of the environment."""
    if secret:
        _typed.add(secret)


def redact(text: str, environ: Mapping[str, str]) -> str:
    """The text with every value of a variable that sounds like a secret, and every typed key, replaced by ***."""
    named = {value for name, value in environ.items() if _SECRET_NAMES.search(name) and len(value) >= 4}
    for secret in sorted(named | _typed, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def one_line(text: str, environ: Mapping[str, str]) -> str:
    """A line for stderr, newline included: safe to print, no key in it."""
    return clean(redact(text, environ)) + "\n"


def write(error: BaseException, environ: Mapping[str, str]) -> Path | None:
    """Write the traceback, mode 0600; returns the file's path, or None when it cannot be written."""
    import traceback

    state_home = environ.get("XDG_STATE_HOME")
    folder = (Path(state_home) if state_home else Path.home() / ".local" / "state") / "changeover" / "crashes"
    path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    text = redact("".join(traceback.format_exception(error)), environ)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as out:
            out.write(text)
    except OSError:
        return None
    return path
