"""The command ``driftline`` and the list of what it can do; each part is loaded when it is used."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import Any

import click

from driftline.commands import COMMANDS, run_command
from driftline.version import __version__

NAME = "driftline"
_COMMANDS = {
    "serve": "Start the server and its pages.",
    "demo": "Start a server and fill it with the traces of a real application.",
    "open": "Open the pages in a browser.",
    "traces": "List, show, export and import traces.",
    "settings": "List every setting with its value and origin.",
    "users": "Add, list, change and remove the people who may log in.",
    "keys": "Make, list and revoke the API keys of programs.",
    "prices": "Set, list and remove what a model costs.",
    "worker": "Do the jobs in a process of their own.",
    **COMMANDS,
}
"""Commands in the order of the help; their modules have the same names."""
_MODULES = {"open": "open_pages", "settings": "show_settings"}
"""Modules whose own name would hide another one."""
CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class LazyGroup(click.Group):
    """Knows its commands by name and imports the one that is asked for, so that help comes at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            return _command_of_the_client(cmd_name)
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"driftline_server.cli.{_MODULES.get(cmd_name, cmd_name)}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        # Click would look for a likeness among commands that are loaded, and here none is.
        name = args[0]
        if not name.startswith("-") and name not in _COMMANDS and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, _COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


def _command_of_the_client(name: str) -> click.Command:
    """One that is there without the server too, and reads its arguments by itself."""

    @click.command(name, add_help_option=False, context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def pass_on(arguments: tuple[str, ...]) -> int:
        return run_command(name, arguments)

    return pass_on


_COMPLETION = """\b
Complete commands with the tab key: put this into ~/.bashrc
  eval "$(_DRIFTLINE_COMPLETE=bash_source driftline)"
or its likeness with zsh_source into ~/.zshrc, with fish_source into fish's configuration.
"""


@click.group(cls=LazyGroup, context_settings=CONTEXT, epilog=_COMPLETION)
@click.version_option(__version__, "--version", prog_name=NAME, message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the stack of an unexpected error.")
def root(debug: bool) -> None:
    """Driftline keeps the traces of LLM applications on your own machine.

    \b
    driftline demo                 see it with traces of a real application
    driftline serve                start the server
    driftline traces list          what happened lately
    """
