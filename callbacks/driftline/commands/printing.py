"""How the commands of the client write figures and tables."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Tells of wrong usage as the commands of the server do, in two lines."""

    def error(self, message: str) -> NoReturn:
        """Say it and end with exit code 2."""
        print(f"driftline: {message}\nsee: {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


def shown_bytes(count: int) -> str:
    """A size, such as ``1.5 MB``."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1_000:
            return f"{size:.3g} {unit}"
        size /= 1_000
    return f"{size:.3g} GB"


def shown_age(seconds: float) -> str:
    """How long something lasts, in its largest unit, such as ``3 h``."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def shown_moment(moment: datetime) -> str:
    """A moment in UTC, such as ``2026-11-24 23:57:03 UTC``."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def plain(text: str, limit: int = 200) -> str:
    """One line of a text that others wrote, which cannot steer the terminal."""
    cut = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return "".join(each if each.isprintable() else "·" for each in cut)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns as wide as what stands in them; the last one runs free."""
    widths = [max(len(row[index]) for row in (head, *rows)) for index in range(len(head))]
    for row in (head, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())
