"""Find what should not leave a program: addresses, numbers and keys, in time that grows with the text only.

Hostile text passes through here, so every pattern is anchored at a rare character or bounded in its length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

Find: TypeAlias = Callable[[str], Iterator[tuple[int, int]]]
"""Gives the places of what it looks for, from left to right."""


def find_emails(text: str) -> Iterator[tuple[int, int]]:
    """E-mail addresses, with letters of any language."""
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        start = at
        while start > 0 and at - start < 64 and (text[start - 1].isalnum() or text[start - 1] in "._%+-'"):
            start -= 1
        if domain and start < at:
            yield start, domain.end()
            at = domain.end() - 1
        at = text.find("@", at + 1)


def find_phones(text: str) -> Iterator[tuple[int, int]]:
    """Telephone numbers that look like nothing else.

    With a country code, in the North American form, or behind a word such as "tel". Plain rows of digits
    stay: in documents they are dates, amounts and numbers of other things.
    """
    for pattern in (_PLUS_PHONE, _ZEROS_PHONE):
        for found in pattern.finditer(text):
            start = found.start()
            goes_on = start >= 2 and text[start - 1] == " " and text[start - 2].isdigit()
            if _stands_free(text, start, "+") and not goes_on:
                yield found.span()
    for found in _AMERICAN_PHONE.finditer(text):
        start = found.start()
        if start >= 2 and text[start - 2] == "1" and text[start - 1] in " .-":
            start -= 2
        if _stands_free(text, start, ".+-"):
            yield start, found.end()
    lowered = text.lower()
    if any(word in lowered for word in ("tel", "phone", "mob", "cell", "fax")):
        for found in _NAMED_PHONE.finditer(text):
            yield found.span(1)


def find_cards(text: str) -> Iterator[tuple[int, int]]:
    """Numbers of payment cards: the prefix of a scheme, the usual groups and the check digit of Luhn."""
    for found in _CARD.finditer(text):
        digits = "".join(filter(str.isdigit, found.group()))
        if _stands_free(text, found.start(), ".,-") and passes_luhn(digits):
            yield found.span()


def find_ibans(text: str) -> Iterator[tuple[int, int]]:
    """International bank account numbers: the length of the country and the checksum of ISO 7064."""
    for found in _IBAN_DIGITS.finditer(text):
        start = found.start() - 2
        length = IBAN_LENGTHS.get(text[start : start + 2].upper()) if start >= 0 else None
        if length is None or not _stands_free(text, start):
            continue
        end, digits = start, ""
        while len(digits) < length and end < len(text):
            each = text[end]
            if each.isascii() and each.isalnum():
                digits += each
            elif each not in " \u00a0-" or text[end - 1] in " \u00a0-":
                break
            end += 1
        whole = len(digits) == length and not (end < len(text) and text[end].isalnum())
        if whole and passes_iban_checksum(digits):
            yield start, end


def find_credentials(text: str) -> Iterator[tuple[int, int]]:
    """Keys of known providers, JSON web tokens, bearer tokens and private keys."""
    if len(text) < SHORTEST_CREDENTIAL:
        return
    for part, marks in _MARKS_BY_PART:
        if part not in text:
            continue
        for mark in marks:
            at = text.find(mark)
            while at >= 0:
                found = _CREDENTIALS[mark].match(text, at) if _stands_free(text, at, "-") else None
                if found is not None:
                    yield found.span(found.lastindex or 0)
                    at = found.end() - 1
                at = text.find(mark, at + 1)
    yield from _find_private_keys(text)


def passes_luhn(digits: str) -> bool:
    """Whether the last digit checks the others."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def passes_iban_checksum(iban: str) -> bool:
    """Whether the two digits behind the country check the rest."""
    moved = (iban[4:] + iban[:4]).upper()
    return int("".join(str(int(each, 36)) for each in moved)) % 97 == 1


def _find_private_keys(text: str) -> Iterator[tuple[int, int]]:
    begin = text.find(_BEGIN)
    while begin >= 0:
        head = _PRIVATE_KEY.match(text, begin)
        if head is None:
            begin = text.find(_BEGIN, begin + len(_BEGIN))
            continue
        # A key that was cut off has no end mark; then everything behind its head may be key.
        mark = text.find("-----END", head.end())
        close = text.find("-----", mark + 8) if mark >= 0 else -1
        end = close + 5 if close >= 0 else len(text)
        yield begin, end
        begin = text.find(_BEGIN, end)


def _stands_free(text: str, start: int, but_not_after: str = "") -> bool:
    """Whether no letter, digit or underscore stands right before a place, nor any of these characters."""
    before = text[start - 1] if start > 0 else " "
    return not (before.isalnum() or before == "_" or before in but_not_after)


