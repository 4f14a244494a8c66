"""A list and a field that leave Enter to their screen, so that the footer can say what Enter does here.

A binding with priority would do that too, but it overtakes the keys typed just before it: those wait in the queue of
the widget in focus while Enter runs at once.
"""

from __future__ import annotations

from textual.binding import Binding
from textual.widgets import Input, OptionList


def _without_enter(bindings: list[Binding]) -> list[Binding]:
    return [binding for binding in bindings if binding.key != "enter"]


class Rows(OptionList, inherit_bindings=False):
    """A list of rows; Enter belongs to the screen, a click still selects."""

    BINDINGS = [*_without_enter(OptionList.BINDINGS)]  # type: ignore[arg-type]  # noqa: RUF012


class Field(Input, inherit_bindings=False):
    """One line of text; Enter belongs to the screen."""

    BINDINGS = [*_without_enter(Input.BINDINGS)]  # type: ignore[arg-type]  # noqa: RUF012
