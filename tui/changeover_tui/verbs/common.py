"""What verbs share: where data and narration go, how the cluster is reached, whether screens can be opened."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from changeover.errors import UsageError
from changeover.safe_text import clean_block, clean_line

if TYPE_CHECKING:
    from changeover.decision.answers import Answers
    from changeover.plan.model import Access, Plan

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Look(TypedDict):
    """How the screens look at first."""

    theme: str
    hints: bool


def out(text: str) -> None:
    """Data: a line or a block on stdout, safe to print."""
    sys.stdout.write(clean_block(text).rstrip("\n") + "\n")
    sys.stdout.flush()


def out_bytes(data: bytes) -> None:
    """Data exactly as it is (JSON), with a newline at its end."""
    sys.stdout.write(data.decode("utf-8").rstrip("\n") + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Narration: a line on stderr, safe to print; spaces at its start stay."""
    for line in folded(clean_line(text)):
        sys.stderr.write(line + "\n")
    sys.stderr.flush()


def folded(line: str) -> list[str]:
    """A line as a terminal shows it best: broken between words and indented there, nowhere else.

    A screen reader, a file and a pipe get it whole.
    """
    if os.environ.get("ACCESSIBLE") or not sys.stderr.isatty():
        return [line]
    hang = " " * (len(line) - len(line.lstrip()) + 2)
    width = max(40, shutil.get_terminal_size().columns - 1)
    return textwrap.wrap(line, width, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False) or [line]


def wants_screens(options: argparse.Namespace, environ: Mapping[str, str]) -> bool:
    """Whether the Textual screens are opened: a capable terminal on both sides, and nobody asked for plain lines."""
    if options.plain or environ.get("ACCESSIBLE") or environ.get("TERM", "") in ("", "dumb"):
        return False
    return sys.stdin.isatty() and sys.stdout.isatty()


def look(options: argparse.Namespace) -> Look:
    """How the screens look at first: what was asked for on the command line."""
    return {"theme": options.theme, "hints": not options.no_hints}


def access_given(options: argparse.Namespace, environ: Mapping[str, str]) -> Access | None:
    """How to reach the cluster, from flags, else from the environment; None when neither names a URL."""
    from changeover.plan.model import Access

    url = options.url or environ.get("QDRANT_URL")
    if not url:
        return None
    key_env = options.api_key_env or ("QDRANT_API_KEY" if environ.get("QDRANT_API_KEY") else None)
    if key_env and (not _NAME.fullmatch(key_env) or not environ.get(key_env)):
        # The value is not repeated: somebody may have given the key itself.
        raise UsageError("--api-key-env: the environment has no variable of that name; export the key, then name it")
    return Access(url=url, grpc_port=options.grpc_port, api_key_env=key_env)


def access_needed(options: argparse.Namespace, environ: Mapping[str, str]) -> Access:
    """Like `access_given`; UsageError without a URL."""
    access = access_given(options, environ)
    if access is None:
        raise UsageError("no cluster was named: give --url http://localhost:6333, or set QDRANT_URL")
    return access


def answers_given(path: str | None, sets: list[str]) -> Answers:
    """The answers of a file and of `--set id=value`, which win; relative paths in them are made absolute."""
    from changeover.decision.answers import Answers, from_toml, set_answer
    from changeover.decision.paths import absolute
    from changeover.decision.questions import by_id

    answers, base = Answers(), Path.cwd()
    if path is not None:
        answers = from_toml(Path(path))
        base = Path(path).absolute().parent
    answers = absolute(answers, base)
    for item in sets:
        question, sign, value = item.partition("=")
        if not sign or not question:
            raise UsageError(f"--set {item}: write it as --set id=value; `changeover explain` lists the ids")
        asked = by_id(question.strip())
        blanks = asked is not None and asked.blanks and value.strip()
        answers = set_answer(answers, question.strip(), value if blanks else value.strip())
    return absolute(answers, Path.cwd())


def answers_for(collection: str, path: str | None, sets: list[str]) -> Answers:
    """The answers given, for this collection; says so when they were written for another one."""
    import msgspec

    answers = answers_given(path, sets)
    if answers.collection and answers.collection != collection:
        say(f"the answers were written for {answers.collection}; they are taken for {collection}")
    return msgspec.structs.replace(answers, collection=collection)


def write_plan(path: Path, plan: Plan) -> None:
    """Write the plan file, for its owner alone; raises UsageError."""
    from changeover.engine.folder import write_private
    from changeover.plan.file import to_json

    try:
        write_private(path, to_json(plan))
    except OSError as error:
        raise UsageError(f"{path}: cannot write the plan file: {error.strerror}") from None
