"""Which ``DRIFTLINE_*`` variables there are beside those of the client, so that a misspelt one is noticed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

PREFIX = "DRIFTLINE_"
SERVER_SETTINGS = (
    "allowed_hosts", "config", "data", "database_url", "host", "insecure", "keep_days", "log_level",
    "login_days", "max_body_bytes", "max_expanded_bytes", "max_page_size", "max_runs_per_batch",
    "max_waiting_bytes", "port", "silent_after_minutes", "synchronous", "threads", "trusted_proxy", "worker",
)  # fmt: skip
"""The settings of the server, which share the prefix; the client cannot import it to ask."""
_ELSEWHERE = frozenset(
    PREFIX + name.upper()
    for name in (*SERVER_SETTINGS, "auto", "strict", "password", "db_password", "publish")
)
_NOT_FOR_US = re.compile(r"_SERVICE_(HOST|PORT)|_PORT$|_PORT_\d+_|^DRIFTLINE_TEST_")
"""What Kubernetes sets for a service that is called driftline, and what our own tests read."""


def unknown_variables(names: Iterable[str], known: Collection[str]) -> list[tuple[str, str]]:
    """The names under our prefix that nothing reads, each with what to say of it."""
    return [
        (name, _described(name, known))
        for name in names
        if name.startswith(PREFIX)
        and name not in known
        and name not in _ELSEWHERE
        and not _NOT_FOR_US.search(name)
    ]


def _described(name: str, known: Collection[str]) -> str:
    import difflib

    # The common prefix would make all of them alike.
    endings = [each.removeprefix(PREFIX) for each in sorted({*known, *_ELSEWHERE})]
    close = difflib.get_close_matches(name.removeprefix(PREFIX).upper(), endings, n=1, cutoff=0.6)
    shown = name if len(name) <= 80 and name.isprintable() else repr(name[:80])
    meant = f": did you mean {PREFIX}{close[0]}?" if close else ""
    return f"{shown} is no variable that Driftline reads{meant}"
