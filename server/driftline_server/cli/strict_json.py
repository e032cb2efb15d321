"""JSON that a server takes; Python's own parser takes more than that."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

MAX_NESTING = 500
"""Far above what any record may have, and below what Python can follow."""


class UnsendableError(ValueError):
    """JSON of a kind that no server takes; the message goes on after the name of the line."""


def parse_strictly(line: bytes) -> Any:
    """JSON as the standard has it.

    Raises:
        UnsendableError: it holds a number that JSON has not, or is nested too deeply.
        ValueError: it is no JSON.
    """
    try:
        document = json.loads(line, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise UnsendableError("is nested too deeply") from None
    # Where there are fewer brackets in all, it cannot be nested deeper.
    if line.count(b"[") + line.count(b"{") > MAX_NESTING and _is_deep(document):
        raise UnsendableError("is nested too deeply")
    return document


def _refuse(name: str) -> NoReturn:
    raise UnsendableError(f"has {name}, which is no number of JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise UnsendableError(f"has {digits[:40]}, which is more than any program can read")
    return number


def _is_deep(document: Any) -> bool:
    waiting = [(document, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_NESTING:
            return True
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        waiting.extend((each, depth + 1) for each in inside if isinstance(each, dict | list))
    return False
