"""One call, ten ways to make it, one record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.messages import HumanMessage, SystemMessage
from stand_ins.provider import Answer, Provider, Reasoning, Refusal, Text, Tokens

from driftline.guarding import failures
from driftline.records import Kind, Part, Provenance, Run, Status
from providers import modes
from providers.driving import driver
from providers.models import CLAUDE, GPT, Models
from providers.modes import Drive, Mode
from providers.recording import Recording

pytestmark = modes.QUIET
TOKENS = Tokens(uncached=10, cache_read=100, cache_write_5m=20, cache_write_1h=10, output=9, reasoning=4)
ANSWER = Answer.of("It matures", " in ", "2031.", tokens=TOKENS, model="answering-2099-01-01")
DIALOGUE = [SystemMessage("You explain bonds."), HumanMessage("When does it mature?")]
MAKERS = ("openai", "responses", "anthropic")
EVERYONE = pytest.mark.parametrize("maker", MAKERS)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a model, and its record."""

    maker: str
    mode: Mode
    run: Run


@pytest.fixture(
    scope="module",
    params=[(maker, mode) for maker in MAKERS for mode in modes.ALL],
    ids=lambda chosen: f"{chosen[0]}-{chosen[1].__name__}",
)
def call(request: pytest.FixtureRequest) -> Iterator[Call]:
    """Made once for all tests that look at it."""
    maker, mode = request.param
    recording = Recording()
    with Provider(ANSWER) as provider:
        models = Models(provider)
        driver(models, recording)(mode, models.make(maker), DIALOGUE)
        models.close()
    assert failures.counts == {}
    yield Call(maker, mode, recording.only(kind=Kind.LLM))
    recording.close()


def test_usage_is_the_same_in_every_mode(call: Call) -> None:
    usage = call.run.usage
    assert usage is not None
    assert usage.provenance is Provenance.REPORTED
    assert (usage.input_tokens, usage.output_tokens) == (140, 9)
    assert (usage.cache_read_tokens, usage.reasoning_tokens) == (100, 4)
    # Chat completions do not say what was written to their cache.
    assert usage.cache_write_tokens == (None if call.maker == "openai" else 30)
    assert not usage.from_cache


def test_cached_input_is_counted_once(call: Call) -> None:
    """Anthropic's raw 10, read 100, written 30 are 140 of input, of which 10 were uncached."""
    usage = call.run.usage
    assert usage is not None
    assert usage.input_tokens == 140
    assert usage.cache_read_tokens is not None
    uncached = usage.input_tokens - usage.cache_read_tokens - (usage.cache_write_tokens or 0)
    assert uncached == (40 if call.maker == "openai" else 10)


def test_writes_that_last_an_hour_are_kept_apart_where_the_provider_does(call: Call) -> None:
    usage = call.run.usage
    assert usage is not None
    # In a stream LangChain reads the usage of message_delta, which does not tell lifetimes apart.
    told_apart = call.maker == "anthropic" and call.mode in modes.WHOLE
    assert usage.cache_write_1h_tokens == (10 if told_apart else None)


def test_the_record_names_who_was_asked_and_who_answered(call: Call) -> None:
    run = call.run
    assert run.model_requested == (CLAUDE if call.maker == "anthropic" else GPT)
    assert run.model_answered == "answering-2099-01-01"
    assert run.provider == ("anthropic" if call.maker == "anthropic" else "openai")
    assert run.name == ("ChatAnthropic" if call.maker == "anthropic" else "ChatOpenAI")
    assert run.status is Status.OK


def test_the_fingerprint_holds_what_the_provider_gave_away(call: Call) -> None:
    fingerprint = call.run.fingerprint
    assert fingerprint is not None
    assert fingerprint.response_model == "answering-2099-01-01"
    assert fingerprint.system_fingerprint == ("fp_44709d6fcb" if call.maker == "openai" else None)
    prefix = {"openai": "chatcmpl-", "responses": "resp_", "anthropic": "msg_01"}[call.maker]
    # Streams of chat completions and messages lose the id inside LangChain; its own must not pass for it.
    lost = call.mode in modes.STREAMED and call.maker != "responses"
    assert fingerprint.response_id_prefix == (None if lost else prefix)


