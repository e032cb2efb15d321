"""The application: asks, extracts, checks covenants, calculates, drafts notices; in LangChain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import ToolRetryMiddleware
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig, RunnableLambda, RunnableParallel

from driftline_server.demo import prompts
from driftline_server.demo.documents import INDEX_VERSION, FinancialDocument, load_documents
from driftline_server.demo.errors import FxTimeoutError, NoRateError, RateLimitedError
from driftline_server.demo.models import Models
from driftline_server.demo.notices import notice_graph
from driftline_server.demo.pace import Pace
from driftline_server.demo.retriever import PassageRetriever, shared_index
from driftline_server.demo.steps import State, Step, TermsParser, adding
from driftline_server.demo.terms import FIELDS_BY_TYPE
from driftline_server.demo.tools import FxDesk, make_tools

ATTEMPTS = 3
"""How often a call is made that the provider refuses with 429."""
_COVENANT_TYPES = ("loan", "amendment", "report")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What one request is served with."""

    models: Models
    pace: Pace
    answer_version: str = "v14"
    extract_version: str = "v7"
    fx_timeouts: int = 0
    """How many calls of the exchange rate desk fail first."""


class TellingMiddleware(ToolRetryMiddleware[Any, Any]):
    """Tells the model why a tool failed; the agent wants its two middlewares to have two names."""


