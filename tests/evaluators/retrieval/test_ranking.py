"""A ranking is judged by known relevance: good, bad, and not at all."""

from __future__ import annotations

from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.records import Document
from driftline_evaluators.protocol import Exchange, FunctionEvaluator
from driftline_evaluators.retrieval.ranking import ndcg_at, precision_at, recall_at, reciprocal_rank

EVALUATORS = [precision_at(3), recall_at(3), ndcg_at(3), reciprocal_rank]


def an_exchange(found: str, **relevance: float) -> Exchange:
    return Exchange(documents=tuple(Document(id=each, text=each) for each in found), relevance=relevance)


@pytest.mark.parametrize("judge", EVALUATORS, ids=lambda each: each.name)
class TestEveryEvaluator:
    def test_the_best_ranking_gets_1(self, judge: FunctionEvaluator) -> None:
        assert judge(an_exchange("abcxyz", a=1, b=1, c=1)).value == 1.0

    def test_a_ranking_without_a_hit_gets_0(self, judge: FunctionEvaluator) -> None:
        assert judge(an_exchange("xyz", a=1)).value == 0.0

    def test_a_retriever_that_found_nothing_gets_0(self, judge: FunctionEvaluator) -> None:
        assert judge(an_exchange("", a=1)).value == 0.0

    @pytest.mark.parametrize("relevance", [{}, {"a": 0.0}])
    def test_it_cannot_judge_where_nothing_is_known_to_be_relevant(
        self, judge: FunctionEvaluator, relevance: dict[str, float]
    ) -> None:
        judgement = judge(an_exchange("abc", **relevance))
        assert (judgement.value, judgement.explanation) == (None, "no document is known to be relevant")

    def test_it_cannot_judge_documents_without_ids(self, judge: FunctionEvaluator) -> None:
        documents = (Document(id="a", text="a"), Document(text="b"))
        judgement = judge(Exchange(documents=documents, relevance={"a": 1}))
        assert judgement.value is None
        assert judgement.explanation.startswith("document 2 has no id")

    def test_a_document_that_was_found_twice_counts_once(self, judge: FunctionEvaluator) -> None:
        assert judge(an_exchange("aabc", a=1, b=1)).value == judge(an_exchange("abc", a=1, b=1)).value

    @given(st.text("abcdef", max_size=8), st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3)))
    def test_a_value_lies_between_0_and_1(
        self, judge: FunctionEvaluator, found: str, relevance: dict[str, int]
    ) -> None:
        judgement = judge(an_exchange(found, **relevance))
        assert (judgement.value is None) == (not any(relevance.values()))


def test_precision_counts_places_and_empty_ones_too() -> None:
    assert precision_at(4)(an_exchange("axbyc", a=1, b=2, c=1)).value == 0.5
    assert precision_at(10)(an_exchange("ab", a=1, b=1)).value == 0.2


def test_recall_counts_what_is_relevant() -> None:
    assert recall_at(3)(an_exchange("axbc", a=1, b=1, c=1, d=1)).value == 0.5


def test_reciprocal_rank_looks_at_the_first_hit() -> None:
    assert reciprocal_rank(an_exchange("xyab", a=1, b=1)).value == pytest.approx(1 / 3)


def test_ndcg_discounts_a_gain_by_its_place() -> None:
    # found: 3 at place 1, 0 at 2, 2 at 3; best: 3, 2, 1
    gained = 3 + 2 / log2(4)
    best = 3 + 2 / log2(3) + 1 / log2(4)
    judgement = ndcg_at(3)(an_exchange("axb", a=3, b=2, c=1))
    assert judgement.value == pytest.approx(gained / best)
    assert judgement.value == pytest.approx(0.8400, abs=5e-5)


def test_ndcg_prefers_the_better_document_first() -> None:
    better, worse = ndcg_at(2)(an_exchange("ab", a=3, b=1)), ndcg_at(2)(an_exchange("ba", a=3, b=1))
    assert better.value == 1.0
    assert worse.value is not None
    assert worse.value < 1.0


def test_places_count_from_1() -> None:
    for at in (precision_at, recall_at, ndcg_at):
        with pytest.raises(ValueError, match="places count from 1"):
            at(0)
