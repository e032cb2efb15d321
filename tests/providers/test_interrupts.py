"""A graph that waits for a person is interrupted, not broken; its question and its answer can be found."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from stand_ins.provider import Answer, Provider, ToolUse

from driftline.records import Kind, Run, Status
from providers import modes
from providers.models import Models
from providers.modes import Mode
from providers.recording import Recording, roots_of

pytestmark = modes.QUIET
QUESTION = "Sell 400 of XS0123?"


class State(TypedDict, total=False):
    order: str
    answer: str


def ask(state: State) -> State:
    return {"answer": interrupt({"question": QUESTION})}


def ask_for(name: str, state: State) -> State:
    interrupt({"question": f"{name}, is it right?"})
    return {}


def asking_graph(*, nested: bool = False, **compiled: Any) -> Any:
    graph: StateGraph[Any] = StateGraph(State)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    if not nested:
        return graph.compile(checkpointer=InMemorySaver(), name="desk", **compiled)
    outer: StateGraph[Any] = StateGraph(State)
    outer.add_node("approval", graph.compile(name="approval"))
    outer.add_edge(START, "approval")
    return outer.compile(checkpointer=InMemorySaver(), name="desk", **compiled)


def run(mode: Mode, graph: Any, value: Any, recording: Recording) -> Any:
    config = {**recording.config, "configurable": {"thread_id": "t-1"}}
    result = mode(graph, value, config)
    return asyncio.run(result) if modes.is_async(mode) else result


def assert_nothing_failed(runs: list[Run]) -> None:
    assert not [each.name for each in runs if each.status is Status.ERROR]
    assert not [each.name for each in runs if each.error is not None]


@pytest.mark.parametrize("nested", [False, True], ids=["in a node", "in a subgraph"])
@modes.over(modes.GRAPH)
def test_an_interrupt_is_no_error(mode: Mode, nested: bool, recording: Recording) -> None:
    run(mode, asking_graph(nested=nested), {"order": "sell"}, recording)
    runs = recording.runs()
    assert_nothing_failed(runs)
    waiting = {each.name for each in runs if each.status is Status.INTERRUPTED}
    assert waiting == ({"desk", "approval", "ask"} if nested else {"desk", "ask"})


@modes.over(modes.GRAPH)
def test_the_question_is_in_the_run_that_asks_it(mode: Mode, recording: Recording) -> None:
    run(mode, asking_graph(), {"order": "sell"}, recording)
    asking = recording.only(name="ask")
    assert QUESTION in str([event.data for event in asking.events])


@modes.over(modes.GRAPH)
def test_who_resumes_is_found_by_the_session(mode: Mode, recording: Recording) -> None:
    graph = asking_graph()
    run(mode, graph, {"order": "sell"}, recording)
    run(mode, graph, Command(resume="yes"), recording)
    runs = recording.runs()
    asked, resumed = roots_of(runs)
    assert asked.trace_id != resumed.trace_id
    assert asked.session_id == resumed.session_id == "t-1"
    assert (asked.status, resumed.status) == (Status.INTERRUPTED, Status.OK)
    first, second = recording.runs(name="ask")
    assert (first.status, second.status) == (Status.INTERRUPTED, Status.OK)
    # The checkpoint's name for the node is the same on both sides of the pause.
    assert first.metadata["langgraph_checkpoint_ns"] == second.metadata["langgraph_checkpoint_ns"]


@modes.over((modes.invoke, modes.ainvoke))
def test_a_pause_before_a_node_is_told(mode: Mode, recording: Recording) -> None:
    """Nothing is raised and no node runs: only LangGraph's own event says so."""
    graph = asking_graph(interrupt_before=["ask"])
    run(mode, graph, {"order": "sell"}, recording)
    (root,) = recording.runs()
    assert root.status is Status.INTERRUPTED
    assert root.error is None
    assert [event.name for event in root.events] != []


@modes.over((modes.invoke, modes.ainvoke))
def test_two_nodes_that_ask_at_once_both_tell_what(mode: Mode, recording: Recording) -> None:
    graph: StateGraph[Any] = StateGraph(State)
    for name in ("buyer", "seller"):
        graph.add_node(name, partial(ask_for, name))
        graph.add_edge(START, name)
    run(mode, graph.compile(checkpointer=InMemorySaver(), name="desk"), {"order": "sell"}, recording)
    assert_nothing_failed(recording.runs())
    for name in ("buyer", "seller"):
        asking = recording.only(name=name)
        assert asking.status is Status.INTERRUPTED
        assert f"{name}, is it right?" in str([event.data for event in asking.events])
    (root,) = roots_of(recording.runs())
    told = str([event.data for event in root.events])
    assert "buyer, is it right?" in told
    assert "seller, is it right?" in told


