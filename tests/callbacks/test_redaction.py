"""What should not leave is found and replaced everywhere in a run, and nothing else is."""

from __future__ import annotations

import re
import time
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.detectors import IBAN_LENGTHS, passes_iban_checksum, passes_luhn
from driftline.records import (
    Document,
    Event,
    Message,
    Part,
    Prompt,
    Run,
    RunError,
    TokenTimeline,
    ToolCall,
)
from driftline.redaction import DETECTOR_NAMES, Redaction

everything = Redaction()


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("write to jane.doe+x@mail.example.com today", "write to [redacted:email] today"),
        ("<o'neil@example.co.uk>,b@c.io;", "<[redacted:email]>,[redacted:email];"),
        ("müller@exämple.de und 山田@例え.jp", "[redacted:email] und [redacted:email]"),
        ("mailto:a@b.example?subject=x", "mailto:[redacted:email]?subject=x"),
        ("at a@b, @home, x@, a@b.c or user@localhost", "at a@b, @home, x@, a@b.c or user@localhost"),
        ("@decorator.name(arg) and pkg@1.2.3", "@decorator.name(arg) and pkg@1.2.3"),
    ],
)
def test_emails(text: str, cleaned: str) -> None:
    assert everything.text(text) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("call +44 20 7946 0958.", "call [redacted:phone]."),
        ("call +1 (415) 555-2671 now", "call [redacted:phone] now"),
        ("+4915112345678", "[redacted:phone]"),
        ("0044 20 7946 0958", "[redacted:phone]"),
        ("(415) 555-2671 or 415-555-2671 or 415.555.2671", " or ".join(["[redacted:phone]"] * 3)),
        ("Tel.: 030 1234567, Fax 030/1234568", "Tel.: [redacted:phone], Fax [redacted:phone]"),
        ("mobile number 0151 23456789", "mobile number [redacted:phone]"),
        ("due 12/03/2024, 2024-03-12 or 12.03.2024", "due 12/03/2024, 2024-03-12 or 12.03.2024"),
        ("EUR 1 234 567,89 or 1,234,567.89 or 1.234.567", "EUR 1 234 567,89 or 1,234,567.89 or 1.234.567"),
        ("invoice 20240312001, account 1234567890", "invoice 20240312001, account 1234567890"),
        ("growth of +12.5% to +1,250,000 units", "growth of +12.5% to +1,250,000 units"),
        ("2026-03-04T05:06:07+00:00", "2026-03-04T05:06:07+00:00"),
        ("192.168.100.200:8080 and 1.2.3.4", "192.168.100.200:8080 and 1.2.3.4"),
        ("hotel 123456789", "hotel 123456789"),
    ],
)
def test_phones_but_not_dates_and_amounts(text: str, cleaned: str) -> None:
    assert everything.text(text) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("card 4111 1111 1111 1111 ok", "card [redacted:card] ok"),
        ("4111111111111111, 5500-0000-0000-0004", "[redacted:card], [redacted:card]"),
        ("amex 3782 822463 10005", "amex [redacted:card]"),
        ("378282246310005.", "[redacted:card]."),
        ("6011000990139424 2223003122003222", "[redacted:card] [redacted:card]"),
        ("wrong check digit 4111 1111 1111 1112", "wrong check digit 4111 1111 1111 1112"),
        ("mixed 4111-1111 1111 1111", "mixed 4111-1111 1111 1111"),
        ("1700000000000000000 nanoseconds", "1700000000000000000 nanoseconds"),
        ("id x4111111111111111 and 4111111111111111x", "id x4111111111111111 and 4111111111111111x"),
        ("0.4111111111111111", "0.4111111111111111"),
    ],
)
def test_cards_with_a_right_check_digit(text: str, cleaned: str) -> None:
    assert everything.text(text) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("pay DE89 3704 0044 0532 0130 00 EUR 5", "pay [redacted:iban] EUR 5"),
        ("GB82WEST12345698765432", "[redacted:iban]"),
        ("gb82 west 1234 5698 7654 32;", "[redacted:iban];"),
        ("NO9386011117947 and FR1420041010050500013M02606", "[redacted:iban] and [redacted:iban]"),
        ("MT84MALT011000012345MTLCAST001S", "[redacted:iban]"),
        ("wrong checksum DE89 3704 0044 0532 0130 01", "wrong checksum DE89 3704 0044 0532 0130 01"),
        ("too long DE893704004405320130000", "too long DE893704004405320130000"),
        ("ISO 20022, AB12 3456", "ISO 20022, AB12 3456"),
    ],
)
def test_ibans_with_a_right_checksum(text: str, cleaned: str) -> None:
    assert everything.text(text) == cleaned


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n0123\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    "secret",
    [
        "sk-" + "a1" * 24,
        "sk-proj-" + "a1_-" * 20,
        "sk-ant-api03-" + "Ab1-" * 20 + "AA",
        "AIza" + "Sy1-_" * 7,
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + "a1" * 18,
        "github_pat_" + "a1" * 30,
        "glpat-" + "a1" * 10,
        "hf_" + "a1" * 17,
        "xoxb-123456789012-" + "a1" * 12,
        "sk_live_" + "a1" * 12,
        "lsv2_pt_" + "a1" * 20,
        "dl_" + "a1-_" * 10 + "abc",
        "gsk_" + "a1" * 26,
        "SG." + "a1" * 11 + "." + "b2" * 21 + "c",
        JWT,
        PEM,
        PEM.replace("\n", "\\n"),
        PEM[:60],
    ],
)
def test_credentials_of_known_providers(secret: str) -> None:
    only_keys = Redaction(["key"])
    assert only_keys.text(f"use {secret}") == "use [redacted:key]"
    assert only_keys.text(f'"{secret}"').startswith('"[redacted:key]')
    assert secret not in only_keys.text(f"key={secret}\nnext line")


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Authorization: Bearer abcdef0123456789abcdef", "Authorization: Bearer [redacted:key]"),
        ("authorization: Basic dXNlcjpwYXNzd29yZA==", "authorization: Basic [redacted:key]"),
        ("the task-force-of-some-long-name-here", "the task-force-of-some-long-name-here"),
        ("risk-adjusted-returns-for-the-portfolio", "risk-adjusted-returns-for-the-portfolio"),
        ("the bearer of good news; basic understanding", "the bearer of good news; basic understanding"),
        ("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----"),
    ],
)
def test_what_only_looks_like_a_credential_stays(text: str, cleaned: str) -> None:
    assert everything.text(text) == cleaned


