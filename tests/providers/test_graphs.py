"""LangGraph's own ways of running things: subgraphs, fan-out, retries, commands, siblings that fail."""

from __future__ import annotations

import asyncio
import operator
import threading
from collections import Counter
from itertools import pairwise
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, RetryPolicy, Send

from driftline.recorder import RecorderLimits
from driftline.records import Status
from providers import modes
from providers.modes import Mode
from providers.recording import Recording, roots_of, tree_of

pytestmark = modes.QUIET


class State(TypedDict, total=False):
    texts: Annotated[list[str], operator.add]
    text: str


def run(mode: Mode, graph: Any, value: Any, recording: Recording, **config: Any) -> Any:
    result = mode(graph, value, {**recording.config, **config})
    return asyncio.run(result) if modes.is_async(mode) else result


def graph_of(**nodes: Any) -> StateGraph[Any]:
    """A graph whose nodes run one after the other."""
    graph: StateGraph[Any] = StateGraph(State)
    names = [START, *nodes, END]
    for name, node in nodes.items():
        graph.add_node(name, node)
    for before, after in pairwise(names):
        graph.add_edge(before, after)
    return graph


@modes.over(modes.GRAPH)
def test_subgraphs_nest_where_they_run(mode: Mode, recording: Recording) -> None:
    inner = graph_of(read=lambda state: {"texts": ["read"]}).compile(name="inner")
    middle = graph_of(first=inner).compile(name="middle")
    outer = graph_of(plan=lambda state: {"texts": ["plan"]}, second=middle).compile(name="outer")
    run(mode, outer, {"texts": []}, recording)
    # A subgraph as a node is the node's run, and in it the graph's.
    assert tree_of(recording.runs()) == [
        ["outer", "plan", ["second", ["middle", ["first", ["inner", "read"]]]]],
    ]


@modes.over(modes.GRAPH)
def test_a_fan_out_is_one_run_per_item(mode: Mode, recording: Recording) -> None:
    graph: StateGraph[Any] = StateGraph(State)
    graph.add_node("split", lambda state: {})
    graph.add_node("work", lambda item: {"texts": [item["text"]]})
    graph.add_edge(START, "split")
    graph.add_conditional_edges(
        "split", lambda state: [Send("work", {"text": text}) for text in "abc"], ["work"]
    )
    graph.add_edge("work", END)
    run(mode, graph.compile(name="outer"), {"texts": []}, recording)
    (root,) = roots_of(recording.runs())
    workers = recording.runs(name="work")
    assert len(workers) == 3
    assert {worker.parent_id for worker in workers} == {root.id}
    assert sorted(str(worker.inputs) for worker in workers) == [str({"text": text}) for text in "abc"]
    assert {worker.trace_id for worker in recording.runs()} == {root.trace_id}


@modes.over(modes.GRAPH)
def test_a_goto_in_the_parent_is_no_error(mode: Mode, recording: Recording) -> None:
    def leave(state: State) -> Command[Any]:
        return Command(graph=Command.PARENT, goto="after", update={"texts": ["left"]})

    inner = graph_of(leave=leave).compile(name="inner")
    graph: StateGraph[Any] = StateGraph(State)
    graph.add_node("inner", inner)
    graph.add_node("after", lambda state: {"texts": ["after"]})
    graph.add_edge(START, "inner")
    graph.add_edge("after", END)
    run(mode, graph.compile(name="outer"), {"texts": []}, recording)
    runs = recording.runs()
    assert {each.status for each in runs} == {Status.OK}
    assert {each.error for each in runs} == {None}
    assert {"outer", "inner", "leave", "after"} <= {each.name for each in runs}


@modes.over((modes.invoke, modes.ainvoke))
def test_a_goto_in_the_same_graph_is_no_error(mode: Mode, recording: Recording) -> None:
    graph: StateGraph[Any] = StateGraph(State)
    graph.add_node("choose", lambda state: Command(goto="chosen"), destinations=("chosen",))
    graph.add_node("chosen", lambda state: {"texts": ["chosen"]})
    graph.add_edge(START, "choose")
    run(mode, graph.compile(name="outer"), {"texts": []}, recording)
    assert tree_of(recording.runs()) == [["outer", "choose", "chosen"]]


