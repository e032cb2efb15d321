"""The token timeline agrees with the provider's own clock.

A gate lets the provider write a chunk only when the application has taken the one before. So each chunk's
arrival lies between two moments that both sides noted by the same clock, however slow the machine is.
"""

from __future__ import annotations

import time
from itertools import accumulate
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from stand_ins.provider import Answer, Exchange, Gate, Pace, Provider, Reasoning, Refusal, Text, ToolUse

from driftline.records import Channel, Kind, TokenTimeline
from driftline.timing import decode_gaps
from providers import modes
from providers.models import Models
from providers.modes import Drive, Mode
from providers.recording import Recording

pytestmark = modes.QUIET
QUESTION = [HumanMessage("When does it mature?")]
PIECES = ("It", " matures", " in", " 2031", ".")
ROUNDING_MS = 0.02
"""Gaps are kept to 10 microseconds."""
THINKING: dict[str, dict[str, Any]] = {
    "responses": {"reasoning": {"effort": "low", "summary": "auto"}},
    "anthropic": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000},
}
EVERYONE = pytest.mark.parametrize("maker", ["openai", "responses", "anthropic"])


def timeline_of(recording: Recording) -> TokenTimeline:
    timeline = recording.only(kind=Kind.LLM).timeline
    assert timeline is not None
    return timeline


def arrivals_ms(timeline: TokenTimeline) -> list[float]:
    """When each chunk came, since the start of the run."""
    assert timeline.ttft_ms is not None
    return list(accumulate(decode_gaps(timeline.gaps), initial=timeline.ttft_ms))


def has_text(chunk: Any) -> bool:
    return bool(chunk.text if isinstance(chunk.text, str) else chunk.text())


def assert_within(
    timeline: TokenTimeline, exchange: Exchange, *, called_ns: int, taken_ns: list[int]
) -> None:
    """Each arrival lies after the provider wrote the chunk and before the application had it.

    The run starts after the application's call and before the provider has the request, which bounds the
    times since its start from both sides.
    """
    written_ns = [write.at_ns for write in exchange.content]
    arrived_ms = arrivals_ms(timeline)
    assert len(arrived_ms) == len(written_ns) == len(taken_ns)
    for index, at_ms in enumerate(arrived_ms):
        rounding_ms = ROUNDING_MS * (index + 1)
        assert at_ms >= (written_ns[index] - exchange.received_ns) / 1e6 - rounding_ms
        assert at_ms <= (taken_ns[index] - called_ns) / 1e6 + rounding_ms


@EVERYONE
def test_every_chunk_of_a_stream_is_timed_by_the_providers_clock(
    maker: str, provider: Provider, models: Models, recording: Recording
) -> None:
    gate = Gate(free=1)
    provider.script(Answer.of(*PIECES, gate=gate))
    called_ns = time.perf_counter_ns()
    taken_ns = []
    for chunk in models.make(maker).stream(QUESTION, recording.config):
        if has_text(chunk):
            taken_ns.append(time.perf_counter_ns())
            gate.let_through()
    assert_within(timeline_of(recording), provider.last(), called_ns=called_ns, taken_ns=taken_ns)


@EVERYONE
def test_every_chunk_of_an_async_stream_is_timed_by_the_providers_clock(
    maker: str, provider: Provider, models: Models, recording: Recording
) -> None:
    gate = Gate(free=1)
    provider.script(Answer.of(*PIECES, gate=gate))
    model = models.make(maker)
    taken_ns = []

    async def read() -> int:
        called_ns = time.perf_counter_ns()
        async for chunk in model.astream(QUESTION, recording.config):
            if has_text(chunk):
                taken_ns.append(time.perf_counter_ns())
                gate.let_through()
        return called_ns

    called_ns = models.run(read())
    assert_within(timeline_of(recording), provider.last(), called_ns=called_ns, taken_ns=taken_ns)