def test_finds_that_overlap_are_replaced_once() -> None:
    assert everything.text("https://user:sk-" + "a1" * 20 + "@host.example") in (
        "https://user:[redacted:key]",
        "https://user:[redacted:key]@host.example",
    )


def test_a_text_that_was_cleaned_stays_as_it_is() -> None:
    cleaned = everything.text(f"a@b.example 4111111111111111 {JWT} +44 20 7946 0958 GB82WEST12345698765432")
    assert cleaned == "[redacted:email] [redacted:card] [redacted:key] [redacted:phone] [redacted:iban]"
    assert everything.text(cleaned) == cleaned


def a_full_run(text: str) -> Run:
    part = Part(type="text", text=text, url=text, data={"x": [text]})
    message = Message(
        role="user", parts=(part,), name=text, id=text, extra={"x": text},
        tool_calls=(ToolCall(name=text, arguments={"x": text}),), tool_call_id=text,
    )  # fmt: skip
    return Run(
        id="a" * 32, trace_id="b" * 32, parent_id="c" * 32, project=text, name=text,
        error=RunError(type=text, message=text, stack=text),
        inputs={"deep": [{"x": text}], text: 1}, outputs=text, messages=(message,), answers=(message,),
        documents=(Document(text=text, id=text, metadata={"x": text}),),
        events=(Event(name=text, data=[text]),), model_requested=text, invocation_params={"stop": [text]},
        timeline=TokenTimeline(ttft_ms=1.0, gaps="AAAA"), user_id=text, session_id=text, feature=text,
        release=text, environment=text, prompt=Prompt(name=text, version=text), tags=(text,),
        metadata={"x": {"y": text}}, extra={"later": text},
    )  # fmt: skip


def test_every_text_of_a_run_is_cleaned() -> None:
    address = "someone@mail.example"
    run = a_full_run(f"hello {address}")
    assert repr(run).count(address) > 35
    cleaned = everything(run)
    assert address not in repr(cleaned)
    assert repr(cleaned).count("[redacted:email]") == repr(run).count(address)
    assert (cleaned.id, cleaned.trace_id, cleaned.timeline) == (run.id, run.trace_id, run.timeline)


