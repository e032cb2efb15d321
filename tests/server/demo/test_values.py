"""Dates, money, percentages and durations, as seven countries write them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_server.demo.values import (
    find_dates,
    find_durations,
    find_money,
    find_percentages,
    read_number,
    say_date,
    spell_dates,
)

DAYS = st.dates(date(1990, 1, 1), date(2060, 12, 31))


@given(DAYS)
def test_a_day_is_read_back_however_its_country_writes_it(day: date) -> None:
    for country, form in (("DE", "%d.%m.%Y"), ("FR", "%d/%m/%Y"), ("NL", "%d-%m-%Y"), ("US", "%m/%d/%Y")):
        assert find_dates(f"due on {day.strftime(form)}, at noon", country) == [day]
    assert find_dates(say_date(day), "UK") == [day]


def test_the_same_figures_are_another_day_in_america() -> None:
    assert find_dates("03/09/2026", "US") == [date(2026, 3, 9)]
    assert find_dates("03/09/2026", "UK") == [date(2026, 9, 3)]


def test_a_day_that_does_not_exist_is_no_date() -> None:
    assert find_dates("31.02.2026 and 12.13.2026", "DE") == []
    assert spell_dates("on 31.02.2026", "DE") == "on 31.02.2026"


def test_dates_are_spelled_so_that_nobody_can_misread_them() -> None:
    assert spell_dates("from 03/09/2026 on", "US") == "from 9 March 2026 on"


@given(st.integers(1, 10**9))
def test_an_amount_is_read_whatever_its_separators(amount: int) -> None:
    english = f"{amount:,}"
    for written in (
        f"EUR {english}",
        f"€ {english.replace(',', '.')},-",
        f"{english.replace(',', '.')},00 EUR",
        f"{english.replace(',', chr(0x202F))} euros",
        f"{english.replace(',', ' ')} euros",
    ):
        (money,) = find_money(f"a sum of {written}.")
        assert (money.currency, money.amount) == ("EUR", amount)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("£18,000,000", "GBP 18,000,000"),
        ("$148,300, payable", "USD 148,300"),
        ("EUR 88.6 million", "EUR 88.6 million"),
        ("EUR 0.11 each", "EUR 0.11"),
        ("2,2 milioni", ""),
    ],
)
def test_money_is_shown_with_its_currency(text: str, shown: str) -> None:
    assert "".join(map(str, find_money(text))) == shown


@pytest.mark.parametrize(
    ("written", "number"),
    [("2.35", "2.35"), ("5,1", "5.1"), ("1.000", "1000"), ("1.234,5", "1234.5"), ("1,234.5", "1234.5")],
)
def test_the_decimal_mark_is_told_from_the_thousands(written: str, number: str) -> None:
    assert read_number(written) == Decimal(number)


def test_percentages_are_read() -> None:
    assert find_percentages("a margin of 2.35 % and 0,90% more") == [Decimal("2.35"), Decimal("0.90")]


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("mit einer Frist von drei Monaten zum Monatsende", "3 months"),
        ("un préavis de deux mois", "2 months"),
        ("un preavviso di dodici mesi", "12 months"),
        ("with 30 days' written notice", "30 days"),
        ("five business days' notice", "5 business days"),
        ("one month's notice", "1 month"),
    ],
)
def test_durations_are_read_in_five_languages(text: str, duration: str) -> None:
    assert find_durations(text) == [duration]


def test_the_duration_beside_the_notice_comes_first() -> None:
    text = "verlängert sich um ein Jahr, wenn er nicht mit einer Frist von drei Monaten gekündigt wird"
    assert find_durations(text, near="Frist")[0] == "3 months"
