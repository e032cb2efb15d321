"""LangGraph: nodes, subgraphs, fan-out, interrupts, commands."""

from __future__ import annotations

import asyncio
import operator
import subprocess
import sys
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, RetryPolicy, Send, interrupt

from driftline.records import Kind, Status

from .conftest import Watched
from .models import ScriptedModel

pytestmark = pytest.mark.filterwarnings("ignore:.*(in beta|is experimental)")


class State(TypedDict, total=False):
    text: str
    found: Annotated[list[str], operator.add]


def a_graph(name: str = "graph", checkpointer: Any = None, **nodes: Any) -> Any:
    """Nodes one after the other."""
    graph: Any = StateGraph(State)
    before = START
    for node, run in nodes.items():
        graph.add_node(node, run)
        graph.add_edge(before, node)
        before = node
    graph.add_edge(before, END)
    return graph.compile(checkpointer=checkpointer, name=name)


def say(text: str) -> Any:
    return lambda state: {"found": [text]}


def ask(state: State) -> Any:
    return {"text": interrupt({"question": "Approve the payment?"})}


def on_thread(watched: Watched, thread_id: str = "t-1", **more: Any) -> Any:
    return watched.config(configurable={"thread_id": thread_id}, **more)


def test_nodes_hang_below_their_graph(watched: Watched) -> None:
    a_graph(read=say("a"), write=say("b")).invoke({"text": "x"}, watched.config())
    assert watched.tree == [["graph", "read", "write"]]
    run = watched.only(name="write")
    assert run.metadata["langgraph_node"] == "write"
    assert run.metadata["langgraph_step"] == 2


def test_a_graph_inside_a_graph_hangs_below_its_node(watched: Watched) -> None:
    inner = a_graph("inner", read=say("a"))
    a_graph("outer", sub=inner, write=say("b")).invoke({"text": "x"}, watched.config())
    assert watched.tree == [["outer", ["sub", ["inner", "read"]], "write"]]
    assert len({run.trace_id for run in watched.runs()}) == 1


def test_conditional_edges_choose_below_their_node(watched: Watched) -> None:
    graph: Any = StateGraph(State)
    graph.add_node("read", say("a"))
    graph.add_node("write", say("b"))
    graph.add_edge(START, "read")
    graph.add_conditional_edges("read", lambda state: "write", ["write"])
    graph.compile(name="graph").invoke({"text": "x"}, watched.config())
    assert watched.tree == [["graph", ["read", "RunnableCallable"], "write"]]


def test_a_fan_out_is_one_run_per_branch(watched: Watched) -> None:
    graph: Any = StateGraph(State)
    graph.add_node("read", lambda state: {"found": [state["text"]]})
    graph.add_conditional_edges(START, lambda state: [Send("read", {"text": str(n)}) for n in range(3)])
    graph.compile(name="graph").invoke({"text": "x"}, watched.config())
    branches = watched.runs(name="read")
    assert sorted(run.inputs["text"] for run in branches) == ["0", "1", "2"]  # type: ignore[call-overload, index]
    assert {run.parent_id for run in branches} == {watched.only(name="graph").id}


def test_an_interrupted_graph_waits_and_says_for_what(watched: Watched) -> None:
    graph = a_graph(checkpointer=InMemorySaver(), read=say("a"), ask=ask)
    graph.invoke({"text": "x"}, on_thread(watched))
    assert watched.tree == [["graph (interrupted)", "read", "ask (interrupted)"]]
    node = watched.only(name="ask")
    assert node.error is None
    [event] = node.events
    assert event.name == "interrupt"
    assert event.data["interrupts"][0]["value"] == {"question": "Approve the payment?"}  # type: ignore[call-overload, index]


