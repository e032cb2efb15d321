"""The passages that retrievers find."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.documents import Document as Found
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore

from driftline.records import Kind, Status

from .conftest import Watched


class Shelf(BaseRetriever):
    """Gives what it is told to, or raises it."""

    found: Any

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Found]:
        if isinstance(self.found, Exception):
            raise self.found
        return list(self.found)


class Letters(Embeddings):
    """Counts letters."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return [float(len(text))]


class Cabinet(VectorStore):
    """Finds the same two passages for every query."""

    @property
    def embeddings(self) -> Embeddings:
        return Letters()

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Found]:
        return [Found("a"), Found("b")][:k]

    @classmethod
    def from_texts(cls, *args: Any, **kwargs: Any) -> Cabinet:
        return cls()


def test_documents_keep_their_text_metadata_and_rank(watched: Watched) -> None:
    found = [Found("first", metadata={"page": 4}, id="d1"), Found("second")]
    Shelf(found=found).invoke("term", watched.config())
    run = watched.only(kind=Kind.RETRIEVER)
    assert run.inputs == "term"
    assert [(each.rank, each.id, each.text, dict(each.metadata)) for each in run.documents] == [
        (1, "d1", "first", {"page": 4}),
        (2, None, "second", {}),
    ]


@pytest.mark.parametrize("key", ["score", "relevance_score", "_score", "similarity"])
def test_a_score_is_looked_for_in_the_metadata(watched: Watched, key: str) -> None:
    Shelf(found=[Found("a", metadata={key: 0.75})]).invoke("term", watched.config())
    [document] = watched.only().documents
    assert (document.score, document.distance) == (0.75, None)


def test_a_distance_is_not_a_score(watched: Watched) -> None:
    Shelf(found=[Found("a", metadata={"distance": 0.25})]).invoke("term", watched.config())
    [document] = watched.only().documents
    assert (document.score, document.distance) == (None, 0.25)


@pytest.mark.parametrize("value", [None, "high", float("nan"), True])
def test_what_is_no_number_is_no_score(watched: Watched, value: Any) -> None:
    Shelf(found=[Found("a", metadata={"score": value})]).invoke("term", watched.config())
    assert watched.only().documents[0].score is None


def test_a_vector_store_says_what_it_is(watched: Watched) -> None:
    Cabinet().as_retriever(search_kwargs={"k": 2}).invoke("a", watched.config())
    run = watched.only()
    assert (run.name, len(run.documents)) == ("VectorStoreRetriever", 2)
    assert run.metadata["ls_vector_store_provider"] == "Cabinet"
    assert run.metadata["ls_embedding_provider"] == "Letters"


def test_an_asynchronous_retriever_is_recorded(watched: Watched) -> None:
    asyncio.run(Shelf(found=[Found("a")]).ainvoke("term", watched.config()))
    assert len(watched.only().documents) == 1


def test_a_retriever_that_fails_is_an_error(watched: Watched) -> None:
    with pytest.raises(LookupError):
        Shelf(found=LookupError("index is gone")).invoke("term", watched.config())
    run = watched.only()
    assert (run.status, run.error and run.error.message) == (Status.ERROR, "index is gone")


def test_documents_that_change_afterwards_are_recorded_as_they_were(watched: Watched) -> None:
    document = Found("before", metadata={"page": 1})
    Shelf(found=[document]).invoke("term", watched.config())
    document.page_content = "after"
    document.metadata["page"] = 2
    [kept] = watched.only().documents
    assert (kept.text, dict(kept.metadata)) == ("before", {"page": 1})


def test_the_index_version_is_a_field_of_its_own(watched: Watched) -> None:
    Shelf(found=[]).invoke("term", watched.config(metadata={"index_version": "2026-03"}))
    assert watched.only().index_version == "2026-03"
