"""The stand-in says what the providers say: their own SDKs read it under strict validation."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import anthropic
import openai
import pytest

from driftline.records import Channel
from stand_ins.provider import (
    Answer,
    Failure,
    Gate,
    Pace,
    Provider,
    Reasoning,
    Refusal,
    Silence,
    Text,
    Tokens,
    ToolUse,
)

THINKING: Any = {"type": "enabled", "budget_tokens": 1024}
QUESTION: Any = [{"role": "user", "content": "When does it mature?"}]
TOKENS = Tokens(uncached=10, cache_read=100, cache_write_5m=20, cache_write_1h=10, output=9, reasoning=4)
FULL = Answer(
    blocks=(
        Reasoning(("The bond", " matures")),
        Text(("It matures", " in ", "2031.")),
        ToolUse.of("look_up", id="toolu_01abc", isin="XS0123"),
    ),
    tokens=TOKENS,
    model="answering-model-2099-01-01",
)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def openai_client(provider: Provider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=provider.openai_url,
        api_key=provider.key,
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


@pytest.fixture
def anthropic_client(provider: Provider) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        base_url=provider.anthropic_url,
        api_key=provider.key,
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


def test_a_chat_completion_is_read_by_the_sdk(provider: Provider, openai_client: openai.OpenAI) -> None:
    provider.script(FULL)
    completion = openai_client.chat.completions.create(model="gpt", messages=QUESTION, n=2)
    assert completion.model == "answering-model-2099-01-01"
    assert completion.system_fingerprint == "fp_44709d6fcb"
    assert completion.id.startswith("chatcmpl-")
    assert [choice.message.content for choice in completion.choices] == ["It matures in 2031."] * 2
    calls = completion.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].to_dict()["function"] == {"name": "look_up", "arguments": '{"isin": "XS0123"}'}
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (140, 9)
    assert completion.usage.prompt_tokens_details is not None
    assert completion.usage.prompt_tokens_details.cached_tokens == 100


def test_a_chat_stream_tells_its_usage_only_when_asked(
    provider: Provider, openai_client: openai.OpenAI
) -> None:
    provider.script(FULL, FULL)
    silent = list(openai_client.chat.completions.create(model="gpt", messages=QUESTION, stream=True))
    told = list(
        openai_client.chat.completions.create(
            model="gpt", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
    )
    assert not any(chunk.usage for chunk in silent)
    assert told[-1].choices == []
    assert told[-1].usage is not None
    assert told[-1].usage.total_tokens == 149
    assert told[0].choices[0].delta.role == "assistant"
    text = "".join(choice.delta.content or "" for chunk in told for choice in chunk.choices)
    assert text == "It matures in 2031."
    pieces = [call for chunk in told for choice in chunk.choices for call in choice.delta.tool_calls or []]
    assert len(pieces) > 2
    assert "".join(each.function.arguments or "" for each in pieces if each.function) == '{"isin": "XS0123"}'
    assert [each.function.name for each in pieces if each.function and each.function.name] == ["look_up"]
    assert told[-2].choices[0].finish_reason == "tool_calls"


def test_responses_are_read_by_the_sdk(provider: Provider, openai_client: openai.OpenAI) -> None:
    provider.script(FULL, FULL)
    response = openai_client.responses.create(model="gpt", input="When?")
    events = list(openai_client.responses.create(model="gpt", input="When?", stream=True))
    assert response.output_text == "It matures in 2031."
    assert [item.type for item in response.output] == ["reasoning", "message", "function_call"]
    assert response.usage is not None
    assert response.usage.input_tokens == 140
    assert [event.sequence_number for event in events] == list(range(len(events)))
    completed = events[-1]
    assert completed.type == "response.completed"
    assert completed.response.output_text == "It matures in 2031."
    deltas = [event.delta for event in events if event.type == "response.reasoning_summary_text.delta"]
    assert deltas == ["The bond", " matures"]


def test_a_message_is_read_by_the_sdk(provider: Provider, anthropic_client: anthropic.Anthropic) -> None:
    provider.script(FULL)
    message = anthropic_client.messages.create(
        model="claude", max_tokens=2000, messages=QUESTION, thinking=THINKING
    )
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    assert message.stop_reason == "tool_use"
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (
        10,
        100,
        30,
    )
    assert usage.cache_creation is not None
    assert usage.cache_creation.ephemeral_1h_input_tokens == 10
    assert message.id.startswith("msg_01")


def test_a_message_stream_adds_up_to_the_message(
    provider: Provider, anthropic_client: anthropic.Anthropic
) -> None:
    provider.script(FULL, FULL)
    request: Any = {"model": "claude", "max_tokens": 2000, "messages": QUESTION, "thinking": THINKING}
    whole = anthropic_client.messages.create(**request)
    with anthropic_client.messages.stream(**request) as stream:
        streamed = stream.get_final_message()
    assert [block.to_dict() for block in streamed.content] == [block.to_dict() for block in whole.content]
    assert streamed.usage.output_tokens == whole.usage.output_tokens == 9
    assert streamed.usage.cache_read_input_tokens == 100


def test_thoughts_are_kept_back_unless_they_are_asked_for(
    provider: Provider, anthropic_client: anthropic.Anthropic
) -> None:
    provider.script(FULL)
    message = anthropic_client.messages.create(model="claude", max_tokens=50, messages=QUESTION)
    assert [block.type for block in message.content] == ["text", "tool_use"]


def test_a_refusal_stops_with_its_reason(provider: Provider, anthropic_client: anthropic.Anthropic) -> None:
    provider.script(Answer(blocks=(Refusal(("I cannot", " help with that.")),)))
    message = anthropic_client.messages.create(model="claude", max_tokens=50, messages=QUESTION)
    assert message.stop_reason == "refusal"
    assert message.stop_details is not None
    assert message.stop_details.category == "cyber"


def test_embeddings_of_equal_texts_are_equal(provider: Provider, openai_client: openai.OpenAI) -> None:
    texts = ["a bond", "a loan", "a bond"]
    answer = openai_client.embeddings.create(model="e", input=texts, encoding_format="float")
    one, other, again = (each.embedding for each in answer.data)
    assert one == again != other
    assert sum(value * value for value in one) == pytest.approx(1)
    # The SDK asks for base64 by itself, and its own types do not allow what it then decodes.
    with openai.OpenAI(base_url=provider.openai_url, api_key=provider.key) as lenient:
        assert lenient.embeddings.create(model="e", input=texts).data[0].embedding == pytest.approx(one)


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Failure(status=429, headers={"retry-after": "7"}), openai.RateLimitError),
        (Failure(status=500), openai.InternalServerError),
        (Failure(status=404), openai.NotFoundError),
    ],
)
def test_failures_are_the_sdks_own_errors(
    provider: Provider, openai_client: openai.OpenAI, failure: Failure, error: type[openai.APIStatusError]
) -> None:
    provider.script(failure)
    with pytest.raises(error) as caught:
        openai_client.chat.completions.create(model="gpt", messages=QUESTION)
    assert caught.value.response.headers.get("retry-after") == failure.headers.get("retry-after")
    assert provider.cookie in caught.value.response.headers["set-cookie"]


def test_an_overloaded_provider_says_so(provider: Provider, anthropic_client: anthropic.Anthropic) -> None:
    provider.script(Failure(status=529, message="Overloaded"))
    with pytest.raises(anthropic.APIStatusError, match="Overloaded") as caught:
        anthropic_client.messages.create(model="claude", max_tokens=50, messages=QUESTION)
    assert caught.value.status_code == 529


def test_a_wrong_key_is_turned_away(provider: Provider, openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        openai_client.with_options(api_key="sk-wrong").chat.completions.create(model="gpt", messages=QUESTION)


def test_a_request_without_a_script_says_so(provider: Provider, openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="no script"):
        openai_client.chat.completions.create(model="gpt", messages=QUESTION)


def test_a_stream_that_breaks_raises(provider: Provider, anthropic_client: anthropic.Anthropic) -> None:
    provider.script(Answer.of("one", "two", "three", break_after=2))
    got: list[str] = []
    with pytest.raises(Exception, match=r"(?i)peer closed|incomplete"):  # noqa: PT012
        for event in anthropic_client.messages.create(
            model="claude", max_tokens=50, messages=QUESTION, stream=True
        ):
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                got.append(event.delta.text)
    assert got == ["one", "two"]


def test_an_error_comes_in_the_middle_of_a_stream(
    provider: Provider, anthropic_client: anthropic.Anthropic, openai_client: openai.OpenAI
) -> None:
    provider.script(Answer.of("one", "two", error_after=1), Answer.of("one", "two", error_after=1))
    with pytest.raises(anthropic.APIStatusError, match="overloaded"):
        list(anthropic_client.messages.create(model="claude", max_tokens=50, messages=QUESTION, stream=True))
    with pytest.raises(openai.APIError, match="overloaded"):
        list(openai_client.chat.completions.create(model="gpt", messages=QUESTION, stream=True))


def test_silence_lasts_until_the_client_gives_up(provider: Provider, openai_client: openai.OpenAI) -> None:
    provider.script(Silence())
    with pytest.raises(openai.APITimeoutError):
        openai_client.with_options(timeout=0.2).chat.completions.create(model="gpt", messages=QUESTION)
    provider.last().wait()
    assert provider.last().client_left


def test_a_client_that_leaves_is_noticed(provider: Provider, openai_client: openai.OpenAI) -> None:
    provider.script(Answer.of("one", "two", "three", gate=Gate(free=2)))
    stream = openai_client.chat.completions.create(model="gpt", messages=QUESTION, stream=True)
    next(stream)
    stream.close()
    provider.last().wait()
    assert provider.last().client_left


def test_the_clock_notes_each_chunk_before_it_can_arrive(
    provider: Provider, openai_client: openai.OpenAI
) -> None:
    gate = Gate(free=1)
    provider.script(Answer.of("one", "two", "three", gate=gate))
    arrivals = []
    for chunk in openai_client.chat.completions.create(model="gpt", messages=QUESTION, stream=True):
        if chunk.choices[0].delta.content:
            arrivals.append(time.perf_counter_ns())
            gate.let_through()
    writes = [write.at_ns for write in provider.last().content]
    assert len(writes) == len(arrivals) == 3
    assert all(write < arrival for write, arrival in zip(writes, arrivals, strict=True))
    assert all(arrival < write for arrival, write in zip(arrivals, writes[1:], strict=False))
    assert {write.channel for write in provider.last().content} == {Channel.TEXT}


def test_a_pace_is_kept(provider: Provider, openai_client: openai.OpenAI) -> None:
    provider.script(Answer.of("one", "two", "three", pace=Pace(first_s=0.03, gap_s=0.01, stalls_s={3: 0.04})))
    list(openai_client.chat.completions.create(model="gpt", messages=QUESTION, stream=True))
    exchange = provider.last()
    first, second, third = (write.at_ns for write in exchange.content)
    assert first - exchange.received_ns >= 30e6
    assert second - first >= 10e6
    assert third - second >= 50e6


def test_connections_are_kept_for_the_next_request(provider: Provider) -> None:
    url = urlsplit(provider.openai_url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port)
    try:
        for _ in range(2):
            connection.request("POST", f"{url.path}/chat/completions", body="{}")
            assert connection.getresponse().read()
        assert [exchange.status for exchange in provider.exchanges] == [401, 401]
    finally:
        connection.close()
