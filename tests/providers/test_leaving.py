"""What its reader leaves, and what is cancelled, ends: it says so, and keeps what had come."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableLambda
from stand_ins.provider import Answer, Gate, Provider, Silence

from driftline.recorder import RecorderLimits
from driftline.records import Kind, Run, Status
from providers import modes
from providers.models import Models
from providers.recording import Recording, until

pytestmark = modes.QUIET
QUESTION = [HumanMessage("When does it mature?")]
PIECES = ("It", " matures", " in", " 2031.")
EVERYONE = pytest.mark.parametrize("maker", ["openai", "responses", "anthropic"])


@pytest.fixture
def recording() -> Iterator[Recording]:
    """One that closes orphans within a tenth of a second."""
    recording = Recording(limits=RecorderLimits(grace_s=0.05, tend_every_s=0.02))
    yield recording
    recording.close()


def endless() -> Answer:
    """Two chunks, and then nothing more until the reader leaves."""
    return Answer.of(*PIECES, gate=Gate(free=2))


def text_of(run: Run) -> str:
    """What of the answer had come."""
    if isinstance(run.outputs, str):
        return run.outputs
    return "".join(part.text or "" for message in run.answers for part in message.parts)


def read_until_text(chunks: Iterator[Any], count: int) -> None:
    for chunk in chunks:
        count -= bool(chunk.text)
        if count == 0:
            return


@EVERYONE
def test_a_stream_that_is_closed_early_is_cancelled(
    maker: str, provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(endless())
    stream: Any = models.make(maker).stream(QUESTION, recording.config)
    read_until_text(stream, 2)
    stream.close()
    run = recording.only(kind=Kind.LLM)
    assert run.status is Status.CANCELLED
    assert text_of(run) == "It matures"
    assert run.timeline is not None
    assert run.timeline.chunks == 2
    assert recording.recorder.open_count == 0


def test_a_stream_that_is_dropped_is_cancelled(
    provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(endless())
    stream: Any = models.openai().stream(QUESTION, recording.config)
    read_until_text(stream, 2)
    del stream
    gc.collect()
    (run,) = recording.wait_for_all_to_end()
    assert run.status is Status.CANCELLED
    assert text_of(run) == "It matures"


@EVERYONE
def test_an_async_stream_that_its_reader_leaves_is_cancelled(
    maker: str, provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(endless())
    model = models.make(maker)

    async def leave() -> None:
        async for chunk in model.astream(QUESTION, recording.config):
            if chunk.text == " matures":
                break
        # The loop finalises the generator a little later, and only while it runs.
        await until(lambda: recording.recorder.open_count == 0)

    models.run(leave())
    run = recording.only(kind=Kind.LLM)
    assert run.status is Status.CANCELLED
    assert text_of(run) == "It matures"


@EVERYONE
def test_a_cancelled_task_cancels_its_stream(
    maker: str, provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(endless())
    model = models.make(maker)

    async def cancel() -> None:
        second = asyncio.Event()

        async def read() -> None:
            async for chunk in model.astream(QUESTION, recording.config):
                if chunk.text == " matures":
                    second.set()

        task = asyncio.create_task(read())
        await asyncio.wait_for(second.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    models.run(cancel())
    run = recording.only(kind=Kind.LLM)
    assert run.status is Status.CANCELLED
    assert text_of(run) == "It matures"
    provider.last().wait()
    assert provider.last().client_left


async def cancel_once_asked(provider: Provider, work: Any) -> None:
    """Cancel the work when its request has reached the provider."""
    task = asyncio.create_task(work)
    await until(lambda: bool(provider.exchanges))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@EVERYONE
def test_a_model_inside_a_cancelled_chain_ends_with_it(
    maker: str, provider: Provider, models: Models, recording: Recording
) -> None:
    """LangChain never ends the model's run; its parent's end does."""
    provider.script(Silence())
    chain: Any = RunnableLambda(lambda question: [HumanMessage(question)]) | models.make(maker)
    models.run(cancel_once_asked(provider, chain.ainvoke("When?", recording.config)))
    runs = recording.wait_for_all_to_end()
    ended = {run.kind: run for run in runs}
    model = ended[Kind.LLM]
    assert model.status is Status.CANCELLED
    assert model.error is not None
    assert "cancelled with its parent" in model.error.message
    assert model.duration_ms is not None
    assert {run.status for run in runs if run.parent_id is None} == {Status.CANCELLED}
    assert recording.recorder.open_count == 0


def test_a_cancelled_model_without_a_parent_ends_with_the_process(
    provider: Provider, models: Models, recording: Recording
) -> None:
    """Nothing ever tells that it was cancelled, so it is incomplete and says why."""
    provider.script(Silence())
    models.run(cancel_once_asked(provider, models.openai().ainvoke(QUESTION, recording.config)))
    assert recording.recorder.open_count == 1
    recording.close()
    run = recording.only()
    assert run.status is Status.INCOMPLETE
    assert run.error is not None
    assert run.error.message == "the process ended"


def test_a_timeout_of_the_application_cancels_what_is_inside(
    provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(Silence())
    chain: Any = RunnableLambda(lambda question: [HumanMessage(question)]) | models.anthropic()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(chain.ainvoke("When?", recording.config), 0.2)

    models.run(give_up())
    runs = recording.wait_for_all_to_end()
    assert {run.status for run in runs if run.kind is Kind.LLM or run.parent_id is None} == {Status.CANCELLED}


def test_a_chain_that_is_closed_early_drains_its_model_into_its_parser(
    provider: Provider, models: Models, recording: Recording
) -> None:
    """LangChain swallows the close and reads the model to its end, so all ends well, and so we say."""
    provider.script(Answer.of(*PIECES))
    stream: Any = (models.openai() | StrOutputParser()).stream(QUESTION, recording.config)
    assert next(text for text in stream if text) == "It"
    stream.close()
    assert {run.status for run in recording.runs()} == {Status.OK}
    assert text_of(recording.only(kind=Kind.LLM)) == "It matures in 2031."


def test_a_chain_that_is_closed_early_cancels_a_model_at_its_end(
    provider: Provider, models: Models, recording: Recording
) -> None:
    """LangChain reports the end of the chain without a word about the close; only the model tells."""
    provider.script(endless())
    chain: Any = RunnableLambda(lambda question: [HumanMessage(question)]) | models.openai()
    stream: Any = chain.stream("When?", recording.config)
    read_until_text(stream, 2)
    stream.close()
    recording.wait_for_all_to_end()
    run = recording.only(kind=Kind.LLM)
    assert run.status is Status.CANCELLED
    assert text_of(run) == "It matures"


def test_a_stream_that_nobody_reads_is_no_run(models: Models, recording: Recording) -> None:
    stream: Any = models.openai().stream(QUESTION, recording.config)
    del stream
    gc.collect()
    assert recording.runs() == []


def test_a_stream_that_is_kept_stays_open_until_the_process_ends(
    provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(endless())
    stream: Any = models.anthropic().stream(QUESTION, recording.config)
    read_until_text(stream, 2)
    assert recording.recorder.open_count == 1
    recording.close()
    run = recording.only()
    assert run.status is Status.INCOMPLETE
    assert text_of(run) == "It matures"
    stream.close()


def test_a_stream_that_was_given_up_still_tells_its_end(provider: Provider, models: Models) -> None:
    recording = Recording(limits=RecorderLimits(ttl_s=0.05, tend_every_s=0.02))
    provider.script(endless())
    stream: Any = models.anthropic().stream(QUESTION, recording.config)
    read_until_text(stream, 2)
    (run,) = recording.wait_for_all_to_end()
    assert run.status is Status.INCOMPLETE
    assert run.error is not None
    assert "nothing was heard of it" in run.error.message
    stream.close()
    run = recording.only()
    assert run.status is Status.CANCELLED
    assert run.error is None
    assert text_of(run) == "It matures"
    recording.close()


def test_a_v3_stream_that_is_closed_is_cancelled(
    provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(endless())
    model = models.openai()

    async def leave() -> None:
        stream = await model.astream_events(QUESTION, recording.config, version="v3")
        async for delta in stream.text:
            if delta == " matures":
                break
        await stream.aclose()

    models.run(leave())
    run = recording.only(kind=Kind.LLM)
    assert run.status is Status.CANCELLED
    assert run.timeline is not None
    assert run.timeline.chunks == 2
    assert text_of(run) == "It matures"
