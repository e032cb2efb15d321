"""JSON data that strangers sent: checked, bounded and fit to be written again."""

from __future__ import annotations

import math
from typing import Any

from driftline.errors import WireError

MAX_DEPTH = 64


def clean_text(text: str) -> str:
    """Replace lone surrogates, which no UTF-8 can hold, by U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def check_values(document: Any, limit: int) -> None:
    """Bound how many values, at any depth, the fields of a record have together.

    Raises:
        WireError: there are more; the error names the field that exceeds the limit.
    """
    if not isinstance(document, dict):
        return
    found = len(document)
    for name, value in document.items():
        if type(value) is dict or type(value) is list:
            found += _count(value)
        if found > limit:
            raise WireError(step_of(name), f"brings this to more than {limit:,} JSON values")


def _count(container: Any) -> int:
    """How many values there are inside, at any depth."""
    found = 0
    waiting = [container]
    while waiting:
        each = waiting.pop()
        inside = each.values() if type(each) is dict else each
        found += len(inside)
        waiting += [value for value in inside if type(value) is dict or type(value) is list]
    return found


def decode_json(value: Any, depth: int = 0) -> Any:
    """Check JSON data, and copy its containers."""
    kind = type(value)
    if kind is str:
        return value if value.isascii() else clean_text(value)
    if kind is dict:
        return _decode_json_object(value, depth)
    if kind is list:
        return _decode_json_array(value, depth)
    if kind is float:
        return decode_float(value)
    if value is None or kind is bool or kind is int:
        return value
    raise WireError("", f"expected JSON, got {kind_of(value)}")


def _decode_json_object(value: dict[str, Any], depth: int) -> dict[str, Any]:
    _check_depth(depth)
    depth += 1
    return {
        key if key.isascii() else clean_text(key): (
            each if type(each) is str and each.isascii() else decode_json(each, depth)
        )
        for key, each in value.items()
    }


def _decode_json_array(value: list[Any], depth: int) -> list[Any]:
    _check_depth(depth)
    depth += 1
    return [each if type(each) is str and each.isascii() else decode_json(each, depth) for each in value]


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise WireError("", f"is nested more than {MAX_DEPTH} levels deep")


def decode_float(value: Any) -> float:
    """Read a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WireError("", f"expected a number, got {kind_of(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise WireError("", "expected a finite number")
    return number


def step_of(key: str) -> str:
    """A key as a place names it."""
    return clean_text(key if len(key) <= 80 else key[:80] + "…")


def kind_of(value: Any) -> str:
    """What a value is, in the words of JSON."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
