"""The same application with Claude in place of the local model, against a stand-in that speaks its API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from stand_ins.provider import Answer, Failure, Provider, ToolUse

from driftline_server.demo.app import DocumentApp, Wiring, require_document
from driftline_server.demo.models import CLAUDE, SMALL_CLAUDE, claude_models
from driftline_server.demo.pace import Pace

TERMS = {"guarantor": {"value": "Nordwind Holding SE", "source": 1}, "amount": None}


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with Provider() as provider:
        monkeypatch.setenv("ANTHROPIC_API_KEY", provider.key)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.anthropic_url)
        yield provider


@pytest.fixture
def app(provider: Provider) -> DocumentApp:
    pace = Pace(seed="live", scale=0.0)
    return DocumentApp(Wiring(models=claude_models().make(pace, (), 256), pace=pace))


def test_a_question_goes_to_claude_with_the_passages(app: DocumentApp, provider: Provider) -> None:
    provider.script(Answer.of("On 30 June 2033 [1]."))
    chain = app.ask_document(("Buergschaft_Elbe.pdf",))
    assert (
        "".join(chain.stream({"question": "When does it expire?", "history": []})) == "On 30 June 2033 [1]."
    )
    asked = provider.last().body
    assert asked["model"] == CLAUDE
    assert "Die Bürgschaft ist befristet" in json.dumps(asked, ensure_ascii=False)


def test_terms_are_read_from_claudes_json_even_in_a_fence(app: DocumentApp, provider: Provider) -> None:
    provider.script(Answer.of("parties\n", "amount"), Answer.of("```json\n", json.dumps(TERMS), "\n```"))
    found: dict[str, Any] = app.extract_terms(require_document("Buergschaft_Elbe.pdf")).invoke(
        {"question": "?"}
    )
    assert found["terms"] == {"guarantor": "Nordwind Holding SE", "amount": None}
    assert [exchange.body["model"] for exchange in provider.exchanges] == [SMALL_CLAUDE, CLAUDE]


def test_claude_calls_the_tools_of_the_agent(app: DocumentApp, provider: Provider) -> None:
    call = ToolUse.of("days_between", start="2026-01-20", end="2027-01-20")
    provider.script(Answer(blocks=(call,)), Answer.of("365 days."))
    state = app.calculate(("Bridge_Loan_Corrib.pdf",)).invoke({"messages": [("human", "How many days?")]})
    assert [message.text for message in state["messages"][-2:]] == ["365", "365 days."]
    assert {tool["name"] for tool in provider.last().body["tools"]} >= {"fx_rate", "days_between"}


def test_what_claude_refuses_is_a_failure_that_the_demo_expects(app: DocumentApp, provider: Provider) -> None:
    provider.script(Failure(status=400, message="too long"))
    with pytest.raises(claude_models().failures, match="too long"):
        app.ask_document(("Buergschaft_Elbe.pdf",)).invoke({"question": "When?", "history": []})


def test_an_invented_source_is_refused(app: DocumentApp, provider: Provider) -> None:
    terms = {"guarantor": {"value": "Somebody", "source": 99}}
    provider.script(Answer.of("parties"), Answer.of(json.dumps(terms)))
    with pytest.raises(ValueError, match="guarantor cites passage 99"):
        app.extract_terms(require_document("Buergschaft_Elbe.pdf")).invoke({"question": "?"})
