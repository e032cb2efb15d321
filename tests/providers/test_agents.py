"""Agents of ``langchain.agents`` over both providers: parallel tools, agents in tools, failures."""

from __future__ import annotations

import asyncio
import operator
import threading
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph
from langgraph.types import Send
from stand_ins.provider import Answer, Provider, Silence, Text, Tokens, ToolUse

from driftline.recorder import RecorderLimits
from driftline.records import Kind, Run, Status
from providers import modes
from providers.models import Models
from providers.modes import Drive, Mode
from providers.recording import Recording, last_text, roots_of, until

pytestmark = modes.QUIET
QUESTION: Any = {"messages": [HumanMessage("Compare XS01 with XS02.")]}
BOTH_PROVIDERS = pytest.mark.parametrize("maker", ["openai", "anthropic"])


@tool
def look_up(isin: str) -> str:
    """Look a security up."""
    return f"{isin} matures in 2031."


@tool
def price(isin: str) -> float:
    """Tell the price of a security."""
    raise ValueError(f"no price for {isin}")


class Item(TypedDict):
    question: str


class Survey(TypedDict, total=False):
    answers: Annotated[list[str], operator.add]
    summary: str


def two_lookups_then_an_answer(tokens: Tokens | None = None) -> tuple[Answer, Answer]:
    """What a model says that calls a tool twice at once and then sums up."""
    first = ToolUse.of("look_up", id="call_1", isin="XS01")
    second = ToolUse.of("look_up", id="call_2", isin="XS02")
    billed = tokens or Tokens()
    return (
        Answer(blocks=(Text(("Let me look.",)), first, second), tokens=billed),
        Answer.of("Both", " mature", " in 2031.", tokens=billed),
    )


def path_of(run: Run, runs: list[Run]) -> list[str]:
    """The names from the root to the run."""
    by_id = {each.id: each for each in runs}
    names = [run.name]
    while run.parent_id is not None:
        run = by_id[run.parent_id]
        names.insert(0, run.name)
    return names


