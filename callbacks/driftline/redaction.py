"""Replaces what should not leave the program, in every text of a run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from enum import Enum
from functools import cache
from itertools import takewhile
from operator import is_
from types import NoneType
from typing import Any, get_args, get_type_hints

from driftline.detectors import (
    Find,
    find_cards,
    find_credentials,
    find_emails,
    find_ibans,
    find_phones,
)
from driftline.records import Run, TokenTimeline
from driftline.secret_names import is_secret_name

DETECTORS: Mapping[str, Find] = {
    "key": find_credentials,
    "card": find_cards,
    "iban": find_ibans,
    "phone": find_phones,
    "email": find_emails,
}
"""By the name that stands in the text in place of a find, such as ``[redacted:email]``.

Where two of them find the same place, the one that is named first here wins.
"""
DETECTOR_NAMES = tuple(DETECTORS)
CREDENTIALS = ("key",)
"""What is always looked for unless a program says otherwise: nobody wants keys in traces."""
Hook = Callable[[str], str]
"""Gives a text as it may leave the program."""
_SHORTEST = 6
"""No detector finds anything in fewer characters."""
_SEQUENCES = (list, tuple)
_VALUES = frozenset({"value", "Value"})
"""Keys beside which a name may stand, as in ``{"name": "Authorization", "value": "..."}``."""
_TEXTLESS = frozenset({int, float, bool, datetime, NoneType, TokenTimeline})
_LEFT_ALONE = {Run: frozenset({"id", "trace_id", "parent_id", "older_fields"})}
"""Fields that hold nothing that a person or a model wrote."""


class Redaction:
    """A processor that replaces finds by ``[redacted:<name>]``.

    With the detector ``key``, what stands under a name such as ``api_key`` or ``authorization`` is replaced
    too, whatever it is: a text, a number or a container with all that it holds. A name may be a key, or the
    first of two items in a list of pairs, or stand as ``name`` or ``key`` beside a ``value``. Only what says
    no more than whether a secret is there stays: ``None``, ``True``, ``False``, 0 and what is empty.
    """

    def __init__(
        self,
        names: Iterable[str] = DETECTOR_NAMES,
        *,
        patterns: Mapping[str, str | re.Pattern[str]] | None = None,
        hooks: Sequence[Hook] = (),
    ) -> None:
        """``patterns`` are further regular expressions by name; ``hooks`` see each text after all detectors.

        Raises:
            ValueError: there is no detector of a name.
            re.error: a pattern is no regular expression.
        """
        wanted = set(names)
        unknown = wanted - DETECTORS.keys()
        if unknown:
            raise ValueError(f"no detector {', '.join(sorted(unknown))}; there are {', '.join(DETECTORS)}")
        self._finders: list[tuple[str, Find]] = [
            (name, find) for name, find in DETECTORS.items() if name in wanted
        ]
        self._finders += [(name, _finder(pattern)) for name, pattern in (patterns or {}).items()]
        self._hooks = tuple(hooks)
        self._clean = RecentTexts()
        """In which nothing was found: frameworks pass the same texts on from run to run."""
        self._by_name = "key" in wanted

    def __call__(self, run: Run) -> Run:
        """Give the run as it may leave the program."""
        cleaned: Run = self._record(run)
        return cleaned

    def text(self, text: str) -> str:
        """Replace the finds of one text; one without any is given back itself."""
        if len(text) >= _SHORTEST and text not in self._clean:
            replaced = self._replaced(text)
            if replaced is text:
                self._clean.add(text)
            text = replaced
        for hook in self._hooks:
            text = hook(text)
        return text

    def _replaced(self, text: str) -> str:
        finds = [
            (start, end, name) for name, find in self._finders for start, end in find(text) if start < end
        ]
        if not finds:
            return text
        taken: list[tuple[int, int, str]] = []
        # Sorting is stable, so where two finds start together the detector that is named first comes first.
        for start, end, name in sorted(finds, key=lambda each: each[0]):
            if taken and start < taken[-1][1]:
                first = taken[-1]
                taken[-1] = (first[0], max(first[1], end), first[2])
            else:
                taken.append((start, end, name))
        pieces, at = [], 0
        for start, end, name in taken:
            pieces += [text[at:start], f"[redacted:{name}]"]
            at = end
        return "".join([*pieces, text[at:]])

    # What holds nothing to be replaced is given back itself, and so is not built anew.

    def _value(self, value: Any) -> Any:
        kind: Any = type(value)
        if kind is str:
            return self.text(value)
        if kind is dict:
            return self._dict(value)
        if kind is list or kind is tuple:
            return self._items(value)
        return self._record(value) if _is_record(kind) else value

    def _dict(self, value: dict[str, Any]) -> dict[str, Any]:
        by_name = self._by_name
        names_its_value = by_name and not _VALUES.isdisjoint(value) and _names_a_secret(value)
        cleaned: dict[str, Any] | None = None
        for key, item in value.items():
            name = self.text(key)
            secret = by_name and (is_secret_name(key) or (names_its_value and key in _VALUES))
            clean = _withheld(item) if secret else self._value(item)
            if cleaned is None:
                if name is key and clean is item:
                    continue
                cleaned = dict(takewhile(lambda each: each[0] is not key, value.items()))  # noqa: B023
            while name in cleaned:
                name += "'"
            cleaned[name] = clean
        return value if cleaned is None else cleaned

    def _items(self, items: Any) -> Any:
        cleaned = [
            self._pair(each) if type(each) in _SEQUENCES and len(each) == 2 else self._value(each)
            for each in items
        ]
        if all(map(is_, cleaned, items)):
            return items
        return type(items)(cleaned)

    def _pair(self, pair: Any) -> Any:
        """Two items in a list; headers often come as names and values."""
        name, value = pair
        if self._by_name and type(name) is str and is_secret_name(name):
            return type(pair)((self.text(name), _withheld(value)))
        return self._items(pair)

    def _record(self, record: Any) -> Any:
        changes = {}
        kind: Any = type(record)
        for name in _text_fields(kind):
            value = getattr(record, name)
            if value and (cleaned := self._value(value)) is not value:
                changes[name] = cleaned
        return replace(record, **changes) if changes else record


class RecentTexts:
    """Remembers texts, the newest of them and within a bound; it keeps strings alive and copies nothing."""

    def __init__(self, max_characters: int = 2_000_000, max_texts: int = 20_000) -> None:
        self._max_characters = max_characters
        self._max_texts = max_texts
        self._newest: set[str] = set()
        self._older: set[str] = set()
        self._characters = 0

    def __contains__(self, text: str) -> bool:
        if text in self._newest:
            return True
        if text not in self._older:
            return False
        self.add(text)
        return True

    def add(self, text: str) -> None:
        """Remember one more."""
        if len(text) > self._max_characters:
            return
        if self._characters + len(text) > self._max_characters or len(self._newest) >= self._max_texts:
            self._older, self._newest, self._characters = self._newest, set(), 0
        self._newest.add(text)
        self._characters += len(text)


def _names_a_secret(value: dict[str, Any]) -> bool:
    names = map(value.get, ("name", "key", "Name", "Key"))
    return any(type(name) is str and is_secret_name(name) for name in names)


def _withheld(secret: Any) -> Any:
    return "[redacted:key]" if secret and secret is not True else secret


@cache
def _is_record(kind: Any) -> bool:
    return kind is not TokenTimeline and hasattr(kind, "__dataclass_fields__")


@cache
def _text_fields(kind: Any) -> tuple[str, ...]:
    """The fields that may hold a text."""
    left_alone = _LEFT_ALONE.get(kind, frozenset())
    types = get_type_hints(kind)
    return tuple(
        each.name
        for each in fields(kind)
        if each.name not in left_alone and not _holds_no_text(types[each.name])
    )


def _holds_no_text(hint: Any) -> bool:
    return all(each in _TEXTLESS or (isinstance(each, type) and issubclass(each, Enum))
               for each in (get_args(hint) or (hint,)))  # fmt: skip


def _finder(pattern: str | re.Pattern[str]) -> Find:
    compiled = re.compile(pattern)
    return lambda text: (found.span() for found in compiled.finditer(text))
