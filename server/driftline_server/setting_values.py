"""What a setting may be, how it is read from text or TOML, and how it is shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a setting is for, and what it may be."""

    text: str
    between: tuple[int, int] | None = None
    among: tuple[str, ...] = ()
    shown_default: str = ""
    """For a default that differs from machine to machine."""


def parse_value(hint: Any, about: About, value: Any) -> Any:
    """A value of the type that the hint names, from text or from TOML.

    Raises:
        ValueError: it is not allowed.
    """
    parsed = _PARSERS[_plain(hint)](value)
    if about.among and parsed not in about.among:
        raise ValueError(parsed)
    if about.between and not about.between[0] <= parsed <= about.between[1]:
        raise ValueError(parsed)
    return parsed


def allowed_values(hint: Any, about: About) -> str:
    """What is allowed, in words."""
    if about.among:
        return f"one of {', '.join(about.among)}"
    if about.between:
        return f"a whole number from {about.between[0]} to {about.between[1]}"
    return _ALLOWED[_plain(hint)]


def show_value(value: Any) -> str:
    """A value as text; a password inside a URL stays hidden."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(str(each) for each in value)
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", str(value))


def _plain(hint: Any) -> Any:
    """The ``X`` of ``X | None``, else the hint itself."""
    inner = [each for each in get_args(hint) if each is not type(None)]
    return inner[0] if len(inner) == 1 else hint


def _parse_path(value: Any) -> Path:
    if not isinstance(value, str | Path) or not str(value).strip() or "\0" in str(value):
        raise ValueError(value)
    return Path(value).expanduser()


def _parse_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value.strip()


def _parse_whole(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9][0-9_]{0,30}\s*", value, re.ASCII):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(value)
    return value


def _parse_bool(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in _YES | _NO:
        raise ValueError(value)
    return text in _YES


def _parse_names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, str | list | tuple):
        raise ValueError(value)
    names = value.split(",") if isinstance(value, str) else value
    if not all(isinstance(each, str) for each in names):
        raise ValueError(value)
    return tuple(each.strip() for each in names if each.strip())


_PARSERS: dict[Any, Callable[[Any], Any]] = {
    Path: _parse_path,
    str: _parse_text,
    int: _parse_whole,
    bool: _parse_bool,
    tuple[str, ...]: _parse_names,
}
_ALLOWED = {
    Path: "a path",
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    tuple[str, ...]: "names, separated by commas (a list in TOML)",
}
