"""No verb: the wizard, as screens or as plain prompts."""

from __future__ import annotations

import argparse

from changeover_tui.verbs.common import access_given, answers_given, say, wants_screens


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """Open the wizard; with a URL at its collections, else at the start."""
    access = access_given(options, environ)
    if wants_screens(options, environ):
        from changeover_tui.app import run_wizard

        return run_wizard(access, environ, start="collections" if access else "start")
    from changeover_tui.plain import prompts, walk

    answers = answers_given(options.answers, options.sets)
    return walk.wizard(access, environ, prompts.for_terminal(environ), say, answers=answers)