def test_a_run_without_finds_is_the_same_object() -> None:
    run = a_full_run("nothing to see")
    assert everything(run) is run


def test_keys_that_become_alike_are_both_kept() -> None:
    run = Run(id="a" * 32, trace_id="b" * 32, metadata={"a@b.example": 1, "c@d.example": 2})
    assert sorted(everything(run).metadata.values()) == [1, 2]  # type: ignore[type-var]


def test_own_patterns_and_hooks() -> None:
    redaction = Redaction(
        ["email"], patterns={"case": r"CASE-\d+"}, hooks=[lambda text: text.replace("Bob", "[name]")]
    )
    assert redaction.text("Bob b@c.example CASE-12") == "[name] [redacted:email] [redacted:case]"
    assert redaction.text("Bob") == "[name]"


def test_a_wrong_set_up_is_named() -> None:
    with pytest.raises(ValueError, match="no detector mail; there are key, card, iban, phone, email"):
        Redaction(["mail"])
    with pytest.raises(re.error):
        Redaction([], patterns={"x": "("})


def test_no_detector_is_none_of_its_business() -> None:
    text = f"a@b.example {JWT}"
    assert Redaction([]).text(text) == text


HOSTILE = {
    "letters": "a",
    "at signs": "@",
    "addresses": "a@a.",
    "labels": "a.a-",
    "digits": "1",
    "spaced digits": "4 ",
    "grouped digits": "4111 ",
    "plus": "+1 ",
    "brackets": "(415) ",
    "dashes": "-",
    "begins": "-----BEGIN RSA PRIVATE KEY-----",
    "tokens": "eyJ",
    "dotted tokens": "eyJaaaaaaaa.",
    "keys": "sk-",
    "long keys": "sk-aaaaaaaaaaaaaaaaaaa ",
    "ibans": "DE89 ",
    "iban parts": "GB82WEST",
    "tel": "tel tel: ",
    "bearer": "Bearer ",
    "spaces": " ",
    "mixed": "a@1-+.e@y J(",
}


def _seconds(text: str) -> float:
    fresh = Redaction()  # one that has not seen the text before
    began = time.process_time()
    fresh.text(text)
    return time.process_time() - began


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_costs_time_in_proportion_to_its_length(name: str) -> None:
    piece = HOSTILE[name]
    short, long = (piece * (size // len(piece)) for size in (20_000, 320_000))
    fastest = min(_seconds(short) for _ in range(3))
    # Sixteen times the text: a quadratic search would take 256 times as long. The floor is the clock's step.
    assert _seconds(long) < 80 * max(fastest, 0.002)


@given(st.text(alphabet="aA1@.-+ _(e:/49DESK", max_size=80))
def test_cleaning_never_fails_and_is_done_after_once(text: str) -> None:
    cleaned = everything.text(text)
    assert everything.text(cleaned) == cleaned


@given(st.lists(st.integers(0, 9), min_size=12, max_size=18))
def test_luhn_finds_every_single_wrong_digit(digits: list[int]) -> None:
    text = "".join(map(str, digits))
    [check] = [str(digit) for digit in range(10) if passes_luhn(f"{text}{digit}")]
    right = text + check
    for place in range(len(right)):
        wrong = f"{right[:place]}{(int(right[place]) + 1) % 10}{right[place + 1 :]}"
        assert not passes_luhn(wrong)


def test_every_country_has_a_plausible_iban_length() -> None:
    assert all(len(country) == 2 and 15 <= length <= 34 for country, length in IBAN_LENGTHS.items())
    assert passes_iban_checksum("GB82WEST12345698765432")


def test_all_text_fields_of_a_run_are_among_those_that_are_cleaned() -> None:
    # A field that is added to Run later is cleaned too, unless somebody decides otherwise in redaction.
    cleaned = everything(a_full_run("a@b.example"))
    left: list[Any] = [each.name for each in fields(Run) if "@" in repr(getattr(cleaned, each.name))]
    assert left == []
    assert DETECTOR_NAMES == ("key", "card", "iban", "phone", "email")
