"""The command `changeover`: arguments in, exit code out. Everything heavy is imported by the verb that needs it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from changeover.errors import ChangeoverError, ExitCode
from changeover.version import __version__

SCENARIOS = ("upgrade", "old-server", "fewer-dimensions", "quantization", "hybrid", "side-by-side", "bad-model")
CONTROLS = {
    "pause": "stop writing for a while; searches go on",
    "resume": "go on",
    "rate N": "points per second at most; 0 for no limit",
    "batch N": "points per request",
    "streams N": "requests at once",
    "spend N": "money at most, in the currency of the model's price",
    "accept CODE": "overrule what the run found and waits for, such as no-go",
    "cutover": "cut over, once every lamp is on; asks for the name",
    "when-ready": "cut over by itself as soon as every lamp is on; asks for the name now",
    "stop": "end the engine; `changeover resume` goes on where it was",
}
"""What a running engine can be asked for, and what it does."""
GENERATIONS = ("1.17", "1.18", "1.19", "1.20")
MODULES = {
    None: "wizard",
    "demo": "demo",
    "inspect": "inspect",
    "check": "check",
    "plan": "plan",
    "apply": "apply",
    "resume": "apply",
    "runs": "runs",
    "watch": "runs",
    "control": "control",
    "rollback": "rollback",
    "cleanup": "cleanup",
    "report": "report",
    "compare": "compare",
    "bundle": "bundle",
    "open": "opened",
    "explain": "explain",
}
"""Verb -> module of `changeover_tui.verbs`, whose `run(options, environ)` returns the exit code."""
KEY_FLAGS = frozenset({"--api-key", "--apikey", "--api_key", "--key", "--token", "--password"})


class Parser(argparse.ArgumentParser):
    """One line instead of the whole usage; never repeats a value that could be a key."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and leave with the usage code."""
        self.exit(ExitCode.USAGE, f"changeover: {message}; see `{self.prog} --help`\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    from changeover_tui import crash

    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
        module = import_module(f"changeover_tui.verbs.{MODULES[options.verb]}")
        code = int(module.run(options, dict(os.environ)))
        sys.stdout.flush()
    except ChangeoverError as error:
        sys.stderr.write(crash.one_line(f"changeover: {error}", os.environ))
        return int(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("changeover: interrupted\n")
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe has gone: nothing is wrong. Python's own flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.DONE)
    except Exception as bug:
        path = crash.write(bug, os.environ)
        where = f"; details in {path}" if path else ""
        sys.stderr.write(crash.one_line(f"changeover: a bug: {type(bug).__name__}: {bug}{where}", os.environ))
        return int(ExitCode.BUG)
    return code


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options; leaves with exit code 2 and one line when they cannot be understood."""
    parser = _parser()
    if any(word.partition("=")[0].lower() in KEY_FLAGS for word in arguments):
        parser.error("a key is never an argument: put it into an environment variable and give --api-key-env NAME")
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        flags = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        parser.error(f"not understood: {', '.join(flags) or 'an argument too many'}")
    return options


def _parser() -> Parser:
    top = Parser(
        prog="changeover",
        allow_abbrev=False,
        description="Change the embedding model of a Qdrant collection without losing a point, a write or a minute of "
        "service. Without a verb: the wizard.",
        epilog="Exit codes: 0 done, 1 bug, 2 usage, 3 unreachable or not allowed, 4 blocked by a finding, 5 not "
        "verified, 6 stopped and resumable, 130 interrupted. `changeover explain` says more.",
        parents=[_connection(), _plain()],
    )
    top.add_argument("--version", action="version", version=f"changeover {__version__}")
    top.add_argument("--answers", metavar="FILE", help="answers file, for the wizard without screens")
    _sets(top)
    top.set_defaults(url=None, grpc_port=None, api_key_env=None, plain=False, theme="dark", no_hints=False)
    verbs = top.add_subparsers(dest="verb", metavar="VERB", parser_class=Parser, title="verbs")
    _reading_verbs(verbs)
    _running_verbs(verbs)
    return top


Verbs = argparse._SubParsersAction  # the only name argparse has for what add_subparsers returns


def _reading_verbs(verbs: Verbs[Parser]) -> None:
    inspect = _verb(verbs, "inspect", "what is true of a cluster or a collection now; reading only", _connection())
    inspect.add_argument("collection", nargs="?", help="name or alias; without it all collections are listed")
    inspect.add_argument("--json", action="store_true", help="for programs")

    check = _verb(verbs, "check", "what speaks against answers, measured; nothing is written", _connection())
    check.add_argument("collection", help="name or alias")
    check.add_argument("--answers", metavar="FILE", help="TOML file of question ids and answers")
    _sets(check)
    _quick(check)
    check.add_argument("--json", action="store_true", help="for programs")

    plan = _verb(verbs, "plan", "make a plan from answers; nothing is written to the cluster", _connection())
    plan.add_argument("collection", help="name or alias")
    plan.add_argument("--answers", metavar="FILE", help="TOML file of question ids and answers")
    _sets(plan)
    _quick(plan)
    plan.add_argument("-o", "--output", metavar="FILE", default="plan.json", help="plan file; - writes it to stdout")

    runs = _verb(verbs, "runs", "the runs on this machine")
    runs.add_argument("--json", action="store_true", help="for programs")

    report = _verb(verbs, "report", "write the report of a run again")
    report.add_argument("name", metavar="RUN", nargs="?", help="name or folder; the newest when left out")
    report.add_argument("-o", "--output", metavar="FILE", help="copy it there; .md for Markdown")

    compare = _verb(verbs, "compare", "ask the old and the new side of a run; reading only")
    compare.add_argument("name", metavar="RUN|COLLECTION", help="name or folder; or a collection or alias of a run")
    asked = compare.add_mutually_exclusive_group()
    asked.add_argument("--query", metavar="TEXT", help="one query")
    asked.add_argument("--queries", metavar="FILE", help="JSONL file of queries; else those that the plan names")
    compare.add_argument("--vote", action="store_true", help="say after each query which list is better")
    compare.add_argument(
        "--set", metavar="ID=VALUE", action="append", default=[], help="the old model: old_model.provider, .name, ..."
    )

    _support_verbs(verbs)

    explain = _verb(verbs, "explain", "a finding, question, route or exit code in words")
    explain.add_argument("topic", nargs="?", help="without it all topics are listed")


def _support_verbs(verbs: Verbs[Parser]) -> None:
    bundle = _verb(
        verbs, "bundle", "one file about a run or a collection for a support desk; no key in it", _connection()
    )
    bundle.add_argument("name", metavar="RUN|COLLECTION", help="name or folder of a run, else a collection or alias")
    bundle.add_argument("-o", "--output", metavar="FILE", help="where it goes (./NAME.bundle.json)")
    bundle.add_argument(
        "--allow", metavar="WHAT", default="", help="let in: hosts, payload, or hosts,payload; else both are taken out"
    )
    bundle.add_argument("--answers", metavar="FILE", help="collection: TOML file of question ids and answers")
    _sets(bundle)
    _quick(bundle)

    opened = _verb(verbs, "open", "walk the questions, checks and plan on a bundle; connects nowhere", _plain())
    opened.add_argument("bundle", metavar="BUNDLE", help="bundle file")
    opened.add_argument("--answers", metavar="FILE", help="other answers than those in the bundle")
    _sets(opened)
    opened.add_argument(
        "-o", "--output", metavar="FILE", help="write the plan there without asking anything; - writes it to stdout"
    )


def _running_verbs(verbs: Verbs[Parser]) -> None:
    apply = _verb(verbs, "apply", "run a plan", _connection())
    apply.add_argument("plan", metavar="PLAN", help="plan file")
    apply.add_argument("--run-dir", metavar="DIR", help="folder of the run")
    apply.add_argument("--accept", metavar="CODE", action="append", default=[], help="acknowledge a finding")
    apply.add_argument("--detach", action="store_true", help="start the engine and leave")

    watch = _verb(verbs, "watch", "follow a run", _plain())
    watch.add_argument("name", metavar="RUN", nargs="?", help="name or folder; the newest when left out")
    watch.add_argument("--read-only", action="store_true", help="no keys that ask the engine for anything")
    watch.add_argument("--once", action="store_true", help="say how it stands now, as lines, and leave")
    watch.add_argument("--replay", action="store_true", help="go through what happened from its beginning")

    resume = _verb(verbs, "resume", "start the engine of a stopped run where it was")
    resume.add_argument("name", metavar="RUN", help="name or folder")
    resume.add_argument("--spend", type=float, metavar="N", help="another sum that may be spent on the model")
    resume.add_argument(
        "--accept", action="append", default=[], metavar="CODE", help="overrule what stopped the run: points-left-out"
    )
    resume.add_argument("--detach", action="store_true", help="start the engine and leave")

    control = _verb(verbs, "control", "ask a running engine for something")
    control.formatter_class = argparse.RawDescriptionHelpFormatter
    control.epilog = "requests:\n" + "\n".join(f"  {request:15}{words}" for request, words in CONTROLS.items())
    control.add_argument("name", metavar="RUN", help="name or folder")
    control.add_argument(
        "request", choices=[words.split()[0] for words in CONTROLS], metavar="REQUEST", help="one of those below"
    )
    control.add_argument("value", nargs="?", metavar="N|CODE", help="where the request takes one")
    control.add_argument(
        "--confirm", metavar="NAME", help="cutover, when-ready: the name that would otherwise be typed"
    )

    rollback = _verb(verbs, "rollback", "let the old side serve again, with everything written since the cutover")
    rollback.add_argument("name", metavar="RUN", help="name or folder")
    rollback.add_argument("-o", "--output", metavar="FILE", help="where the plan of the way back is written")
    rollback.add_argument(
        "--set", metavar="ID=VALUE", action="append", default=[], help="the old model: old_model.provider, .name, ..."
    )
    rollback.add_argument(
        "--accept", metavar="CODE", action="append", default=[], help="no-old-vector: go back without the old model"
    )
    rollback.add_argument("--confirm", metavar="NAME", help="the name that would otherwise be typed")
    rollback.add_argument("--detach", action="store_true", help="start the engine and leave")

    cleanup = _verb(verbs, "cleanup", "remove the old side of a finished run")
    cleanup.add_argument("name", metavar="RUN", help="name or folder")
    cleanup.add_argument("-o", "--output", metavar="FILE", help="where the plan of the cleanup is written")
    cleanup.add_argument("--confirm", metavar="NAME", help="the name of what is removed, that would otherwise be typed")
    cleanup.add_argument("--no-snapshot", action="store_true", help="take no snapshot before")
    cleanup.add_argument("--detach", action="store_true", help="start the engine and leave")

    demo = _verb(verbs, "demo", "the wizard on the embedded sandbox: no cluster, no network", _plain())
    demo.add_argument("--auto", action="store_true", help="unattended: every proposal is taken")
    demo.add_argument(
        "--generation", choices=GENERATIONS, help="server version the sandbox behaves like (else the scenario's own)"
    )
    demo.add_argument("--scenario", choices=SCENARIOS, help="what is changed (else a list of them)")
    demo.add_argument("--documents", type=_positive, metavar="N", help="points to begin with (else the scenario's own)")
    demo.add_argument("--keep", action="store_true", help="keep the sandbox's folder")
    demo.add_argument("--report", metavar="FILE", help="where the report goes (./changeover-demo.html)")


def _verb(verbs: Verbs[Parser], name: str, words: str, *parents: Parser) -> Parser:
    parser: Parser = verbs.add_parser(
        name, help=words, description=words[0].upper() + words[1:] + ".", parents=list(parents), allow_abbrev=False
    )
    return parser


def _connection() -> Parser:
    """Defaults are suppressed, so that a flag before the verb is not overwritten by the verb's own default."""
    flags = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = flags.add_argument_group("connection")
    group.add_argument("--url", help="REST address of the cluster (else $QDRANT_URL)")
    group.add_argument("--grpc-port", type=_port, metavar="PORT", help="found by itself when left out")
    group.add_argument("--api-key-env", metavar="NAME", help="variable that holds the key (else $QDRANT_API_KEY's)")
    return flags


def _plain() -> Parser:
    flags = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    flags.add_argument("--plain", action="store_true", help="prompts and lines instead of screens")
    flags.add_argument("--theme", choices=("dark", "light", "terminal"), help="colours of the screens; F2 changes them")
    flags.add_argument("--no-hints", action="store_true", help="without the lines that explain; F7 changes it")
    return flags


def _quick(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="leave out the trials on a sample, and their findings")


def _sets(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", dest="sets", metavar="ID=VALUE", action="append", default=[], help="one answer; may be repeated"
    )


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise argparse.ArgumentTypeError("must be a port from 1 to 65535")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
