"""What a person is told of an answer that cannot be taken."""

from __future__ import annotations

import pytest

from changeover.decision.answers import Answers, set_answer
from changeover.errors import UsageError
from changeover_tui.words import refusal, trying


@pytest.mark.parametrize(
    ("question", "typed", "said"),
    [
        ("map.anchors", "15", "15: a whole number from 50 on is needed"),
        ("map.anchors", "900000", "900000: a whole number up to 100000 is needed"),
        ("limits.batch", "many", "many: a whole number is needed"),
        ("limits.rate", "-1", "-1: a number above 0.0 is needed"),
        ("quantization.least_recall", "2", "2: a number up to 1.0 is needed"),
        ("limits.spend", "x", "x: a number is needed"),
    ],
)
def test_an_answer_that_cannot_be_taken_is_refused_in_words(question: str, typed: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        set_answer(Answers(), question, typed)
    assert refusal(refused.value) == said


def test_other_errors_are_said_as_they_are() -> None:
    assert refusal(UsageError("every choice is closed")) == "every choice is closed"


def test_how_far_a_trial_is() -> None:
    assert trying(1, 4, "a map: reading") == "Trying a map: reading … 25 %"
    assert trying(0, 0, "Asking the model") == "Asking the model …"