class DocumentApp:
    """The runnables of one request; each is what a user's click starts."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._models = wiring.models

    def ask_document(self, files: Sequence[str], *, follow_up: bool = False) -> Step:
        """Answers a question about documents; takes ``question`` and ``history``, gives the answer."""
        chain = (
            adding(
                "passages",
                itemgetter("question"),
                self._retriever(files),
                prompts.format_passages,
                name="find_passages",
            )
            | self._answer()
        )
        if follow_up:
            chain = self._rewrite() | chain
        return chain.with_config(run_name="ask_document")

    def extract_terms(self, document: FinancialDocument) -> Step:
        """Extracts the key terms of a document; takes ``question``, gives the terms."""
        fields = ", ".join(FIELDS_BY_TYPE[document.type])
        plan, plan_with = self._prompted(
            prompts.searches_prompt().partial(fields=fields, file=document.file), "plan", small=True
        )
        version = self._wiring.extract_version
        read = prompts.extract_prompt(version).partial(fields=fields, file=document.file)
        extract, extract_with = self._prompted(read, "extract", retry=True)
        return (
            adding(
                "searches",
                plan,
                plan_with,
                StrOutputParser(name="parse_searches"),
                _lines_of,
                name="plan_searches",
            )
            | adding(
                "passages",
                itemgetter("searches"),
                _each(self._retriever((document.file,), k=3), name="search_terms"),
                _merge,
                prompts.format_passages,
                name="find_passages",
            )
            | adding("terms", extract, extract_with, TermsParser(name="parse_terms"), name="read_terms")
            | RunnableLambda(_check_sources, name="check_sources")
        ).with_config(run_name="extract_terms")

    def check_covenants(self, documents: Sequence[FinancialDocument]) -> Step:
        """Sets the covenants of a group beside its figures; takes ``question``, gives the answer."""
        searches: dict[str, Step] = {
            document.file.rsplit(".", 1)[0]: (
                RunnableLambda(_query_for(document), name="choose_query")
                | self._retriever((document.file,), k=3)
            ).with_config(run_name=f"search {document.file}")
            for document in documents
            if document.type in _COVENANT_TYPES
        }
        return (
            adding(
                "found",
                RunnableParallel(searches).with_config(run_name="search_group"),
                name="search_documents",
            )
            | adding(
                "passages",
                RunnableLambda(_rerank, name="rerank"),
                prompts.format_passages,
                name="choose_passages",
            )
            | self._answer()
        ).with_config(run_name="check_covenants")

    def portfolio_terms(self, documents: Sequence[FinancialDocument]) -> Step:
        """Extracts the terms of many documents, three at a time; takes ``question``, gives a table."""
        by_file = {document.file: document for document in documents}

        async def extract_one(file: str, config: RunnableConfig) -> State:
            found = await self.extract_terms(by_file[file]).ainvoke(
                {"question": f"Key terms of {file}"}, config
            )
            return {"file": file, **found["terms"]}

        def list_files(_: State) -> list[str]:
            return list(by_file)

        return (
            RunnableLambda(list_files, name="list_documents")
            | _each(
                RunnableLambda(extract_one, name="read_document").with_config(max_concurrency=3),
                name="read_all",
            )
            | RunnableLambda(_as_table, name="make_table")
        ).with_config(run_name="portfolio_terms")

    def calculate(self, files: Sequence[str]) -> Step:
        """An agent that calculates with tools; takes and gives ``messages``."""
        pace = self._wiring.pace
        desk = FxDesk(
            timeouts=self._wiring.fx_timeouts, answer_s=0.14 * pace.scale, timeout_s=0.65 * pace.scale
        )
        again = ToolRetryMiddleware(
            max_retries=1, retry_on=(FxTimeoutError,), initial_delay=pace.retry_s(), jitter=False
        )
        tell = TellingMiddleware(max_retries=0, retry_on=(NoRateError,), on_failure=str)
        agent = create_agent(
            self._models.main,
            make_tools(self._retriever(files), desk),
            system_prompt=prompts.CALCULATE,
            middleware=[tell, again],
            name="calculate",
        )
        return agent.with_config(
            metadata={"prompt_name": "calculate_prompt", "prompt_version": prompts.CALCULATE_VERSION}
        )

    def draft_notice(self, files: Sequence[str], customer: str) -> Step:
        """A graph that drafts a letter and waits for a person; takes ``question``, then a ``Command``."""
        prompt, model = self._prompted(prompts.notice_prompt().partial(customer=customer), "draft")
        find = adding(
            "passages",
            lambda state: f"{state['question']} notice period parties landlord",
            self._retriever(files),
            prompts.format_passages,
            name="find_passages",
        )
        return notice_graph(
            find=find,
            write=adding("answer", prompt, model, StrOutputParser(name="parse_letter"), name="write_letter"),
        )

    def _rewrite(self) -> Step:
        prompt, model = self._prompted(prompts.rewrite_prompt(), "rewrite", small=True)
        return adding(
            "question", prompt, model, StrOutputParser(name="parse_question"), name="rewrite_question"
        )

    def _answer(self) -> Step:
        prompt, model = self._prompted(prompts.answer_prompt(self._wiring.answer_version), "answer")
        return prompt | model | StrOutputParser(name="parse_answer")

    def _prompted(
        self, prompt: ChatPromptTemplate, run_name: str, *, small: bool = False, retry: bool = False
    ) -> tuple[Step, Step]:
        """A prompt and its model; both carry the name and version of the prompt."""
        model = self._models.small if small else self._models.main
        # As the model's own, name and prompt win over what the run inherits from the trace.
        called: Step = model.model_copy(update={"name": run_name, "metadata": prompt.metadata})
        if retry:
            called = called.with_retry(
                retry_if_exception_type=(RateLimitedError,),
                stop_after_attempt=ATTEMPTS,
                exponential_jitter_params={"max": self._wiring.pace.retry_s()},
            ).with_config(run_name="call_with_retry")
        return prompt, called

    def _retriever(self, files: Sequence[str], k: int = 4) -> PassageRetriever:
        return PassageRetriever(
            name="search_passages",
            index=shared_index(),
            pace=self._wiring.pace,
            files=tuple(files),
            k=k,
            metadata={"index_version": INDEX_VERSION},
        )


def messages_of(history: Sequence[tuple[str, str]]) -> list[HumanMessage | AIMessage]:
    """Earlier turns as messages: question and answer, oldest first."""
    return [
        message for question, answer in history for message in (HumanMessage(question), AIMessage(answer))
    ]


def require_document(file: str) -> FinancialDocument:
    """The shipped document of this file name.

    Raises:
        KeyError: there is none.
    """
    return {document.file: document for document in load_documents()}[file]


def _each(step: Step, *, name: str) -> Step:
    """Run a step once for each item of a list, under one name."""
    each: Step = step.map()
    each.name = name
    return each


def _query_for(document: FinancialDocument) -> Any:
    query = "financial covenant leverage interest cover tested"
    if document.type == "report":
        query = "net debt EBITDA leverage interest cover equity ratio"

    def choose_query(_: State) -> str:
        return query

    return choose_query


def _rerank(state: State) -> list[Document]:
    """The best passages over all documents: one must come near the best of its own document."""
    kept: list[Document] = []
    for documents in state["found"].values():
        best = max((document.metadata["score"] for document in documents), default=0.0)
        kept += [document for document in documents if document.metadata["score"] >= 0.6 * best]
    return sorted(kept, key=lambda document: -float(document.metadata["score"]))[:8]


def _merge(found: list[list[Document]]) -> list[Document]:
    """Each passage once, in the order of the document."""
    unique = {document.id: document for documents in found for document in documents}
    return sorted(unique.values(), key=lambda document: (document.metadata["page"], str(document.id)))


def _lines_of(text: str) -> list[str]:
    return [line.strip("-• ") for line in text.splitlines() if line.strip()]


def _check_sources(state: State) -> State:
    """Keep what an answer is made of; a term whose passage was not shown to the model is a mistake."""
    shown = state["passages"].count("\n[") + 1
    for field, term in state["terms"].items():
        if term and not 1 <= int(term["source"]) <= shown:
            raise ValueError(f"{field} cites passage {term['source']} of {shown}")
    said = {field: term and term["value"] for field, term in state["terms"].items()}
    answer = "; ".join(f"{field.replace('_', ' ')}: {value}" for field, value in said.items() if value)
    return {"answer": answer, "terms": said}


def _as_table(rows: list[State]) -> State:
    lines = [f"{row['file']}: {row['amount']}, {row['interest']}, ends {row['ends']}" for row in rows]
    return {"answer": "\n".join(lines), "rows": rows}
