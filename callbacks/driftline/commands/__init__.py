"""What the ``driftline`` command can do where only the client is installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "doctor": "Check what this machine sends, where to, and what became of it.",
    "spool": "Look at the runs that wait on disk, and send them.",
}
VERBS = {"spool": ("discard", "letters", "list", "replay", "resend")}
"""What comes behind the name of a command that does several things, in the order of the alphabet."""
INTERRUPTED = 130
"""What a shell expects of a program that was ended with Ctrl-C."""


def run_command(name: str, arguments: Sequence[str]) -> int:
    """Run one of them with the arguments behind its name; gives the exit code."""
    try:
        code = int(import_module(f"driftline.commands.{name}").main(arguments))
        sys.stdout.flush()
    except SystemExit as ended:
        # Its help was shown, or its usage was wrong and that was said.
        return ended.code if isinstance(ended.code, int) else 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough; nothing more may be written, not even by Python at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code
