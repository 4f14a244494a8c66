"""Prompts: numbered lines for a screen reader, arrow keys on a terminal, a script; closed choices stay closed."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from changeover.errors import UsageError
from changeover.safe_text import cells, clean
from changeover_tui.plain.aid import BackError, Quit
from changeover_tui.plain.prompts import Numbered, Option, Questionary, Scripted, _row, for_terminal, insist
from changeover_tui.verbs import common

ROUTES = (
    Option(value="in-place", label="In place", closed="the server is 1.17.1"),
    Option(value="blue-green", label="Blue-green"),
    Option(value="hybrid", label="\x1b[31mHybrid"),
)


WANTED = "a number from 1 to 3, please; ? says what else can be typed"


def numbered(*lines: str) -> tuple[Numbered, list[str]]:
    """Prompts that read these lines, and what they say."""
    waiting, said = iter(lines), list[str]()

    def read() -> str:
        try:
            return next(waiting)
        except StopIteration:
            raise EOFError from None

    return Numbered(read, said.append), said


def test_a_number_is_asked_for_until_it_is_that_of_an_open_choice(capsys: pytest.CaptureFixture[str]) -> None:
    prompts, said = numbered("x", "0", "4", "1", "3")
    assert prompts.choose("Which route?", ROUTES, "blue-green") == "hybrid"
    assert said[0] == "Which route?"
    assert said[1] == "  1. In place (closed: the server is 1.17.1)"
    assert said[2] == "  2. Blue-green (proposed)"
    assert said[3] == "  3. Hybrid"
    assert said[4:] == [WANTED] * 3 + ["In place is closed: the server is 1.17.1"]
    assert capsys.readouterr().err.count("Number [2]: ") == 5


def test_enter_takes_the_proposal_but_never_a_closed_one() -> None:
    prompts, _ = numbered("")
    assert prompts.choose("Which route?", ROUTES, "blue-green") == "blue-green"
    prompts, said = numbered("", "2")
    assert prompts.choose("Which route?", ROUTES, "in-place") == "blue-green"
    assert said[-1] == WANTED


def test_lines_and_typed_words() -> None:
    prompts, _ = numbered("", "mine", "docs", "Docs", "")
    assert prompts.text("Name", "proposed") == "proposed"
    assert prompts.text("Name", "proposed") == "mine"
    assert prompts.typed("Type docs", "docs")
    assert not prompts.typed("Type docs", "docs")
    assert not prompts.typed("Type docs", "docs")


def test_words_at_any_prompt() -> None:
    prompts, said = numbered("?", "map", "explain exit-4", "explain nonsense", "back", "2")
    prompts.aid.at("Why it is asked.")
    assert prompts.choose("Which route?", ROUTES, "") == "blue-green"
    text = "\n".join(said)
    for words in (
        "Why it is asked.",
        "  map: the whole decision tree, and where you are",
        "there is no map before a collection was read",
        "Exit code 4: ",
        "there is no topic 'nonsense'; explain alone lists the topics",
        "there is nothing before this; quit leaves",
    ):
        assert words in text, words
    prompts, said = numbered("map", "back")
    prompts.aid.at(back="the question before", tree=lambda: ["[taken] \x1b[31mIn place"])
    with pytest.raises(BackError):
        prompts.text("Name")
    assert said == ["[taken] In place"]
    prompts, _ = numbered("quit")
    with pytest.raises(Quit):
        prompts.typed("Type docs", "docs")


def test_a_word_can_be_an_answer_all_the_same() -> None:
    prompts, _ = numbered("=map", "map", "=explain {text}", "back to front")
    assert prompts.text("Name") == "map"
    assert prompts.typed("Type map", "map")
    assert prompts.text("Template") == "explain {text}"
    assert prompts.text("Name") == "back to front"


def test_nothing_but_the_word_itself_confirms() -> None:
    prompts, said = numbered("", "Docs", "docs ", "back")
    prompts.aid.at(back="the plan")
    assert insist(prompts, "Type docs", "docs", said.append)
    assert said == ["that is not docs; type it exactly, or back"] * 2
    assert not insist(prompts, "Type docs", "docs", said.append)
    assert not insist(Scripted(confirm=False), "Type docs", "docs", said.append)


@given(st.lists(st.text("ab-\u00e9", min_size=1, max_size=90), min_size=1).map("  ".join), st.integers(0, 8))
def test_a_terminal_gets_lines_broken_between_words(words: str, indent: int) -> None:
    line = " " * indent + words
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "61")
        patch.delenv("ACCESSIBLE", raising=False)
        assert common.folded(line) == [line]  # no terminal
        patch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        folded = common.folded(line)
        assert " ".join(folded).split() == line.split()
        assert all(len(one) <= 60 or len(one.split()) == 1 for one in folded)
        assert folded[0].startswith(" " * indent) and all(one.startswith(" " * (indent + 2)) for one in folded[1:])
        patch.setenv("ACCESSIBLE", "1")
        assert common.folded(line) == [line]


def test_an_input_that_ends_says_what_to_do() -> None:
    prompts, _ = numbered()
    with pytest.raises(UsageError, match="--answers FILE"):
        prompts.text("Name")


@pytest.fixture
def keys() -> Iterator[object]:
    """A keyboard for prompt_toolkit."""
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        yield pipe


def test_arrow_keys(keys: object) -> None:
    send = keys.send_text  # type: ignore[attr-defined]
    prompts = Questionary()
    send("\r")
    assert prompts.choose("Which route?", ROUTES, "blue-green") == "blue-green"
    send("\x1b[B\r")
    assert prompts.choose("Which route?", ROUTES, "blue-green") == "hybrid"
    send("\r")
    assert prompts.choose("Which route?", ROUTES, "in-place") == "blue-green"
    send("\r")
    assert prompts.text("Name", "proposed") == "proposed"
    send("docs\r")
    assert prompts.typed("Type docs", "docs")
    send("hush\r")
    assert prompts.secret("Key") == "hush"
    send("\x03")
    with pytest.raises(KeyboardInterrupt):
        prompts.text("Name")


def test_help_map_and_back_by_keys(keys: object, capsys: pytest.CaptureFixture[str]) -> None:
    send = keys.send_text  # type: ignore[attr-defined]
    prompts = Questionary()
    prompts.aid.at("Why it is asked.", back="the question before", tree=lambda: ["the tree"])
    send("?meexit-4\r\x1b[B\r")
    assert prompts.choose("Which route?", ROUTES, "blue-green") == "hybrid"
    said = capsys.readouterr().err
    assert said.index("Why it is asked.") < said.index("the tree") < said.index("Exit code 4")
    send("\x1bOP\x15map\r\r")
    assert prompts.text("Name", "proposed") == "proposed"
    said = capsys.readouterr().err
    assert said.index("Why it is asked.") < said.index("the tree")
    assert "q quit; anywhere: esc back" in said
    for ask in (lambda: prompts.choose("Which route?", ROUTES, ""), lambda: prompts.text("Name", "proposed")):
        send("\x1b")
        with pytest.raises(BackError):
            ask()


@pytest.mark.parametrize("closed", ["", "the server is 1.17.1 " * 9], ids=["open", "closed"])
def test_a_choice_keeps_to_one_line_of_the_terminal(closed: str) -> None:
    row = _row(Option(value="v", label="\u4e16 " + "word " * 40, closed=closed), 75)
    said = row["title"] + (f" ({row['disabled']})" if closed else "")
    assert cells(said) <= 75
    assert clean(row["description"]) == clean("\u4e16 " + "word " * 40)
    assert _row(Option(value="v", label="short"), 75)["description"] is None


def test_a_script_answers_by_words_and_takes_proposals() -> None:
    script = Scripted({"model.name": "bge", "route": "hybrid"})
    assert script.text("model.name") == "bge"
    assert script.text("vector.name", "text_new") == "text_new"
    assert script.choose("route", ROUTES, "blue-green") == "hybrid"
    assert script.choose("another", ROUTES, "blue-green") == "blue-green"
    assert script.choose("another", ROUTES, "in-place") == "blue-green"
    assert script.typed("Type docs", "docs")
    assert not Scripted(confirm=False).typed("Type docs", "docs")
    with pytest.raises(UsageError, match="cannot be chosen"):
        Scripted({"route": "in-place"}).choose("route", ROUTES, "blue-green")


def test_a_screen_reader_and_a_pipe_get_numbers() -> None:
    assert isinstance(for_terminal({"TERM": "dumb"}), Numbered)
    assert isinstance(for_terminal({"TERM": "xterm", "ACCESSIBLE": "1"}), Numbered)
    assert isinstance(for_terminal({"TERM": "xterm"}), Numbered)  # pytest's stdin is no terminal
