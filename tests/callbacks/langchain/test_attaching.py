"""Ways in which a handler gets into an application, and gets there twice."""

from __future__ import annotations

import asyncio
import copy
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.callbacks import BaseCallbackHandler, CallbackManager, dispatch_custom_event
from langchain_core.callbacks.manager import trace_as_chain_group
from langchain_core.outputs import LLMResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from pydantic import BaseModel, ConfigDict

from driftline.guarding import failures
from driftline.integrations import langchain as integration
from driftline.integrations.langchain import DriftlineCallbackHandler, install, uninstall
from driftline.records import Kind

from .conftest import Watched
from .models import ScriptedModel

leaf = RunnableLambda(len, name="leaf")


@pytest.fixture
def installed(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """The handler in force for the whole process, as in a fresh one."""
    from langchain_core.tracers import context

    hooks = list(context._configure_hooks)
    monkeypatch.setattr(integration, "_installed", {})
    install(watched.handler)
    yield watched
    context._configure_hooks[:] = hooks


def test_a_handler_that_is_attached_twice_records_once(ticking: Watched) -> None:
    model = ScriptedModel(script=[["a", 10, "b", 10, "c"]], tick=ticking.tick)

    def tell(message: Any) -> str:
        dispatch_custom_event("told", {"n": 1})
        dispatch_custom_event("told", {"n": 1})
        return str(message.text)

    chain = model | RunnableLambda(tell, name="tell")
    list(chain.stream("hi", {"callbacks": [ticking.handler, ticking.handler]}))
    assert ticking.tree == [["RunnableSequence", "ScriptedModel", "tell"]]
    timeline = ticking.only(kind=Kind.LLM).timeline
    assert timeline is not None
    assert timeline.chunks == 3
    assert [event.name for event in ticking.only(name="tell").events] == ["told", "told"]


def test_a_handler_that_is_bound_and_passed_records_once(watched: Watched) -> None:
    bound = (ScriptedModel(script=[["a", "b"]]) | leaf_of_text).with_config(callbacks=[watched.handler])
    list(bound.stream("hi", watched.config()))
    assert watched.tree == [["RunnableSequence", "ScriptedModel", "text"]]
    timeline = watched.only(kind=Kind.LLM).timeline
    assert timeline is not None
    assert timeline.chunks == 2


leaf_of_text = RunnableLambda(lambda message: message.text, name="text")


def test_two_handlers_record_each_for_itself(watched: Watched) -> None:
    other = Watched()
    leaf.invoke("abc", {"callbacks": [watched.handler, other.handler]})
    assert watched.tree == other.tree == ["leaf"]


def test_a_constructor_callback_sees_the_runs_of_its_object_only(watched: Watched) -> None:
    model = ScriptedModel(script=["ok"], callbacks=[watched.handler])
    (ChatPromptTemplate.from_template("{q}") | model).invoke({"q": "hi"})
    assert watched.tree == ["ScriptedModel"]


def test_copies_of_a_handler_are_the_handler(watched: Watched) -> None:
    class Settings(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        handler: BaseCallbackHandler

    handler = watched.handler
    config = watched.config(metadata={"a": [1]})
    assert copy.copy(handler) is handler
    assert copy.deepcopy(config)["callbacks"] == [handler]
    assert Settings(handler=handler).model_copy(deep=True).handler is handler


def test_a_handler_is_equal_to_itself_alone(watched: Watched) -> None:
    other = DriftlineCallbackHandler(recorder=watched.recorder)
    assert watched.handler != other
    assert len({watched.handler, other, watched.handler}) == 2


def test_a_pickled_handler_works_and_carries_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_ENABLED", "0")
    handler = DriftlineCallbackHandler("http://127.0.0.1:8429", "s3cret-key", "loans")
    packed = pickle.dumps(handler)
    assert b"s3cret" not in packed
    again = pickle.loads(packed)
    assert isinstance(again, DriftlineCallbackHandler)
    leaf.invoke("abc", {"callbacks": [again]})


def test_a_handler_works_in_several_threads_at_once(watched: Watched) -> None:
    meet = threading.Barrier(8)

    def call(text: str) -> None:
        meet.wait(10)
        for _ in range(20):
            RunnableLambda(lambda each: leaf.invoke(each), name="outer").invoke(text, watched.config())

    threads = [threading.Thread(target=call, args=("x" * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert watched.tree == [["outer", "leaf"]] * 160
    for run in watched.runs(name="leaf"):
        [parent] = [each for each in watched.runs(name="outer") if each.id == run.parent_id]
        assert parent.inputs == run.inputs


def test_a_switched_off_handler_hears_nothing(watched: Watched) -> None:
    watched.handler.enabled = False
    list((ScriptedModel(script=[["a"]]) | leaf_of_text).stream("hi", watched.config()))
    watched.handler.enabled = True
    assert watched.runs() == []
    leaf.invoke("abc", watched.config())
    assert watched.tree == ["leaf"]


def test_installed_it_needs_no_config(installed: Watched) -> None:
    (ChatPromptTemplate.from_template("{q}") | ScriptedModel(script=["ok"])).invoke({"q": "hi"})
    assert installed.tree == [["RunnableSequence", "ChatPromptTemplate", "ScriptedModel"]]


def test_installed_and_passed_it_records_once(installed: Watched) -> None:
    leaf.invoke("abc", installed.config())
    assert installed.tree == ["leaf"]


def test_installed_and_passed_as_another_handler_of_the_same_recorder_it_records_once(
    installed: Watched,
) -> None:
    other = DriftlineCallbackHandler(recorder=installed.recorder)
    list(ScriptedModel(script=[["a", "b"]]).stream("hi", {"callbacks": [other]}))
    timeline = installed.only().timeline
    assert timeline is not None
    assert timeline.chunks == 2


def test_installed_it_is_seen_in_plain_threads(installed: Watched) -> None:
    thread = threading.Thread(target=leaf.invoke, args=("abc",))
    thread.start()
    thread.join()
    assert installed.tree == ["leaf"]


def test_installed_it_sees_a_chain_group(installed: Watched) -> None:
    with trace_as_chain_group("group") as manager:
        leaf.invoke("abc", {"callbacks": manager})
    assert installed.tree == [["group", "leaf"]]


def test_installed_it_leaves_no_stray_ids_when_a_plain_pool_loses_the_trace(installed: Watched) -> None:
    def fan_out(text: str) -> int:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(leaf.invoke, text).result()

    async def to_the_loop(text: str) -> int:
        return await asyncio.get_running_loop().run_in_executor(None, leaf.invoke, text)

    RunnableLambda(fan_out, name="outer").invoke("abc")
    looped: Any = RunnableLambda(lambda _: None, afunc=to_the_loop, name="outer")
    asyncio.run(looped.ainvoke("abc"))
    assert sorted(installed.tree) == ["leaf", "leaf", "outer", "outer"]
    assert {run.parent_id for run in installed.runs()} == {None}
    assert all("unseen_parent_id" not in run.metadata for run in installed.runs())


def test_installed_it_sees_that_a_graph_waits(installed: Watched) -> None:
    graph: Any = StateGraph(dict)
    graph.add_node("ask", lambda state: interrupt("Go on?"))
    graph.add_edge(START, "ask")
    config: Any = {"configurable": {"thread_id": "t"}}
    graph.compile(checkpointer=InMemorySaver(), name="graph").invoke({"a": 1}, config)
    assert installed.tree == [["graph (interrupted)", "ask (interrupted)"]]


def test_installed_alone_it_does_not_see_that_a_graph_stops_before_a_node(installed: Watched) -> None:
    graph: Any = StateGraph(dict)
    graph.add_node("ask", lambda state: state)
    graph.add_edge(START, "ask")
    stopping = graph.compile(checkpointer=InMemorySaver(), name="graph", interrupt_before=["ask"])
    thread: Any = {"configurable": {"thread_id": "t", "user_id": "u"}}
    stopping.invoke({"a": 1}, thread)
    assert installed.tree == ["graph"]
    stopping.invoke({"a": 1}, {"configurable": {"thread_id": "s"}, "callbacks": [installed.handler]})
    assert installed.tree == ["graph", "graph (interrupted)"]


def test_of_what_configures_a_graph_the_thread_is_seen_and_the_user_is_not(watched: Watched) -> None:
    graph: Any = StateGraph(dict)
    graph.add_node("leaf", lambda state: state)
    graph.add_edge(START, "leaf")
    config = watched.config(configurable={"thread_id": "t", "user_id": "u"})
    graph.compile(name="graph").invoke({"a": 1}, config)
    run = watched.only(name="graph")
    assert (run.session_id, run.user_id) == ("t", None)
    graph.compile(name="with metadata").invoke({"a": 1}, {**config, "metadata": {"user_id": "u"}})
    assert watched.only(name="with metadata").user_id == "u"


def test_switched_off_by_the_environment_it_hears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_ENABLED", "0")
    handler = DriftlineCallbackHandler()
    assert not handler.enabled
    assert handler.ignore_chain
    leaf.invoke("abc", {"callbacks": [handler]})
    assert handler.last_trace_id is None


def test_by_itself_it_breaks_no_application(monkeypatch: pytest.MonkeyPatch, watched: Watched) -> None:
    monkeypatch.setattr(failures, "strict", False)
    assert DriftlineCallbackHandler(recorder=watched.recorder).raise_error is False


def test_events_may_bring_more_than_is_known_today(watched: Watched) -> None:
    run_id = uuid4()
    more: Any = {"parent_run_id": None, "tags": [], "metadata": {}, "of_tomorrow": 1}
    handler = watched.handler
    handler.on_chat_model_start({}, [[]], run_id=run_id, **more)
    handler.on_llm_new_token("x", run_id=run_id, **more)
    handler.on_stream_event({}, run_id=run_id, **more)
    handler.on_custom_event("x", {}, run_id=run_id, of_tomorrow=1)
    handler.on_llm_end(LLMResult(generations=[]), run_id=run_id, **more)
    for kind in ("chain", "tool", "retriever"):
        run_id = uuid4()
        getattr(handler, f"on_{kind}_start")({}, "x", run_id=run_id, **more)
        assert getattr(handler, f"on_{kind}_end")([], run_id=run_id, **more) is None
    assert len(watched.runs()) == 4


def test_installing_again_changes_nothing(installed: Watched) -> None:
    assert install() is installed.handler
    leaf.invoke("abc")
    assert installed.tree == ["leaf"]


def test_uninstalled_it_hears_nothing_until_it_is_installed_again(installed: Watched) -> None:
    uninstall()
    leaf.invoke("abc")
    assert installed.runs() == []
    install()
    leaf.invoke("abc")
    assert installed.tree == ["leaf"]


def test_it_runs_inline_so_that_tokens_never_wait_for_the_thread_pool(watched: Watched) -> None:
    told_on: list[str] = []
    model = ScriptedModel(script=[["a", "b"]])
    mark = watched.recorder.get_open

    def watching(key: int) -> Any:
        told_on.append(threading.current_thread().name)
        return mark(key)

    watched.recorder.get_open = watching  # type: ignore[method-assign]

    async def read() -> None:
        async for _ in model.astream("hi", watched.config()):
            pass

    asyncio.run(read())
    assert told_on
    assert set(told_on) == {"MainThread"}


def test_it_never_turns_an_invoke_into_a_stream(watched: Watched) -> None:
    assert not hasattr(watched.handler, "tap_output_iter")
    assert not hasattr(watched.handler, "tap_output_aiter")
    ScriptedModel(script=["whole"]).invoke("hi", watched.config())
    assert watched.only().timeline is None


def test_it_has_a_method_for_every_event_of_langchain() -> None:
    events = {name for name in dir(BaseCallbackHandler) if name.startswith("on_")}
    own = {
        name
        for kind in DriftlineCallbackHandler.__mro__
        for name in vars(kind)
        if "driftline" in kind.__module__
    }
    assert events <= own


def test_it_merges_with_other_managers(watched: Watched) -> None:
    one = CallbackManager(handlers=[], inheritable_handlers=[watched.handler])
    two = CallbackManager(handlers=[watched.handler], inheritable_handlers=[])
    leaf.invoke("abc", {"callbacks": one.merge(two)})
    assert watched.tree == ["leaf"]


def test_without_langchain_the_import_says_what_to_install() -> None:
    code = "import sys; sys.modules['langchain_core'] = None; import driftline.integrations.langchain"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert "needs LangChain: install Driftline with the extra [langchain], as README.md shows" in done.stderr
