"""An evaluator judges, or says why it cannot."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from driftline.records import Score, Source
from driftline_evaluators.protocol import CannotJudge, Exchange, Judgement, evaluator, get_evaluators


@evaluator(version="2")
def brief(exchange: Exchange) -> float:
    """The answer has at most ten words.

    More is not better.
    """
    if not exchange.answer:
        raise CannotJudge("there is no answer")
    return float(len(exchange.answer.split()) <= 10)


def test_an_evaluator_bears_the_name_and_the_words_of_its_function() -> None:
    assert (brief.name, brief.version, brief.about) == ("brief", "2", "The answer has at most ten words.")


def test_it_judges_what_it_can() -> None:
    assert brief(Exchange(answer="Yes.")) == Judgement(name="brief", value=1.0, evaluator_version="2")
    assert brief(Exchange(answer="word " * 11)).value == 0.0


def test_it_says_why_it_cannot_judge() -> None:
    assert brief(Exchange()) == Judgement(
        name="brief", value=None, explanation="there is no answer", evaluator_version="2"
    )


def test_a_judgement_without_a_value_or_a_reason_is_none() -> None:
    with pytest.raises(ValueError, match="needs an explanation"):
        Judgement(name="brief", value=None)


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_judgement_lies_between_0_and_1(value: float) -> None:
    with pytest.raises(ValueError, match="is not between 0 and 1"):
        Judgement(name="brief", value=value)


def test_a_judgement_becomes_a_score_of_a_run() -> None:
    moment = datetime(2026, 3, 4, tzinfo=UTC)
    judgement = brief(Exchange(answer="Yes."))
    assert judgement.to_score(id="a" * 32, trace_id="b" * 32, run_id="c" * 32, created_at=moment) == Score(
        id="a" * 32,
        trace_id="b" * 32,
        run_id="c" * 32,
        name="brief",
        value=1.0,
        source=Source.CODE,
        evaluator_version="2",
        created_at=moment,
    )


def test_installed_evaluators_are_found_by_entry_point() -> None:
    found = get_evaluators()
    assert [each.name for each in found] == ["ndcg@10", "precision@5", "recall@10", "reciprocal_rank"]
    assert all(each.about for each in found)
