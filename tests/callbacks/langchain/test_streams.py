"""Token timing: what counts as content, and when it came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.language_models import FakeListLLM
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.runnables import RunnableLambda

from driftline.integrations.langchain_streams import content_of_chunk, content_of_event
from driftline.records import Channel, ChannelSpan, Kind, TokenTimeline
from driftline.timing import decode_gaps

from .conftest import Watched
from .models import ScriptedModel

pytestmark = pytest.mark.filterwarnings("ignore:.*in beta")

SCRIPT: list[Any] = [
    AIMessageChunk(content=""), 180, "The ", 20, "term ", 30, "ends.", 5, AIMessageChunk(content=""),
]  # fmt: skip


def timeline_of(watched: Watched) -> TokenTimeline:
    timeline = watched.only(kind=Kind.LLM).timeline
    assert timeline is not None
    return timeline


def by_stream(model: Any, config: Any) -> None:
    list(model.stream("hi", config))


def by_astream(model: Any, config: Any) -> None:
    async def read() -> None:
        async for _ in model.astream("hi", config):
            pass

    asyncio.run(read())


def by_events(version: str) -> Callable[[Any, Any], None]:
    def read_events(model: Any, config: Any) -> None:
        async def read() -> None:
            async for _ in model.astream_events("hi", config, version=version):
                pass

        asyncio.run(read())

    read_events.__name__ = f"by_events_{version}"
    return read_events


def by_log(model: Any, config: Any) -> None:
    async def read() -> None:
        async for _ in model.astream_log("hi", config):
            pass

    asyncio.run(read())


def by_stream_events_v3(model: Any, config: Any) -> None:
    list(model.stream_events("hi", config, version="v3"))


def by_astream_events_v3(model: Any, config: Any) -> None:
    async def read() -> None:
        async for _ in await model.astream_events("hi", config, version="v3"):
            pass

    asyncio.run(read())


def by_a_chain(model: Any, config: Any) -> None:
    list((model | RunnableLambda(lambda message: message.text)).stream("hi", config))


WAYS = [
    by_stream, by_astream, by_events("v1"), by_events("v2"), by_log, by_stream_events_v3,
    by_astream_events_v3, by_a_chain,
]  # fmt: skip


@pytest.mark.parametrize("read", WAYS, ids=lambda way: way.__name__)
@pytest.mark.filterwarnings("ignore:.*astream.*deprecated")
def test_the_times_of_the_chunks_are_those_of_the_model(ticking: Watched, read: Any) -> None:
    read(ScriptedModel(script=[SCRIPT], tick=ticking.tick), ticking.config())
    timeline = timeline_of(ticking)
    assert (timeline.ttft_ms, timeline.first_text_ms, timeline.chunks) == (180, 180, 3)
    assert decode_gaps(timeline.gaps) == [20, 30]
    assert ticking.only(kind=Kind.LLM).duration_ms == 235


def test_a_plain_call_has_no_timeline(watched: Watched) -> None:
    ScriptedModel(script=["The term ends."]).invoke("hi", watched.config())
    assert watched.only().timeline is None


def test_a_call_that_streams_inside_has_one(ticking: Watched) -> None:
    class Streaming(ScriptedModel):
        streaming: bool = True

    Streaming(streaming=True, script=[SCRIPT], tick=ticking.tick).invoke("hi", ticking.config())
    assert timeline_of(ticking).ttft_ms == 180


@pytest.mark.parametrize("read", [by_stream, by_astream])
def test_waiting_for_a_rate_limiter_is_part_of_the_time_to_the_first_token(
    ticking: Watched, read: Any
) -> None:
    class Slow(BaseRateLimiter):
        def acquire(self, *, blocking: bool = True) -> bool:
            ticking.tick(2_000)
            return True

        async def aacquire(self, *, blocking: bool = True) -> bool:
            return self.acquire()

    read(ScriptedModel(script=[SCRIPT], tick=ticking.tick, rate_limiter=Slow()), ticking.config())
    assert timeline_of(ticking).ttft_ms == 2_180
    assert ticking.only(kind=Kind.LLM).duration_ms == 2_235


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_model_that_was_told_not_to_stream_gives_one_chunk_and_no_gaps(ticking: Watched, way: str) -> None:
    class Plain(ScriptedModel):
        streaming: bool = False

    model = Plain(script=[SCRIPT], tick=ticking.tick, streaming=False)

    async def read() -> list[str]:
        return [chunk.text async for chunk in model.astream("hi", ticking.config())]

    if way == "stream":
        chunks = [chunk.text for chunk in model.stream("hi", ticking.config())]
    else:
        chunks = asyncio.run(read())
    assert [each for each in chunks if each] == ["The term ends."]
    run = ticking.only(kind=Kind.LLM)
    assert (run.timeline, run.duration_ms) == (None, 235)
    assert run.answers[0].parts[0].text == "The term ends."


def test_tokens_per_second_use_the_reported_tokens(ticking: Watched) -> None:
    usage: Any = {"input_tokens": 3, "output_tokens": 11, "total_tokens": 14}
    script = ["a", 500, "b", 500, "c", AIMessageChunk(content="", usage_metadata=usage)]
    list(ScriptedModel(script=[script], tick=ticking.tick).stream("hi", ticking.config()))
    assert timeline_of(ticking).tokens_per_s == 10


def test_reasoning_text_and_tool_arguments_are_labelled_apart(ticking: Watched) -> None:
    calls = [
        {"name": "add", "args": "", "id": "c1", "index": 0, "type": "tool_call_chunk"},
        {"name": None, "args": '{"a": 1}', "id": None, "index": 0, "type": "tool_call_chunk"},
    ]
    script: list[Any] = [
        10, AIMessageChunk(content=[{"type": "thinking", "thinking": "hm", "index": 0}]),
        10, AIMessageChunk(content=[{"type": "thinking", "signature": "xyz", "index": 0}]),
        10, AIMessageChunk(content=[{"type": "text", "text": "well", "index": 1}]),
        10, AIMessageChunk(content="", tool_call_chunks=[calls[0]]),
        10, AIMessageChunk(content="", tool_call_chunks=[calls[1]]),
    ]  # fmt: skip
    list(ScriptedModel(script=[script], tick=ticking.tick).stream("hi", ticking.config()))
    timeline = timeline_of(ticking)
    assert timeline.ttft_ms == timeline.first_reasoning_ms == 10
    assert (timeline.first_text_ms, timeline.first_tool_ms) == (30, 40)
    assert timeline.channels == (
        ChannelSpan(channel=Channel.REASONING, chunks=1),
        ChannelSpan(channel=Channel.TEXT, chunks=1),
        ChannelSpan(channel=Channel.TOOL, chunks=2),
    )


CONTENT = [
    ("text", None, Channel.TEXT),
    (AIMessageChunk(content="text").text, None, Channel.TEXT),
    ([{"type": "text", "text": "a"}], None, Channel.TEXT),
    ([{"type": "thinking", "thinking": "a"}], None, Channel.REASONING),
    ([{"type": "reasoning", "reasoning": "a"}], None, Channel.REASONING),
    ([{"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}]}], None, Channel.REASONING),
    ([{"type": "input_json_delta", "partial_json": '{"'}], None, Channel.TOOL),
    ([{"type": "function_call", "arguments": '{"'}], None, Channel.TOOL),
    ([{"type": "tool_call_chunk", "args": '{"'}], None, Channel.TOOL),
    ([{"type": "tool_use", "name": "add", "input": {}}], None, Channel.TOOL),
    ("", AIMessageChunk(content="", additional_kwargs={"reasoning_content": "a"}), Channel.REASONING),
]
NO_CONTENT = [
    "",
    [],
    [{"type": "text", "text": ""}],
    [{"type": "thinking", "signature": "xyz"}],
    [{"type": "input_json_delta", "partial_json": ""}],
    [{"type": "reasoning", "summary": []}],
    [{"type": "reasoning", "summary": [{"type": "summary_text", "text": ""}]}],
    [{"index": 0}],
    None,
]


@pytest.mark.parametrize(("token", "message", "channel"), CONTENT)
def test_this_is_content(token: Any, message: Any, channel: Channel) -> None:
    chunk = type("Chunk", (), {"message": message})()
    content = content_of_chunk(token, chunk)
    assert content is not None
    assert content.channel is channel


@pytest.mark.parametrize("token", NO_CONTENT, ids=str)
def test_this_is_no_content(token: Any) -> None:
    message = AIMessageChunk(
        content=token or "", chunk_position="last", response_metadata={"finish_reason": "stop"}
    )
    assert content_of_chunk(token, type("Chunk", (), {"message": message})()) is None
    assert content_of_chunk(token, None) is None


@pytest.mark.parametrize(
    ("event", "channel"),
    [
        ({"event": "message-start", "role": "ai"}, None),
        ({"event": "content-block-start", "content": {"type": "text", "text": ""}}, None),
        (
            {"event": "content-block-start", "content": {"type": "tool_call_chunk", "name": "add"}},
            Channel.TOOL,
        ),
        ({"event": "content-block-delta", "delta": {"type": "text-delta", "text": "a"}}, Channel.TEXT),
        ({"event": "content-block-delta", "delta": {"type": "text-delta", "text": ""}}, None),
        (
            {"event": "content-block-delta", "delta": {"type": "reasoning-delta", "reasoning": "a"}},
            Channel.REASONING,
        ),
        ({"event": "content-block-delta", "delta": {"type": "tool-call-delta", "args": "{"}}, Channel.TOOL),
        (
            {
                "event": "content-block-delta",
                "delta": {"type": "block-delta", "fields": {"type": "tool_call_chunk", "args": "{"}},
            },
            Channel.TOOL,
        ),
        ({"event": "content-block-finish", "content": {"type": "text", "text": "all of it"}}, None),
        ({"event": "message-finish", "usage": {}}, None),
        ("odd", None),
    ],
    ids=str,
)
def test_what_a_stream_event_carries(event: Any, channel: Channel | None) -> None:
    content = content_of_event(event)
    assert (content.channel if content else None) is channel


def test_a_chunk_that_is_told_twice_in_v3_counts_once(watched: Watched) -> None:
    list(ScriptedModel(script=[["a", "b", "c"]]).stream_events("hi", watched.config(), version="v3"))
    assert timeline_of(watched).chunks == 3


def test_v3_says_the_model_in_its_first_event(watched: Watched) -> None:
    first = AIMessageChunk(
        content="", response_metadata={"model_name": "scripted-1-2099", "model_provider": "x"}
    )
    list(ScriptedModel(script=[[first, "a", "b"]]).stream_events("hi", watched.config(), version="v3"))
    assert watched.only().model_answered == "scripted-1-2099"


def test_a_text_model_streams_too(watched: Watched) -> None:
    from langchain_core.language_models.fake import FakeStreamingListLLM

    list(FakeStreamingListLLM(responses=["abc"]).stream("hi", watched.config()))
    assert watched.only().name == "FakeStreamingListLLM"
    assert watched.only().answers[0].parts[0].text == "abc"


def test_an_asynchronous_text_model_is_recorded(watched: Watched) -> None:
    asyncio.run(FakeListLLM(responses=["abc"]).ainvoke("hi", watched.config()))
    run = watched.only()
    assert (run.kind, run.messages[0].parts[0].text) == (Kind.LLM, "hi")


def test_a_chain_in_a_stream_gets_its_real_input_at_the_end(watched: Watched) -> None:
    chain = RunnableLambda(lambda text: text.upper(), name="shout")
    steps = ScriptedModel(script=[["a", "b"]]) | RunnableLambda(lambda message: message.text) | chain
    list(steps.stream("hi", watched.config()))
    assert watched.only(name="shout").inputs == "ab"
    assert watched.only(name="RunnableSequence").inputs == "hi"


def test_a_chain_whose_input_is_still_to_come_says_nothing_of_it(watched: Watched) -> None:
    steps = ScriptedModel(script=[["a", "b"]]) | RunnableLambda(lambda message: message.text, name="text")
    stream = steps.stream("hi", watched.config())
    next(stream)
    watched.recorder.close()
    assert watched.only(name="RunnableSequence").inputs is None


def test_an_answer_may_have_twenty_thousand_chunks(ticking: Watched) -> None:
    script = [["x"] * 20_000]
    for _ in ScriptedModel(script=script).stream("hi", ticking.config()):
        pass
    timeline = timeline_of(ticking)
    assert timeline.chunks == 20_000
    assert ticking.only().answers[0].parts[0].text == "x" * 20_000


def test_several_texts_of_one_message_are_kept_apart(watched: Watched) -> None:
    ScriptedModel(script=[AIMessage([{"type": "text", "text": "a"}, "b"])]).invoke("hi", watched.config())
    assert [part.text for part in watched.only().answers[0].parts] == ["a", "b"]
