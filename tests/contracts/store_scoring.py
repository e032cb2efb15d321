"""A store keeps scores beside runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from contracts.records import (
    BEGIN,
    Clock,
    a_run,
    a_score,
)

from driftline.records import Score, Source
from driftline_server.storage.protocols import RunStore


class Scoring:
    """Scores hang on traces and their runs."""

    def test_scores_come_back_oldest_first(self, store: RunStore) -> None:
        root = a_run()
        late = a_score(root, created_at=BEGIN + timedelta(seconds=1), metadata={"a": [1]}, extra={"new": "x"})
        early = a_score(root, run_id=root.id, value=None, explanation="nothing to compare\0")
        store.add_runs([root])
        assert store.add_scores([late, early]) == 2
        assert store.get_scores(root.id) == (early, late)

    def test_a_score_added_again_is_one_score(self, store: RunStore, clock: Clock) -> None:
        root = a_run()
        score, undated = a_score(root), a_score(root, created_at=None)
        store.add_runs([root])
        assert store.add_scores([score, undated, score]) == 2
        clock.advance(minutes=1)
        assert store.add_scores([undated, score]) == 0
        assert set(ids(store.get_scores(root.id))) == {score.id, undated.id}

    def test_no_scores_are_no_work(self, store: RunStore) -> None:
        assert store.add_scores([]) == 0

    @pytest.mark.parametrize("swap", [False, True])
    def test_the_later_edition_of_a_score_stays(self, store: RunStore, swap: bool) -> None:
        root = a_run()
        early = a_score(root, value=0.0, source=Source.USER)
        late = replace(early, value=1.0, created_at=BEGIN + timedelta(minutes=1))
        store.add_runs([root])
        for score in (late, early) if swap else (early, late):
            store.add_scores([score])
        assert store.get_scores(root.id) == (late,)
        summary = store.get_trace_summary(root.id)
        assert summary is not None
        assert summary.lowest_score == ("faithfulness", 1.0)

    def test_a_score_may_come_before_its_trace(self, store: RunStore) -> None:
        root = a_run()
        store.add_scores([a_score(root, value=0.5), a_score(root, name="unjudged", value=None)])
        assert store.get_trace_summary(root.id) is None
        store.add_runs([root])
        summary = store.get_trace_summary(root.id)
        assert summary is not None
        assert summary.lowest_score == ("faithfulness", 0.5)

    def test_a_score_does_not_count_as_news_of_the_trace(self, store: RunStore, clock: Clock) -> None:
        root = a_run()
        heard_at = clock()
        store.add_runs([root])
        clock.advance(hours=1)
        store.add_scores([a_score(root)])
        summary = store.get_trace_summary(root.id)
        assert summary is not None
        assert summary.heard_at == heard_at


def ids(scores: tuple[Score, ...]) -> list[str]:
    """The ids of scores, in their order."""
    return [score.id for score in scores]
