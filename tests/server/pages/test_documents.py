"""The passages that a run found."""

from __future__ import annotations

import pytest

from driftline.records import Document
from driftline_server.pages.documents import read_documents


@pytest.mark.parametrize(
    ("scores", "meters"),
    [
        ((0.9, 0.45), ["90.0", "45.0"]),
        ((0.5,), ["50.0"]),
        ((20.0, 5.0), ["100.0", "25.0"]),
        ((18.2,), [""]),
        ((18.2, None), ["", ""]),
    ],
    ids=["shares", "one share", "beside the best", "alone", "alone among the scored"],
)
def test_a_meter_is_drawn_only_where_a_score_can_be_compared(
    scores: tuple[float | None, ...], meters: list[str]
) -> None:
    documents = [Document(text="A passage.", score=score) for score in scores]
    assert [passage.meter for passage in read_documents(documents)] == meters
