"""Which question comes after which: the same for the screens and for the prompts. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from changeover.decision.tree import Asked


def ids(asked: Sequence[Asked]) -> list[str]:
    """The ids in the order in which they are asked."""
    return [one.question.id for one in asked]


def after(before: Sequence[str], at: str, now: Sequence[Asked]) -> Asked | None:
    """What is asked once `at` was answered; None when all is said.

    `before` are the ids that were asked until then: the answer may have removed its own question. An answer may also
    have opened one before it; it is come back to at the end when it needs an answer.
    """
    left = ids(now)
    later = list(before[before.index(at) + 1 :]) if at in before else []
    following = left.index(at) + 1 if at in left else next((left.index(one) for one in later if one in left), len(left))
    if following < len(now):
        return now[following]
    needed = next((one for one in now if needs_answer(one)), None)
    return needed if needed is not None and needed.question.id != at else None


def previous(at: str, now: Sequence[Asked]) -> Asked | None:
    """The question before `at`; None at the first."""
    left = ids(now)
    place = left.index(at) - 1 if at in left else -1
    return now[place] if place >= 0 else None


def needs_answer(asked: Asked) -> bool:
    """Nothing was said, nothing is proposed, and it cannot be left out."""
    return asked.value is None and asked.proposal is None and not asked.question.optional