def test_the_dialogue_is_told_in_one_shape(call: Call) -> None:
    asked = [
        (message.role, [(part.type, part.text) for part in message.parts]) for message in call.run.messages
    ]
    assert asked == [
        ("system", [("text", "You explain bonds.")]),
        ("user", [("text", "When does it mature?")]),
    ]
    (answer,) = call.run.answers
    assert answer.role == "assistant"
    assert [(part.type, part.text) for part in answer.parts] == [("text", "It matures in 2031.")]


@pytest.mark.parametrize("tier", ["flex", "priority"])
@pytest.mark.parametrize("maker", ["openai", "responses"])
@modes.over((modes.invoke, modes.stream, modes.astream_events_v3))
def test_another_service_tier_counts_the_same_tokens(
    maker: str,
    tier: str,
    mode: Mode,
    provider: Provider,
    models: Models,
    recording: Recording,
    drive: Drive,
) -> None:
    """LangChain renames the details of these tiers, such as ``flex_cache_read``."""
    provider.script(replace(ANSWER, tier=tier))
    drive(mode, models.make(maker), DIALOGUE)
    usage = recording.only(kind=Kind.LLM).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (140, 9)
    assert (usage.cache_read_tokens, usage.reasoning_tokens) == (100, 4)
    assert usage.cache_write_tokens == (None if maker == "openai" else 30)


