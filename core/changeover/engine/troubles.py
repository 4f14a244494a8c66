"""What went wrong or slower than asked: each thing once, how often, when last, and what the engine does about it. Pure."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

Kind = Literal["error", "warning", "retried", "slowed", "search", "refused"]

MOST = 40
"""How many different ones are remembered; the one that is quiet for longest goes first."""

DOES: dict[Kind, str] = {
    "error": "This engine ends, and nothing that was written is lost: it can be started again where it was.",
    "warning": "It goes on.",
    "retried": "It is asked again, with longer and longer pauses and never sooner than the server allows; without an "
    "answer for a quarter of an hour the engine stops, and can be started again where it was.",
    "slowed": "It goes on more slowly until this is over; nothing has to be done.",
    "search": "The load slows down when searches become slow; every failed one is counted in the report.",
    "refused": "Nothing was changed by this request.",
}
"""What the engine does about a trouble of this kind."""
DOES_IN_PARTICULAR = (
    ("not keeping up", DOES["retried"]),
    ("no search probe", "It goes on without searches; the report cannot say that none failed."),
    ("the same 500", "The batch is halved until the point is found; that point is left out, with its reason."),
    ("it is not one point", "It waits for the server, as after any failure of it."),
    ("recall asked for", "It brings the former configuration back."),
    ("(accepted)", "It goes on: a person accepted it."),
)
"""Words of a warning -> what the engine does about it."""


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened once or often; `text` is how it read the last time."""

    kind: Kind
    text: str
    times: int
    first_at: float
    last_at: float
    waited_s: float = 0.0

    @property
    def does(self) -> str:
        """What the engine does about it."""
        if self.kind == "warning":
            return next((words for part, words in DOES_IN_PARTICULAR if part in self.text), DOES["warning"])
        return DOES[self.kind]


def key_of(text: str) -> str:
    """The text without its numbers: the same failure names another time, port or task each time."""
    return re.sub(r"\d+(?:[.,]\d+)*", "#", text)


def noted(
    known: tuple[Trouble, ...], kind: Kind, text: str, at: float, *, times: int = 1, waited_s: float = 0.0
) -> tuple[Trouble, ...]:
    """The troubles with this one counted; the latest is last."""
    key = key_of(text)
    before = next((one for one in known if one.kind == kind and key_of(one.text) == key), None)
    rest = tuple(one for one in known if one is not before)
    if before is None:
        new = Trouble(kind=kind, text=text, times=times, first_at=at, last_at=at, waited_s=waited_s)
        return (*rest[-(MOST - 1) :], new)
    again = msgspec.structs.replace(
        before, text=text, times=before.times + times, last_at=at, waited_s=before.waited_s + waited_s
    )
    return (*rest, again)
