"""What goes wrong in the demonstration goes wrong in the real code, and ends as it should."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import OutputParserException
from langgraph.types import Command

from driftline.errors import ConfigurationError
from driftline_server.demo.app import require_document
from driftline_server.demo.errors import OverloadedError, RateLimitedError
from driftline_server.demo.models import claude_models
from driftline_server.demo.traffic import Action, planned_sessions

from .conftest import MakeApp


class Failures(BaseCallbackHandler):
    """Counts what failed, whether or not it was made good."""

    def __init__(self) -> None:
        self.llm: list[BaseException] = []
        self.tools: list[BaseException] = []

    def on_llm_error(self, error: BaseException, **_: Any) -> None:
        self.llm.append(error)

    def on_tool_error(self, error: BaseException, **_: Any) -> None:
        self.tools.append(error)


DOCUMENT = require_document("Buergschaft_Elbe.pdf")
INPUTS = {"question": "Key terms"}


def test_a_refused_call_is_made_again(make_demo: MakeApp) -> None:
    failures = Failures()
    found = make_demo(faults=(429,)).extract_terms(DOCUMENT).invoke(INPUTS, {"callbacks": [failures]})
    assert found["terms"]["amount"] == "EUR 15,000,000"
    assert [type(error) for error in failures.llm] == [RateLimitedError]


def test_three_refusals_reach_the_user(make_demo: MakeApp) -> None:
    with pytest.raises(RateLimitedError):
        make_demo(faults=(429, 429, 429)).extract_terms(DOCUMENT).invoke(INPUTS)


def test_an_overloaded_provider_reaches_the_user_at_once(make_demo: MakeApp) -> None:
    chain = make_demo(faults=(529,)).ask_document((DOCUMENT.file,))
    with pytest.raises(OverloadedError):
        list(chain.stream({"question": "When does it expire?", "history": []}))


def test_terms_that_are_cut_off_are_no_terms(make_demo: MakeApp) -> None:
    with pytest.raises(OutputParserException, match="no whole JSON object"):
        make_demo(max_tokens=60).extract_terms(DOCUMENT).invoke(INPUTS)


def test_a_tool_that_timed_out_once_is_called_again(make_demo: MakeApp) -> None:
    failures = Failures()
    agent = make_demo(fx_timeouts=1).calculate((DOCUMENT.file,))
    question = {"messages": [("human", "How much is EUR 1,000 in USD on 31.03.2026?")]}
    state = agent.invoke(question, {"callbacks": [failures]})
    assert "USD 1,158.50" in state["messages"][-1].text
    assert len(failures.tools) == 1


def test_a_letter_waits_for_a_person_and_then_goes_on(make_demo: MakeApp) -> None:
    async def draft() -> tuple[dict[str, Any], dict[str, Any]]:
        graph = make_demo().draft_notice(("Huur_Zeeman.pdf",), "De Vries Optiek B.V.")
        config: Any = {"configurable": {"thread_id": "one"}}
        drafted = await graph.ainvoke({"question": "Draft a letter to end the lease"}, config)
        return drafted, await graph.ainvoke(Command(resume="Approved by ada"), config)

    drafted, approved = asyncio.run(draft())
    assert drafted["__interrupt__"][0].value["question"] == "Send this letter?"
    assert drafted["answer"].startswith("To Zeeman Vastgoed B.V.")
    assert "three months to the end of a calendar quarter" in drafted["answer"]
    assert approved["answer"].startswith("Approved by ada")


def test_a_morning_has_every_kind_of_weather() -> None:
    sessions = planned_sessions(None)
    turns = [turn for session in sessions for turn in session.turns]
    assert 60 <= sum(turn.traces for turn in turns) <= 80
    assert {turn.action for turn in turns} == set(Action)
    assert any(turn.stall_s and turn.stall_s > 1 for turn in turns)
    assert any(turn.leaves_after for turn in turns)
    assert {status for turn in turns for status in turn.faults} == {429, 529}
    assert len({session.user for session in sessions}) >= 8
    assert len({session.release for session in sessions}) == 2
    assert {session.environment for session in sessions} == {"production", "staging"}
    assert any(session.threaded for session in sessions)


@pytest.mark.parametrize("wanted", [1, 12, 62, 150])
def test_as_many_traces_are_planned_as_are_wanted(wanted: int) -> None:
    planned = sum(turn.traces for session in planned_sessions(wanted) for turn in session.turns)
    assert wanted <= planned <= wanted + 1, "a letter is two traces"


def test_claude_without_a_key_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="set ANTHROPIC_API_KEY, or leave --live out"):
        claude_models()
