"""What happens inside a run: custom events, retries, steps of an agent executor."""

from __future__ import annotations

import asyncio
from typing import Any

from langchain_core.agents import AgentAction, AgentFinish
from langchain_core.callbacks import CallbackManager, adispatch_custom_event, dispatch_custom_event
from langchain_core.language_models import FakeListLLM
from langchain_core.language_models.llms import create_base_retry_decorator
from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel

from driftline.open_runs import MAX_EVENTS
from driftline.records import Kind, Status

from .conftest import Watched
from .models import ScriptedModel


def test_a_custom_event_belongs_to_the_run_that_it_happened_in(ticking: Watched) -> None:
    data = {"page": 4}

    def read(_: str) -> None:
        ticking.tick(20)
        dispatch_custom_event("page read", data)
        data["page"] = 5

    RunnableLambda(read, name="read").invoke("x", ticking.config())
    [event] = ticking.only(name="read").events
    assert (event.name, event.offset_ms, event.data) == ("page read", 20, {"page": 4})


def test_asynchronous_custom_events_too(watched: Watched) -> None:
    async def read(_: str) -> None:
        await adispatch_custom_event("page read", {"page": 4})

    asyncio.run(RunnableLambda(read, name="read").ainvoke("x", watched.config()))
    assert [event.name for event in watched.only(name="read").events] == ["page read"]


def test_the_events_of_a_run_are_bounded_and_the_rest_is_counted(watched: Watched) -> None:
    def tell(_: str) -> None:
        for n in range(MAX_EVENTS + 50):
            dispatch_custom_event("step", n)

    RunnableLambda(tell).invoke("x", watched.config())
    run = watched.only()
    assert len(run.events) == MAX_EVENTS
    assert run.metadata["events_left_out"] == 50


def test_an_event_may_hold_less_than_an_input(watched: Watched) -> None:
    def tell(_: str) -> None:
        dispatch_custom_event("page", {"text": "x" * 1_000_000})

    RunnableLambda(tell).invoke("x", watched.config())
    [event] = watched.only().events
    assert isinstance(event.data, dict)
    assert len(str(event.data["text"])) < 21_000


def test_a_retry_is_an_event_of_the_model_run(watched: Watched) -> None:
    tries: list[int] = []

    class Flaky(FakeListLLM):
        def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> str:
            @create_base_retry_decorator([ConnectionError], max_retries=3, run_manager=run_manager)
            def ask() -> str:
                tries.append(1)
                if len(tries) < 2:
                    raise ConnectionError("reset by peer")
                return "ok"

            ask.retry.sleep = lambda seconds: None
            return str(ask())

    Flaky(responses=["x"]).invoke("hi", watched.config())
    run = watched.only()
    [event] = run.events
    assert event.name == "retry"
    assert isinstance(event.data, dict)
    assert (event.data["attempt"], event.data["error"]) == (1, "ConnectionError")
    assert run.status is Status.OK


def test_each_attempt_of_with_retry_is_a_run(watched: Watched) -> None:
    model = ScriptedModel(script=[ConnectionError("reset by peer"), "ok"])
    steady = model.with_retry(wait_exponential_jitter=False, stop_after_attempt=2)
    steady.invoke("hi", watched.config())
    assert [run.status for run in watched.runs(kind=Kind.LLM)] == [Status.ERROR, Status.OK]


def test_the_steps_of_an_agent_executor_are_events(watched: Watched) -> None:
    # Its package, langchain-classic, is not installed; this is what it tells LangChain.
    serialized: Any = {"id": ["langchain_classic", "agents", "agent", "AgentExecutor"]}
    run = CallbackManager.configure([watched.handler]).on_chain_start(serialized, {"input": "1 + 2?"})
    run.on_agent_action(AgentAction("add", "1 + 2", "I must add"), color="green")
    run.on_text("3", color="yellow")
    run.on_agent_finish(AgentFinish({"output": "3"}, "done"), color="green", verbose=True)
    run.on_chain_end({"output": "3"})
    found = watched.only(kind=Kind.AGENT)
    assert [event.name for event in found.events] == ["agent_action", "text", "agent_finish"]
    action: Any = found.events[0].data
    assert (action["tool"], action["tool_input"], action["log"]) == ("add", "1 + 2", "I must add")


def test_text_that_a_chain_tells_is_an_event(watched: Watched) -> None:
    manager = CallbackManager.configure([watched.handler]).on_chain_start({}, {}, name="classic")
    manager.on_text("Prompt after formatting: hi")
    manager.on_chain_end({})
    assert [(event.name, event.data) for event in watched.only().events] == [
        ("text", "Prompt after formatting: hi")
    ]


def test_a_decision_model_is_a_model_with_its_usage(watched: Watched) -> None:
    # langchain-core 1.8 has such models; they are chains that call themselves ``llm``.
    from langchain_core.callbacks import CallbackManager

    class Answer(BaseModel):
        model: str
        usage: dict[str, int]

    metadata = {"ls_provider": "acme", "ls_model_name": "judge-1"}
    manager = CallbackManager.configure([watched.handler], inheritable_metadata=metadata)
    run = manager.on_chain_start({}, {"text": "hi"}, name="classify", run_type="llm")
    run.on_chain_end(
        Answer(model="judge-1-2099", usage={"input_tokens": 3, "output_tokens": 1, "total_tokens": 4})
    )
    found = watched.only(kind=Kind.LLM)
    assert (found.model_requested, found.provider, found.inputs) == ("judge-1", "acme", {"text": "hi"})
    assert found.model_answered == "judge-1-2099"
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.output_tokens) == (3, 1)
