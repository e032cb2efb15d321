"""Decides which tool to call next for a calculation, and puts the results into a sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from driftline_server.demo.reading import CitedPassage, read_passages
from driftline_server.demo.terms import Term, extract_terms
from driftline_server.demo.values import (
    Money,
    find_dates,
    find_money,
    find_percentages,
    read_number,
    say_date,
)

_TARGETS = re.compile(r"\b(?:in|into|to) ((?:[A-Z]{3}(?:, | and )?)+)")
_DEFAULT_DAY = date(2026, 10, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """A call that was made and what came back."""

    name: str
    arguments: dict[str, Any]
    content: str
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCall:
    """A call to make now; calls planned together may run together."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What the question and the passages found so far say."""

    question: str
    money: Money | None
    dates: tuple[date, ...]
    rate: Decimal | None
    passages: tuple[CitedPassage, ...]
    sources: tuple[int, ...]


def plan_calls(question: str, results: Sequence[ToolResult]) -> list[PlannedCall]:
    """The calls that are needed before the question can be answered; empty when it can be."""
    searched = [result for result in results if result.name == "search_documents"]
    facts = _facts(question, searched)
    if not searched and _needs_search(question, facts):
        return [PlannedCall(name="search_documents", arguments={"query": question})]
    wanted = [*_conversions(facts), *_spans(facts), *_interests(facts)]
    made = [(result.name, result.arguments) for result in results]
    return [call for call in wanted if (call.name, call.arguments) not in made]


def say_results(question: str, results: Sequence[ToolResult]) -> str:
    """The answer, from the results of the tools alone."""
    facts = _facts(question, [result for result in results if result.name == "search_documents"])
    cited = "".join(f" [{number}]" for number in sorted(facts.sources))
    sentences = [sentence for result in results if (sentence := _say_result(result, facts, cited))]
    return " ".join(sentences) or "The passages do not say enough to calculate this."


def _facts(question: str, searched: Sequence[ToolResult]) -> _Facts:
    passages = tuple(passage for result in searched for passage in read_passages(result.content))
    money, dates, rates = find_money(question), find_dates(question, "UK"), find_percentages(question)
    terms = extract_terms(("amount", "rent", "signed", "starts", "ends", "interest"), passages)
    amount = terms["rent"] if re.search(r"\brent\b", question) else terms["amount"] or terms["rent"]
    used: list[Term] = []
    if not money and amount:
        money = find_money(amount.value)
        used.append(amount)
    if len(dates) < 2 and "days" in question:
        bounds = [term for term in (terms["starts"] or terms["signed"], terms["ends"]) if term]
        dates = dates or [date.fromisoformat(term.value) for term in bounds]
        used.extend(bounds)
    if not rates and "interest" in question and terms["interest"] and "fixed" in terms["interest"].value:
        rates = find_percentages(terms["interest"].value)
        used.append(terms["interest"])
    return _Facts(
        question=question,
        money=money[0] if money else None,
        dates=tuple(dates),
        rate=rates[0] if rates else None,
        passages=passages,
        sources=tuple(dict.fromkeys(term.source for term in used)),
    )


def _needs_search(question: str, facts: _Facts) -> bool:
    if "days" in question:
        return len(facts.dates) < 2
    return facts.money is None or ("interest" in question and facts.rate is None)


def _conversions(facts: _Facts) -> list[PlannedCall]:
    match = _TARGETS.search(facts.question)
    if not match or not facts.money:
        return []
    on = facts.dates[0] if facts.dates else _DEFAULT_DAY
    return [
        PlannedCall(
            name="fx_rate",
            arguments={
                "base": facts.money.currency,
                "quote": quote,
                "amount": str(facts.money.amount),
                "on": on.isoformat(),
            },
        )
        for quote in re.findall(r"[A-Z]{3}", match[1])
    ]


def _spans(facts: _Facts) -> list[PlannedCall]:
    if "days" not in facts.question or len(facts.dates) < 2:
        return []
    start, end = facts.dates[0].isoformat(), facts.dates[1].isoformat()
    return [PlannedCall(name="days_between", arguments={"start": start, "end": end})]


def _interests(facts: _Facts) -> list[PlannedCall]:
    if "interest" not in facts.question or not facts.money or facts.rate is None or len(facts.dates) < 2:
        return []
    said = facts.question + " ".join(passage.text for passage in facts.passages)
    basis = "act/360" if re.search(r"over 360|act/360", said) else "act/365"
    return [
        PlannedCall(
            name="interest_for_period",
            arguments={
                "principal": str(facts.money.amount),
                "rate_percent": str(facts.rate),
                "start": facts.dates[0].isoformat(),
                "end": facts.dates[1].isoformat(),
                "basis": basis,
            },
        )
    ]


def _say_result(result: ToolResult, facts: _Facts, cited: str) -> str:
    if result.name == "search_documents":
        return ""
    if result.failed:
        return f"This could not be converted: {_plain(result.content)}."
    if result.name == "days_between":
        start, end = (say_date(date.fromisoformat(str(result.arguments[key]))) for key in ("start", "end"))
        return f"From {start} to {end} there are {int(result.content):,} days{cited}."
    found = json.loads(result.content)
    if result.name == "fx_rate":
        day = say_date(date.fromisoformat(found["rate_of"]))
        converted = Money(found["quote"], read_number(found["converted"]))
        return f"{facts.money}{cited} is {converted} at {found['rate']}, the rate of {day}."
    interest = Money(facts.money.currency if facts.money else "", read_number(found["interest"]))
    made_of = f"{facts.rate} % on {facts.money} for {found['days']} days, {found['basis']}"
    return f"The interest is {interest}: {made_of}{cited}."


def _plain(content: str) -> str:
    """The reason at the end of a tool's error message."""
    return content.strip().rstrip(".").splitlines()[-1][:200]