@EVERYONE
@modes.over(modes.ALL)
def test_a_refusal_is_told_in_the_answer(
    maker: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    provider.script(Answer(blocks=(Refusal(("I cannot", " help with that.")),)))
    drive(mode, models.make(maker), DIALOGUE)
    run = recording.only(kind=Kind.LLM)
    assert run.status is Status.OK
    (answer,) = run.answers
    if (maker == "openai" and mode in modes.STREAMED) or (maker == "responses" and mode in modes.V3):
        # LangChain itself drops OpenAI's refusals here.
        assert answer.parts == ()
        return
    (part,) = answer.parts
    assert (part.type, part.text) == ("text", "I cannot help with that.")
    if maker == "anthropic":
        assert answer.extra["finish_reason"] == "refusal"
    else:
        assert part.extra == {"refusal": True}


@pytest.mark.parametrize(
    ("maker", "options"),
    [
        ("responses", {"reasoning": {"effort": "low", "summary": "auto"}}),
        ("anthropic", {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000}),
    ],
)
@modes.over(modes.ALL)
def test_thoughts_are_told_from_the_answer(
    maker: str,
    options: dict[str, Any],
    mode: Mode,
    provider: Provider,
    models: Models,
    recording: Recording,
    drive: Drive,
) -> None:
    provider.script(Answer(blocks=(Reasoning(("The bond", " matures.")), Text(("In ", "2031.")))))
    drive(mode, models.make(maker, **options), DIALOGUE)
    (answer,) = recording.only(kind=Kind.LLM).answers
    assert [(part.type, part.text) for part in answer.parts] == [
        ("reasoning", "The bond matures."),
        ("text", "In 2031."),
    ]


@pytest.mark.parametrize("mode", [modes.invoke, modes.ainvoke], ids=["invoke", "ainvoke"])
def test_two_choices_are_two_answers_and_one_usage(
    mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    other = (Text(("Or in 2032.",)),)
    provider.script(Answer.of("In 2031.", others=(other,), tokens=Tokens(uncached=20, output=14)))
    drive(mode, models.openai(n=2), DIALOGUE)
    run = recording.only(kind=Kind.LLM)
    assert [answer.parts for answer in run.answers] == [
        (Part(type="text", text="In 2031."),),
        (Part(type="text", text="Or in 2032."),),
    ]
    assert run.usage is not None
    assert (run.usage.input_tokens, run.usage.output_tokens) == (20, 14)


@modes.over((modes.stream, modes.astream))
def test_a_stream_of_two_choices_has_one_model_and_one_usage(
    mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    """LangChain joins the choices into one message, with all their names in a row."""
    other = (Text(("Or", " in 2032.")),)
    provider.script(Answer.of("In", " 2031.", others=(other,), model="gpt-4o-2099-01-01"))
    drive(mode, models.openai(n=2), DIALOGUE)
    run = recording.only(kind=Kind.LLM)
    assert run.model_answered == "gpt-4o-2099-01-01"
    assert run.fingerprint is not None
    assert run.fingerprint.system_fingerprint == "fp_44709d6fcb"
    assert run.usage is not None
    assert run.usage.output_tokens == 7


@EVERYONE
@modes.over((modes.stream, modes.astream))
def test_a_stream_that_ends_too_early_has_no_usage(
    maker: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    """The clients take it for complete; that nothing is known of its cost shows."""
    provider.script(Answer.of("In", " 2031", ".", end_after=2))
    drive(mode, models.make(maker), DIALOGUE)
    run = recording.only(kind=Kind.LLM)
    assert run.answers[0].parts[0].text == "In 2031"
    assert run.usage is not None
    assert run.usage.provenance is Provenance.MISSING
    assert run.usage.output_tokens is None


@pytest.mark.parametrize("how", ["unasked", "told not to"])
@modes.over(modes.STREAMED)
def test_a_stream_without_usage_says_that_it_is_missing(
    how: str, mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    """Off OpenAI's own address the client does not ask for usage by itself: nothing is known, not 0."""
    provider.script(ANSWER)
    drive(mode, models.openai(stream_usage=None if how == "unasked" else False), DIALOGUE)
    assert "stream_options" not in provider.last().body
    run = recording.only(kind=Kind.LLM)
    assert run.usage is not None
    assert run.usage.provenance is Provenance.MISSING
    assert run.usage.input_tokens is None
    assert run.usage.output_tokens is None
    assert run.cost is None


@modes.over((modes.invoke, modes.ainvoke, modes.stream, modes.astream))
def test_a_text_model_reports_its_usage_where_it_can(
    mode: Mode, provider: Provider, models: Models, recording: Recording, drive: Drive
) -> None:
    """The usage of a text model stands in ``llm_output`` alone, and a stream has none."""
    provider.script(ANSWER)
    drive(mode, models.text(), "When does it mature?")
    run = recording.only(kind=Kind.LLM)
    assert run.usage is not None
    known = (run.usage.provenance, run.usage.input_tokens, run.usage.output_tokens)
    if mode in (modes.invoke, modes.ainvoke):
        assert known == (Provenance.REPORTED, 140, 9)
    else:
        assert known == (Provenance.MISSING, None, None)
    assert run.answers[0].parts == (Part(type="text", text="It matures in 2031."),)
    assert run.messages[0].parts == (Part(type="text", text="When does it mature?"),)


def test_a_text_model_is_recorded_beside_the_handlers_of_others(
    provider: Provider, models: Models, recording: Recording
) -> None:
    """Beside an inline handler LangChain forgets the start of async text models, but not for inline ones."""

    class Inline(BaseCallbackHandler):
        run_inline = True

    class Waiting(AsyncCallbackHandler):
        """Not inline."""

    provider.script(ANSWER)
    callbacks = [Waiting(), Inline(), recording.handler]
    models.run(models.text().ainvoke("When does it mature?", {"callbacks": callbacks}))
    run = recording.only(kind=Kind.LLM)
    assert run.started_at is not None
    assert run.usage is not None
    assert run.usage.output_tokens == 9


def test_a_batch_is_one_trace_per_item(provider: Provider, models: Models, recording: Recording) -> None:
    provider.script(ANSWER, ANSWER, ANSWER)
    models.openai().batch(["a", "b", "c"], recording.config)
    runs = recording.model_runs()
    assert len({run.trace_id for run in runs}) == len(runs) == 3
    assert {run.messages[0].parts[0].text for run in runs} == {"a", "b", "c"}


def test_parameters_are_kept_and_secrets_are_not(
    provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(ANSWER, ANSWER)
    models.openai(temperature=0.2, max_completion_tokens=50).invoke(DIALOGUE, recording.config)
    models.anthropic(temperature=0.2).invoke(DIALOGUE, recording.config)
    for run in recording.model_runs():
        assert run.invocation_params["temperature"] == 0.2
