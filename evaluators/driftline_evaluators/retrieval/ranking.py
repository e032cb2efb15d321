"""Judges a ranking of documents by what is known of their relevance.

Precision and recall: Manning, Raghavan & Schütze, "Introduction to Information Retrieval" (2008), chapter 8.
Reciprocal rank: Voorhees, "The TREC-8 Question Answering Track Report" (1999). Discounted cumulative gain:
Järvelin & Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20 (2002), with the gain
and the discount of ``trec_eval``: the relevance itself, divided by log2(rank + 1).

A document that was found twice counts where it was found first.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import log2

from driftline_evaluators.protocol import CannotJudge, Exchange, FunctionEvaluator, evaluator

_VERSION = "1"


def precision_at(k: int) -> FunctionEvaluator:
    """How much of the first ``k`` places holds something relevant."""

    @evaluator(name=f"precision@{_place(k)}", version=_VERSION)
    def precision(exchange: Exchange) -> float:
        """The share of the first k places that hold a relevant document; an empty place holds none."""
        return _hits(exchange, k) / k

    return precision


def recall_at(k: int) -> FunctionEvaluator:
    """How much of what is relevant was found in the first ``k`` places."""

    @evaluator(name=f"recall@{_place(k)}", version=_VERSION)
    def recall(exchange: Exchange) -> float:
        """The share of all relevant documents that were found in the first k places."""
        return _hits(exchange, k) / len(_relevant(exchange))

    return recall


def ndcg_at(k: int) -> FunctionEvaluator:
    """How near the first ``k`` places come to the best possible order."""

    @evaluator(name=f"ndcg@{_place(k)}", version=_VERSION)
    def ndcg(exchange: Exchange) -> float:
        """The discounted gain of the first k places, as a share of what the best order would gain."""
        relevant = _relevant(exchange)
        gained = _discounted(relevant.get(each, 0.0) for each in _found(exchange)[:k])
        best = _discounted(sorted(relevant.values(), reverse=True)[:k])
        return min(1.0, gained / best)

    return ndcg


@evaluator(version=_VERSION)
def reciprocal_rank(exchange: Exchange) -> float:
    """One divided by the place of the first relevant document; 0 where none was found."""
    relevant = _relevant(exchange)
    places = (place for place, each in enumerate(_found(exchange), start=1) if each in relevant)
    return 1 / next(places, float("inf"))


def _hits(exchange: Exchange, k: int) -> int:
    relevant = _relevant(exchange)
    return sum(each in relevant for each in _found(exchange)[:k])


def _relevant(exchange: Exchange) -> dict[str, float]:
    relevant = {each: grade for each, grade in exchange.relevance.items() if grade > 0}
    if not relevant:
        raise CannotJudge("no document is known to be relevant")
    return relevant


def _found(exchange: Exchange) -> list[str]:
    found = [each.id for each in exchange.documents]
    if None in found:
        raise CannotJudge(f"document {found.index(None) + 1} has no id to look up its relevance by")
    return list(dict.fromkeys(each for each in found if each is not None))


def _discounted(gains: Iterable[float]) -> float:
    return sum(gain / log2(place + 1) for place, gain in enumerate(gains, start=1))


def _place(k: int) -> int:
    if k < 1:
        raise ValueError(f"k is {k}; places count from 1")
    return k


precision_at_5 = precision_at(5)
recall_at_10 = recall_at(10)
ndcg_at_10 = ndcg_at(10)
