"""Text with the marks of Markdown in it, as one would read it out on one line."""

from __future__ import annotations

import re

BREAK = " · "
"""Stands where a line ended."""
_JSON = re.compile(r"""\s*(\{|\[\s*["{\[\n])""")
"""How an object or a list begins; ``[1] The rent`` is neither."""
_ONLY_MARKS = re.compile(r"(```|~~~).*|[-*_=]{3,}|\|[\s:|-]*-[\s:|-]*")
"""Lines that say nothing: the fence of a code block, a rule, the line under the head of a table."""
_BEFORE_A_TITLE = re.compile(r"^(#{1,6}|>)\s+")
_BEFORE_A_LINE = re.compile(r"^(#{1,6}|[-*+]|>)\s+")
_AROUND = re.compile(r"(?<![\w*])(\*\*?)(?=[^\s*])([^*]*[^\s*])\1(?![\w*])")
"""Stress by stars, but neither ``2 * 3 * 4`` nor ``**kwargs``; underscores are left, as in ``__init__``."""
_CODE = re.compile(r"`([^`]+)`")


def plain_words(text: str) -> str:
    """The words of a text without their marks, with a dot between its lines; JSON stays as it is."""
    if _JSON.match(text):
        return text
    lines = text.strip().splitlines()
    # Where there is only one line, what looks like a point of a list may be a minus.
    marks = _BEFORE_A_LINE if len(lines) > 1 else _BEFORE_A_TITLE
    plain = (_plain_line(line.strip(), marks) for line in lines)
    return BREAK.join(line for line in plain if line) or text


def _plain_line(line: str, marks: re.Pattern[str]) -> str:
    if _ONLY_MARKS.fullmatch(line):
        return ""
    line = marks.sub("", line)
    # Most lines hold none of these, and to see that is much cheaper than to search them for pairs.
    if "*" in line:
        line = _AROUND.sub(r"\2", line)
    if "`" in line:
        line = _CODE.sub(r"\1", line)
    return line.strip("|").strip()
