"""What the application answers is what the documents say."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from driftline_server.demo.app import DocumentApp, messages_of, require_document
from driftline_server.demo.documents import load_documents
from driftline_server.demo.reading import NOT_SAID

from .conftest import MakeApp

HERE = Path(__file__).parent
ANSWERS: list[dict[str, str]] = json.loads((HERE / "expected_answers.json").read_text("utf-8"))
TERMS: dict[str, dict[str, str | None]] = json.loads((HERE / "expected_terms.json").read_text("utf-8"))


def ask(app: DocumentApp, file: str, question: str, history: list[tuple[str, str]] | None = None) -> str:
    chain = app.ask_document((file,), follow_up=bool(history))
    answer: str = chain.invoke({"question": question, "history": messages_of(history or [])})
    return answer


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: f"{case['file']}: {case['question']}")
def test_a_question_is_answered_from_the_document(make_demo: MakeApp, case: dict[str, str]) -> None:
    answer = ask(make_demo(), case["file"], case["question"])
    assert case["answer"] in answer
    assert answer.startswith(NOT_SAID) or re.search(r"\[\d\]", answer), "every answer cites its passage"


@pytest.mark.parametrize("file", sorted(TERMS))
def test_the_key_terms_are_those_of_the_document(make_demo: MakeApp, file: str) -> None:
    found = make_demo().extract_terms(require_document(file)).invoke({"question": f"Key terms of {file}"})
    assert found["terms"] == TERMS[file]


def test_every_document_has_expected_terms() -> None:
    assert set(TERMS) == {document.file for document in load_documents()}


def test_the_older_prompt_leaves_dates_as_they_are_written(make_demo: MakeApp) -> None:
    question = "When does the term loan mature?"
    older = make_demo(answer_version="v13")
    assert "09/03/2031" in ask(older, "Term_Loan_Tamarack.pdf", question)
    assert "3 September 2031" in ask(make_demo(answer_version="v14"), "Term_Loan_Tamarack.pdf", question)


def test_a_follow_up_question_is_understood_by_what_was_asked_before(make_demo: MakeApp) -> None:
    history = [("What is the notice period for the tenant?", "Three months [1].")]
    assert "twelve months" in ask(make_demo(), "Huur_Zeeman.pdf", "And for the landlord?", history)


@pytest.mark.parametrize(
    ("file", "question", "said"),
    [
        (
            "Kreditvertrag_Nordwind.pdf",
            "How much is the Nordwind loan in USD and GBP on 31.03.2026?",
            ("USD 49,236,250 at 1.1585", "GBP 36,932,500 at 0.8690", "31 March 2026"),
        ),
        (
            "Bridge_Loan_Corrib.pdf",
            "How many days are there from signing to maturity of the Corrib bridge loan?",
            ("From 20 January 2026 to 20 January 2027 there are 365 days",),
        ),
        (
            "Mutuo_Aurora.pdf",
            "How much interest is due on the Aurora loan from 05/05/2026 to 05/11/2026?",
            ("EUR 125,733.33", "4.10 % on EUR 6,000,000 for 184 days, act/360"),
        ),
        ("Huur_Zeeman.pdf", "How much is EUR 250,000 in PLN?", ("no rate for PLN",)),
        ("Huur_Zeeman.pdf", "How much is the rent in USD on 30.01.2026?", ("USD 9,835.80",)),
    ],
)
def test_the_agent_calculates_with_its_tools(
    make_demo: MakeApp, file: str, question: str, said: tuple[str, ...]
) -> None:
    state: dict[str, Any] = make_demo().calculate((file,)).invoke({"messages": [("human", question)]})
    assert all(words in state["messages"][-1].text for words in said)


@pytest.mark.parametrize(
    ("group", "question", "said"),
    [
        (
            "nordwind",
            "Which covenants of Nordwind are tested next, and when?",
            ("3.50 times EBITDA", "moved from 31 December 2026 to 30 June 2027"),
        ),
        (
            "aurora",
            "Which covenants must Aurora meet, and what are its net debt and interest cover?",
            ("must not exceed 2.75 times", "Net debt at 31 December 2025 was EUR 31.4 million"),
        ),
        (
            "tamarack",
            "Which covenants must Tamarack meet, and what is its total leverage?",
            ("must not exceed 3.25 times", "total leverage was 2.68 times"),
        ),
    ],
)
def test_covenants_are_set_beside_the_figures_of_the_group(
    make_demo: MakeApp, group: str, question: str, said: tuple[str, ...]
) -> None:
    documents = [document for document in load_documents() if document.group == group]
    answer: str = make_demo().check_covenants(documents).invoke({"question": question})
    assert all(words in answer for words in said)


def test_the_terms_of_all_loans_make_a_table(make_demo: MakeApp) -> None:
    loans = [document for document in load_documents() if document.type == "loan"]
    found = asyncio.run(make_demo().portfolio_terms(loans).ainvoke({"question": "all loans"}))
    assert [row["file"] for row in found["rows"]] == [loan.file for loan in loans]
    assert "Lening_Waterlinie.pdf: EUR 1,250,000, 4.80 % fixed, ends 2036-01-31" in found["answer"]
