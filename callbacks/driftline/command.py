"""The ``driftline`` command: the client's part; and the server's, or how to get it."""

from __future__ import annotations

import sys
from importlib import import_module

from driftline.commands import COMMANDS, run_command
from driftline.version import __version__

INSTALL = "install it with the extra [server], as README.md shows"
_OWN = "Without the server there are:\n" + "".join(
    f"  driftline {name:8}{COMMANDS[name]}\n" for name in COMMANDS
)
_OURS = ("driftline", "driftline_server", "driftline_evaluators")


def main() -> int:
    """Run the command line; gives the exit code."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        print(f"driftline {__version__}")
        return 0
    if arguments and arguments[0] in COMMANDS:
        return run_command(arguments[0], arguments[1:])
    try:
        return int(import_module("driftline_server.cli").main() or 0)
    except ModuleNotFoundError as error:
        # Only a missing library means that the server was not installed; anything else is a fault to be seen.
        missing = (error.name or "").partition(".")[0]
        if missing in _OURS and error.name != "driftline_server":
            raise
        return _do_without_the_server(arguments)


def _do_without_the_server(arguments: list[str]) -> int:
    """Show what there is all the same, and how to get the rest."""
    verb = next((each for each in arguments if not each.startswith("-")), "")
    if not verb and not {"--help", "-h"}.isdisjoint(arguments):
        print(f"usage: driftline COMMAND\n\n{_OWN}\nEvery other command needs the server: {INSTALL}")
        return 0
    if verb:
        told = f"without it there are: {', '.join(COMMANDS)}"
        print(f"driftline {verb} needs the server: {INSTALL}\n{told}", file=sys.stderr)
    else:
        print(f"driftline needs the server: {INSTALL}\n{_OWN}", end="", file=sys.stderr)
    return 2