def test_an_interrupt_inside_a_subgraph_is_no_error_anywhere(watched: Watched) -> None:
    inner = a_graph("inner", ask=ask)
    a_graph("outer", checkpointer=InMemorySaver(), sub=inner).invoke({"text": "x"}, on_thread(watched))
    assert {run.status for run in watched.runs()} == {Status.INTERRUPTED}
    assert [run.error for run in watched.runs() if run.error] == []


def test_an_interrupt_inside_a_tool_is_no_error_anywhere(watched: Watched) -> None:
    @tool
    def pay(amount: int) -> str:
        """Pay."""
        return str(interrupt({"question": f"Pay {amount}?"}))

    def call(state: State) -> Any:
        return {"text": pay.invoke({"amount": 5})}

    graph = a_graph(checkpointer=InMemorySaver(), call=call)
    graph.invoke({"text": "x"}, on_thread(watched))
    run = watched.only(kind=Kind.TOOL)
    assert (run.status, run.error) == (Status.INTERRUPTED, None)
    assert run.events[0].data["interrupts"][0]["value"] == {"question": "Pay 5?"}  # type: ignore[call-overload, index]


def test_a_resumed_graph_is_a_trace_of_the_same_session(watched: Watched) -> None:
    graph = a_graph(checkpointer=InMemorySaver(), read=say("a"), ask=ask)
    graph.invoke({"text": "x"}, on_thread(watched))
    assert graph.invoke(Command(resume="yes"), on_thread(watched))["text"] == "yes"
    before, after = (run for run in watched.runs() if run.parent_id is None)
    assert before.trace_id != after.trace_id
    assert before.session_id == after.session_id == "t-1"
    assert (before.status, after.status) == (Status.INTERRUPTED, Status.OK)
    first, second = watched.runs(name="ask")
    assert first.metadata["langgraph_checkpoint_ns"] == second.metadata["langgraph_checkpoint_ns"]
    assert [event.name for event in after.events] == ["resume"]


@pytest.mark.parametrize("when", ["interrupt_before", "interrupt_after"])
def test_a_graph_that_stops_beside_a_node_waits_too(watched: Watched, when: str) -> None:
    graph: Any = StateGraph(State)
    for node in ("read", "write"):
        graph.add_node(node, say(node))
    graph.add_edge(START, "read")
    graph.add_edge("read", "write")
    stop: Any = {when: ["read"]}
    graph.compile(checkpointer=InMemorySaver(), name="graph", **stop).invoke(
        {"text": "x"}, on_thread(watched)
    )
    run = watched.only(name="graph")
    assert run.status is Status.INTERRUPTED
    assert [(event.name, event.data["status"]) for event in run.events] == [  # type: ignore[call-overload, index]
        ("interrupt", when)
    ]


def test_asynchronous_interrupts_are_told_alike(watched: Watched) -> None:
    graph = a_graph(checkpointer=InMemorySaver(), ask=ask)
    asyncio.run(graph.ainvoke({"text": "x"}, on_thread(watched)))
    assert watched.tree == [["graph (interrupted)", "ask (interrupted)"]]
    assert [event.name for event in watched.only(name="graph").events] == ["interrupt"]


def test_a_jump_to_the_parent_graph_is_no_error(watched: Watched) -> None:
    inner = a_graph("inner", jump=lambda state: Command(graph=Command.PARENT, goto="write"))
    graph: Any = StateGraph(State)
    graph.add_node("sub", inner)
    graph.add_node("write", say("b"))
    graph.add_edge(START, "sub")
    graph.compile(name="outer").invoke({"text": "x"}, watched.config())
    assert {run.status for run in watched.runs()} == {Status.OK}
    assert watched.only(name="write").status is Status.OK


def test_the_sibling_of_a_node_that_fails_is_cancelled_and_no_error(watched: Watched) -> None:
    async def wait(state: State) -> Any:
        await asyncio.Event().wait()

    async def fail(state: State) -> Any:
        raise ValueError("no such account")

    graph: Any = StateGraph(State)
    for name, node in (("wait", wait), ("fail", fail)):
        graph.add_node(name, node)
        graph.add_edge(START, name)
    with pytest.raises(ValueError, match="no such account"):
        asyncio.run(graph.compile(name="graph").ainvoke({"text": "x"}, watched.config()))
    statuses = {run.name: run.status for run in watched.runs()}
    assert statuses == {"graph": Status.ERROR, "wait": Status.CANCELLED, "fail": Status.ERROR}


