"""What becomes of a cost that no record says when records of one run are joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from driftline.records import Cost, Run

Pricing = Callable[[Run, Sequence[Run]], Run]
"""Gives a run its cost. With the run come the records that it was joined from, the one that was known before
in front; none where it came in one piece. It asks no database, because transactions wait for it."""

_COST = "cost"


def with_found_cost(run: Run, cost: Cost) -> Run:
    """A run with a cost that was worked out: joining it with another record drops it again."""
    return replace(run, cost=cost, derived=tuple(dict.fromkeys((*run.derived, _COST))))


def keep_cost(run: Run, parts: Sequence[Run]) -> Run:
    """The pricing of records that change nothing that a cost is worked out from."""
    known = next((part.cost for part in parts if part.cost is not None), None)
    return run if run.cost is not None or known is None else with_found_cost(run, known)
