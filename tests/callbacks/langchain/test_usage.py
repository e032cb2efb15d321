"""Tokens, in every place where LangChain's providers say them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import FakeListLLM
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import Generation, LLMResult

from driftline.integrations.langchain_usage import usage_of
from driftline.records import Kind, Provenance, Usage

from .conftest import Watched
from .models import ScriptedModel

pytestmark = pytest.mark.filterwarnings("ignore:.*in beta")

COUNTS: Any = {
    "input_tokens": 140,
    "output_tokens": 25,
    "total_tokens": 165,
    "input_token_details": {"cache_read": 100, "cache_creation": 30},
    "output_token_details": {"reasoning": 5},
}
EXPECTED = Usage(
    input_tokens=140, output_tokens=25, cache_read_tokens=100, cache_write_tokens=30, reasoning_tokens=5
)


def streamed() -> list[Any]:
    return ["The term ", "ends.", AIMessageChunk(content="", usage_metadata=COUNTS)]


def test_invoke_and_every_kind_of_stream_give_equal_numbers(watched: Watched) -> None:
    message = AIMessage("The term ends.", usage_metadata=COUNTS)
    config = watched.config()
    ScriptedModel(script=[message]).invoke("hi", config)
    asyncio.run(ScriptedModel(script=[message]).ainvoke("hi", config))
    list(ScriptedModel(script=[streamed()]).stream("hi", config))
    list(ScriptedModel(script=[streamed()]).stream_events("hi", config, version="v3"))

    async def asynchronously() -> None:
        async for _ in ScriptedModel(script=[streamed()]).astream("hi", config):
            pass
        async for _ in ScriptedModel(script=[streamed()]).astream_events("hi", config, version="v2"):
            pass

    asyncio.run(asynchronously())
    assert [run.usage for run in watched.runs()] == [EXPECTED] * 6


def test_cached_input_is_part_of_the_input_and_counted_once(watched: Watched) -> None:
    ScriptedModel(script=[AIMessage("ok", usage_metadata=COUNTS)]).invoke("hi", watched.config())
    usage = watched.only().usage
    assert usage is not None
    assert usage.input_tokens == 140
    assert usage.input_tokens - (usage.cache_read_tokens or 0) - (usage.cache_write_tokens or 0) == 10


def test_the_lifetimes_of_cache_writes_are_told_apart() -> None:
    details = {
        "cache_read": 100,
        "cache_creation": 0,
        "ephemeral_5m_input_tokens": 20,
        "ephemeral_1h_input_tokens": 10,
    }
    counts = {"input_tokens": 140, "output_tokens": 25, "input_token_details": details}
    usage = usage_of(usage_metadata=counts, response_usage=None, result_usage=None)
    assert usage == Usage(
        input_tokens=140,
        output_tokens=25,
        cache_read_tokens=100,
        cache_write_tokens=30,
        cache_write_1h_tokens=10,
    )


def test_audio_tokens_are_kept() -> None:
    counts = {
        "input_tokens": 9,
        "output_tokens": 8,
        "input_token_details": {"audio": 4},
        "output_token_details": {"audio": 3},
    }
    usage = usage_of(usage_metadata=counts, response_usage=None, result_usage=None)
    assert usage is not None
    assert (usage.input_audio_tokens, usage.output_audio_tokens) == (4, 3)


OPENAI = {
    "prompt_tokens": 140,
    "completion_tokens": 25,
    "total_tokens": 165,
    "prompt_tokens_details": {"cached_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
ANTHROPIC = {
    "input_tokens": 10,
    "output_tokens": 25,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
    "output_tokens_details": {"thinking_tokens": 5},
}


def test_openai_says_it_in_the_response_metadata(watched: Watched) -> None:
    message = AIMessage("ok", response_metadata={"token_usage": OPENAI})
    ScriptedModel(script=[message]).invoke("hi", watched.config())
    assert watched.only().usage == replace(EXPECTED, cache_write_tokens=None)


def test_anthropic_leaves_the_cache_out_of_its_own_input(watched: Watched) -> None:
    message = AIMessage("ok", response_metadata={"usage": ANTHROPIC})
    ScriptedModel(script=[message]).invoke("hi", watched.config())
    assert watched.only().usage == replace(EXPECTED, cache_write_1h_tokens=10)


def test_the_responses_endpoint_of_openai_includes_the_cache() -> None:
    counts = {
        "input_tokens": 140,
        "output_tokens": 25,
        "input_tokens_details": {"cached_tokens": 100},
        "output_tokens_details": {"reasoning_tokens": 5},
    }
    usage = usage_of(usage_metadata=None, response_usage=counts, result_usage=None)
    assert usage == replace(EXPECTED, cache_write_tokens=None)


@pytest.mark.parametrize("key", ["token_usage", "usage"])
def test_a_text_model_says_it_only_for_the_whole_result(watched: Watched, key: str) -> None:
    class Metered(FakeListLLM):
        def _generate(self, prompts: list[str], *args: Any, **kwargs: Any) -> LLMResult:
            return LLMResult(generations=[[Generation(text="ok")]], llm_output={key: OPENAI})

    Metered(responses=["ok"]).invoke("hi", watched.config())
    assert watched.only(kind=Kind.LLM).usage == replace(EXPECTED, cache_write_tokens=None)


def test_what_the_message_says_wins_and_nothing_is_added_up(watched: Watched) -> None:
    message = AIMessage("ok", usage_metadata=COUNTS, response_metadata={"token_usage": OPENAI})
    model = ScriptedModel(script=[message], llm_output={"token_usage": OPENAI})
    model.invoke("hi", watched.config())
    assert watched.only().usage == EXPECTED


def test_missing_usage_is_missing_and_not_zero(watched: Watched) -> None:
    list(ScriptedModel(script=[["a", "b"]]).stream("hi", watched.config()))
    assert watched.only().usage == Usage(provenance=Provenance.MISSING)


def test_only_model_runs_carry_usage(watched: Watched) -> None:
    model = ScriptedModel(script=[AIMessage("ok", usage_metadata=COUNTS)])
    (model | (lambda message: message.text)).invoke("hi", watched.config())
    assert [run.kind for run in watched.runs() if run.usage is not None] == [Kind.LLM]


def test_an_answer_from_the_cache_of_the_application_is_marked(watched: Watched) -> None:
    model = ScriptedModel(script=[AIMessage("ok", usage_metadata=COUNTS)], cache=InMemoryCache())
    model.invoke("hi", watched.config())
    model.invoke("hi", watched.config())
    paid, cached = (run.usage for run in watched.runs())
    assert paid == EXPECTED
    assert cached == replace(EXPECTED, from_cache=True)


def test_counts_that_make_no_sense_are_unknown() -> None:
    counts = {"input_tokens": -1, "output_tokens": "many", "input_token_details": None}
    usage = usage_of(usage_metadata=counts, response_usage=None, result_usage=None)
    assert usage == Usage()
