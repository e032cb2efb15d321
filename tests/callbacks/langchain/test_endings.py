"""How runs end that do not end well: failures, readers that leave, cancelled tasks."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import FakeListLLM
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import tool

from driftline.integrations.langchain import DriftlineCallbackHandler
from driftline.recorder import NOT_ENDED, RecorderLimits
from driftline.records import Kind, Status

from .conftest import Watched
from .models import ScriptedModel


class Unprintable(Exception):
    """An error that cannot even be shown."""

    def __str__(self) -> str:
        raise RuntimeError("not even this")


def test_an_error_keeps_type_message_and_stack(watched: Watched) -> None:
    def divide(text: str) -> float:
        return 1 / 0

    with pytest.raises(ZeroDivisionError):
        RunnableLambda(divide).invoke("x", watched.config())
    run = watched.only()
    assert run.status is Status.ERROR
    assert run.error is not None
    assert (run.error.type, run.error.message) == ("ZeroDivisionError", "division by zero")
    assert "in divide" in run.error.stack
    assert "return 1 / 0" in run.error.stack


def test_the_type_of_an_error_names_its_module(watched: Watched) -> None:
    def fail(_: str) -> None:
        raise asyncio.InvalidStateError

    with pytest.raises(asyncio.InvalidStateError):
        RunnableLambda(fail).invoke("x", watched.config())
    error = watched.only().error
    assert error is not None
    assert error.type == "asyncio.exceptions.InvalidStateError"


def test_an_error_that_cannot_be_shown_is_recorded(watched: Watched) -> None:
    def fail(_: str) -> None:
        raise Unprintable

    with pytest.raises(Unprintable):
        RunnableLambda(fail).invoke("x", watched.config())
    error = watched.only().error
    assert error is not None
    assert error.type.endswith("Unprintable")


def test_causes_are_part_of_the_stack(watched: Watched) -> None:
    def fail(_: str) -> None:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError("outer") from inner

    with pytest.raises(ValueError, match="outer"):
        RunnableLambda(fail).invoke("x", watched.config())
    error = watched.only().error
    assert error is not None
    assert error.stack.index("inner") < error.stack.index("outer")


def test_the_exception_is_not_kept_alive(watched: Watched) -> None:
    class Load:
        pass

    import weakref

    def fail(_: str) -> None:
        load = Load()
        alive.append(weakref.ref(load))
        raise ValueError(load)

    alive: list[weakref.ref[Any]] = []
    try:
        RunnableLambda(fail).invoke("x", watched.config())
    except ValueError:
        pass
    gc.collect()
    assert alive[0]() is None
    assert watched.only().status is Status.ERROR


def test_a_model_stream_that_its_reader_closes_is_cancelled_with_the_text_so_far(watched: Watched) -> None:
    stream = ScriptedModel(script=[["The ", "term ", "ends."]]).stream("hi", watched.config())
    next(stream)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    run = watched.only()
    assert (run.status, run.error) == (Status.CANCELLED, None)
    assert run.answers[0].parts[0].text == "The term "


def test_a_model_stream_that_its_reader_drops_is_cancelled(watched: Watched) -> None:
    stream = ScriptedModel(script=[["a", "b"]]).stream("hi", watched.config())
    next(stream)
    del stream
    gc.collect()
    assert watched.only().status is Status.CANCELLED


def test_a_sequence_whose_reader_leaves_is_drained_and_ends_well(watched: Watched) -> None:
    model = ScriptedModel(script=[["a", "b", "c"]])
    chain = ChatPromptTemplate.from_template("{q}") | model | StrOutputParser()
    stream = chain.stream({"q": "hi"}, watched.config())
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    run = watched.only(kind=Kind.LLM)
    assert (run.status, run.answers[0].parts[0].text) == (Status.OK, "abc")


def test_an_asynchronous_stream_left_early_is_cancelled(watched: Watched) -> None:
    async def leave() -> None:
        async for _ in ScriptedModel(script=[["a", "b", "c"]]).astream("hi", watched.config()):
            break
        gc.collect()

    asyncio.run(leave())
    run = watched.only()
    assert (run.status, run.answers[0].parts[0].text) == (Status.CANCELLED, "a")


def test_a_stream_that_nobody_began_leaves_nothing(watched: Watched) -> None:
    stream = ScriptedModel(script=[["a"]]).stream("hi", watched.config())
    del stream
    gc.collect()
    assert watched.runs() == []
    assert watched.recorder.open_count == 0


def test_a_stream_that_breaks_keeps_the_text_so_far(watched: Watched) -> None:
    model = ScriptedModel(script=[["The ", "term", ConnectionError("reset by peer")]])
    with pytest.raises(ConnectionError):
        list(model.stream("hi", watched.config()))
    run = watched.only()
    assert run.status is Status.ERROR
    assert run.error is not None
    assert run.error.message == "reset by peer"
    assert run.answers[0].parts[0].text == "The term"


async def cancel(work: Any, *, after: Any) -> None:
    task = asyncio.create_task(work)
    await asyncio.wait_for(after.wait(), 10)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_cancelled_task_cancels_its_chain_and_what_runs_inside() -> None:
    watched = Watched(ticking=True, limits=RecorderLimits(grace_s=5))

    async def main() -> None:
        begun, never = asyncio.Event(), asyncio.Event()

        class Hanging(ScriptedModel):
            async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
                begun.set()
                await never.wait()
                return ChatResult(generations=[ChatGeneration(message=AIMessageChunk(content=""))])

        chain = ChatPromptTemplate.from_template("{q}") | Hanging()
        await cancel(chain.ainvoke({"q": "hi"}, watched.config()), after=begun)

    asyncio.run(main())
    assert watched.only(name="RunnableSequence").status is Status.CANCELLED
    # The model never says that it ended; a background task of the chain might still do so, so it has time.
    assert watched.runs(kind=Kind.LLM) == []
    watched.tick(4_000)
    watched.recorder.tend()
    assert [run.status for run in watched.runs(kind=Kind.LLM)] in ([], [Status.RUNNING])
    watched.tick(2_000)
    watched.recorder.tend()
    run = watched.only(kind=Kind.LLM)
    assert run.status is Status.CANCELLED
    assert run.error is not None
    assert (run.error.type, run.error.message) == (NOT_ENDED, "it was cancelled with its parent")
    assert run.duration_ms == 0
    assert watched.recorder.open_count == 0


def test_a_cancelled_stream_is_cancelled_with_the_text_so_far(watched: Watched) -> None:
    async def main() -> None:
        never, begun = asyncio.Event(), asyncio.Event()

        async def read() -> None:
            async for _ in ScriptedModel(script=[["a", "b", never]]).astream("hi", watched.config()):
                begun.set()

        await cancel(read(), after=begun)

    asyncio.run(main())
    run = watched.only()
    assert run.status is Status.CANCELLED
    assert (run.answers[0].parts[0].text or "").startswith("a")


def test_a_cancelled_tool_is_cancelled_whether_langchain_says_so_or_not() -> None:
    watched = Watched(ticking=True)

    async def main() -> None:
        begun, never = asyncio.Event(), asyncio.Event()

        @tool
        async def wait() -> str:
            """Wait."""
            begun.set()
            await never.wait()
            return "done"

        outer = RunnableLambda(lambda _: None, afunc=lambda _: wait.ainvoke({}), name="outer")
        await cancel(outer.ainvoke("x", watched.config()), after=begun)

    asyncio.run(main())
    watched.tick(60_000)
    watched.recorder.tend()
    assert {run.name: run.status for run in watched.runs()} == {
        "outer": Status.CANCELLED,
        "wait": Status.CANCELLED,
    }


def test_a_cancelled_retriever_is_cancelled_with_its_chain() -> None:
    watched = Watched(ticking=True)

    async def main() -> None:
        begun, never = asyncio.Event(), asyncio.Event()

        class Hanging(BaseRetriever):
            def _get_relevant_documents(self, query: str, **kwargs: Any) -> Any:
                raise NotImplementedError

            async def _aget_relevant_documents(self, query: str, **kwargs: Any) -> Any:
                begun.set()
                await never.wait()

        chain = Hanging() | RunnableLambda(len)
        await cancel(chain.ainvoke("x", watched.config()), after=begun)

    asyncio.run(main())
    watched.tick(60_000)
    watched.recorder.tend()
    assert watched.only(kind=Kind.RETRIEVER).status is Status.CANCELLED


def test_a_call_that_times_out_is_cancelled(watched: Watched) -> None:
    async def main() -> None:
        never = asyncio.Event()
        outer = RunnableLambda(lambda _: None, afunc=lambda _: never.wait(), name="outer")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(outer.ainvoke("x", watched.config()), 0.01)

    asyncio.run(main())
    assert watched.only().status is Status.CANCELLED


def test_a_prompt_of_a_generate_that_never_ends_is_closed_with_its_parent() -> None:
    watched = Watched(ticking=True)
    model = ScriptedModel(script=["a", ValueError("down")])

    def ask(_: str, config: RunnableConfig) -> Any:
        prompts: Any = [[HumanMessage("1")], [HumanMessage("2")], [HumanMessage("3")]]
        return model.generate(prompts, callbacks=config["callbacks"])

    with pytest.raises(ValueError, match="down"):
        RunnableLambda(ask, name="ask").invoke("x", watched.config())
    watched.tick(60_000)
    watched.recorder.tend()
    statuses = [run.status for run in watched.runs(kind=Kind.LLM)]
    assert statuses.count(Status.ERROR) == 1
    assert set(statuses) <= {Status.ERROR, Status.OK, Status.INCOMPLETE}
    assert len(statuses) == 3
    assert watched.recorder.open_count == 0


def test_a_cancelled_model_without_a_parent_is_closed_when_the_process_ends(watched: Watched) -> None:
    async def main() -> None:
        begun, never = asyncio.Event(), asyncio.Event()

        class Hanging(FakeListLLM):
            async def _acall(self, *args: Any, **kwargs: Any) -> str:
                begun.set()
                await never.wait()
                return ""

        await cancel(Hanging(responses=["x"]).ainvoke("hi", watched.config()), after=begun)

    asyncio.run(main())
    watched.recorder.close()
    run = watched.only()
    assert run.status in (Status.INCOMPLETE, Status.CANCELLED)
    assert run.ended_at is None or run.status is Status.CANCELLED


async def cancel_a_bare_chat_model(watched: Watched) -> None:
    begun, never = asyncio.Event(), asyncio.Event()

    class Hanging(ScriptedModel):
        async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
            begun.set()
            await never.wait()
            return ChatResult(generations=[])

    await cancel(Hanging().ainvoke("hi", watched.config()), after=begun)


def drop_a_v3_stream(watched: Watched) -> None:
    events = iter(ScriptedModel(script=[["a", "b"]]).stream_events("hi", watched.config(), version="v3"))
    next(events)


@pytest.mark.parametrize(
    "leave", [lambda watched: asyncio.run(cancel_a_bare_chat_model(watched)), drop_a_v3_stream]
)
def test_a_model_whose_end_langchain_never_tells_shows_as_running_until_it_is_given_up(leave: Any) -> None:
    watched = Watched(ticking=True)
    leave(watched)
    watched.tick(1_000)
    watched.recorder.tend()
    assert watched.only().status is Status.RUNNING
    watched.tick(3_600_000)
    watched.recorder.tend()
    run = watched.only()
    assert (run.status, run.ended_at, run.duration_ms) == (Status.INCOMPLETE, None, None)
    assert run.error is not None
    assert run.error.message == "nothing was heard of it for 3600 s"
    assert run.messages[0].parts[0].text == "hi"
    assert watched.recorder.open_count == 0


def test_a_v3_stream_that_is_dropped_inside_a_chain_is_given_up_soon_after_it() -> None:
    watched = Watched(ticking=True)
    RunnableLambda(lambda _: drop_a_v3_stream(watched), name="outer").invoke("x", watched.config())
    watched.tick(11_000)
    watched.recorder.tend()
    run = watched.only(kind=Kind.LLM)
    assert run.status is Status.INCOMPLETE
    assert run.error is not None
    assert run.error.message == "its parent ended (ok) and its own end never arrived"


def test_a_handler_that_is_closed_ends_what_is_open(watched: Watched) -> None:
    asyncio.run(cancel_a_bare_chat_model(watched))
    assert watched.handler.close(timeout_s=1)
    run = watched.only()
    assert run.status is Status.INCOMPLETE
    assert run.error is not None
    assert (run.error.type, run.error.message) == (NOT_ENDED, "the handler was closed")
    assert watched.handler.close()
    ScriptedModel(script=["late"]).invoke("hi", watched.config())
    assert watched.only() == run


def test_a_handler_whose_recorder_serves_another_one_too_is_only_flushed(watched: Watched) -> None:
    other = DriftlineCallbackHandler(recorder=watched.recorder)
    asyncio.run(cancel_a_bare_chat_model(watched))
    assert watched.handler.close(timeout_s=1)
    assert watched.recorder.open_count == 1
    ScriptedModel(script=["yes"]).invoke("hi", {"callbacks": [other]})
    assert watched.only().status is Status.OK


def test_a_handler_with_the_recorder_of_the_process_is_only_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "runs.jsonl"
    monkeypatch.setenv("DRIFTLINE_FILE", str(kept))
    handler = DriftlineCallbackHandler(project="closing")
    for question in ("one", "two"):
        ScriptedModel(script=["yes"]).invoke(question, {"callbacks": [handler]})
        assert handler.close(timeout_s=10)
        assert question in kept.read_text()


def test_ctrl_c_reaches_the_program_and_its_run_is_cancelled(watched: Watched) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RunnableLambda(interrupted).invoke("x", watched.config())
    assert watched.only().status is Status.CANCELLED
