"""Finds the passages that answer a question: BM25 over stems and concepts, as a LangChain retriever."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterable
from functools import cache

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from driftline_server.demo.documents import INDEX_VERSION, FinancialDocument, Passage, load_documents
from driftline_server.demo.pace import Pace
from driftline_server.demo.vocabulary import GENERAL
from driftline_server.demo.wording import terms_of

_K1 = 1.4
_B = 0.6


class PassageIndex:
    """BM25 (Robertson & Zaragoza 2009) over passages; headings and file names are part of the text."""

    def __init__(self, documents: Iterable[FinancialDocument]) -> None:
        self._passages: list[Passage] = [passage for document in documents for passage in document.passages]
        self._counts = [Counter(terms_of(_indexed_text(passage))) for passage in self._passages]
        self._lengths = [sum(counts.values()) for counts in self._counts]
        self._mean_length = sum(self._lengths) / max(1, len(self._lengths))
        self._frequency = Counter(term for counts in self._counts for term in counts)

    def search(self, query: str, *, files: tuple[str, ...] = (), k: int = 4) -> list[tuple[Passage, float]]:
        """The best ``k`` passages with their scores, best first; all documents where ``files`` is empty."""
        terms = [term for term in terms_of(query) if term not in GENERAL]
        scored = [
            (passage, self._score(position, terms))
            for position, passage in enumerate(self._passages)
            if not files or passage.file in files
        ]
        scored.sort(key=lambda pair: (-pair[1], pair[0].id))
        return [(passage, round(score, 4)) for passage, score in scored[:k] if score > 0]

    def _score(self, position: int, terms: list[str]) -> float:
        counts, total = self._counts[position], 0.0
        norm = _K1 * (1 - _B + _B * self._lengths[position] / self._mean_length)
        for term in terms:
            count = counts.get(term, 0)
            if count:
                frequency = self._frequency[term]
                weight = math.log(1 + (len(self._passages) - frequency + 0.5) / (frequency + 0.5))
                total += weight * count * (_K1 + 1) / (count + norm)
        return total


@cache
def shared_index() -> PassageIndex:
    """The index of all shipped documents, made once."""
    return PassageIndex(load_documents())


class PassageRetriever(BaseRetriever):
    """Searches the passages of some documents, or of all."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    index: PassageIndex
    pace: Pace
    files: tuple[str, ...] = ()
    k: int = 4

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        time.sleep(self.pace.search_s(query))
        return self._found(query)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        await asyncio.sleep(self.pace.search_s(query))
        return self._found(query)

    def _found(self, query: str) -> list[Document]:
        return [
            Document(
                id=passage.id,
                page_content=passage.text,
                metadata={
                    "score": score,
                    "source": passage.file,
                    "country": passage.country,
                    "page": passage.page,
                    "section": passage.heading,
                    "index_version": INDEX_VERSION,
                },
            )
            for passage, score in self.index.search(query, files=self.files, k=self.k)
        ]


def _indexed_text(passage: Passage) -> str:
    name = passage.file.rsplit(".", 1)[0].replace("_", " ")
    return f"{name} {passage.heading} {passage.heading} {passage.text}"
