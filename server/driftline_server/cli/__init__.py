"""The command line of the server: ``driftline serve``, ``driftline traces show`` and their neighbours."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0, 1 for a failure, 2 for wrong usage, 130 when interrupted."""
    from driftline_server.cli.running import run

    return run(arguments)
