"""No verb: the wizard, as screens or as plain prompts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from changeover.errors import ChangeoverError, ExitCode
from changeover_tui.verbs.common import access_given, answers_given, look, say, wants_screens

if TYPE_CHECKING:
    from changeover.engine.folder import RunFolder
    from changeover_tui.plain.prompts import Prompts


RECENT = 9
"""How many runs the start offers."""


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """Open the wizard; with a URL at its collections, else at the start."""
    access = access_given(options, environ)
    if wants_screens(options, environ):
        from changeover_tui.app import run_wizard

        return run_wizard(access, environ, start="collections" if access else "start", **look(options))
    from changeover_tui.plain import prompts, walk

    person = prompts.for_terminal(environ)
    answers = answers_given(options.answers, options.sets)
    if access is None and not (options.answers or options.sets):
        return _from_the_start(person, environ)
    made, code = walk.wizard(access, environ, person, say, answers=answers)
    return what_next(made, code, person, environ)


def _from_the_start(person: Prompts, environ: dict[str, str]) -> int:
    """The sandbox, a cluster, or a run that exists already: what the first screen offers."""
    from changeover.afterwards.standing import Runs
    from changeover.engine.folder import runs_root
    from changeover_tui.plain import walk
    from changeover_tui.plain.prompts import Option
    from changeover_tui.runner import title_of

    found = {str(one.folder.path): one for one in Runs(runs_root(environ)).look(most=RECENT)}
    options = [
        Option(value="sandbox", label="try it on the sandbox: an embedded cluster, no network, no account"),
        Option(value="connect", label="connect to a Qdrant cluster; it is read, nothing is written before your yes"),
        *(
            Option(value=path, label=f"{title_of(one.plan)}: {one.standing.words}, {one.folder.name}")
            if one.plan is not None and one.standing is not None
            else Option(value=path, label=one.folder.name, closed=f"broken: {one.broken}")
            for path, one in found.items()
        ),
    ]
    person.aid.at(
        "Changeover takes a Qdrant collection from one embedding model to another without losing a point, a write or a"
        " minute of service. It asks, checks, shows a plan, and runs it only after you have typed a name."
    )
    say("Change the embedding model of a collection, without downtime. ? at any prompt is help.")
    chosen = person.choose("What do you want to do?", options, "connect")
    if chosen == "sandbox":
        return do(["demo", "--plain"], environ)
    if chosen == "connect":
        made, code = walk.wizard(None, environ, person, say)
        return what_next(made, code, person, environ)
    return what_next(found[chosen].folder, int(ExitCode.DONE), person, environ)


def what_next(folder: RunFolder, code: int, person: Prompts, environ: dict[str, str]) -> int:
    """Do with the run what is chosen until the person leaves; returns the last exit code."""
    from changeover_tui.plain import attend, menu

    while code != ExitCode.INTERRUPTED:
        person.aid.at("What can be done with this run now; each row is a verb of the command `changeover`.")
        say("")
        deed = menu.ask(folder, person)
        if deed is None:
            break
        if deed.name == menu.ATTEND:
            code = attend.attend(folder, say, on_ready=attend.typed_name(folder, person, say))
        else:
            code = do(menu.words(deed, folder), environ)
    return code


def do(arguments: Sequence[str], environ: dict[str, str]) -> int:
    """Run another verb here; what speaks against it is said, and is its exit code."""
    from changeover_tui import cli

    options = cli.parse(arguments)
    try:
        return int(import_module(f"changeover_tui.verbs.{cli.MODULES[options.verb]}").run(options, environ))
    except ChangeoverError as error:
        say(f"changeover: {error}")
        return int(error.exit_code)
