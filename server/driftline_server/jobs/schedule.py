"""What a job is: its work, and how often it is done."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from driftline_server.operations.services import Services

_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_EVERY = re.compile(r"(\d+) (minute|hour|day)s?")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext:
    """What a job works with."""

    services: Services


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Named work that is done once in every period, by whichever worker comes first."""

    name: str
    every: timedelta
    run: Callable[[JobContext], str]
    """May run twice without harm; returns its own log line, empty where there was nothing to do."""

    def period_of(self, moment: datetime) -> int:
        """The number of the period that a moment falls into; periods are counted from 1970 in UTC."""
        return int(moment.timestamp() // self.every.total_seconds())


JOBS: list[Job] = []
"""All jobs, in the order in which their modules are imported by ``worker``."""


def job(*, every: str) -> Callable[[Callable[[JobContext], str]], Job]:
    """Make a job of a function; ``every`` is such as ``5 minutes``, ``1 hour`` or ``1 day``.

    Raises:
        ValueError: the period cannot be read.
    """
    match = _EVERY.fullmatch(every)
    if not match or not int(match[1]):
        raise ValueError(f"every={every!r} is no period such as '5 minutes', '1 hour' or '1 day'")
    period = int(match[1]) * _UNITS[match[2]]

    def make(run: Callable[[JobContext], str]) -> Job:
        made = Job(name=run.__name__, every=period, run=run)
        JOBS.append(made)
        return made

    return make
