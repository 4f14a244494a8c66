"""What a question is."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["choice", "yesno", "text", "number"]
Group = Literal["avoid", "downtime", "both", "hybrid", "model", "text", "names", "storage", "load", "cutover"]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One choice; `value` is what stands in an answers file."""

    value: str
    label: str
    consequence: str = ""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One question; a text question may offer choices too, and takes any other text as well."""

    id: str
    prompt: str
    help: str
    kind: Kind
    group: Group
    choices: tuple[Choice, ...] = ()
    optional: bool = False
    blanks: bool = False
    """Whether blanks at either end of a typed answer belong to it."""


def yesno(yes: str, no: str) -> tuple[Choice, ...]:
    """Both choices with what follows from each."""
    return (
        Choice(value="true", label="Yes", consequence=yes),
        Choice(value="false", label="No", consequence=no),
    )
