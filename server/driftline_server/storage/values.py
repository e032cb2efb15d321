"""What both engines can hold in a column: bytes for ids, integers for moments and money, clean short text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from driftline.codec import MAX_INT
from driftline.json_data import clean_text

MAX_KEY = 200
"""Characters of a name in a narrow column: PostgreSQL refuses index entries above 2,704 bytes. The payload
keeps all of it."""
MAX_PREVIEW = 160
_JOINER = "\u200d"
"""Holds emoji together; the one invisible character that is worth keeping."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US = 86_400_000_000
_SECOND_US = 1_000_000


def utc_now() -> datetime:
    """The moment, aware and in UTC."""
    return datetime.now(UTC)


def micros(moment: datetime) -> int:
    """A moment as microseconds since 1970; exact, where a float timestamp is not."""
    since = moment - _EPOCH
    return since.days * _DAY_US + since.seconds * _SECOND_US + since.microseconds


def moment(micros_since: int) -> datetime:
    """The moment that ``micros`` wrote."""
    return _EPOCH + timedelta(microseconds=micros_since)


def id_bytes(text: str) -> bytes:
    """An id as its 16 bytes.

    Raises:
        ValueError: the text is not 32 hexadecimal digits.
    """
    packed = bytes.fromhex(text)
    if len(packed) != 16:
        raise ValueError(f"{text!r} is not 32 hexadecimal digits")
    return packed


def id_or_none(text: str) -> bytes | None:
    """An id as its bytes; ``None`` where the text is no id, so that a lookup finds nothing."""
    try:
        return id_bytes(text)
    except ValueError:
        return None


def bounded(number: int) -> int:
    """A whole number that a column, and every reader of JSON, keeps exact."""
    return max(-MAX_INT, min(MAX_INT, number))


def storable(text: str) -> str:
    """Text that both engines accept: NUL, which PostgreSQL refuses, becomes its picture U+2400."""
    text = clean_text(text)
    return text.replace("\0", "␀") if "\0" in text else text


def cut(text: str, limit: int) -> str:
    """The beginning of a text, with an ellipsis where something was left out."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def key_text(text: str) -> str:
    """A name as a narrow column holds it; what is compared with such a column is cut likewise."""
    return cut(storable(text), MAX_KEY)


def optional_key(text: str | None) -> str | None:
    """The same for a name that may be unknown; empty counts as unknown."""
    return key_text(text) if text else None


def searchable(words: str) -> str:
    """Text as it is compared when someone searches, whatever its case, alike on both engines."""
    return words.casefold()


def one_line(text: str, limit: int = MAX_PREVIEW) -> str:
    """The beginning of a text on one line, without control characters."""
    # More than enough is looked at, because folding white space makes text shorter.
    line = " ".join(storable(text[: limit * 8]).split())[: limit * 2]
    if not line.isprintable():
        line = "".join(each for each in line if each.isprintable() or each == _JOINER)
    return cut(line, limit).strip()
