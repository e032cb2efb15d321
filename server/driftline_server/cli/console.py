"""What the commands write with: plain text, colours where a terminal wants them, and no hostile escapes."""

from __future__ import annotations

import os
import sys
import unicodedata
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDTH_OF_FILES = 1000
_KEPT = frozenset("\t\n")


def console() -> Console:
    """The console for results; where neither a terminal nor COLUMNS bounds them, lines may be long."""
    return Console(highlight=False, soft_wrap=True, width=bounded_width() or _WIDTH_OF_FILES)


def bounded_width() -> int | None:
    """The characters of a line, as COLUMNS or the terminal has them; ``None`` where nothing bounds it."""
    asked = os.environ.get("COLUMNS", "")
    if asked.isdigit() and int(asked):
        return int(asked)
    return Console().width if sys.stdout.isatty() else None


def print_table(out: Console, table: Table) -> None:
    """Print a table without the blanks that would fill its last column."""
    with out.capture() as capture:
        out.print(table, soft_wrap=False)
    for line in capture.get().splitlines():
        # Colours may end after the blanks.
        text = Text.from_ansi(line)
        text.rstrip()
        out.print(text)


def complain(problem: str, remedy: str = "") -> None:
    """Say what is wrong, and what to do, on standard error."""
    print(f"driftline: {safe(problem)}", file=sys.stderr)
    if remedy:
        print(safe(remedy), file=sys.stderr)


def note(text: str) -> None:
    """Say something on standard error that is no result, such as a count."""
    print(safe(text), file=sys.stderr)


def safe(text: str) -> str:
    """Text in which control and direction characters are visible, so that it cannot steer a terminal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(each if _is_harmless(each) else _visible(each) for each in text)


def one_line(text: str) -> str:
    """Safe text without line breaks, white space folded."""
    return safe(" ".join(text.split()))


def plain(text: str, style: str = "") -> Text:
    """Safe text for a table; nothing in it is read as markup."""
    return Text(one_line(text), style=style)


def local_time(moment: str | None) -> str:
    """A moment of the API in the time of this machine."""
    if moment is None:
        return "not yet"
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _is_harmless(character: str) -> bool:
    """What Unicode calls printable: nothing that a terminal may obey or hide; further kinds of space too."""
    return character.isprintable() or character in _KEPT or unicodedata.category(character) == "Zs"


def _visible(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
