"""An answer out of the application's own cache was not bought again."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.messages import HumanMessage
from stand_ins.provider import Answer, Provider, Tokens

from driftline.records import Run
from providers.models import Models
from providers.recording import Recording

QUESTION = [HumanMessage("When does it mature?")]
ANSWER = Answer.of("In 2031.", tokens=Tokens(uncached=20, output=5))
EVERYONE = pytest.mark.parametrize("maker", ["openai", "responses", "anthropic"])


def assert_bought_once(runs: list[Run]) -> None:
    bought, cached = runs
    assert bought.usage is not None
    assert cached.usage is not None
    # The cache hit edits the very object that the first run reported; the first record must not notice.
    assert (bought.usage.input_tokens, bought.usage.output_tokens) == (20, 5)
    assert not bought.usage.from_cache
    assert cached.usage.from_cache
    assert cached.answers == bought.answers


@EVERYONE
def test_a_cache_hit_is_marked(maker: str, provider: Provider, models: Models, recording: Recording) -> None:
    provider.script(ANSWER)
    model = models.make(maker, cache=InMemoryCache())
    model.invoke(QUESTION, recording.config)
    model.invoke(QUESTION, recording.config)
    assert len(provider.exchanges) == 1
    assert_bought_once(recording.model_runs())


@EVERYONE
def test_an_async_cache_hit_is_marked(
    maker: str, provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(ANSWER)
    model = models.make(maker, cache=InMemoryCache())

    async def ask_twice() -> None:
        await model.ainvoke(QUESTION, recording.config)
        await model.ainvoke(QUESTION, recording.config)

    models.run(ask_twice())
    assert len(provider.exchanges) == 1
    assert_bought_once(recording.model_runs())


def test_a_hit_in_another_cache_of_the_same_answer_is_marked_each_time(
    provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(ANSWER)
    model = models.openai(cache=InMemoryCache())
    for _ in range(4):
        model.invoke(QUESTION, recording.config)
    usages = [run.usage for run in recording.model_runs()]
    assert [usage.from_cache for usage in usages if usage] == [False, True, True, True]


def test_two_equal_questions_at_once_are_two_purchases(
    provider: Provider, models: Models, recording: Recording
) -> None:
    provider.script(ANSWER, ANSWER)
    model = models.anthropic()

    async def ask_both() -> None:
        asked = (model.ainvoke(QUESTION, recording.config) for _ in range(2))
        await asyncio.gather(*asked)

    models.run(ask_both())
    usages = [run.usage for run in recording.model_runs()]
    assert [usage.from_cache for usage in usages if usage] == [False, False]
