"""Templates: holes, literal text, braces; and what is never in a rendered text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changeover.errors import UsageError
from changeover.survey.template import paths, render

PAYLOAD: dict[str, Any] = {
    "title": "T",
    "body": {"text": "B", "parts": ["one", "two", 3], "deep": {"er": True}},
    "items": [{"name": "a"}, {"name": "b"}, {"other": 1}],
    "n": 7,
    "none": None,
    "dotted.key": "D",
    "blank": "",
}

KEYS = st.text(st.characters(codec="utf-8", exclude_characters="{}."), min_size=1).filter(lambda k: k == k.strip())
LITERALS = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{title}", "T"),
        ("{title}\n\n{body.text}", "T\n\nB"),
        ("{body.parts}", "one\ntwo\n3"),
        ("{items.name}", "a\nb"),
        ("{items[].name}|{body.parts[]}|{items[].missing}", "a\nb|one\ntwo\n3|"),
        ("{n} of {none}|{missing}|{body.deep}", "7 of ||"),
        ("{dotted.key}", "D"),
        ("{{title}} {title}", "{title} T"),
        ("{ title }", "T"),
        ("no hole", "no hole"),
        ("", ""),
        ("{title.deeper}{body.text.deeper}", ""),
    ],
)
def test_a_template_is_filled_in(template: str, text: str) -> None:
    assert render(template, PAYLOAD) == text


@pytest.mark.parametrize("template", ["{", "}", "{}", "{ }", "{a", "a}", "{a{b}}", "{{a}"])
def test_unbalanced_braces_are_one_clear_line(template: str) -> None:
    with pytest.raises(UsageError, match=r"text\.template") as caught:
        paths(template)
    assert "\n" not in str(caught.value)


def test_paths_are_named_once_in_order() -> None:
    assert paths("{b}\n{a.x}{b} {{c}}") == ("b", "a.x")


@given(LITERALS, st.dictionaries(KEYS, VALUES))
def test_literal_text_with_doubled_braces_comes_out_as_it_was(text: str, payload: dict[str, Any]) -> None:
    escaped = text.replace("{", "{{").replace("}", "}}")
    assert render(escaped, payload) == text
    assert paths(escaped) == ()


@given(st.lists(KEYS, min_size=1, max_size=3), st.dictionaries(KEYS, VALUES), st.text())
def test_any_payload_gives_a_text(names: list[str], payload: dict[str, Any], value: str) -> None:
    template = "|".join(f"{{{name}}}" for name in names)
    assert paths(template) == tuple(dict.fromkeys(names))
    filled = {**payload, **dict.fromkeys(names, value)}
    assert render(template, filled) == "|".join([value] * len(names))
    assert isinstance(render(template, payload), str)
    assert render(template, {}) == "|" * (len(names) - 1)
