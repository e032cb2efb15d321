"""Reads dates, money, percentages and durations as a document of a given country writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from driftline_server.demo.wording import plain_of

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july",
    "august", "september", "october", "november", "december",
)  # fmt: skip
_MONTH = "|".join(_MONTHS)
_DATE = re.compile(
    rf"\b(?:(?P<a>\d{{1,2}})[./-](?P<b>\d{{1,2}})[./-](?P<y>\d{{4}})|(?P<iso>\d{{4}}-\d{{2}}-\d{{2}})"
    rf"|(?P<d1>\d{{1,2}}) (?P<m1>{_MONTH}) (?P<y1>\d{{4}})"
    rf"|(?P<m2>{_MONTH}) (?P<d2>\d{{1,2}}), (?P<y2>\d{{4}}))\b",
    re.IGNORECASE,
)
_NUMBER = r"\d(?:[\d.,]|[\u00a0\u202f ](?=\d{3}\b))*\d(?:,-)?|\d"
_MONEY = re.compile(
    rf"(?P<before>EUR|GBP|USD|€|£|\$)\s?(?P<n1>{_NUMBER})(?P<million1> million)?"
    rf"|(?P<n2>{_NUMBER})(?P<million2> million)? (?P<after>EUR|euros?|GBP|USD|dollars?|pounds?)\b"
)
_CURRENCIES = {
    "€": "EUR",
    "£": "GBP",
    "$": "USD",
    "euro": "EUR",
    "euros": "EUR",
    "dollar": "USD",
    "dollars": "USD",
}
_PERCENT = re.compile(r"(?P<n>\d+(?:[.,]\d+)?)\s?%")
_COUNTS = {
    word: number
    for number, words in enumerate(
        (
            "one ein eine einem un une uno een",
            "two zwei deux due twee",
            "three drei trois tre drie",
            "four vier quatre quattro",
            "five funf cinq cinque vijf",
            "six sechs sei zes",
            "seven sieben sept sette zeven",
            "eight acht huit otto",
            "nine neun neuf nove negen",
            "ten zehn dix dieci tien",
            "eleven elf onze undici",
            "twelve zwolf douze dodici twaalf",
            "thirteen dreizehn treize tredici dertien",
            "fourteen vierzehn quatorze quattordici veertien",
            "fifteen funfzehn quinze quindici vijftien",
        ),
        start=1,
    )
    for word in words.split()
}
_UNITS = {
    word: unit
    for unit, words in (
        ("day", "day days tag tage tagen jour jours giorni dagen"),
        ("week", "week weeks woche wochen semaines"),
        ("month", "month months monat monate monaten mois mesi maand maanden"),
        ("year", "year years jahr jahre jahren ans anni jaar"),
    )
    for word in words.split()
}
_DURATION = re.compile(
    r"\b(?P<n>\d{1,3}|[A-Za-zÀ-ÿ]+) (?P<business>business )?(?P<unit>" + "|".join(_UNITS) + r")(?:['’]|\b)",
    re.IGNORECASE,
)


NOTICE_WORDS = r"notice|Frist|préavis|preavviso"
"""What stands beside the duration of a notice period."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount with its currency."""

    currency: str
    amount: Decimal
    millions: bool = False
    """Written as ``88.6 million``, and so shown."""

    def __str__(self) -> str:
        if self.millions:
            return f"{self.currency} {self.amount / 1_000_000:,} million"
        return f"{self.currency} {self.amount:,.{0 if self.amount == int(self.amount) else 2}f}"


def find_dates(text: str, country: str) -> list[date]:
    """The dates of a text; ``03/09/2026`` is in March for ``US`` and in September elsewhere."""
    return [day for match in _DATE.finditer(text) if (day := _read_date(match, country))]


def spell_dates(text: str, country: str) -> str:
    """The text with its dates written so that nobody can misread them."""

    def spell(match: re.Match[str]) -> str:
        day = _read_date(match, country)
        return say_date(day) if day else match.group()

    return _DATE.sub(spell, text)


def _read_date(match: re.Match[str], country: str) -> date | None:
    if match["iso"]:
        year, month, day = map(int, match["iso"].split("-"))
    elif match["y"]:
        first, second, year = int(match["a"]), int(match["b"]), int(match["y"])
        day, month = (second, first) if country == "US" else (first, second)
    else:
        day, year = int(match["d1"] or match["d2"]), int(match["y1"] or match["y2"])
        month = _MONTHS.index((match["m1"] or match["m2"]).lower()) + 1
    try:
        return date(year, month, day)
    except ValueError:
        return None


def find_money(text: str) -> list[Money]:
    """The amounts of a text, whatever separators they use."""
    found: list[Money] = []
    for match in _MONEY.finditer(text):
        written = match["before"] or match["after"]
        millions = bool(match["million1"] or match["million2"])
        amount = read_number(match["n1"] or match["n2"]) * (1_000_000 if millions else 1)
        currency = _CURRENCIES.get(written, "GBP" if written.startswith("pound") else written)
        found.append(Money(currency, amount, millions))
    return found


def find_percentages(text: str) -> list[Decimal]:
    """The percentages of a text."""
    return [read_number(match["n"]) for match in _PERCENT.finditer(text)]


def find_durations(text: str, near: str = "") -> list[str]:
    """The durations of a text in English, such as ``3 months`` for ``drei Monaten``.

    ``near`` is a pattern: the durations that stand closest to it come first.
    """
    places = [match.start() for match in re.finditer(near, text, re.IGNORECASE)] if near else []
    found: list[tuple[int, str]] = []
    for match in _DURATION.finditer(text):
        count = int(match["n"]) if match["n"].isdigit() else _COUNTS.get(plain_of(match["n"]))
        if count is not None:
            unit = (match["business"] or "") + _UNITS[match["unit"].lower()]
            distance = min((abs(place - match.start()) for place in places), default=0)
            found.append((distance, f"{count} {unit}{'' if count == 1 else 's'}"))
    return [duration for _, duration in sorted(found, key=lambda pair: pair[0])]


def read_number(written: str) -> Decimal:
    """Read a number written with any thousands separator and either decimal mark."""
    text = re.sub(r"[\u00a0\u202f ]|,-$", "", written)
    marks = [each for each in text if each in ".,"]
    if len(set(marks)) == 2:
        text = text.replace("," if marks[-1] == "." else ".", "").replace(",", ".")
    elif marks and (len(marks) > 1 or len(text.rpartition(marks[0])[2]) == 3):
        text = text.replace(marks[0], "")
    else:
        text = text.replace(",", ".")
    return Decimal(text)


def say_date(day: date) -> str:
    """A date that nobody can misread: ``4 March 2026``."""
    return f"{day.day} {_MONTHS[day.month - 1].capitalize()} {day.year}"
