"""Extracts the key terms of a document from its passages: parties, amounts, dates, rates, periods, law."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from driftline_server.demo.reading import CitedPassage, rank_sentences
from driftline_server.demo.values import (
    NOTICE_WORDS,
    find_dates,
    find_durations,
    find_money,
    find_percentages,
)

FIELDS_BY_TYPE: dict[str, tuple[str, ...]] = {
    "loan": ("lender", "borrower", "amount", "interest", "signed", "ends", "notice", "governing_law"),
    "amendment": ("lender", "borrower", "signed", "fee", "governing_law"),
    "lease": ("landlord", "tenant", "rent", "starts", "ends", "notice", "deposit", "governing_law"),
    "guarantee": ("guarantor", "beneficiary", "amount", "signed", "ends", "governing_law"),
    "insurance": ("insurer", "insured", "sum_insured", "deductible", "premium", "starts", "ends", "notice"),
    "report": ("revenue", "ebitda", "debt", "outlook"),
}
"""What is wanted of each type of document."""

_SUFFIX = (
    r"(?:GmbH & Co\. KG|GmbH|AG|SE|eG|SAS|SA|S\.p\.A\.|S\.r\.l\.|"
    r"B\.V\.|N\.V\.|plc|Ltd|LLP|Inc\.|LLC|Corp\.|DAC)"
)
_NAME = rf"(?P<name>(?:[A-ZÀ-Ý][\w'’-]* (?:(?:di|du|de|des|della|et|&) )*)+{_SUFFIX})"
_PLACE = r"(?:, [A-ZÀ-Ý][\w' -]+?)?"
_ROLES = {
    "lender": "Lender", "borrower": "Borrower", "landlord": "Landlord|Lessor", "tenant": "Tenant|Lessee",
    "guarantor": "Guarantor", "beneficiary": "Beneficiary", "insurer": "Insurer", "insured": "Insured",
}  # fmt: skip
_LAWS = {
    r"german law|deutsches recht": "Germany",
    r"french law|droit français": "France",
    r"italian law|legge italiana": "Italy",
    r"dutch law|nederlands recht": "the Netherlands",
    r"irish law": "Ireland",
    r"law of england and wales": "England and Wales",
    r"laws of the state of new york": "New York",
    r"laws of the state of oregon": "Oregon",
}
Find = Callable[[CitedPassage, str], str | None]


@dataclass(frozen=True, slots=True)
class Term:
    """One value and the number of the passage that says it."""

    value: str
    source: int


@dataclass(frozen=True, slots=True)
class _Search:
    """What a sentence must speak of, and how the value is read out of it."""

    about: tuple[str, ...]
    find: Find
    unless: str = ""


def extract_terms(fields: Sequence[str], passages: Sequence[CitedPassage]) -> dict[str, Term | None]:
    """The wanted fields; ``None`` where the passages do not say."""
    return {field: _extract(field, passages) for field in fields}


def write_terms(terms: dict[str, Term | None]) -> str:
    """Terms as the JSON that the prompt asks for."""
    return json.dumps(
        {
            field: None if term is None else {"value": term.value, "source": term.source}
            for field, term in terms.items()
        },
        ensure_ascii=False,
        indent=1,
    )


def _extract(field: str, passages: Sequence[CitedPassage]) -> Term | None:
    if field in _ROLES:
        pattern = re.compile(rf"{_NAME}{_PLACE} \(the \"(?:{_ROLES[field]})\"\)")
        return _first_match(pattern, passages)
    if field == "governing_law":
        return _governing_law(passages)
    search = _SEARCHES.get(field)
    if search is None:
        return None
    for sentence in rank_sentences("", search.about, passages):
        if search.unless and re.search(search.unless, sentence.text, re.IGNORECASE):
            continue
        value = search.find(sentence.passage, sentence.text)
        if value:
            return Term(value, sentence.passage.number)
    return None


def _first_match(pattern: re.Pattern[str], passages: Sequence[CitedPassage]) -> Term | None:
    for passage in passages:
        match = pattern.search(passage.text)
        if match:
            return Term(match["name"], passage.number)
    return None


def _governing_law(passages: Sequence[CitedPassage]) -> Term | None:
    for passage in passages:
        for pattern, country in _LAWS.items():
            if re.search(pattern, passage.text, re.IGNORECASE):
                return Term(country, passage.number)
    return None


def _money(_: CitedPassage, text: str) -> str | None:
    money = find_money(text)
    if not money:
        return None
    rose = len(money) > 1 and re.search(r"\bfrom (?:EUR|GBP|USD|[€£$])", text)
    return str(money[1] if rose else money[0])


def _rent(passage: CitedPassage, text: str) -> str | None:
    money = _money(passage, text)
    period = re.search(r"(?P<month>month|mensile|mensuel|monatlich|maand)|(?P<year>year|annu|jähr)", text)
    return f"{money} a {period.lastgroup}" if money and period else money


def _first_date(passage: CitedPassage, text: str) -> str | None:
    return dates[0].isoformat() if (dates := find_dates(text, passage.country)) else None


def _last_date(passage: CitedPassage, text: str) -> str | None:
    return dates[-1].isoformat() if (dates := find_dates(text, passage.country)) else None


def _notice(_: CitedPassage, text: str) -> str | None:
    durations = find_durations(text, near=NOTICE_WORDS)
    return durations[0] if durations else None


def _rate(_: CitedPassage, text: str) -> str | None:
    rates = find_percentages(text)
    if not rates:
        return None
    base = re.search(r"three-month EURIBOR|EURIBOR|SONIA|Term SOFR", text)
    return f"{base.group()} + {rates[0]} %" if base else f"{rates[0]} % fixed"


def _money_range(_: CitedPassage, text: str) -> str | None:
    return " to ".join(dict.fromkeys(map(str, find_money(text)[:2]))) or None


_SEARCHES: dict[str, _Search] = {
    "amount": _Search(("#amount", "loan", "darlehen", "pret"), _money, unless=r"tranche|instal|deposit"),
    "interest": _Search(("#interest", "bear"), _rate, unless=r"late payment|default"),
    "signed": _Search(("#signed", "made", "enter"), _first_date, unless=r"^(?:the )?(?:lease|term) starts"),
    "starts": _Search(("#starts",), _first_date),
    "ends": _Search(("#ends",), _last_date, unless=r"drawn|instalment|if both parties|rate of"),
    "notice": _Search(("#notice",), _notice, unless=r"inspect|renewed"),
    "rent": _Search(("#rent",), _rent, unless=r"deposit|remaining"),
    "deposit": _Search(("#deposit",), _money),
    "fee": _Search(("#fee",), _money),
    "sum_insured": _Search(("#insured", "sum", "versicherungssumm"), _money),
    "deductible": _Search(("#deductible",), _money),
    "premium": _Search(("#premium", "annual"), _money),
    "revenue": _Search(("#revenue", "grew"), _money),
    "ebitda": _Search(("#ebitda",), _money, unless=r"expect|lower"),
    "debt": _Search(("#debt", "net", "total"), _money),
    "outlook": _Search(("#outlook",), _money_range),
}
