"""A small retrieval chain of nine runs and a streaming model, made of LangChain's own parts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableLambda, RunnableParallel, RunnablePassthrough

RUNS_PER_CALL = 9
_WORDS = [
    "".join(parts)
    for parts in zip(*(random.Random(seed).choices(["ka", "to", "min", "res", "ul", "ver", "si"], k=4000)
                       for seed in (1, 2, 3)), strict=True)
]  # fmt: skip


def words(count: int, chance: random.Random) -> str:
    """Pseudo-words, so that nothing repeats between runs."""
    return " ".join(chance.choices(_WORDS, k=count))


class Passages(BaseRetriever):
    """Finds three passages of about 800 characters for any question."""

    chance: Any

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return [
            Document(
                page_content=words(110, self.chance),
                metadata={"source": f"contract-{rank}.pdf", "page": rank, "score": 1 / rank},
            )
            for rank in (1, 2, 3)
        ]


class Talker(BaseChatModel):
    """Answers at once, in as many chunks as it is told."""

    chunks: int = 40

    @property
    def _llm_type(self) -> str:
        return "talker"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        usage = {"input_tokens": 640, "output_tokens": self.chunks, "total_tokens": 640 + self.chunks}
        message = AIMessage(content="word " * self.chunks, usage_metadata=usage)  # type: ignore[arg-type]
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for _ in range(self.chunks):
            chunk = ChatGenerationChunk(message=AIMessageChunk(content="word "))
            if run_manager:
                run_manager.on_llm_new_token("word ", chunk=chunk)
            yield chunk


def chain(seed: int = 7) -> Runnable[str, str]:
    """Sequence, parallel, sequence, retriever, join, question, prompt, model, parser: nine runs a call."""
    passages = Passages(chance=random.Random(seed))
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Quote the passage that answers.\n\n{context}"), ("human", "{question}")]
    )
    context = passages | RunnableLambda(_join)
    parts = RunnableParallel(context=context, question=RunnablePassthrough())
    return parts | prompt | Talker() | StrOutputParser()


def _join(documents: list[Document]) -> str:
    return "\n\n".join(each.page_content for each in documents)