def test_a_person_who_approves_a_tool_is_waited_for(
    provider: Provider, models: Models, recording: Recording
) -> None:
    """By the middleware that ``langchain`` has for it: it asks between the model and the tool."""

    @tool
    def sell(isin: str) -> str:
        """Sell a security."""
        return f"{isin} sold"

    call = ToolUse.of("sell", id="call_1", isin="XS0123")
    provider.script(Answer(blocks=(call,)), Answer.of("Sold."))
    approval = HumanInTheLoopMiddleware(interrupt_on={"sell": True})
    desk: Any = create_agent(
        models.anthropic(), [sell], name="desk", checkpointer=InMemorySaver(), middleware=[approval]
    )
    config = {**recording.config, "configurable": {"thread_id": "t-1"}}
    desk.invoke({"messages": [HumanMessage("Sell it.")]}, config)
    assert recording.runs(kind=Kind.TOOL) == []
    desk.invoke(Command(resume={"decisions": [{"type": "approve"}]}), config)
    runs = recording.runs()
    assert_nothing_failed(runs)
    waiting = [each for each in runs if each.status is Status.INTERRUPTED]
    assert {each.name for each in waiting} == {"desk", "HumanInTheLoopMiddleware.after_model"}
    assert all("XS0123" in str([event.data for event in each.events]) for each in waiting)
    assert recording.only(kind=Kind.TOOL).status is Status.OK
    asked, resumed = roots_of(runs)
    assert asked.session_id == resumed.session_id == "t-1"


def test_a_tool_that_asks_is_interrupted_and_then_resumed(
    provider: Provider, models: Models, recording: Recording
) -> None:
    @tool
    def sell(isin: str) -> str:
        """Sell a security, if a person agrees."""
        return f"{isin} sold: {interrupt({'question': QUESTION})}"

    provider.script(
        Answer(blocks=(ToolUse.of("sell", id="call_1", isin="XS0123"),)),
        Answer.of("Sold."),
    )
    agent = create_agent(models.openai(), [sell], name="desk", checkpointer=InMemorySaver())
    config: Any = {**recording.config, "configurable": {"thread_id": "t-1"}}
    agent.invoke({"messages": [HumanMessage("Sell it.")]}, config)
    agent.invoke(Command(resume="yes"), config)
    runs = recording.runs()
    assert_nothing_failed(runs)
    asked, resumed = recording.runs(kind=Kind.TOOL)
    assert (asked.status, resumed.status) == (Status.INTERRUPTED, Status.OK)
    assert QUESTION in str([event.data for event in asked.events])
    assert "sold: yes" in str(resumed.outputs)
    first, second = roots_of(runs)
    assert (first.status, second.status) == (Status.INTERRUPTED, Status.OK)
    assert first.session_id == second.session_id == "t-1"


def test_an_agent_inside_a_tool_that_asks_is_interrupted_all_the_way_up(
    provider: Provider, models: Models, recording: Recording
) -> None:
    @tool
    def sell(isin: str) -> str:
        """Sell a security, if a person agrees."""
        return f"{isin} sold: {interrupt({'question': QUESTION})}"

    broker = create_agent(models.anthropic(), [sell], name="broker")

    @tool
    def ask_broker(order: str) -> str:
        """Hand an order to the broker."""
        return str(broker.invoke({"messages": [HumanMessage(order)]})["messages"][-1].text)

    provider.script(
        Answer(blocks=(ToolUse.of("ask_broker", id="call_1", order="Sell XS0123."),)),
        Answer(blocks=(ToolUse.of("sell", id="call_2", isin="XS0123"),)),
    )
    desk = create_agent(models.openai(), [ask_broker], name="desk", checkpointer=InMemorySaver())
    config: Any = {**recording.config, "configurable": {"thread_id": "t-1"}}
    desk.invoke({"messages": [HumanMessage("Sell it.")]}, config)
    runs = recording.runs()
    assert_nothing_failed(runs)
    waiting = {each.name for each in runs if each.status is Status.INTERRUPTED}
    assert {"desk", "ask_broker", "broker", "sell"} <= waiting
