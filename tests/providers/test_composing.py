"""Models of both providers inside larger things: one trace, right parents, no token counted twice."""

from __future__ import annotations

import asyncio
import operator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.tools import tool
from langchain_openai import OpenAIEmbeddings
from pydantic import BaseModel
from stand_ins.provider import Answer, Failure, Provider, Text, Tokens, ToolUse

from driftline.records import Kind, Status
from providers import modes
from providers.models import CLAUDE, GPT, Models
from providers.modes import Drive, Mode
from providers.recording import Recording, last_text, roots_of, tree_of

pytestmark = modes.QUIET
QUESTION = [HumanMessage("When does it mature?")]
EVERYONE = pytest.mark.parametrize("maker", ["openai", "responses", "anthropic"])


class Bond(BaseModel):
    """A bond and the year in which it matures."""

    isin: str
    year: int


class Nearest(BaseRetriever):
    """All documents, the nearest to the query first."""

    embeddings: OpenAIEmbeddings
    documents: list[Document]

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        asked, *known = self.embeddings.embed_documents(
            [query, *(each.page_content for each in self.documents)]
        )
        scores = [sum(map(operator.mul, asked, vector)) for vector in known]
        ranked = sorted(zip(scores, self.documents, strict=True), key=lambda pair: -pair[0])
        return [
            Document(found.page_content, metadata={**found.metadata, "score": score})
            for score, found in ranked
        ]


@tool
def look_up(isin: str) -> str:
    """Look a security up."""
    return f"{isin} matures in 2031."


