"""`bundle`: one file about a run or a collection for a support desk, and what is in it, said before it is sent."""

from __future__ import annotations

import argparse
import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import msgspec

from changeover.errors import UsageError
from changeover_tui.verbs.common import access_needed, answers_given, out, say

if TYPE_CHECKING:
    from changeover.bundle.make import Contents
    from changeover.bundle.model import Allowed
    from changeover.engine.folder import RunFolder


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """Write the file for its owner alone, say on stderr what is inside and what was taken out, print its path."""
    from changeover.bundle import file as bundle_file
    from changeover.bundle.describe import lines
    from changeover.bundle.make import make
    from changeover.bundle.places import keep
    from changeover.engine.folder import write_private

    allowed = _allowed(options.allow)
    folder = _run_named(options.name, environ)
    contents = _of_run(folder, options, environ) if folder is not None else _of_collection(options, environ)
    bundle, places = make(contents, allowed, environ)
    name = re.sub(r"[^\w-]+", "-", contents.about)
    path = Path(options.output or f"{name}.bundle.json")
    stays_here = keep(places, environ)
    try:
        write_private(path, bundle_file.to_json(bundle))
    except OSError as error:
        raise UsageError(f"{path}: cannot write the bundle: {error.strerror}") from None
    for label, value in lines(bundle):
        say(f"{label:>9}  {value}")
    if stays_here is not None:
        say(f"what stands for hosts, paths and metadata stays on this machine: {stays_here}")
    say("the bundle is plain JSON: read it before you send it. Support opens it with: changeover open FILE")
    out(str(path))
    return 0


def _allowed(given: str) -> frozenset[Allowed]:
    from changeover.bundle.model import Allowed

    words = {word.strip() for word in given.split(",") if word.strip()}
    unknown = words - set(get_args(Allowed))
    if unknown:
        raise UsageError(f"--allow {', '.join(sorted(unknown))}: only hosts and payload can be let in")
    return frozenset(cast("set[Allowed]", words))


def _run_named(name: str, environ: dict[str, str]) -> RunFolder | None:
    from changeover.engine.folder import find

    try:
        return find(name, environ)
    except UsageError:
        return None


def _of_collection(options: argparse.Namespace, environ: dict[str, str]) -> Contents:
    """As `check` reads and measures it."""
    from changeover.bundle.gather import from_collection
    from changeover.wizard import Wizard
    from changeover_tui.plain.words import announcing

    answers = msgspec.structs.replace(answers_given(options.answers, options.sets), collection=options.name)
    wizard = Wizard(access_needed(options, environ), environ)
    wizard.answer(answers)
    read = from_collection(wizard, options.name, say, trials=not options.quick, progress=announcing(say))
    return asyncio.run(read)


def _of_run(folder: RunFolder, options: argparse.Namespace, environ: dict[str, str]) -> Contents:
    """Its folder, and the cluster as it is now where it can be reached."""
    from changeover.bundle.gather import from_run
    from changeover.wizard import Wizard
    from changeover_tui.plain.words import announcing

    if options.answers or options.sets:
        raise UsageError("--answers and --set are for a collection; a run has the answers that its plan was made from")
    access = access_needed(options, environ) if options.url else folder.plan().job.access
    wizard = Wizard(access, environ)
    return asyncio.run(from_run(folder, wizard, say, model=not options.quick, progress=announcing(say)))
