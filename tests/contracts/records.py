"""Records for tests: short to write, whole where a test does not say otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

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
    Score,
    Stall,
    Status,
    TokenTimeline,
    ToolCall,
    Usage,
)

BEGIN = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
_numbers = count(1)


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, at: datetime = BEGIN) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **by: float) -> datetime:
        """Move on, by the arguments of ``timedelta``."""
        self.at += timedelta(**by)
        return self.at


def an_id(number: int) -> str:
    """The id that bears a number; a greater number sorts later."""
    return f"{number:032x}"


def new_id() -> str:
    """An id that no other record of this test process has."""
    return f"{next(_numbers):032x}"


def a_run(**values: Any) -> Run:
    """A root run that came through, unless the values say otherwise. A lone run is its own trace."""
    run_id = values.pop("id", None) or new_id()
    defaults: dict[str, Any] = {
        "trace_id": run_id,
        "project": "shop",
        "name": "answer",
        "status": Status.OK,
        "started_at": BEGIN,
        "duration_ms": 100.0,
        "revision": 1,
    }
    return Run(id=run_id, **(defaults | values))


def a_child(parent: Run, **values: Any) -> Run:
    """A run inside another one, of the same trace; ``after_ms`` is its start within the parent."""
    after_ms = values.pop("after_ms", 0.0)
    begin = parent.started_at or BEGIN
    defaults = {
        "trace_id": parent.trace_id,
        "parent_id": parent.id,
        "project": parent.project,
        "name": "step",
        "started_at": begin + timedelta(milliseconds=after_ms),
    }
    return a_run(**(defaults | values))


def a_model_run(parent: Run, **values: Any) -> Run:
    """A model run with usage, inside another run."""
    defaults: dict[str, Any] = {
        "name": "ChatModel",
        "kind": Kind.LLM,
        "model_requested": "sonnet",
        "usage": Usage(input_tokens=10, output_tokens=5),
    }
    return a_child(parent, **(defaults | values))


def a_trace(children: int = 2, **values: Any) -> list[Run]:
    """A root with a few steps; the values are the root's."""
    root = a_run(**values)
    return [root, *(a_child(root, after_ms=10.0 * number) for number in range(children))]


def a_score(trace: Run, **values: Any) -> Score:
    """A score of a trace."""
    defaults: dict[str, Any] = {
        "id": new_id(),
        "trace_id": trace.trace_id,
        "name": "faithfulness",
        "value": 0.75,
        "created_at": BEGIN,
    }
    return Score(**(defaults | values))


def said(role: str, *texts: str) -> Message:
    """A message of text parts."""
    return Message(role=role, parts=tuple(Part(type="text", text=text) for text in texts))


def the_start_of(run: Run) -> Run:
    """What a client sends when a run begins."""
    return Run(
        id=run.id,
        trace_id=run.trace_id,
        parent_id=run.parent_id,
        project=run.project,
        name=run.name,
        kind=run.kind,
        started_at=run.started_at,
        inputs=run.inputs,
        messages=run.messages,
    )


def the_end_of(run: Run) -> Run:
    """What a client sends when a run ends, without repeating how it began."""
    return replace(
        run, parent_id=None, project="", name="", kind=Kind.CHAIN, started_at=None, inputs=None, messages=()
    )


def a_full_run(parent: Run, **values: Any) -> Run:
    """A model run with every field filled, awkward text included."""
    defaults: dict[str, Any] = {
        "name": "ChatModel \0 «né»",
        "kind": Kind.LLM,
        "status": Status.ERROR,
        "duration_ms": 1234.567,
        "ended_at": BEGIN + timedelta(milliseconds=1234.567),
        "error": RunError(
            type="httpx.ReadTimeout", message="no answer\0", stack="Traceback …\n  line", extra={"retries": 2}
        ),
        "inputs": {"question": "What is EBITDA?", "deep": [1, [2.5, None, {"x": True}]], "nul": "a\0b"},
        "outputs": ["a", "\u2028", "\ud7ff", "🙂"],
        "messages": (said("system", "Be brief."), said("user", "What is EBITDA?")),
        "answers": (
            Message(
                role="assistant",
                parts=(
                    Part(type="reasoning", text="hm"),
                    Part(type="image", url="https://x/y.png", size_bytes=7),
                ),
                tool_calls=(ToolCall(name="fx_rate", arguments={"currency": "EUR"}, id="call_1"),),
            ),
        ),
        "documents": (Document(text="EBITDA is …", id="d1", rank=1, score=0.5, metadata={"page": 3}),),
        "events": (Event(name="retry", offset_ms=12.5, data={"after": "429"}),),
        "model_requested": "sonnet",
        "model_answered": "sonnet-2026-01-01",
        "provider": "anthropic",
        "fingerprint": Fingerprint(system_fingerprint="fp_1", response_id_prefix="msg_01"),
        "invocation_params": {"temperature": 0.2, "stop": ["\n"]},
        "usage": Usage(input_tokens=2**53 - 1, output_tokens=0, cache_read_tokens=3, extra={"tier": "batch"}),
        "cost": Cost(
            total_micro_usd=12_345, input_micro_usd=2_345, price_source="catalog", price_version="1"
        ),
        "timeline": TokenTimeline(
            ttft_ms=31.25,
            first_text_ms=40.0,
            chunks=3,
            mean_gap_ms=5.0,
            max_gap_ms=1200.0,
            stalls=(Stall(after_chunk=2, gap_ms=1200.0),),
            gaps="AQID",
            channels=(ChannelSpan(channel=Channel.TEXT, chunks=3),),
            extra={"clock": "monotonic\0"},
        ),
        "user_id": "u-1",
        "session_id": "s-1",
        "feature": "terms",
        "endpoint_class": "chat",
        "release": "2.1.0",
        "environment": "prod",
        "prompt": Prompt(name="extract", version="7", hash="abc"),
        "index_version": "2026-02",
        "tags": ("eu", "beta\0"),
        "metadata": {"tenant": "acme", "weights": [0.1, 0.2]},
        "sampling_weight": 4.0,
        "extra": {"from_the_future": {"a": [1]}},
    }
    return a_child(parent, **(defaults | values))


def ids_of(runs: Sequence[Run]) -> list[str]:
    """The ids of runs, in their order."""
    return [run.id for run in runs]