def test_each_attempt_of_a_retried_node_is_a_run(watched: Watched) -> None:
    tries: list[int] = []

    def flaky(state: State) -> Any:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("reset by peer")
        return {"text": "ok"}

    graph: Any = StateGraph(State)
    policy = RetryPolicy(initial_interval=0.001, jitter=False)
    graph.add_node("flaky", flaky, retry_policy=policy)
    graph.add_edge(START, "flaky")
    graph.compile(name="graph").invoke({"text": "x"}, watched.config())
    assert watched.tree == [["graph", "flaky (error)", "flaky (error)", "flaky"]]


def test_a_graph_whose_reader_leaves_is_cancelled(watched: Watched) -> None:
    stream = a_graph(read=say("a"), write=say("b")).stream({"text": "x"}, watched.config())
    next(stream)
    stream.close()
    assert watched.only(name="graph").status is Status.CANCELLED


def test_the_functional_way_nests_fully(watched: Watched) -> None:
    @task
    def double(n: int) -> int:
        return n * 2

    @entrypoint()
    def flow(n: int) -> int:
        return double(n).result() + 1

    assert flow.invoke(3, watched.config()) == 7
    assert watched.tree == [["LangGraph", ["flow", "double"]]]
    assert watched.only(name="double").outputs == 6


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def calls(*ids: str) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1, "b": 2}, "id": each} for each in ids])


@pytest.mark.parametrize("name", ["calculator", None])
def test_an_agent_is_an_agent_and_its_steps_are_not(watched: Watched, name: str | None) -> None:
    model = ScriptedModel(script=[calls("c1", "c2"), "It is 3."])
    agent: Any = create_agent(model, [add], name=name)
    agent.invoke({"messages": [("user", "1 + 2?")]}, watched.config())
    [agent_run] = watched.runs(kind=Kind.AGENT)
    assert agent_run.parent_id is None
    tools = watched.runs(kind=Kind.TOOL)
    assert {run.metadata["tool_call_id"] for run in tools} == {"c1", "c2"}
    assert len({run.parent_id for run in tools}) == 2
    assert len(watched.runs(kind=Kind.LLM)) == 2


def test_an_agent_inside_a_tool_of_an_agent_nests(watched: Watched) -> None:
    inner: Any = create_agent(ScriptedModel(script=["It is 3."]), [], name="inner")

    @tool
    def ask_colleague(question: str) -> str:
        """Ask somebody else."""
        return str(inner.invoke({"messages": [("user", question)]})["messages"][-1].text)

    call: Any = {"name": "ask_colleague", "args": {"question": "1 + 2?"}, "id": "c1"}
    script = [AIMessage("", tool_calls=[call]), "They say 3."]
    outer: Any = create_agent(ScriptedModel(script=script), [ask_colleague], name="outer")
    outer.invoke({"messages": [("user", "1 + 2?")]}, watched.config())
    runs = {run.id: run for run in watched.runs()}
    inner_run, tool_run = watched.only(name="inner"), watched.only(kind=Kind.TOOL)
    assert {run.name for run in watched.runs(kind=Kind.AGENT)} == {"inner", "outer"}
    assert inner_run.parent_id == tool_run.id
    assert len({run.trace_id for run in runs.values()}) == 1


