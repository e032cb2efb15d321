"""Runs a command and turns whatever goes wrong into a line or two with the remedy."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from driftline.errors import DriftlineError
from driftline_server.cli.console import complain
from driftline_server.cli.root import NAME, root

FAILED = 1
WRONG_USAGE = 2
_DEBUG = "--debug"
_HELP = "help"
INTERRUPTED = 130
"""What a shell expects of a program that was ended with Ctrl-C."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # It is told to people as a way to see more, so it holds wherever they write it.
    debugging = _DEBUG in given
    given = [each for each in given if each != _DEBUG]
    if given[:1] == [_HELP]:
        given = [*given[1:], f"--{_HELP}"]
    try:
        code = root.main(given, prog_name=NAME, standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        # Whoever names no command asks what there is.
        click.echo(error.format_message())
        return 0
    except click.UsageError as error:
        return _explain_usage(error)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    except click.ClickException as error:
        complain(error.format_message())
        return error.exit_code
    except DriftlineError as error:
        if debugging:
            raise
        complain(str(error))
        return FAILED
    except Exception as error:
        if debugging:
            raise
        complain(f"unexpected {type(error).__name__}: {error}", "run it again with --debug to see where")
        return FAILED
    return code if isinstance(code, int) else 0


def _explain_usage(error: click.UsageError) -> int:
    command = error.ctx.command_path if error.ctx else NAME
    complain(error.format_message(), f"see: {command} --help")
    return WRONG_USAGE


def _reader_left() -> int:
    """As when ``head`` has seen enough; nothing more may be written, not even by Python at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED
