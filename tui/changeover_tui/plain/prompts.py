"""How a question reaches a person: questionary on a terminal, numbered lines for a screen reader, or a script."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from changeover.errors import UsageError
from changeover.safe_text import cells, clean, clean_line
from changeover_tui.plain.aid import LITERAL, Aid, BackError
from changeover_tui.verbs.common import say as to_stderr


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One choice; `closed` is the reason why it cannot be taken, "" when it can."""

    value: str
    label: str
    closed: str = ""


LETTERS = {"?": "?", "b": "back", "m": "map", "t": "try", "e": "explain", "q": "quit"}
"""What a letter does in a list of choices, where none can be typed."""
POINTER = 5
"""Terminal cells before a choice, and one behind it."""


class InputEndedError(UsageError):
    """The input ended before everything was answered."""


class Prompts(Protocol):
    """What the walk asks; every method raises KeyboardInterrupt when the person leaves, BackError to go back."""

    automatic: bool
    """Nobody is there: proposals are taken, and everything that is acknowledged is said to be."""
    aid: Aid
    """Answers the words that can be typed at any prompt."""

    def choose(self, question: str, options: Sequence[Option], proposed: str) -> str:
        """The value of one open option."""
        ...

    def text(self, question: str, proposed: str = "") -> str:
        """A line with its blanks; the proposal when nothing was typed."""
        ...

    def secret(self, question: str) -> str:
        """A line that is not shown."""
        ...

    def typed(self, question: str, word: str) -> bool:
        """Whether exactly `word` was typed; never proposed, never accepted by Enter."""
        ...


class Numbered:
    """Plain lines on stderr and input(): nothing is redrawn, so a screen reader reads each line once."""

    automatic = False

    def __init__(self, read: Callable[[], str] = input, say: Callable[[str], None] | None = None) -> None:
        self._read = read
        self._say = say or to_stderr
        self.aid = Aid(self._say)

    def choose(self, question: str, options: Sequence[Option], proposed: str) -> str:
        """Asks for a number until it is that of an open option; Enter takes the proposal."""
        self._say(clean(question))
        default = next(
            (n for n, option in enumerate(options, 1) if option.value == proposed and not option.closed), None
        )
        for number, option in enumerate(options, 1):
            mark = f"closed: {option.closed}" if option.closed else "proposed" if number == default else ""
            self._say(clean_line(f"  {number}. {clean(option.label)}{f' ({clean(mark)})' if mark else ''}"))
        while True:
            typed = self._line(f"Number{f' [{default}]' if default else ''}: ").strip() or str(default or "")
            chosen = options[int(typed) - 1] if typed.isdecimal() and 1 <= int(typed) <= len(options) else None
            if chosen is None:
                self._say(f"a number from 1 to {len(options)}, please; ? says what else can be typed")
            elif chosen.closed:
                self._say(clean(f"{chosen.label} is closed: {chosen.closed}"))
            else:
                return chosen.value

    def text(self, question: str, proposed: str = "") -> str:
        """One line; Enter takes the proposal."""
        typed = self._line(clean(f"{question}{f' [{proposed}]' if proposed else ''}: ") + " ")
        return literal(typed) or proposed

    def secret(self, question: str) -> str:
        """One line without echo; from a pipe as any other line."""
        import getpass

        if not sys.stdin.isatty():
            return self._line(f"{clean(question)}: ").strip()
        while self.aid.take(typed := getpass.getpass(f"{clean(question)}: ").strip()):
            pass
        return typed

    def typed(self, question: str, word: str) -> bool:
        """One line that must be the word."""
        return self._line(f"{clean(question)}: ", word).strip() == word

    def _line(self, prompt: str, word: str = "") -> str:
        """A line that is none of the words that can be typed at any prompt, but for the wanted `word` itself."""
        while True:
            sys.stderr.write(prompt)
            sys.stderr.flush()
            try:
                line = self._read().rstrip("\r\n")
            except EOFError:
                sys.stderr.write("\n")
                raise InputEndedError(
                    "the input ended before every question was answered; give the answers in a file: "
                    "changeover plan COLLECTION --answers FILE"
                ) from None
            if line.strip() == word or not self.aid.take(line):
                return line


class Questionary:
    """Arrow keys and colours, for a terminal. Esc goes back, F1 helps; in a list also by letters."""

    automatic = False

    def __init__(self) -> None:
        letters = ", ".join(f"{letter} {word}" for letter, word in LETTERS.items() if letter != word)
        self.aid = Aid(to_stderr, f"  In a list by a letter: {letters}; anywhere: esc back, F1 this help.")

    def choose(self, question: str, options: Sequence[Option], proposed: str) -> str:
        """Closed options are shown with their reason and cannot be marked."""
        import questionary

        width = shutil.get_terminal_size().columns - POINTER
        choices = [questionary.Choice(**_row(option, width)) for option in options]
        open_values = [option.value for option in options if not option.closed]
        default = proposed if proposed in open_values else None
        while True:
            select = questionary.select(
                clean(question), choices=choices, default=default, instruction="(Enter takes it; ? help, b back)"
            )
            _add_keys(select.application.key_bindings, LETTERS)
            given = select.unsafe_ask()
            if not isinstance(given, _Word):
                return str(given)
            self._obey(given)

    def text(self, question: str, proposed: str = "") -> str:
        """One line, the proposal already in it."""
        return literal(self._line(question, default=proposed))

    def secret(self, question: str) -> str:
        """One line shown as stars."""
        import questionary

        while self.aid.take(typed := str(questionary.password(clean(question)).unsafe_ask()).strip()):
            pass
        return typed

    def typed(self, question: str, word: str) -> bool:
        """One line that must be the word."""
        return self._line(question, word).strip() == word

    def _line(self, question: str, word: str = "", default: str = "") -> str:
        import questionary
        from prompt_toolkit.key_binding import KeyBindings

        while True:
            keys = KeyBindings()
            _add_keys(keys, {})
            given = questionary.text(
                clean(question), default=default, instruction="(F1 help, esc back)", key_bindings=keys
            ).unsafe_ask()
            if isinstance(given, _Word):
                self._obey(given)
            elif given.strip() == word or not self.aid.take(given):
                return str(given)

    def _obey(self, word: str) -> None:
        """What a key asks for; the topic of an explanation is asked first."""
        import questionary

        if word == "explain":
            word = f"explain {questionary.text('explain what? (empty: the list)').unsafe_ask().strip()}"
        self.aid.take(word)


def _row(option: Option, width: int) -> dict[str, Any]:
    """A choice on one line of the terminal; what does not fit is described while it is marked."""
    label = clean(option.label)
    short = clean(label, width if not option.closed else width // 2)
    return {
        "title": short,
        "value": option.value,
        "disabled": clean(option.closed, width - cells(short) - 4) or None,
        "description": textwrap.fill(label, width, initial_indent="\n    ", subsequent_indent="    ").lstrip(" ")
        if short != label
        else None,
    }


class _Word(str):
    """A word that was asked for by its key; no answer."""

    __slots__ = ()


def _add_keys(keys: object, letters: Mapping[str, str]) -> None:
    """Let keys end a prompt with their word: F1, Esc, and the letters where none can be typed."""
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    assert isinstance(keys, KeyBindings)

    def bind(key: str, word: str) -> None:
        @keys.add(key, eager=True)
        def _(event: KeyPressEvent) -> None:
            event.app.exit(result=_Word(word))

    for key, word in {"f1": "?", "escape": "back", **letters}.items():
        bind(key, word)


def literal(typed: str) -> str:
    """What was typed as the answer that it stands for."""
    return typed.lstrip().removeprefix(LITERAL) if typed.lstrip().startswith(LITERAL) else typed


def insist(prompts: Prompts, question: str, word: str, say: Callable[[str], None]) -> bool:
    """Ask until exactly `word` is typed, or the person goes back: False. Enter alone never does anything."""
    while True:
        try:
            if prompts.typed(question, word):
                return True
        except BackError:
            return False
        if prompts.automatic:
            return False
        say(f"that is not {clean(word)}; type it exactly, or back")


class Scripted:
    """Answers by part of the question's words, else the proposal; for the unattended demo and for tests.

    Everything asked is kept in `asked`. `confirm` says whether typed words are given.
    """

    automatic = True

    def __init__(self, answers: Mapping[str, str] | None = None, *, confirm: bool = True) -> None:
        self._answers = dict(answers or {})
        self._confirm = confirm
        self.asked: list[str] = []
        self.aid = Aid(lambda _: None)

    def choose(self, question: str, options: Sequence[Option], proposed: str) -> str:
        """The scripted value, which must be open, else the proposal, else the first open option."""
        self.asked.append(question)
        open_values = [option.value for option in options if not option.closed]
        wanted = self._find(question) or proposed
        if wanted in open_values:
            return wanted
        if not open_values or self._find(question):
            raise UsageError(
                f"{clean(question)}: {clean(wanted)} cannot be chosen; open: {', '.join(open_values) or 'none'}"
            )
        return open_values[0]

    def text(self, question: str, proposed: str = "") -> str:
        """The scripted line, else the proposal."""
        self.asked.append(question)
        found = self._find(question)
        return proposed if found is None else found

    def secret(self, question: str) -> str:
        """The scripted line, else nothing."""
        self.asked.append(question)
        return self._find(question) or ""

    def typed(self, question: str, word: str) -> bool:
        """As `confirm` says."""
        self.asked.append(question)
        return self._confirm

    def _find(self, question: str) -> str | None:
        return next((answer for part, answer in self._answers.items() if part in question), None)


def for_terminal(environ: Mapping[str, str]) -> Prompts:
    """Questionary on a capable terminal; numbered lines for ACCESSIBLE, TERM=dumb or no terminal."""
    dumb = environ.get("TERM", "") in ("", "dumb") or bool(environ.get("ACCESSIBLE"))
    if dumb or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return Numbered()
    return Questionary()
