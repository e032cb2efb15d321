"""The local model behaves as a hosted one does: streams, counts, calls tools, fails, and hides nothing."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool

from driftline_server.demo.chat_model import MODEL, SMALL_MODEL, ExtractChatModel, count_tokens
from driftline_server.demo.errors import OverloadedError, RateLimitedError
from driftline_server.demo.pace import Pace
from driftline_server.demo.provider import PrefixCache, Provider

PROMPT = [
    SystemMessage("You answer questions. Use only the numbered passages."),
    HumanMessage(
        "Passages:\n[1] Huur.pdf, NL, page 2, Opzegging (notice)\nThe notice period is three months.\n\n"
        "Question: What is the notice period?"
    ),
]
ANSWER = "The notice period is three months [1]."


def a_model(*, faults: tuple[int, ...] = (), **values: Any) -> ExtractChatModel:
    provider = values.pop("provider", None) or Provider(PrefixCache(), faults)
    return ExtractChatModel(provider=provider, pace=Pace(seed="test", scale=0.0), **values)


@tool
def days_between(start: str, end: str) -> int:
    """The number of days from one day to another."""
    return 7 if start < end else 0


def test_the_answer_is_the_same_streamed_or_not_sync_or_async() -> None:
    model = a_model()

    async def astreamed() -> str:
        return "".join([chunk.text async for chunk in model.astream(PROMPT)])

    assert model.invoke(PROMPT).text == ANSWER
    assert "".join(chunk.text for chunk in model.stream(PROMPT)) == ANSWER
    assert asyncio.run(astreamed()) == ANSWER
    assert asyncio.run(model.ainvoke(PROMPT)).text == ANSWER


def test_a_stream_opens_empty_comes_in_small_pieces_and_ends_with_the_usage() -> None:
    first, *pieces, last = list(a_model().stream(PROMPT))
    assert first.content == ""
    assert len(pieces) == count_tokens(ANSWER)
    assert last.content == ""
    assert last.usage_metadata is not None
    assert last.usage_metadata["output_tokens"] == len(pieces)


def test_input_and_output_are_counted_and_a_known_prefix_is_read_from_the_cache() -> None:
    model = a_model()
    usages = [model.invoke(PROMPT).usage_metadata for _ in range(2)]
    assert all(
        usage and usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] for usage in usages
    )
    reads = [usage["input_token_details"]["cache_read"] for usage in usages if usage]
    assert reads == [0, count_tokens(PROMPT[0].text)]


def test_the_response_says_which_model_answered_and_it_is_nobody_elses() -> None:
    said = a_model().invoke(PROMPT).response_metadata
    assert said["model_name"] == MODEL
    assert said["model_provider"] == "driftline-local"
    assert said["system_fingerprint"]
    assert said["id"].startswith("dlx-")
    assert said["finish_reason"] == "stop"
    assert not any(word in f"{MODEL} {SMALL_MODEL}" for word in ("claude", "gpt", "gemini"))


def test_an_answer_is_cut_off_at_the_most_tokens() -> None:
    message = a_model(max_tokens=3).invoke(PROMPT)
    assert message.response_metadata["finish_reason"] == "length"
    assert ANSWER.startswith(message.text)
    assert message.text != ANSWER


def test_tools_are_called_with_arguments_and_their_results_are_put_into_words() -> None:
    question = HumanMessage("How many days are there from 01.02.2026 to 08.02.2026?")
    model = a_model().bind_tools([days_between])
    call = model.invoke([question])
    assert [(each["name"], each["args"]) for each in call.tool_calls] == [
        ("days_between", {"start": "2026-02-01", "end": "2026-02-08"})
    ]
    assert call.response_metadata["finish_reason"] == "tool_calls"
    result = ToolMessage("7", tool_call_id=call.tool_calls[0]["id"])
    answer = model.invoke([question, call, result])
    assert answer.text == "From 1 February 2026 to 8 February 2026 there are 7 days."


def test_a_streamed_tool_call_comes_in_pieces_and_adds_up() -> None:
    chunks = list(a_model().bind_tools([days_between]).stream("How many days from 01.02.2026 to 08.02.2026?"))
    assert sum(bool(getattr(chunk, "tool_call_chunks", ())) for chunk in chunks) > 3
    whole = chunks[0]
    for chunk in chunks[1:]:
        assert isinstance(chunk, AIMessageChunk)
        whole += chunk
    assert isinstance(whole, AIMessage)
    assert whole.tool_calls[0]["args"] == {"start": "2026-02-01", "end": "2026-02-08"}


def test_a_tool_that_is_not_offered_is_not_called() -> None:
    answer = a_model().bind_tools([days_between]).invoke("How much is EUR 5 in USD?")
    assert answer.tool_calls == []


@pytest.mark.parametrize(("status", "error"), [(429, RateLimitedError), (529, OverloadedError)])
def test_a_planned_fault_is_raised_once(status: int, error: type[Exception]) -> None:
    model = a_model(faults=(status,))
    with pytest.raises(error, match=f"^{status} from driftline-local"):
        model.invoke(PROMPT)
    assert model.invoke(PROMPT).text == ANSWER


def test_a_fault_comes_before_the_first_chunk_of_a_stream() -> None:
    with pytest.raises(OverloadedError):
        next(a_model(faults=(529,)).stream(PROMPT))


def test_the_pace_is_that_of_a_hosted_model_and_the_same_for_the_same_seed() -> None:
    pace = Pace(seed="a", stall_s=1.4)
    gaps = list(pace.gaps_s("prompt", 400, small=False))
    assert 0.28 <= pace.first_token_s("prompt", small=False) <= 1.1
    assert all(0.008 <= gap <= 0.16 or gap == 1.4 for gap in gaps)
    assert gaps.count(1.4) == 1
    assert gaps == list(pace.gaps_s("prompt", 400, small=False))
    assert gaps != list(Pace(seed="b", stall_s=1.4).gaps_s("prompt", 400, small=False))
    assert any(one != other for one, other in pairwise(gaps))
