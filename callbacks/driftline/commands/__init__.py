"""What the ``driftline`` command can do where only the client is installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

COMMANDS = {
    "doctor": "Check what this machine sends, where to, and what became of it.",
    "spool": "Look at the runs that wait on disk, and send them.",
}


def command_of(name: str) -> Callable[[Sequence[str]], int]:
    """The command of a name; called with the arguments behind it, it gives the exit code."""
    main: Callable[[Sequence[str]], int] = import_module(f"driftline.commands.{name}").main
    return main