@BOTH_PROVIDERS
@modes.over(modes.GRAPH)
def test_an_agent_is_one_trace_of_models_and_tools(
    maker: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    provider.script(*two_lookups_then_an_answer())
    drive(mode, create_agent(models.make(maker), [look_up], name="analyst"), QUESTION)
    runs = recording.runs()
    (root,) = roots_of(runs)
    assert root.name == "analyst"
    assert root.kind is Kind.AGENT
    assert {run.trace_id for run in runs} == {root.trace_id}
    assert {run.status for run in runs} == {Status.OK}
    paths = [path_of(run, runs) for run in runs if run.kind in (Kind.LLM, Kind.TOOL)]
    model = "ChatOpenAI" if maker == "openai" else "ChatAnthropic"
    assert paths == [
        ["analyst", "model", model],
        ["analyst", "tools", "look_up"],
        ["analyst", "tools", "look_up"],
        ["analyst", "model", model],
    ]


@BOTH_PROVIDERS
def test_parallel_tools_have_their_own_runs_with_their_own_arguments(
    maker: str, provider: Provider, models: Models, recording: Recording
) -> None:
    barrier = threading.Barrier(2, timeout=10)

    @tool
    def look_up(isin: str) -> str:
        """Look a security up, together with another."""
        barrier.wait()
        return f"{isin} matures in 2031."

    provider.script(*two_lookups_then_an_answer())
    create_agent(models.make(maker), [look_up]).invoke(QUESTION, recording.config)
    tools = recording.runs(kind=Kind.TOOL)
    assert sorted(str(run.inputs) for run in tools) == ["{'isin': 'XS01'}", "{'isin': 'XS02'}"]
    assert len({run.parent_id for run in tools}) == 2
    one, other = tools
    assert one.started_at is not None
    assert one.ended_at is not None
    assert other.started_at is not None
    # They met at the barrier, so they overlap.
    assert other.started_at < one.ended_at
    for run in tools:
        assert run.outputs is not None
        assert "matures in 2031." in str(run.outputs)


@BOTH_PROVIDERS
@modes.over(modes.GRAPH)
def test_the_usage_of_an_agent_is_that_of_its_models(
    maker: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    """Graph states carry messages with usage from node to node; none of that is bought again."""
    provider.script(*two_lookups_then_an_answer(Tokens(uncached=30, cache_read=10, output=8)))
    drive(mode, create_agent(models.make(maker), [look_up]), QUESTION)
    usages = [run.usage for run in recording.runs() if run.usage is not None]
    assert len(usages) == 2
    assert sum(usage.input_tokens or 0 for usage in usages) == 80
    assert sum(usage.output_tokens or 0 for usage in usages) == 16


@BOTH_PROVIDERS
@modes.over((modes.stream, modes.astream))
def test_a_graph_that_streams_messages_times_its_models(
    maker: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    """The node calls ``invoke``; LangGraph's own handler makes the model stream inside."""
    provider.script(*two_lookups_then_an_answer())
    agent = create_agent(models.make(maker), [look_up])

    def stream_messages(graph: Any, value: Any, config: Any) -> list[Any]:
        return list(graph.stream(value, config, stream_mode="messages"))

    async def astream_messages(graph: Any, value: Any, config: Any) -> list[Any]:
        return [part async for part in graph.astream(value, config, stream_mode="messages")]

    drive(stream_messages if mode is modes.stream else astream_messages, agent, QUESTION)
    for run in recording.model_runs():
        assert run.timeline is not None
        assert run.timeline.ttft_ms is not None
        assert run.usage is not None
        assert run.usage.output_tokens == 7
    assert all(exchange.streamed for exchange in provider.exchanges)


@BOTH_PROVIDERS
@pytest.mark.parametrize("mode", ["values", "updates", "custom", "debug", ["updates", "messages"]], ids=str)
def test_each_stream_mode_records_the_same_trace(
    maker: str, mode: Any, provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(*two_lookups_then_an_answer())
    agent = create_agent(models.make(maker), [look_up], name="analyst")
    list(agent.stream(QUESTION, recording.config, stream_mode=mode))
    runs = recording.runs()
    (root,) = roots_of(runs)
    assert root.status is Status.OK
    assert [run.kind for run in runs if run.kind is not Kind.CHAIN] == [
        Kind.AGENT,
        Kind.LLM,
        Kind.TOOL,
        Kind.TOOL,
        Kind.LLM,
    ]


def test_a_tool_that_raises_is_an_error_of_the_tool_and_the_agent(
    provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(Answer(blocks=(ToolUse.of("price", id="call_1", isin="XS01"),)))
    with pytest.raises(ValueError, match="no price"):
        create_agent(models.openai(), [price], name="analyst").invoke(QUESTION, recording.config)
    runs = recording.runs()
    failed = {run.name for run in runs if run.status is Status.ERROR}
    assert failed == {"price", "tools", "analyst"}
    tool_run = recording.only(kind=Kind.TOOL)
    assert tool_run.error is not None
    assert tool_run.error.type == "ValueError"
    assert "no price for XS01" in tool_run.error.message
    assert "test_agents.py" in tool_run.error.stack


def test_a_call_of_a_tool_with_wrong_arguments_is_told_to_the_model(
    provider: Provider, models: Models, recording: Recording
) -> None:
    """The agent answers the model with a message about it, so nothing fails but the call."""
    provider.script(Answer(blocks=(ToolUse.of("look_up", id="call_1", name="XS01"),)), Answer.of("Sorry."))
    create_agent(models.anthropic(), [look_up], name="analyst").invoke(QUESTION, recording.config)
    (root,) = roots_of(recording.runs())
    assert root.status is Status.OK
    first, second = recording.model_runs()
    assert first.status is second.status is Status.OK
    assert second.messages[-1].role == "tool"
    assert "isin" in str(second.messages[-1].parts)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_an_agent_inside_a_tool_nests_in_it(
    asynchronous: bool, provider: Provider, models: Models, recording: Recording
) -> None:
    expert = create_agent(models.anthropic(), [look_up], name="expert")

    @tool
    def ask_expert(question: str) -> str:
        """Ask someone who knows."""
        return str(expert.invoke({"messages": [HumanMessage(question)]})["messages"][-1].text)

    @tool("ask_expert")
    async def ask_expert_async(question: str) -> str:
        """Ask someone who knows."""
        answer = await expert.ainvoke({"messages": [HumanMessage(question)]})
        return str(answer["messages"][-1].text)

    provider.script(
        Answer(blocks=(ToolUse.of("ask_expert", id="call_1", question="When?"),)),
        Answer(blocks=(ToolUse.of("look_up", id="call_2", isin="XS01"),)),
        Answer.of("In 2031."),
        Answer.of("The expert says: in 2031."),
    )
    if asynchronous:
        agent = create_agent(models.openai(), [ask_expert_async], name="analyst")
        models.run(agent.ainvoke(QUESTION, recording.config))
    else:
        create_agent(models.openai(), [ask_expert], name="analyst").invoke(QUESTION, recording.config)
    runs = recording.runs()
    (root,) = roots_of(runs)
    assert {run.trace_id for run in runs} == {root.trace_id}
    paths = [path_of(run, runs) for run in runs if run.kind in (Kind.LLM, Kind.TOOL)]
    inner = ["analyst", "tools", "ask_expert", "expert"]
    assert paths == [
        ["analyst", "model", "ChatOpenAI"],
        ["analyst", "tools", "ask_expert"],
        [*inner, "model", "ChatAnthropic"],
        [*inner, "tools", "look_up"],
        [*inner, "model", "ChatAnthropic"],
        ["analyst", "model", "ChatOpenAI"],
    ]


@BOTH_PROVIDERS
@modes.over((modes.invoke, modes.ainvoke, modes.astream_events_v3))
def test_models_that_a_graph_runs_side_by_side_do_not_mix(
    maker: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    """One question per item, four at once, summed up by a fifth call."""
    provider.responder = lambda exchange: Answer.of("echo ", last_text(exchange))
    model = models.make(maker)

    def ask(state: Item) -> dict[str, list[str]]:
        return {"answers": [str(model.invoke(state["question"]).text)]}

    def sum_up(state: Survey) -> dict[str, str]:
        return {"summary": str(model.invoke(" ".join(sorted(state["answers"]))).text)}

    questions = [Send("ask", {"question": word}) for word in ("alpha", "beta", "gamma", "delta")]
    graph: StateGraph[Any] = StateGraph(Survey)
    graph.add_node("ask", ask)
    graph.add_node("sum_up", sum_up)
    graph.add_conditional_edges(START, lambda state: questions, ["ask"])
    graph.add_edge("ask", "sum_up")
    drive(mode, graph.compile(name="survey"), {"answers": []})
    runs = recording.runs()
    by_id = {run.id: run for run in runs}
    assert {run.trace_id for run in runs} == {roots_of(runs)[0].trace_id}
    asked = [run for run in recording.model_runs() if by_id[str(run.parent_id)].name == "ask"]
    assert len(asked) == 4
    for run in asked:
        question = run.messages[0].parts[0].text
        assert by_id[str(run.parent_id)].inputs == {"question": question}
        assert run.answers[0].parts[0].text == f"echo {question}"
    usages = [run.usage for run in runs if run.usage is not None]
    assert sum(usage.output_tokens or 0 for usage in usages) == 7 * len(provider.exchanges) == 35


def test_metadata_of_the_call_reaches_every_run_of_the_agent(
    provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(*two_lookups_then_an_answer())
    config: RunnableConfig = {
        "callbacks": [recording.handler],
        "metadata": {"user_id": "u-7", "session_id": "s-3", "feature": "compare"},
        "tags": ["nightly"],
    }
    create_agent(models.openai(), [look_up]).invoke(QUESTION, config)
    for run in recording.runs():
        assert (run.user_id, run.session_id, run.feature) == ("u-7", "s-3", "compare")
        assert "nightly" in run.tags


def test_a_cancelled_agent_is_cancelled_down_to_its_model(provider: Provider, models: Models) -> None:
    recording = Recording(limits=RecorderLimits(grace_s=0.05, tend_every_s=0.02))
    provider.script(Silence())
    agent = create_agent(models.openai(), [look_up], name="analyst")

    async def cancel() -> None:
        task = asyncio.create_task(agent.ainvoke(QUESTION, recording.config))
        await until(lambda: bool(provider.exchanges))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    models.run(cancel())
    runs = recording.wait_for_all_to_end()
    assert {run.name: run.status for run in runs if run.kind is not Kind.CHAIN or run.parent_id is None} == {
        "analyst": Status.CANCELLED,
        "ChatOpenAI": Status.CANCELLED,
    }
    assert recording.recorder.open_count == 0
    recording.close()


def test_a_stream_of_an_agent_that_is_left_early_is_cancelled(
    provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(*two_lookups_then_an_answer())
    agent: Any = create_agent(models.openai(), [look_up], name="analyst")
    stream = agent.stream(QUESTION, recording.config)
    next(stream)
    stream.close()
    (root,) = roots_of(recording.runs())
    assert root.status is Status.CANCELLED
    assert recording.model_runs()[0].status is Status.OK
