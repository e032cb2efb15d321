"""Sampling keeps whole traces by their id alone; the content-free mode keeps everything but the content."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from driftline.processors import Sampling, without_content
from driftline.records import (
    Channel,
    ChannelSpan,
    Cost,
    Document,
    Event,
    Fingerprint,
    Kind,
    Message,
    Part,
    Prompt,
    Run,
    RunError,
    Stall,
    Status,
    TokenTimeline,
    ToolCall,
    Usage,
)

SECRET = "the patient's name"


def traces(count: int) -> list[str]:
    """Ids that begin with the time, as those of version 7 do."""
    return [UUID(int=(0x019A << 112) + number).hex for number in range(count)]


def test_about_the_share_that_was_asked_for_is_kept() -> None:
    sampling = Sampling(0.25)
    kept = sum(sampling.keeps(trace) for trace in traces(20_000))
    assert 4_700 < kept < 5_300


def test_a_trace_is_kept_whole_and_weighs_what_it_stands_for() -> None:
    sampling = Sampling(0.1)
    kept = next(trace for trace in traces(1_000) if sampling.keeps(trace))
    other = next(trace for trace in traces(1_000) if not sampling.keeps(trace))
    for number in range(20):
        run = Run(id=f"{number:032x}", trace_id=kept)
        assert sampling(run) == replace(run, sampling_weight=10.0)
        assert sampling(replace(run, trace_id=other)) is None


def test_every_process_chooses_alike_and_a_lower_rate_chooses_from_the_same() -> None:
    few, many = Sampling(0.1), Sampling(0.5)
    assert all(many.keeps(trace) for trace in traces(2_000) if few.keeps(trace))
    assert [few.keeps(trace) for trace in traces(50)] == [Sampling(0.1).keeps(trace) for trace in traces(50)]


def test_a_weight_that_a_run_has_already_counts_too() -> None:
    run = Sampling(1.0)(Run(id="a" * 32, trace_id="b" * 32, sampling_weight=4.0))
    assert run is not None
    assert run.sampling_weight == 4.0


def test_the_ends_of_the_range() -> None:
    run = Run(id="a" * 32, trace_id="b" * 32)
    assert Sampling(0.0)(run) is None
    assert Sampling(1.0)(run) == run
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="not between 0 and 1"):
            Sampling(wrong)


def a_full_run() -> Run:
    message = Message(
        role="user",
        parts=(
            Part(type="text", text=SECRET),
            Part(type="image", media_type="image/png", url=SECRET, size_bytes=77),
            Part(type="data", data={"x": SECRET}, extra={"x": SECRET}),
        ),
        tool_calls=(ToolCall(name="lookup", id="call_1", arguments={"who": SECRET}),),
        name="bob",
        id="m1",
        extra={"x": SECRET},
    )
    return Run(
        id="a" * 32, trace_id="b" * 32, name="chat", kind=Kind.LLM, status=Status.ERROR, project="clinic",
        started_at=datetime(2026, 1, 1, tzinfo=UTC), duration_ms=12.5,
        error=RunError(
            type="ValueError", message=SECRET,
            stack=f'Traceback\n  File "app.py", line 3, in work\n    find("{SECRET}")\nValueError: {SECRET}',
        ),
        inputs={"question": SECRET, "n": [1]}, outputs=SECRET, messages=(message,), answers=(message,),
        documents=(Document(text=SECRET, id="doc1", rank=1, score=0.5, metadata={"title": SECRET}),),
        events=(Event(name="retry", offset_ms=3.0, data=SECRET),),
        model_requested="large", invocation_params={"temperature": 0.5, "stop": [SECRET], "stream": True},
        usage=Usage(input_tokens=10, output_tokens=5, extra={"x": SECRET}),
        cost=Cost(total_micro_usd=3, extra={"x": SECRET}),
        fingerprint=Fingerprint(system_fingerprint="fp", extra={"x": SECRET}),
        prompt=Prompt(name="greeting", version="3", extra={SECRET: 1}),
        timeline=TokenTimeline(
            ttft_ms=4.0, stalls=(Stall(after_chunk=1, gap_ms=2000.0, extra={"x": SECRET}),),
            channels=(ChannelSpan(channel=Channel.TEXT, chunks=2, extra={"x": SECRET}),), extra={"x": SECRET},
        ),
        user_id="u1", session_id="s1", feature="triage", release="7", environment="ward", tags=(SECRET,),
        metadata={"tier": 2, "note": SECRET, SECRET: True}, extra={"later": SECRET, SECRET: 1},
    )  # fmt: skip


def test_without_content_nothing_that_was_written_leaves() -> None:
    run = a_full_run()
    assert repr(run).count(SECRET) > 15
    assert SECRET not in repr(without_content(run))


def test_without_content_timing_usage_names_and_sizes_stay() -> None:
    run = a_full_run()
    bare = without_content(run)
    for name in (
        "id", "trace_id", "name", "kind", "status", "project", "started_at", "duration_ms", "model_requested",
        "user_id", "session_id", "feature", "release", "environment",
    ):  # fmt: skip
        assert getattr(bare, name) == getattr(run, name)
    assert bare.usage is not None
    assert (bare.usage.input_tokens, bare.usage.output_tokens) == (10, 5)
    assert bare.timeline is not None
    assert (bare.timeline.ttft_ms, bare.timeline.channels[0].chunks, bare.timeline.stalls[0].gap_ms) == (
        4.0, 2, 2000.0,
    )  # fmt: skip
    assert bare.prompt is not None
    assert (bare.prompt.name, bare.prompt.version) == ("greeting", "3")
    assert bare.inputs == {"$type": "withheld", "characters": len(SECRET)}
    assert bare.error == RunError(type="ValueError", stack='  File "app.py", line 3, in work')
    [message] = bare.messages
    assert [part.size_bytes for part in message.parts] == [len(SECRET), 77, len(SECRET)]
    assert [part.type for part in message.parts] == ["text", "image", "data"]
    assert (message.tool_calls[0].name, message.role, message.id) == ("lookup", "user", "m1")
    assert (bare.documents[0].id, bare.documents[0].score, bare.documents[0].text) == ("doc1", 0.5, "")
    assert (bare.events[0].name, bare.events[0].offset_ms) == ("retry", 3.0)
    assert (bare.invocation_params["temperature"], bare.invocation_params["stream"]) == (0.5, True)


def test_without_content_tags_metadata_and_every_extra_are_withheld() -> None:
    bare = without_content(
        replace(a_full_run(), metadata={"note": "abc", "tier": 2}, extra={"later": "abcd"})
    )
    assert bare.tags == ()
    assert bare.metadata == {"$withheld": {"characters": 3, "entries": 2}}
    assert bare.extra == {"$withheld": {"characters": 4, "entries": 1}}
    assert bare.usage is not None
    assert bare.usage.extra == {"$withheld": {"characters": len(SECRET), "entries": 1}}


def test_what_a_run_does_not_have_it_does_not_get() -> None:
    run = Run(id="a" * 32, trace_id="b" * 32)
    assert without_content(run) == run
