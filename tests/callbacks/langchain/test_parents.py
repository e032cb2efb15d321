"""Where a run hangs in the tree, also where LangChain names the wrong parent or none."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any
from uuid import uuid4

import pytest
from contracts.recorded import tree_of
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig, RunnableLambda, RunnableParallel
from langchain_core.tools import tool

from .conftest import Watched
from .models import ScriptedModel

leaf = RunnableLambda(len, name="leaf")


def within(call: Any, name: str = "outer") -> RunnableLambda[Any, Any]:
    return RunnableLambda(call, name=name)


def test_a_nested_call_hangs_below_its_caller(watched: Watched) -> None:
    within(lambda text: leaf.invoke(text)).invoke("abc", watched.config())
    assert watched.tree == [["outer", "leaf"]]


def test_a_call_inside_a_tool_hangs_below_the_tool(watched: Watched) -> None:
    @tool
    def measure(text: str) -> int:
        """Count the letters."""
        return leaf.invoke(text)

    measure.invoke({"text": "abc"}, watched.config())
    assert watched.tree == [["measure", "leaf"]]


async def in_a_task(text: str) -> Any:
    return await asyncio.create_task(leaf.ainvoke(text))


async def in_a_thread(text: str) -> Any:
    return await asyncio.to_thread(leaf.invoke, text)


async def gathered(text: str) -> Any:
    return await asyncio.gather(leaf.ainvoke(text), leaf.ainvoke(text))


@pytest.mark.parametrize(("call", "children"), [(in_a_task, 1), (in_a_thread, 1), (gathered, 2)])
def test_tasks_and_threads_of_asyncio_stay_inside(watched: Watched, call: Any, children: int) -> None:
    asyncio.run(within(call).ainvoke("abc", watched.config()))
    assert watched.tree == [["outer", *["leaf"] * children]]


def test_what_a_fallback_calls_hangs_below_it(watched: Watched) -> None:
    broken, good = ScriptedModel(script=[ValueError("down")]), ScriptedModel(script=["hello"])
    broken.name, good.name = "broken", "good"
    model = broken.with_fallbacks([good])
    expected = ["RunnableWithFallbacks", "broken (error)", "good"]
    model.invoke("hi", watched.config())
    assert watched.tree == [expected]


def test_a_fallback_inside_a_sequence_and_asynchronous_hangs_right_too(watched: Watched) -> None:
    broken, good = ScriptedModel(script=[ValueError("down")]), ScriptedModel(script=["hello"])
    broken.name, good.name = "broken", "good"
    chain = ChatPromptTemplate.from_template("{q}") | broken.with_fallbacks([good])
    asyncio.run(chain.ainvoke({"q": "hi"}, watched.config()))
    below = ["RunnableWithFallbacks", "broken (error)", "good"]
    assert watched.tree == [["RunnableSequence", "ChatPromptTemplate", below]]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_call_that_names_the_handler_again_stays_inside(watched: Watched, asynchronous: bool) -> None:
    outer = within(lambda text: leaf.invoke(text, watched.config()))
    if asynchronous:
        asyncio.run(outer.ainvoke("abc", watched.config()))
    else:
        outer.invoke("abc", watched.config())
    assert watched.tree == [["outer", "leaf"]]


def test_the_steps_of_a_stream_are_siblings(watched: Watched) -> None:
    chain = ChatPromptTemplate.from_template("{q}") | ScriptedModel(script=[["a", "b", "c"]]) | leaf_of_text
    list(chain.stream({"q": "hi"}, watched.config()))
    assert watched.tree == [["RunnableSequence", "ChatPromptTemplate", "ScriptedModel", ["text", "leaf"]]]


leaf_of_text = within(lambda message: leaf.invoke(message.text), "text")


def test_branches_that_run_at_once_are_siblings(watched: Watched) -> None:
    meet = threading.Barrier(2)

    def branch(text: str) -> int:
        meet.wait(10)
        return leaf.invoke(text)

    RunnableParallel(a=within(branch, "a"), b=within(branch, "b")).invoke("abc", watched.config())
    [[root, *branches]] = watched.tree
    assert root == "RunnableParallel<a,b>"
    assert sorted(branches) == [["a", "leaf"], ["b", "leaf"]]
    first, second = watched.runs(name="a")[0], watched.runs(name="b")[0]
    assert first.started_at is not None
    assert second.started_at is not None
    assert first.started_at < (second.ended_at or second.started_at)
    assert second.started_at < (first.ended_at or first.started_at)


def test_calls_after_one_another_are_traces_of_their_own(watched: Watched) -> None:
    async def twice() -> None:
        await leaf.ainvoke("a", watched.config())
        await leaf.ainvoke("b", watched.config())

    asyncio.run(twice())
    assert watched.tree == ["leaf", "leaf"]


def test_many_calls_at_once_do_not_mix(watched: Watched) -> None:
    async def all_at_once() -> None:
        outer = within(lambda text: leaf.invoke(text))
        await asyncio.gather(*(outer.ainvoke("x" * n, watched.config()) for n in range(1, 21)))

    asyncio.run(all_at_once())
    runs = watched.runs()
    assert watched.tree == [["outer", "leaf"]] * 20
    for root in (run for run in runs if run.parent_id is None):
        assert {run.inputs for run in runs if run.trace_id == root.id} == {root.inputs}


def test_constructor_callbacks_make_a_root_of_a_run_whose_parent_was_never_seen(watched: Watched) -> None:
    model = ScriptedModel(script=["hello"], callbacks=[watched.handler])
    (ChatPromptTemplate.from_template("{q}") | model).invoke({"q": "hi"})
    run = watched.only()
    assert run.parent_id is None
    assert run.trace_id == run.id
    assert len(str(run.metadata["unseen_parent_id"])) == 32


def test_a_langsmith_parent_that_was_never_seen_makes_a_root(watched: Watched) -> None:
    from langsmith import RunTree, tracing_context

    parent = RunTree(name="elsewhere")
    with tracing_context(parent=parent, enabled=False):
        leaf.invoke("abc", watched.config())
    run = watched.only()
    assert run.parent_id is None
    assert run.trace_id == run.id


def test_a_plain_pool_inside_a_step_leaves_no_stray_runs(watched: Watched) -> None:
    def fan_out(text: str) -> int:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(leaf.invoke, text).result()

    within(fan_out).invoke("abc", watched.config())
    assert watched.tree == ["outer"]


def test_a_plain_pool_that_is_given_the_context_stays_inside(watched: Watched) -> None:
    def fan_out(text: str) -> int:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(copy_context().run, leaf.invoke, text).result()

    def pass_on(text: str, config: RunnableConfig) -> int:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(leaf.invoke, text, config).result()

    within(fan_out).invoke("abc", watched.config())
    within(pass_on).invoke("abc", watched.config())
    assert watched.tree == [["outer", "leaf"]] * 2


def test_a_task_that_outlives_its_parent_still_belongs_to_it(watched: Watched) -> None:
    async def fire_and_forget() -> None:
        go_on = asyncio.Event()
        tasks = []

        async def later(text: str) -> int:
            await go_on.wait()
            return await leaf.ainvoke(text)

        async def outer(text: str) -> None:
            tasks.append(asyncio.create_task(later(text)))

        await RunnableLambda(outer, name="outer").ainvoke("abc", watched.config())
        assert [run.name for run in watched.runs()] == ["outer"]
        go_on.set()
        await asyncio.gather(*tasks)

    asyncio.run(fire_and_forget())
    assert watched.tree == [["outer", "leaf"]]


def test_a_run_id_that_the_application_uses_twice_makes_two_runs(watched: Watched) -> None:
    run_id = uuid4()
    outer = within(lambda text: leaf.invoke(text))
    outer.invoke("a", watched.config(run_id=run_id))
    outer.invoke("b", watched.config(run_id=run_id))
    first, second = (run for run in watched.runs() if run.parent_id is None)
    assert first.id == run_id.hex
    assert second.id != first.id
    for root in (first, second):
        [child] = [run for run in watched.runs() if run.parent_id == root.id]
        assert (child.inputs, child.trace_id) == (root.inputs, root.id)


def test_a_chain_group_is_the_parent_of_what_runs_inside(watched: Watched) -> None:
    from langchain_core.callbacks.manager import CallbackManager

    manager = CallbackManager.configure(inheritable_callbacks=[watched.handler])
    group = manager.on_chain_start({}, {}, name="group")
    leaf.invoke("abc", {"callbacks": group.get_child()})
    group.on_chain_end({})
    assert watched.tree == [["group", "leaf"]]


def test_a_tree_is_whole_whatever_the_order_in_which_records_come(watched: Watched) -> None:
    within(lambda text: leaf.invoke(text)).invoke("abc", watched.config())
    assert tree_of(reversed(watched.editions)) == [["outer", "leaf"]]
