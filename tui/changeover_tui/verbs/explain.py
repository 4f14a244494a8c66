"""`explain`: findings, questions, routes and exit codes in words."""

from __future__ import annotations

import argparse

from changeover_tui.verbs.common import out
from changeover_tui.verbs.inspect import table


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """Print one topic, or the list of them; UsageError for an unknown one."""
    from changeover import explain

    if options.topic:
        out(explain.explain(options.topic))
        return 0
    topics = explain.topics()
    for line in table(("topic", "what it is"), list(topics.items())):
        out(line)
    return 0
