"""A Python traceback in which the last line of the user's own code stands out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from markupsafe import Markup

from driftline_server.pages.quoting import visible

_FRAME = re.compile(r'^\s*File "(?P<path>[^"\n]+)", (?P<place>line \d+.*)')
_FOREIGN = ("site-packages", "dist-packages", "/lib/python", "\\lib\\", "<frozen", "<string>", "/driftline/")
_MAY_BREAK = re.compile(r"(?<=[/\\,=(\[])(?=[^\s/\\])")
"""Where a line that is too long is best continued: in a path after its separators, in code after signs."""
_HEAD, _TAIL = 8_000, 32_000
"""Characters of a very long stack that are shown: its innermost frames stand at its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackLine:
    """One line; the lines of the last own frame are marked."""

    text: Markup
    is_own: bool


def cut_stack(stack: str) -> str:
    """The beginning and the end of a very long stack, any other as it is."""
    if len(stack) <= _HEAD + _TAIL:
        return stack
    head, tail = stack[:_HEAD].rpartition("\n"), stack[-_TAIL:].partition("\n")
    first, last = head[0] or head[2], tail[2] or tail[0]
    return f"{first}\n… {len(stack) - len(first) - len(last):,} characters are left out here …\n{last}"


def read_stack(stack: str) -> tuple[StackLine, ...]:
    """Split a traceback into lines and mark the innermost frame that lies in no library."""
    lines = stack.rstrip().splitlines()
    starts = [index for index, line in enumerate(lines) if _FRAME.match(line)]
    own = next((index for index in reversed(starts) if not _is_foreign(lines[index])), None)
    marked = range(0) if own is None else range(own, _end_of_frame(lines, own))
    return tuple(StackLine(text=_breakable(line), is_own=index in marked) for index, line in enumerate(lines))


def own_place(stack: str) -> str:
    """Where the error rose in the user's own code, as ``terms.py, line 141, in parse``; else empty."""
    lines = stack.splitlines()
    own = [match for match in map(_FRAME.match, lines) if match and not _is_foreign(match.string)]
    if not own:
        return ""
    name = re.split(r"[/\\\\]", own[-1]["path"])[-1]
    return f"{name}, {own[-1]['place']}"


def _breakable(line: str) -> Markup:
    return Markup("<wbr>").join(visible(part) for part in _MAY_BREAK.split(line))


def _is_foreign(line: str) -> bool:
    match = _FRAME.match(line)
    path = match["path"] if match else ""
    return any(part in path for part in _FOREIGN)


def _end_of_frame(lines: list[str], start: int) -> int:
    """A frame goes on while lines are indented deeper than its head."""
    depth = _indent(lines[start])
    end = start + 1
    while end < len(lines) and lines[end].strip() and _indent(lines[end]) > depth:
        end += 1
    return end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
