"""LangChain keeps the promises of every integration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.integration import IntegrationContract, Programs
from contracts.recorded import Recorded
from langchain_core.documents import Document
from langchain_core.messages import AIMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool

from driftline.integrations.langchain import DriftlineCallbackHandler
from driftline.records import Usage

from .models import ScriptedModel


class Shelf(BaseRetriever):
    found: list[tuple[str, float]]

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return [Document(text, metadata={"score": score}) for text, score in self.found]


class LangChainPrograms(Programs):
    def __init__(self, recorded: Recorded) -> None:
        handler = DriftlineCallbackHandler(recorder=recorded.recorder)
        self._config: Any = {"callbacks": [handler]}

    def step(self, work: Callable[[Any], Any], given: Any, *, name: str) -> Any:
        return RunnableLambda(lambda value: work(value), name=name).invoke(given, self._config)

    async def step_async(self, work: Callable[[Any], Any], given: Any, *, name: str) -> Any:
        runnable: Any = RunnableLambda(lambda value: None, afunc=work, name=name)
        return await runnable.ainvoke(given, self._config)

    def model(self, question: str, answer: str, usage: Usage | None) -> str:
        counts: Any = None
        if usage is not None:
            used = (usage.input_tokens or 0, usage.output_tokens or 0)
            counts = {"input_tokens": used[0], "output_tokens": used[1], "total_tokens": sum(used)}
        model = ScriptedModel(script=[AIMessage(answer, usage_metadata=counts)])
        return str(model.invoke(question, self._config).text)

    def stream(
        self, question: str, chunks: list[str], pause: Callable[[], None], *, leave_after: int | None
    ) -> str:
        script = [item for chunk in chunks for item in (0, chunk)]
        model = ScriptedModel(script=[script], tick=lambda _: pause())
        stream: Any = model.stream(question, self._config)
        read: list[str] = []
        for chunk in stream:
            read.append(str(chunk.text))
            if len(read) == leave_after:
                stream.close()
        return "".join(read)

    def retrieve(self, query: str, passages: list[tuple[str, float]]) -> list[str]:
        return [each.page_content for each in Shelf(found=passages).invoke(query, self._config)]

    def tool(self, work: Callable[[int, int], Any], a: int, b: int, *, name: str) -> Any:
        def call(a: int, b: int) -> Any:
            return work(a, b)

        tool = StructuredTool.from_function(call, name=name, description="Work.")
        return tool.invoke({"a": a, "b": b}, self._config)


class TestLangChain(IntegrationContract):
    def make_programs(self, recorded: Recorded) -> Programs:
        return LangChainPrograms(recorded)