@modes.over((modes.invoke, modes.ainvoke, modes.stream, modes.astream, modes.batch, modes.abatch))
def test_a_fallback_to_the_other_provider_is_one_trace(
    mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    provider.script(Failure(status=429, message="Slow down."), Answer.of("In 2031."))
    drive(mode, models.openai().with_fallbacks([models.anthropic()]), QUESTION)
    failed, answered = recording.model_runs()
    (root,) = roots_of(recording.runs())
    assert (failed.provider, failed.status) == ("openai", Status.ERROR)
    assert (answered.provider, answered.status) == ("anthropic", Status.OK)
    assert failed.parent_id == answered.parent_id == root.id
    assert root.status is Status.OK
    assert {run.trace_id for run in recording.runs()} == {root.trace_id}


@modes.over((modes.invoke, modes.ainvoke, modes.stream, modes.astream))
def test_a_fallback_inside_a_chain_keeps_its_place(
    mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    provider.script(Failure(status=500), Answer.of("In 2031."))
    careful = models.openai().with_fallbacks([models.anthropic()])
    chain = ChatPromptTemplate.from_template("{question}") | careful | StrOutputParser()
    drive(mode, chain, {"question": "?"})
    assert tree_of(recording.runs()) == [
        [
            "RunnableSequence",
            "ChatPromptTemplate",
            ["RunnableWithFallbacks", "ChatOpenAI (error)", "ChatAnthropic"],
            "StrOutputParser",
        ]
    ]


@EVERYONE
def test_attempts_of_with_retry_are_siblings(
    maker: str, provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(Failure(status=500), Failure(status=500), Answer.of("In 2031."))
    stubborn = models.make(maker).with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
    stubborn.invoke(QUESTION, recording.config)
    attempts = recording.model_runs()
    assert [run.status for run in attempts] == [Status.ERROR, Status.ERROR, Status.OK]
    assert len({run.trace_id for run in attempts}) == 1
    assert len({run.parent_id for run in attempts}) == 1
    assert attempts[2].usage is not None


@EVERYONE
@modes.over((modes.invoke, modes.stream, modes.astream))
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of openai's own streaming helper
def test_structured_output_is_traced_from_prompt_to_object(
    maker: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    answers: dict[str, Answer] = {
        "openai": Answer.of('{"isin": "XS01', '23", "year": 2031}'),
        "responses": Answer.of('{"isin": "XS01', '23", "year": 2031}'),
        "anthropic": Answer(blocks=(ToolUse.of("Bond", isin="XS0123", year=2031),)),
    }
    provider.script(answers[maker])
    drive(mode, models.make(maker).with_structured_output(Bond), "Which bond?")
    (root,) = roots_of(recording.runs())
    run = recording.only(kind=Kind.LLM)
    assert isinstance(root.outputs, dict)
    assert (root.outputs["isin"], root.outputs["year"]) == ("XS0123", 2031)
    assert run.parent_id == root.id
    assert run.usage is not None
    assert run.usage.input_tokens == 12


@EVERYONE
@modes.over((modes.invoke, modes.stream, modes.astream_events_v3))
def test_a_tool_call_and_its_answer_are_told_in_the_dialogue(
    maker: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    call = ToolUse.of("look_up", id="call_1", isin="XS0123")
    provider.script(Answer(blocks=(Text(("One moment.",)), call)), Answer.of("In 2031."))
    model = models.make(maker).bind_tools([look_up])
    question = HumanMessage("When does XS0123 mature?")
    asked = model.invoke([question])
    told = look_up.invoke(asked.tool_calls[0])
    drive(mode, model, [question, asked, told])
    run = recording.only(kind=Kind.LLM)
    assert [message.role for message in run.messages] == ["user", "assistant", "tool"]
    (told_call,) = run.messages[1].tool_calls
    assert (told_call.name, told_call.arguments, told_call.id) == ("look_up", {"isin": "XS0123"}, "call_1")
    assert run.messages[2].tool_call_id == "call_1"
    assert run.messages[2].parts[0].text == "XS0123 matures in 2031."
    assert run.messages[2].name == "look_up"


def test_arguments_that_are_no_json_are_kept_as_they_came(
    provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(Answer(blocks=(ToolUse(name="look_up", id="call_1", pieces=('{"isin": XS01',)),)))
    models.openai().bind_tools([look_up]).invoke(QUESTION, recording.config)
    (call,) = recording.only(kind=Kind.LLM).answers[0].tool_calls
    assert (call.name, call.arguments, call.id) == ("look_up", '{"isin": XS01', "call_1")


@modes.over((modes.invoke, modes.stream, modes.ainvoke, modes.astream, modes.astream_events_v2))
def test_a_retrieval_chain_is_one_trace_with_its_documents(
    mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    provider.script(Answer.of("In", " 2031."))
    chain = retrieval_chain(provider, models)
    drive(mode, chain, "When does XS0123 mature?")
    runs = recording.runs()
    (root,) = roots_of(runs)
    assert len({run.trace_id for run in runs}) == 1
    retriever = recording.only(kind=Kind.RETRIEVER)
    assert retriever.inputs == "When does XS0123 mature?"
    assert {document.text for document in retriever.documents} == {"XS0123 matures in 2031.", "A loan."}
    assert [document.rank for document in retriever.documents] == [1, 2]
    assert all(document.metadata["source"] for document in retriever.documents)
    best, second = (document.score for document in retriever.documents)
    assert best is not None
    assert second is not None
    assert best >= second
    assert root.inputs == "When does XS0123 mature?"
    assert root.outputs == "In 2031."
    assert {run.status for run in runs} == {Status.OK}


@pytest.mark.parametrize("mode", [modes.invoke, modes.astream], ids=["invoke", "astream"])
def test_usage_over_all_runs_is_what_was_bought(
    mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    """Chains, parsers and prompts pass messages with usage on; only model runs may carry it."""
    tokens = Tokens(uncached=20, cache_read=5, output=7)
    provider.script(Answer.of("One.", tokens=tokens), Answer.of("Two.", tokens=tokens))
    chain = models.openai() | RunnableLambda(lambda message: [message]) | models.anthropic()
    drive(mode, chain, QUESTION)
    usages = [run.usage for run in recording.runs() if run.usage is not None]
    assert len(usages) == 2
    assert sum(usage.input_tokens or 0 for usage in usages) == 50
    assert sum(usage.output_tokens or 0 for usage in usages) == 14


def test_concurrent_tasks_are_traces_of_their_own(
    provider: Provider, models: Models, recording: Recording
) -> None:
    provider.responder = lambda exchange: Answer.of("echo ", last_text(exchange))
    chain = ChatPromptTemplate.from_template("{question}") | models.openai() | StrOutputParser()
    questions = [f"question {number}" for number in range(12)]

    async def ask() -> list[str]:
        asked = (chain.ainvoke({"question": question}, recording.config) for question in questions)
        return await asyncio.gather(*asked)

    assert models.run(ask()) == [f"echo {question}" for question in questions]
    assert_unmixed(recording, questions)


def test_concurrent_threads_are_traces_of_their_own(
    provider: Provider, models: Models, recording: Recording
) -> None:
    provider.responder = lambda exchange: Answer.of("echo ", last_text(exchange))
    chain = ChatPromptTemplate.from_template("{question}") | models.anthropic() | StrOutputParser()
    questions = [f"question {number}" for number in range(12)]

    def ask(question: str) -> list[str]:
        return list(chain.stream({"question": question}, recording.config))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, questions))
    assert_unmixed(recording, questions)


def test_one_task_after_the_other_is_not_inside_it(
    provider: Provider, models: Models, recording: Recording
) -> None:
    provider.responder = lambda exchange: Answer.of("echo")
    model = models.anthropic()

    async def ask() -> None:
        for _ in range(3):
            await model.ainvoke(QUESTION, recording.config)

    models.run(ask())
    runs = recording.runs()
    assert [run.parent_id for run in runs] == [None] * 3
    assert len({run.trace_id for run in runs}) == 3


@EVERYONE
@modes.over((modes.invoke, modes.stream, modes.astream, modes.stream_events_v3))
def test_a_handler_that_is_attached_twice_records_once(
    maker: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    provider.script(Answer.of("In", " 2031."))
    model = models.make(maker, callbacks=[recording.handler])
    drive(mode, model, QUESTION, callbacks=[recording.handler, recording.handler])
    run = recording.only()
    assert run.usage is not None
    assert run.usage.output_tokens == 7
    if mode in modes.STREAMED:
        assert run.timeline is not None
        assert run.timeline.chunks == 2


def test_a_handler_in_the_constructor_records_that_model_alone(
    provider: Provider, models: Models, recording: Recording
) -> None:
    """Its parent is an id that the handler never saw: then it is a root, without a word in the log."""
    provider.script(Answer.of("In 2031."))
    model = models.openai(callbacks=[recording.handler])
    (ChatPromptTemplate.from_template("{question}") | model).invoke({"question": "?"})
    run = recording.only()
    assert run.kind is Kind.LLM
    assert run.parent_id is None


def test_the_name_that_answered_wins_over_the_name_of_a_deployment(
    provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(Answer.of("In 2031.", model="gpt-4.1-2099-01-01"))
    models.openai(model="our-deployment").invoke(QUESTION, recording.config)
    run = recording.only()
    assert (run.model_requested, run.model_answered) == ("our-deployment", "gpt-4.1-2099-01-01")


@modes.over((modes.invoke, modes.stream, modes.ainvoke, modes.astream))
def test_azure_is_known_by_the_name_that_answered(
    mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    """The deployment hides the model, and what LangChain assumes about it is wrong."""
    provider.script(Answer.of("In", " 2031.", model="gpt-4.1-2099-01-01"))
    drive(mode, models.azure(azure_deployment="our-deployment"), QUESTION)
    run = recording.only()
    assert run.name == "AzureChatOpenAI"
    assert run.model_answered == "gpt-4.1-2099-01-01"
    assert run.model_requested == "our-deployment"
    assert run.provider in ("azure", "openai")


def retrieval_chain(provider: Provider, models: Models) -> Any:
    """Retriever, prompt, model, parser."""
    documents = [
        Document("XS0123 matures in 2031.", metadata={"source": "bonds.pdf"}),
        Document("A loan.", metadata={"source": "loans.pdf"}),
    ]
    retriever = Nearest(embeddings=models.embeddings(), documents=documents)
    prompt = ChatPromptTemplate.from_template("{documents}\n\n{question}")
    gathered = {"documents": retriever, "question": RunnablePassthrough()}
    return gathered | prompt | models.openai(model=GPT) | StrOutputParser()


def assert_unmixed(recording: Recording, questions: list[str]) -> None:
    """Each question has a trace of its own, which holds its own answer and nobody else's."""
    runs = recording.runs()
    roots = roots_of(runs)
    assert sorted(str(root.outputs) for root in roots) == sorted(f"echo {question}" for question in questions)
    assert len({run.trace_id for run in runs}) == len(questions)
    for root in roots:
        (model,) = (run for run in runs if run.trace_id == root.trace_id and run.kind is Kind.LLM)
        asked = model.messages[-1].parts[0].text
        assert root.inputs == {"question": asked}
        assert root.outputs == f"echo {asked}"
        assert model.model_requested in (GPT, CLAUDE)
