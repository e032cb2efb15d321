"""The application is never hurt: not by our mistakes, not by its own odd values, not by a slow server."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
import weakref
from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, LLMResult
from langchain_core.runnables import RunnableLambda

from driftline.guarding import failures
from driftline.integrations import langchain_calls, langchain_events
from driftline.integrations.langchain import DriftlineCallbackHandler
from driftline.recorder import Recorder, RecorderLimits
from driftline.records import Kind, Run, Status
from driftline.snapshot import register
from driftline.wire import encode_run

from .conftest import Watched
from .models import ScriptedModel

leaf = RunnableLambda(lambda value: "done", name="leaf")


class Hostile:
    """Does harm as soon as anybody looks at it."""

    def __getattr__(self, name: str) -> Any:
        raise SystemExit(f"looked for {name}")

    def __repr__(self) -> str:
        raise SystemExit("shown")

    def __iter__(self) -> Any:
        raise SystemExit("read")

    def __bool__(self) -> bool:
        raise SystemExit("weighed")

    def __eq__(self, other: object) -> bool:
        raise SystemExit("compared")

    __hash__ = None  # type: ignore[assignment]


def numbers() -> Any:
    yield from range(3)


def a_cycle() -> Any:
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    return cycle


NASTY = {
    "hostile": Hostile,
    "cycle": a_cycle,
    "lock": threading.Lock,
    "bytes": lambda: bytes(10_000_000),
    "infinity": lambda: float("inf"),
    "not a number": lambda: float("nan"),
    "huge int": lambda: 10**5000,
    "odd keys": lambda: {(1, 2): "a", None: "b", 3: "c"},
    "lone surrogate": lambda: "\ud800",
    "class": lambda: Hostile,
    "deep": lambda: __import__("functools").reduce(lambda inner, _: [inner], range(5_000), []),
    "long": lambda: "x" * 50_000_000,
    "wide": lambda: list(range(1_000_000)),
}


@pytest.mark.parametrize("make", NASTY.values(), ids=NASTY)
def test_odd_values_cost_nobody_a_trace(watched: Watched, make: Any) -> None:
    value = make()
    seen: list[Any] = []
    RunnableLambda(lambda inputs: seen.append(inputs["value"]), name="leaf").invoke(
        {"value": value}, watched.config()
    )
    assert seen[0] is value
    assert watched.only().status is Status.OK


def test_a_generator_belongs_to_the_application(watched: Watched) -> None:
    chain = RunnableLambda(lambda inputs: list(inputs["numbers"]), name="leaf")
    assert chain.invoke({"numbers": numbers()}, watched.config()) == [0, 1, 2]


def test_odd_metadata_costs_nothing(watched: Watched) -> None:
    config = watched.config(metadata={"odd": Hostile(), "user_id": "u-1", "feature": object()})
    leaf.invoke("x", config)
    assert watched.only().user_id == "u-1"


def test_our_own_mistakes_stay_with_us_and_are_logged_once(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise LookupError("our mistake")

    monkeypatch.setattr(failures, "strict", False)
    monkeypatch.setattr(watched.recorder, "start", broken)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert leaf.invoke("x", watched.config()) == "done"
    assert failures.counts == {"on_chain_start: LookupError": 3}
    assert len([record for record in caplog.records if record.name == "driftline"]) == 1
    failures.clear()
    caplog.clear()


def test_in_strict_mode_our_mistakes_reach_the_test(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise LookupError("our mistake")

    strict = DriftlineCallbackHandler(recorder=watched.recorder, strict=True)
    monkeypatch.setattr(watched.recorder, "start", broken)
    with pytest.raises(LookupError):
        leaf.invoke("x", {"callbacks": [strict]})
    failures.clear()
    caplog.clear()


def test_events_of_runs_that_never_started_are_let_go(watched: Watched) -> None:
    handler, run_id = watched.handler, uuid4()
    handler.on_chain_end({}, run_id=run_id)
    handler.on_chain_error(ValueError("x"), run_id=run_id)
    handler.on_llm_new_token("x", run_id=run_id)
    handler.on_stream_event({"event": "message-start"}, run_id=run_id)
    handler.on_llm_end(LLMResult(generations=[]), run_id=run_id)
    handler.on_tool_end("x", run_id=run_id)
    handler.on_retriever_end([], run_id=run_id)
    handler.on_custom_event("x", {}, run_id=run_id)
    handler.on_text("x", run_id=run_id)
    assert watched.runs() == []


def test_an_end_that_comes_twice_counts_once(watched: Watched) -> None:
    run_id = uuid4()
    watched.handler.on_chain_start({}, {}, run_id=run_id, name="once")
    watched.handler.on_chain_end("first", run_id=run_id)
    watched.handler.on_chain_end("second", run_id=run_id)
    assert watched.only().outputs == "first"


def test_what_changes_after_the_event_is_recorded_as_it_was(watched: Watched) -> None:
    inputs = {"list": [1], "message": HumanMessage("before")}

    def change(given: Any) -> Any:
        given["list"].append(2)
        given["message"].content = "after"
        given["late"] = True
        return given

    outputs = RunnableLambda(change, name="leaf").invoke(inputs, watched.config())
    outputs["list"].append(3)
    run: Any = watched.only()
    assert (run.inputs["list"], run.inputs["message"]["content"]) == ([1], "before")
    assert "late" not in run.inputs
    assert run.outputs["list"] == [1, 2]


def test_what_other_threads_change_meanwhile_does_no_harm(watched: Watched) -> None:
    shared: dict[str, Any] = {f"key {n}": [n] for n in range(200)}
    done = threading.Event()

    def change() -> None:
        n = 0
        while not done.is_set():
            n += 1
            shared[f"key {n % 400}"] = [n]
            shared.pop(f"key {(n * 7) % 400}", None)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(200):
            leaf.invoke(shared, watched.config())
    finally:
        done.set()
        thread.join()
    assert len(watched.runs()) == 200
    assert all(isinstance(run.inputs, dict) for run in watched.runs())


def test_metadata_that_langgraph_writes_into_is_recorded_as_it_was(watched: Watched) -> None:
    metadata: dict[str, Any] = {"shelf": [1]}
    tags = ["night"]
    watched.handler.on_chain_start({}, {}, run_id=uuid4(), name="leaf", metadata=metadata, tags=tags)
    metadata["tags"] = ["x"]
    metadata["shelf"].append(2)
    tags.append("late")
    watched.recorder.close()
    run = watched.only()
    assert (run.metadata, run.tags) == ({"shelf": [1]}, ("night",))


class Tracked(dict[str, Any]):
    """A dictionary that can be watched dying."""


def test_nothing_of_the_application_is_kept_after_a_run(watched: Watched) -> None:
    class Passage(Document):
        pass

    class Question(HumanMessage):
        pass

    passage, question, inputs = Passage(page_content="text"), Question("hi"), Tracked(a=1)
    watched_objects = [weakref.ref(passage), weakref.ref(question), weakref.ref(inputs)]
    model = ScriptedModel(script=["ok"])
    model.invoke([question], watched.config())
    list(model.stream([question], watched.config()))
    RunnableLambda(partial(list), name="leaf").invoke([passage, inputs], watched.config())
    assert len(watched.outbox.sealed) == 3
    del passage, question, inputs
    gc.collect()
    assert [reference() for reference in watched_objects] == [None] * 3


def test_a_thousand_runs_leave_nothing_behind_but_a_bounded_memory_of_ids() -> None:
    watched = Watched(limits=RecorderLimits(max_ended=100))
    for _ in range(1_000):
        leaf.invoke("x", watched.config())
    assert watched.recorder.open_count == 0
    assert watched.recorder.remembered_count == 100


def test_a_server_that_stands_still_costs_the_application_nothing(caplog: pytest.LogCaptureFixture) -> None:
    from driftline.delivery import Delivery, DeliveryLimits

    stuck = threading.Event()

    class Stuck:
        def export(self, runs: Any) -> None:
            stuck.wait(30)

        def close(self) -> None:
            return None

    delivery = Delivery(Stuck(), limits=DeliveryLimits(queue_runs=50, exit_timeout_s=0.1))
    handler = DriftlineCallbackHandler(recorder=Recorder(delivery, tended=False))
    for _ in range(500):
        assert leaf.invoke("x", {"callbacks": [handler]}) == "done"
    report = delivery.report()
    assert report.recorded == 500
    assert report.recorded == report.delivered + report.queued + sum(report.dropped.values())
    stuck.set()
    delivery.close(1)
    caplog.clear()


SECRETS = ("s3cret-key", "s3cret-cookie")


def test_no_secret_of_a_model_or_a_response_leaves(watched: Watched) -> None:
    from pydantic import SecretStr

    class Keyed(ScriptedModel):
        api_key: SecretStr = SecretStr("s3cret-key")
        plain_key: str = "s3cret-key"

        @property
        def _identifying_params(self) -> dict[str, Any]:
            return {"model": "x", "api_key": "s3cret-key", "default_headers": {"authorization": "s3cret-key"}}

    headers = {"set-cookie": "s3cret-cookie"}
    answer = AIMessage("ok", response_metadata={"headers": headers, "model_name": "x"})
    (Keyed(script=[answer]) | RunnableLambda(lambda message: message)).invoke("hi", watched.config())
    list(Keyed(script=[[answer]]).stream("hi", watched.config()))
    written = str([encode_run(run) for run in watched.runs()])
    assert "model_answered" in written
    assert not [secret for secret in SECRETS if secret in written]


def test_no_header_of_a_failed_response_leaves(watched: Watched) -> None:
    class Refused(Exception):
        pass

    manager: Any = __import__("langchain_core.callbacks", fromlist=["CallbackManager"]).CallbackManager
    [run] = manager.configure([watched.handler]).on_chat_model_start({}, [[HumanMessage("hi")]])
    message = AIMessage(
        "", response_metadata={"headers": {"set-cookie": "s3cret-cookie"}, "body": "s3cret-key"}
    )
    response = LLMResult(generations=[[ChatGeneration(message=message)]])
    run.on_llm_error(Refused("401"), response=response)
    assert watched.only().status is Status.ERROR
    assert not [secret for secret in SECRETS if secret in str(encode_run(watched.only()))]


def test_the_repr_of_a_model_is_never_taken(watched: Watched) -> None:
    class Shy(ScriptedModel):
        def __repr__(self) -> str:
            return "s3cret-key"

    Shy(script=["ok"]).invoke("hi", watched.config())
    assert "s3cret-key" not in str(encode_run(watched.only()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
def test_a_forked_child_records_its_own_runs_and_leaves_those_of_its_parent(watched: Watched) -> None:
    busy = threading.Event()

    def keep_busy() -> None:
        while not busy.is_set():
            leaf.invoke("x", other.config())

    other = Watched()
    thread = threading.Thread(target=keep_busy)
    thread.start()
    read_end, write_end = os.pipe()

    def in_a_child(_: str) -> str:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                watched.outbox.sealed.clear()
                leaf.invoke("child")
                run = watched.only()
                os.write(write_end, f"{run.inputs} {run.parent_id} {watched.recorder.open_count}".encode())
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        return os.read(read_end, 1_000).decode()

    try:
        told = RunnableLambda(in_a_child, name="outer").invoke("x", watched.config())
    finally:
        busy.set()
        thread.join()
        os.close(read_end)
        os.close(write_end)
    assert told == f"child {watched.only(name='outer').id} 0"


def test_a_live_trace_shows_its_runs_before_they_end() -> None:
    watched = Watched(ticking=True)

    def look(_: str) -> list[Run]:
        watched.tick(2_000)
        watched.recorder.tend()
        watched.recorder.tend()
        return watched.editions

    early = RunnableLambda(look, name="outer").invoke("x", watched.config(tags=["night"]))
    [seen] = early
    assert (seen.status, seen.revision, seen.inputs, seen.ended_at) == (Status.RUNNING, 0, "x", None)
    assert seen.tags == ("night",)
    run = watched.only()
    assert (run.status, run.revision, run.duration_ms) == (Status.OK, 1, 2_000)


def test_a_model_run_is_the_current_one_while_its_provider_is_called(watched: Watched) -> None:
    from driftline.recorder import CURRENT_MODEL_RUN

    seen: list[str] = []

    class Looking(ScriptedModel):
        def _note(self) -> None:
            key = CURRENT_MODEL_RUN.get()
            run = None if key is None else watched.recorder.get_open(key)
            seen.append("" if run is None else f"{run.id:032x}")

        def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
            self._note()
            return super()._generate(*args, **kwargs)

        def _stream(self, *args: Any, **kwargs: Any) -> Any:
            self._note()
            yield from super()._stream(*args, **kwargs)

        async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
            self._note()
            return await super()._agenerate(*args, **kwargs)

    model = Looking(script=["ok"])
    model.invoke("hi", watched.config())
    asyncio.run(model.ainvoke("hi", watched.config()))
    list(model.stream("hi", watched.config()))
    model.batch(["hi", "hi"], watched.config())
    assert sorted(seen) == sorted(run.id for run in watched.runs(kind=Kind.LLM))
    key = CURRENT_MODEL_RUN.get()
    assert key is None or watched.recorder.get_open(key) is None


@pytest.fixture
def forgiving(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """As in production: our mistakes are counted, not raised."""
    monkeypatch.setattr(failures, "strict", False)
    caplog.set_level(logging.CRITICAL, "driftline")
    yield
    failures.clear()


def fail(*args: Any, **kwargs: Any) -> Any:
    raise LookupError("our mistake")


@pytest.mark.usefixtures("forgiving")
@pytest.mark.parametrize("broken", ["copy_messages", "copy_result"])
def test_a_model_whose_words_cannot_be_copied_has_its_run_all_the_same(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setattr(langchain_events, broken, fail)
    assert ScriptedModel(script=[AIMessage("hello")]).invoke("hi", watched.config()).content == "hello"
    run = watched.only()
    assert (run.kind, run.status, watched.recorder.open_count) == (Kind.LLM, Status.OK, 0)
    assert list(failures.counts.values()) == [1]


@pytest.mark.usefixtures("forgiving")
def test_a_retriever_whose_documents_cannot_be_copied_ends(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(langchain_events, "copy_documents", fail)
    run_id = uuid4()
    watched.handler.on_retriever_start({}, "query", run_id=run_id)
    watched.handler.on_retriever_end([Document(page_content="x")], run_id=run_id)
    assert (watched.only().status, watched.recorder.open_count) == (Status.OK, 0)


@pytest.mark.usefixtures("forgiving")
def test_a_step_whose_input_cannot_be_copied_keeps_its_children(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = langchain_events.copy_payload

    def fail_on_secrets(value: Any, *more: Any) -> Any:
        return fail() if value == "outer" else copy(value, *more)

    monkeypatch.setattr(langchain_events, "copy_payload", fail_on_secrets)
    RunnableLambda(lambda _: leaf.invoke("inner"), name="root").invoke("outer", watched.config())
    assert watched.tree == [["root", "leaf"]]


@pytest.mark.usefixtures("forgiving")
def test_a_failure_that_cannot_be_copied_is_a_failure(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(langchain_calls, "ending_of", fail)
    with pytest.raises(ZeroDivisionError):
        RunnableLambda(lambda _: 1 / 0, name="leaf").invoke("x", watched.config())
    run = watched.only()
    assert (run.status, run.error and run.error.type) == (Status.ERROR, "ZeroDivisionError")


class HostileList(list[Any]):
    """A list whose own methods nobody may call."""

    def __getitem__(self, index: Any) -> Any:
        raise SystemExit("read")

    __iter__ = __len__ = __bool__ = __getitem__  # type: ignore[assignment]


class Disguised:
    """Says that it is of another class, and does harm when asked."""

    @property
    def __class__(self) -> Any:
        raise SystemExit("asked for its class")


@pytest.mark.parametrize("make", [Hostile, Disguised])
def test_hostile_values_in_all_that_langchain_passes_are_left_alone(watched: Watched, make: Any) -> None:
    handler, value = watched.handler, make()
    more = {"reasoning_content": value, "refusal": value}
    message = AIMessage(
        "said", additional_kwargs=more, response_metadata={"token_usage": value, "model": value}
    )
    message.__dict__["usage_metadata"] = value
    chunk = AIMessageChunk("", additional_kwargs={"reasoning_content": value})
    metadata = {
        "user_id": value,
        "ls_provider": value,
        "ls_model_name": value,
        "ls_integration": value,
        "x": value,
    }
    settings = {"tools": value, "stop": value, "model": value}
    run_id, tool_id, retriever_id, chain_id = uuid4(), uuid4(), uuid4(), uuid4()
    handler.on_chain_start({}, value, run_id=chain_id, name=value, metadata=metadata, tags=[value])
    handler.on_chat_model_start(
        {}, [[message]], run_id=run_id, metadata=metadata, invocation_params=settings, parent_run_id=chain_id
    )
    handler.on_llm_new_token(value, chunk=ChatGenerationChunk(message=chunk), run_id=run_id)
    handler.on_llm_new_token([{"type": value, "text": value, "args": value}], run_id=run_id)
    handler.on_stream_event(
        {"event": "content-block-delta", "delta": {"type": "reasoning-delta", "reasoning": value}},
        run_id=run_id,
    )
    handler.on_llm_end(LLMResult(generations=[[ChatGeneration(message=message)]]), run_id=run_id)
    handler.on_tool_start({}, "x", run_id=tool_id, inputs={"x": value}, parent_run_id=chain_id)
    handler.on_tool_end(value, run_id=tool_id)
    handler.on_retriever_start({}, "x", run_id=retriever_id, parent_run_id=chain_id)
    found = HostileList([Document(page_content="found", metadata={"x": value, "score": value}), value])
    handler.on_retriever_end(found, run_id=retriever_id)
    handler.on_custom_event(value, value, run_id=chain_id)
    handler.on_chain_end({"v": value}, run_id=chain_id)
    assert [run.status for run in watched.runs()] == [Status.OK] * 4
    assert [document.text for document in watched.only(kind=Kind.RETRIEVER).documents] == ["found", ""]


def test_a_message_that_contains_itself_is_copied(watched: Watched) -> None:
    block: dict[str, Any] = {"type": "image"}
    block["source"] = block
    ScriptedModel(script=[AIMessage("seen")]).invoke([HumanMessage(content=[block])], watched.config())
    assert watched.only().status is Status.OK


class TooLong(Exception):
    """What the program's alarm raises."""


def test_an_alarm_that_rings_while_a_value_is_copied_reaches_the_program(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    class Slow:
        pass

    def ring(*_: Any) -> None:
        raise TooLong

    register(Slow, lambda value: signal.raise_signal(signal.SIGALRM))
    before = signal.signal(signal.SIGALRM, ring)
    try:
        with pytest.raises(TooLong):
            leaf.invoke({"slow": [Slow()]}, watched.config())
        with pytest.raises(TooLong):
            RunnableLambda(lambda _: {"slow": Slow()}, name="leaf").invoke("x", watched.config())
    finally:
        signal.signal(signal.SIGALRM, before)
    assert watched.recorder.open_count == 0
    # LangChain writes a line of its own.
    caplog.clear()
