"""Taking an answer back."""

from __future__ import annotations

from changeover.decision.answers import Answers, set_answer, value_of, without_answer


def test_one_answer_goes_and_the_others_stay() -> None:
    given = set_answer(set_answer(Answers(), "limits.rate", "100"), "limits.batch", "64")
    left = without_answer(given, "limits.rate")
    assert value_of(left, "limits.rate") is None
    assert value_of(left, "limits.batch") == 64


def test_no_provider_means_no_model() -> None:
    given = set_answer(set_answer(Answers(), "old_model.provider", "fastembed"), "old_model.name", "x")
    assert without_answer(given, "old_model.provider").old_model is None


def test_what_was_not_given_changes_nothing() -> None:
    for question in ("limits.rate", "old_model.provider", "old_model.name", "collection"):
        assert without_answer(Answers(), question) == Answers()
