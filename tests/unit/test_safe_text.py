"""Text from a cluster is printed without anything that a terminal obeys."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changeover.safe_text import cells, clean, clean_block

ANY = st.text(alphabet=st.characters(exclude_categories=()), max_size=80)
HOSTILE = st.lists(
    st.sampled_from(["\x1b[31m", "\x1b]0;t\x07", "\x9b2J", "\r", "\n", "\u202e", "a", "猫", "\x1b"])
).map("".join)


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;c2VjcmV0", ""),
        ("\x9b2Jwiped", "wiped"),
        ("over\rwritten\nand\tmore", "over written and more"),
        ("abc\u202egnp.exe", "abcgnp.exe"),
        ("zero\u200bwidth", "zerowidth"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("naïve 猫 ✓", "naïve 猫 ✓"),
    ],
)
def test_clean(raw: str, safe: str) -> None:
    assert clean(raw) == safe


@given(ANY | HOSTILE)
def test_nothing_a_terminal_obeys_is_left_and_cleaning_twice_changes_nothing(raw: str) -> None:
    safe = clean(raw)
    assert not {unicodedata.category(char) for char in safe} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert clean(safe) == safe
    safe.encode()


@given(ANY | HOSTILE, st.integers(min_value=0, max_value=30))
def test_it_fits(raw: str, width: int) -> None:
    fitted = clean(raw, width)
    assert cells(fitted) <= width
    assert fitted == clean(raw) or fitted.endswith("…") or width == 0


@given(ANY | HOSTILE)
def test_a_block_keeps_its_lines(raw: str) -> None:
    lines = clean_block(raw).split("\n")
    assert len(lines) == raw.count("\n") + 1
    assert all(unicodedata.category(char) != "Cc" for line in lines for char in line)


def test_a_block_keeps_its_indent() -> None:
    assert clean_block("{\n  \x1b[1m'a': 1\n\tb") == "{\n  'a': 1\n    b"