# Every search begins at a character that is rare in prose and so found quickly; what must not stand before it
# is checked afterwards.
_DOMAIN = re.compile(r"(?:[^\W_][\w-]{0,62}\.){1,8}[^\W\d_]{2,24}(?![\w-])")
_PLUS_PHONE = re.compile(r"\+[1-9](?:[ ().\-/]{0,2}\d){6,13}(?!\w)")
_ZEROS_PHONE = re.compile(r"00(?=[1-9]\d{0,2}[ .\-/(])[1-9](?:[ ().\-/]{0,2}\d){6,13}(?!\w)")
_AMERICAN_PHONE = re.compile(
    r"[(2-9](?:(?<=\()[2-9]\d{2}\) ?|(?<=[2-9])\d{2}[.\- ])[2-9]\d{2}[.\- ]\d{4}(?![\w-])"
)
_NAMED_PHONE = re.compile(
    r"(?i)\b(?:tel|phone|telephone|mobile|mob|cell|fax)\b\.?(?: no\.?| number)?:? {0,2}"
    r"([\d(](?:[ ().\-/]{0,2}\d){5,14})(?!\w)"
)
_CARD = re.compile(
    r"[2-6](?:"
    r"(?:(?<=4)\d{3}|(?<=5)[1-5]\d{2}|(?<=2)[2-7]\d{2}|(?<=6)\d{3}|(?<=3)[05689]\d{2})"
    r"(?:([ -])\d{4}\1\d{4}\1\d{1,7}|\d{9,15})"
    r"|(?<=3)[47]\d{2}(?:([ -])\d{6}\2\d{5}|\d{11})"
    r")(?![\w-]|[.,]\d)"
)
_IBAN_DIGITS = re.compile(r"\d{2}(?=[ \u00a0-]?[A-Za-z0-9])")
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27,
    "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28,
    "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23,
    "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21,
    "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
    "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22,
    "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25,
    "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip
SHORTEST_CREDENTIAL = 15
_CREDENTIALS = {
    mark: re.compile(re.escape(mark) + rest, re.ASCII)
    for mark, rest in (
        ("sk-", r"[\w-]{20,300}"),  # OpenAI, Anthropic, OpenRouter, DeepSeek, Langfuse
        ("dl_", r"[\w-]{40,60}"),  # Driftline
        ("lsv2_", r"[a-z]{2}_\w{30,80}"),  # LangSmith
        ("AIza", r"[\w-]{35}"),  # Google
        ("ya29.", r"[\w-]{20,300}"),
        ("GOCSPX-", r"[\w-]{20,60}"),
        ("AKIA", r"[A-Z0-9]{16}"),  # Amazon
        ("ASIA", r"[A-Z0-9]{16}"),
        ("ghp_", r"[A-Za-z0-9]{36,255}"),  # GitHub
        ("gho_", r"[A-Za-z0-9]{36,255}"),
        ("ghs_", r"[A-Za-z0-9]{36,255}"),
        ("github_pat_", r"\w{22,255}"),
        ("glpat-", r"[\w-]{20,60}"),  # GitLab
        ("hf_", r"[A-Za-z0-9]{30,60}"),  # Hugging Face
        ("r8_", r"[A-Za-z0-9]{30,60}"),  # Replicate
        ("gsk_", r"[A-Za-z0-9]{40,80}"),  # Groq
        ("xai-", r"[A-Za-z0-9]{40,120}"),  # xAI
        ("pplx-", r"\w{40,80}"),  # Perplexity
        ("pa-", r"[\w-]{40,60}"),  # Voyage
        ("jina_", r"\w{40,90}"),  # Jina
        ("tvly-", r"[\w-]{20,80}"),  # Tavily
        ("pcsk_", r"[\w-]{30,120}"),  # Pinecone
        ("dapi", r"[0-9a-f]{32}"),  # Databricks
        ("nvapi-", r"[\w-]{40,100}"),  # NVIDIA
        ("xox", r"[abeoprs]-[A-Za-z0-9-]{10,255}"),  # Slack
        ("sk_live_", r"[A-Za-z0-9]{16,255}"),  # Stripe
        ("sk_test_", r"[A-Za-z0-9]{16,255}"),
        ("rk_live_", r"[A-Za-z0-9]{16,255}"),
        ("whsec_", r"[A-Za-z0-9]{20,80}"),
        ("SG.", r"[\w-]{16,32}\.[\w-]{32,64}"),  # SendGrid
        ("key-", r"[0-9a-f]{32}"),  # Mailgun
        ("npm_", r"[A-Za-z0-9]{36}"),
        ("pypi-AgE", r"[\w-]{50,255}"),
        ("dop_v1_", r"[0-9a-f]{64}"),  # DigitalOcean
        ("eyJ", r"[\w-]{8,4096}\.eyJ[\w-]{8,8192}\.[\w-]{8,2048}"),  # JSON web tokens
        ("Bearer ", r"([\w.~+/-]{16,2048}={0,2})"),
        ("bearer ", r"([\w.~+/-]{16,2048}={0,2})"),
        ("Basic ", r"([A-Za-z0-9+/]{16,1024}={0,2})(?![A-Za-z0-9+/])"),
    )
}
_MARKS_BY_PART = (
    ("_", tuple(mark for mark in _CREDENTIALS if "_" in mark)),
    ("-", tuple(mark for mark in _CREDENTIALS if "-" in mark)),
    ("", tuple(mark for mark in _CREDENTIALS if not {"_", "-"} & set(mark))),
)
"""The marks by a character that many texts lack; no mark holds both."""
_BEGIN = "-----BEGIN "
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
