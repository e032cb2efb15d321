"""What the provider refuses, drops or never answers is told, and nothing secret is told with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from stand_ins.provider import Answer, Failure, Provider, Silence, Tokens

from driftline.records import Kind, Status
from driftline.wire import encode_run
from providers import modes
from providers.models import Models
from providers.modes import Drive, Mode
from providers.recording import Recording

pytestmark = modes.QUIET
QUESTION = [HumanMessage("When does it mature?")]
SOON = {"retry-after": "1", "retry-after-ms": "1"}
EVERYONE = pytest.mark.parametrize("maker", ["openai", "responses", "anthropic"])
HEADERS = ("set-cookie", "ratelimit-", "request-id", "processing-ms", "authorization", "x-api-key")


def written(recording: Recording) -> str:
    """All that would leave the process, as it would."""
    return json.dumps([encode_run(run) for run in recording.runs()]).lower()


@EVERYONE
@pytest.mark.parametrize(
    ("status", "mode"),
    [(status, modes.invoke) for status in (400, 401, 404, 429, 500, 529)]
    + [(429, mode) for mode in (modes.stream, modes.ainvoke, modes.astream, modes.stream_events_v3)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_failure_is_told_with_its_stack_and_nothing_of_its_headers(
    maker: str,
    status: int,
    mode: Mode,
    provider: Provider,
    models: Models,
    recording: Recording,
    drive: Drive,
) -> None:
    provider.script(Failure(status=status, message="No such luck.", headers=SOON))
    with pytest.raises(Exception, match="No such luck"):
        drive(mode, models.make(maker), QUESTION)
    run = recording.only(kind=Kind.LLM)
    assert run.status is Status.ERROR
    assert run.error is not None
    assert "Error" in run.error.type
    assert run.error.type.partition(".")[0] in (
        "openai",
        "anthropic",
        "langchain_openai",
        "langchain_anthropic",
    )
    assert "No such luck." in run.error.message
    assert "Traceback (most recent call last)" in run.error.stack
    assert run.duration_ms is not None
    assert run.timeline is None
    sent = written(recording)
    assert provider.cookie not in sent
    assert provider.key not in sent
    assert not [name for name in HEADERS if name in sent]


@EVERYONE
def test_the_key_is_in_no_run(maker: str, provider: Provider, models: Models, recording: Recording) -> None:
    """Neither where a call succeeds, nor where a key is refused, nor from headers that the user adds."""
    provider.script(Answer(), Answer())
    secret = {"default_headers": {"x-tenant-secret": "hunter2-header"}}
    models.make(maker, **secret).invoke(QUESTION, recording.config)
    list(models.make(maker, **secret).stream(QUESTION, recording.config))
    with pytest.raises(Exception, match="Incorrect API key"):
        models.make(maker, api_key="sk-wr0ng-key").invoke(QUESTION, recording.config)
    sent = written(recording)
    assert len(recording.model_runs()) == 3
    assert not [each for each in (provider.key, "sk-wr0ng-key", "hunter2-header") if each in sent]


@pytest.mark.parametrize("maker", ["openai", "responses"])
@modes.over((modes.invoke, modes.stream, modes.ainvoke, modes.astream))
def test_headers_that_the_client_hands_over_stay_at_home(
    maker: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    """With ``include_response_headers`` the message itself carries cookies through all of the chain."""
    provider.script(Answer())
    model = models.make(maker, include_response_headers=True)
    drive(mode, model | RunnableLambda(lambda message: [message]), QUESTION)
    sent = written(recording)
    assert len(recording.runs()) == 3
    assert provider.cookie not in sent
    assert not [name for name in HEADERS if name in sent]


@EVERYONE
@modes.over((modes.invoke, modes.stream, modes.ainvoke, modes.astream))
def test_retries_inside_the_sdk_are_one_run_with_one_usage(
    maker: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    """Callbacks never hear of them; they are part of the time to the first token."""
    provider.script(
        Failure(status=429, headers=SOON),
        Failure(status=500, headers=SOON),
        Answer.of("In 2031.", tokens=Tokens(uncached=20, output=5)),
    )
    drive(mode, models.make(maker, max_retries=2), QUESTION)
    assert [exchange.retry_count for exchange in provider.exchanges] == [0, 1, 2]
    run = recording.only()
    assert run.status is Status.OK
    assert run.usage is not None
    assert (run.usage.input_tokens, run.usage.output_tokens) == (20, 5)
    first, last = provider.exchanges[0], provider.exchanges[-1]
    assert run.duration_ms is not None
    assert run.duration_ms >= (last.received_ns - first.received_ns) / 1e6
    if run.timeline is not None:
        assert run.timeline.ttft_ms is not None
        assert run.timeline.ttft_ms >= (last.content[0].at_ns - first.received_ns) / 1e6


@EVERYONE
def test_a_provider_that_never_answers_ends_in_a_timeout(
    maker: str, provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(Silence())
    with pytest.raises(Exception, match=r"(?i)timed out"):
        models.make(maker, timeout=0.2).invoke(QUESTION, recording.config)
    run = recording.only(kind=Kind.LLM)
    assert run.status is Status.ERROR
    assert run.error is not None
    assert "Timeout" in run.error.type


@EVERYONE
@modes.over((modes.stream, modes.astream, modes.stream_events_v3, modes.astream_events_v3))
def test_a_stream_that_breaks_keeps_what_had_come(
    maker: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    provider.script(Answer.of("It", " matures", " in 2031.", break_after=2))
    with pytest.raises(Exception, match=r"(?i)peer closed|incomplete|connection"):
        drive(mode, models.make(maker), QUESTION)
    run = recording.only(kind=Kind.LLM)
    assert run.status is Status.ERROR
    assert run.error is not None
    assert run.error.stack
    assert text_of(run.answers or run.outputs) == "It matures"
    assert run.timeline is not None
    assert run.timeline.chunks == 2
    assert run.usage is None or run.usage.input_tokens is None


@EVERYONE
@modes.over((modes.stream, modes.astream))
def test_an_error_in_the_middle_of_a_stream_keeps_what_had_come(
    maker: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    provider.script(Answer.of("It", " matures", " in 2031.", error_after=1))
    with pytest.raises(Exception, match="overloaded"):
        drive(mode, models.make(maker), QUESTION)
    run = recording.only(kind=Kind.LLM)
    assert run.status is Status.ERROR
    assert run.error is not None
    assert "overloaded" in run.error.message
    assert text_of(run.answers or run.outputs) == "It"
    assert run.timeline is not None
    assert run.timeline.chunks == 1


def test_a_chain_tells_the_failure_of_its_model_once_each(
    provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(Failure(status=500))
    chain = ChatPromptTemplate.from_template("{question}") | models.openai()
    with pytest.raises(Exception, match="server had an error"):
        chain.invoke({"question": "When?"}, recording.config)
    failed = [run for run in recording.runs() if run.status is Status.ERROR]
    assert {run.kind for run in failed} == {Kind.CHAIN, Kind.LLM}
    assert len({run.trace_id for run in failed}) == 1


def text_of(found: Any) -> str:
    """The text of answers, or of outputs that hold nothing but text."""
    if isinstance(found, str):
        return found
    return "".join(part.text or "" for message in found for part in message.parts)