@EVERYONE
@modes.over(modes.STREAMED)
def test_the_first_token_is_not_the_whole_answer(
    maker: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    """Neither too early, at the headers or the role, nor too late, at the end."""
    provider.script(Answer.of(*PIECES, pace=Pace(first_s=0.05, gap_s=0.01)))
    drive(mode, models.make(maker), QUESTION)
    run, exchange = recording.only(kind=Kind.LLM), provider.last()
    timeline = timeline_of(recording)
    assert timeline.chunks == len(PIECES)
    assert timeline.ttft_ms is not None
    assert timeline.first_text_ms == timeline.ttft_ms
    assert run.duration_ms is not None
    first, last = exchange.content[0].at_ns, exchange.content[-1].at_ns
    assert timeline.ttft_ms >= (first - exchange.received_ns) / 1e6 - ROUNDING_MS
    assert timeline.ttft_ms < run.duration_ms
    assert arrivals_ms(timeline)[-1] >= (last - exchange.received_ns) / 1e6 - ROUNDING_MS * len(PIECES)
    assert timeline.channels[0].channel is Channel.TEXT
    assert timeline.channels[0].chunks == len(PIECES)


@EVERYONE
@modes.over((modes.invoke, modes.ainvoke))
def test_a_model_that_streams_inside_an_invoke_is_timed_too(
    maker: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    provider.script(Answer.of(*PIECES, pace=Pace(first_s=0.02)))
    drive(mode, models.make(maker, streaming=True), QUESTION)
    exchange = provider.last()
    assert exchange.streamed
    timeline = timeline_of(recording)
    assert timeline.chunks == len(PIECES)
    assert timeline.ttft_ms is not None
    assert timeline.ttft_ms >= (exchange.content[0].at_ns - exchange.received_ns) / 1e6 - ROUNDING_MS


@EVERYONE
@modes.over(modes.WHOLE)
def test_an_answer_that_comes_whole_has_no_first_token(
    maker: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    provider.script(Answer.of(*PIECES))
    drive(mode, models.make(maker), QUESTION)
    assert recording.only(kind=Kind.LLM).timeline is None


@EVERYONE
def test_a_stall_is_found_where_the_provider_made_it(
    maker: str, provider: Provider, models: Models, recording: Recording
) -> None:
    gate = Gate(free=2)
    provider.script(Answer.of(*PIECES, gate=gate, pace=Pace(stalls_s={3: 1.05})))
    for chunk in models.make(maker).stream(QUESTION, recording.config):
        # The third piece sets out only when the second has arrived, so the gap is no shorter than the pause.
        if chunk.text == PIECES[1]:
            gate.let_through(len(PIECES))
    timeline = timeline_of(recording)
    (stall,) = timeline.stalls
    assert stall.after_chunk == 2
    assert stall.gap_ms >= 1050 - ROUNDING_MS
    assert stall.gap_ms == timeline.max_gap_ms


@pytest.mark.parametrize("maker", ["responses", "anthropic"])
@modes.over(modes.STREAMED)
def test_reasoning_is_timed_apart_from_text(
    maker: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    blocks = (Reasoning(("Let", " me", " see.")), Text(("In", " 2031.")))
    provider.script(Answer(blocks=blocks, pace=Pace(stalls_s={4: 0.05})))
    drive(mode, models.make(maker, **THINKING[maker]), QUESTION)
    timeline, exchange = timeline_of(recording), provider.last()
    assert [(each.channel, each.chunks) for each in timeline.channels] == [
        (Channel.REASONING, 3),
        (Channel.TEXT, 2),
    ]
    assert timeline.ttft_ms == timeline.first_reasoning_ms
    assert timeline.first_text_ms is not None
    assert timeline.first_reasoning_ms is not None
    thought, spoke = exchange.content[0].at_ns, exchange.content[3].at_ns
    assert timeline.first_text_ms >= (spoke - exchange.received_ns) / 1e6 - ROUNDING_MS * 4
    assert timeline.first_text_ms > timeline.first_reasoning_ms
    assert timeline.first_reasoning_ms >= (thought - exchange.received_ns) / 1e6 - ROUNDING_MS


@EVERYONE
@modes.over(modes.STREAMED)
def test_tool_arguments_are_timed_apart_from_text(
    maker: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    call = ToolUse(name="look_up", pieces=('{"isin"', ': "XS', '0123"}'))
    provider.script(Answer(blocks=(Text(("One moment", ".")), call)))
    drive(mode, models.make(maker).bind_tools([look_up_schema()]), QUESTION)
    timeline = timeline_of(recording)
    # The name comes first, in a chunk of its own.
    assert [(each.channel, each.chunks) for each in timeline.channels] == [
        (Channel.TEXT, 2),
        (Channel.TOOL, 4),
    ]
    assert timeline.first_text_ms is not None
    assert timeline.first_text_ms == timeline.ttft_ms
    assert timeline.first_tool_ms is not None
    assert timeline.first_tool_ms >= timeline.first_text_ms
    assert timeline.first_reasoning_ms is None
    (run_call,) = recording.only(kind=Kind.LLM).answers[0].tool_calls
    assert (run_call.name, run_call.arguments) == ("look_up", {"isin": "XS0123"})


@EVERYONE
def test_a_stream_of_tool_arguments_alone_has_a_first_token_and_no_first_text(
    maker: str, provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(Answer(blocks=(ToolUse.of("look_up", isin="XS0123"),)))
    list(models.make(maker).bind_tools([look_up_schema()]).stream(QUESTION, recording.config))
    timeline = timeline_of(recording)
    assert timeline.ttft_ms == timeline.first_tool_ms
    assert timeline.first_text_ms is None


def test_a_refusal_is_told(provider: Provider, models: Models, recording: Recording) -> None:
    provider.script(Answer(blocks=(Refusal(("I cannot", " help.")),)))
    list(models.anthropic().stream(QUESTION, recording.config))
    run = recording.only(kind=Kind.LLM)
    assert run.timeline is not None
    assert run.timeline.chunks == 2
    assert run.answers[0].parts[0].text == "I cannot help."


def look_up_schema() -> dict[str, Any]:
    """A tool that a model may call."""
    return {
        "title": "look_up",
        "description": "Look a security up.",
        "type": "object",
        "properties": {"isin": {"type": "string"}},
        "required": ["isin"],
    }