def test_an_agent_as_a_node_of_a_graph_or_of_an_agent_is_an_agent_once(watched: Watched) -> None:
    agent: Any = create_agent(ScriptedModel(script=["It is 3."]), [], name="worker")
    graph: Any = StateGraph(MessagesState)
    graph.add_node("worker", agent)
    graph.add_edge(START, "worker")
    graph.compile(name="graph").invoke({"messages": [("user", "1 + 2?")]}, watched.config())
    [[root, [node, [inner, model]]]] = watched.tree
    assert (root, node, inner, model[0]) == ("graph", "worker", "worker", "model")
    of_node, of_agent = watched.runs(name="worker")
    if of_node.parent_id == of_agent.id:
        of_node, of_agent = of_agent, of_node
    assert (of_node.kind, of_agent.kind) == (Kind.CHAIN, Kind.AGENT)


def test_a_model_in_a_node_streams_when_the_graph_streams_its_messages(watched: Watched) -> None:
    model = ScriptedModel(script=[["a", "b", "c"]])
    graph = a_graph(write=lambda state: {"text": model.invoke(state["text"]).text})
    list(graph.stream({"text": "x"}, watched.config(), stream_mode="messages"))
    timeline = watched.only(kind=Kind.LLM).timeline
    assert timeline is not None
    assert timeline.chunks == 3


def test_a_graph_streamed_by_v3_events_has_a_timeline(watched: Watched) -> None:
    model = ScriptedModel(script=[["a", "b", "c"]])
    graph = a_graph(write=lambda state: {"text": model.invoke(state["text"]).text})
    for _ in graph.stream_events({"text": "x"}, watched.config(), version="v3"):
        pass
    timeline = watched.only(kind=Kind.LLM).timeline
    assert timeline is not None
    assert timeline.chunks == 3


def test_a_long_dialogue_is_kept_whole_by_the_model_and_by_its_end_in_every_node(watched: Watched) -> None:
    model = ScriptedModel(script=["ok"])
    agent: Any = create_agent(model, [], name="agent")
    dialogue = [("user" if n % 2 else "assistant", f"message {n} " + "x" * 500) for n in range(100)]
    agent.invoke({"messages": dialogue}, watched.config())
    assert len(watched.only(kind=Kind.LLM).messages) == 100
    node: Any = watched.only(name="model")
    assert node.inputs["messages"][0] == {"$cut": 92}
    assert [message["content"].split(" x")[0] for message in node.inputs["messages"][1:3]] == [
        "message 92",
        "message 93",
    ]
    root: Any = watched.only(name="agent")
    assert len(root.inputs["messages"]) == 100
    assert len(root.outputs["messages"]) == 101


LATE = """
from driftline.integrations.langchain import DriftlineCallbackHandler
from driftline.recorder import Recorder
import sys
assert not any(name.startswith("langgraph") for name in sys.modules), "langgraph came too early for this test"

class Outbox:
    def __init__(self): self.sealed = []
    def offer(self, sealed): self.sealed.append(sealed)
    def flush(self, timeout_s): return True

outbox = Outbox()
handler = DriftlineCallbackHandler(recorder=Recorder(outbox, tended=False), strict=True)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from langgraph.callbacks import GraphCallbackHandler
graph = StateGraph(dict)
graph.add_node("ask", lambda state: interrupt("Go on?"))
graph.add_edge(START, "ask")
compiled = graph.compile(checkpointer=InMemorySaver())
compiled.invoke({"a": 1}, {"callbacks": [handler], "configurable": {"thread_id": "t"}})
assert isinstance(handler, GraphCallbackHandler)
root = outbox.sealed[-1].to_run()
print([event.name for event in root.events], root.status)
"""


def test_a_handler_made_before_langgraph_was_imported_hears_of_interrupts() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LATE], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "['interrupt'] interrupted\n", done.stderr


def test_a_plain_runnable_in_a_node_stays_inside(watched: Watched) -> None:
    leaf = RunnableLambda(len, name="leaf")
    a_graph(read=lambda state: {"text": str(leaf.invoke(state["text"]))}).invoke(
        {"text": "x"}, watched.config()
    )
    assert watched.tree == [["graph", ["read", "leaf"]]]