@modes.over((modes.invoke, modes.stream, modes.ainvoke, modes.astream))
def test_attempts_of_a_retry_policy_are_siblings(mode: Mode, recording: Recording) -> None:
    attempts = Counter[str]()

    def flaky(state: State) -> State:
        attempts["flaky"] += 1
        if attempts["flaky"] < 3:
            raise ConnectionError("not yet")
        return {"texts": ["there"]}

    policy = RetryPolicy(initial_interval=0.001, max_attempts=3, jitter=False)
    graph: StateGraph[Any] = StateGraph(State)
    graph.add_node("flaky", flaky, retry_policy=policy)
    graph.add_edge(START, "flaky")
    run(mode, graph.compile(name="outer"), {"texts": []}, recording)
    (root,) = roots_of(recording.runs())
    tried = recording.runs(name="flaky")
    assert [each.status for each in tried] == [Status.ERROR, Status.ERROR, Status.OK]
    assert {each.parent_id for each in tried} == {root.id}
    assert root.status is Status.OK


def test_a_node_that_raises_cancels_its_async_sibling() -> None:
    recording = Recording(limits=RecorderLimits(grace_s=0.05, tend_every_s=0.02))

    async def go() -> None:
        started = asyncio.Event()

        async def wait(state: State) -> State:
            started.set()
            await asyncio.Event().wait()
            return {}

        async def fail(state: State) -> State:
            await started.wait()
            raise ValueError("broken")

        graph: StateGraph[Any] = StateGraph(State)
        for name, node in {"wait": wait, "fail": fail}.items():
            graph.add_node(name, node)
            graph.add_edge(START, name)
        with pytest.raises(ValueError, match="broken"):
            await graph.compile(name="outer").ainvoke({"texts": []}, recording.config)

    asyncio.run(go())
    runs = recording.wait_for_all_to_end()
    assert {each.name: each.status for each in runs} == {
        "outer": Status.ERROR,
        "wait": Status.CANCELLED,
        "fail": Status.ERROR,
    }
    recording.close()


def test_a_node_that_raises_lets_its_sync_sibling_finish(recording: Recording) -> None:
    failing = threading.Event()

    def wait(state: State) -> State:
        assert failing.wait(10)
        return {"texts": ["done"]}

    def fail(state: State) -> State:
        failing.set()
        raise ValueError("broken")

    graph: StateGraph[Any] = StateGraph(State)
    for name, node in {"wait": wait, "fail": fail}.items():
        graph.add_node(name, node)
        graph.add_edge(START, name)
    with pytest.raises(ValueError, match="broken"):
        graph.compile(name="outer").invoke({"texts": []}, recording.config)
    runs = recording.wait_for_all_to_end()
    assert {each.name: each.status for each in runs} == {
        "outer": Status.ERROR,
        "wait": Status.OK,
        "fail": Status.ERROR,
    }


@modes.over((modes.invoke, modes.stream, modes.ainvoke, modes.astream))
def test_the_functional_api_nests(mode: Mode, recording: Recording) -> None:
    @task
    def double(number: int) -> int:
        return number * 2

    @entrypoint()
    def workflow(numbers: list[int]) -> int:
        return sum(each.result() for each in [double(number) for number in numbers])

    run(mode, workflow, [1, 2, 3], recording)
    runs = recording.runs()
    (root,) = roots_of(runs)
    workflow_run = recording.only(name="workflow")
    assert workflow_run.parent_id == root.id
    assert workflow_run.outputs == root.outputs == 12
    doubled = recording.runs(name="double")
    assert sorted(str(each.outputs) for each in doubled) == ["2", "4", "6"]
    assert {each.parent_id for each in doubled} == {workflow_run.id}
    assert {each.trace_id for each in runs} == {root.trace_id}


def test_traces_of_one_thread_id_share_a_session(recording: Recording) -> None:
    graph = graph_of(say=lambda state: {"texts": ["said"]})
    compiled = graph.compile(checkpointer=InMemorySaver(), name="outer")
    for _ in range(2):
        run(modes.invoke, compiled, {"texts": []}, recording, configurable={"thread_id": "t-1"})
    first, second = roots_of(recording.runs())
    assert first.trace_id != second.trace_id
    assert first.session_id == second.session_id == "t-1"


def test_the_state_that_a_node_got_is_as_it_was_then(recording: Recording) -> None:
    """A node that edits what it was given does not rewrite its own history."""

    def edit(state: State) -> State:
        state["texts"].append("edited")
        return {"text": "done"}

    graph_of(edit=edit).compile(name="outer").invoke({"texts": ["original"]}, recording.config)
    assert recording.only(name="edit").inputs == {"texts": ["original"]}


def test_many_runs_leave_nothing_open(recording: Recording) -> None:
    graph = graph_of(say=lambda state: {"texts": ["said"]}).compile(name="outer")
    for _ in range(50):
        graph.invoke({"texts": []}, recording.config)
    assert recording.recorder.open_count == 0
    assert len(recording.runs()) == 100
