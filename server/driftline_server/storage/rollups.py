"""What the model runs of a trace used and cost, without counting nested ones twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from driftline.records import Kind, Status
from driftline_server.storage.facts import CACHED, RunFacts
from driftline_server.storage.values import bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRollup:
    """Sums over a trace; a sum is ``None`` where nothing was reported."""

    llm_count: int
    input_tokens: int | None
    output_tokens: int | None
    usage_missing: int
    cost_micro_usd: int | None
    cost_unknown: int


def roll_up_usage(runs: Sequence[RunFacts]) -> UsageRollup:
    """Add up usage and cost of the innermost runs that report them.

    A model that delegates to another (a router, a wrapper, a retry) often repeats the figures of the inner
    one, so a run counts only where no run below it reports. An answer from the application's own cache used
    nothing.
    """
    parents = {run.id: run.parent_id for run in runs}
    reporting = [run for run in runs if run.usage is not None or run.cost_micro_usd is not None]
    above_reporting = _ancestors(reporting, parents)
    counted = [run for run in reporting if run.id not in above_reporting]
    models = [run for run in runs if run.kind == Kind.LLM]
    above_models = _ancestors(models, parents)
    innermost = [run for run in models if run.id not in above_models]
    telling = above_reporting | {run.id for run in reporting}
    is_told_above = _Descent({run.id for run in models if run.usage is not None}, parents)
    silent = [
        run
        for run in innermost
        # One that runs has not told yet; one that failed before its first word was, as a rule, not charged.
        if run.status != Status.RUNNING
        and (run.status != Status.ERROR or run.first_text_ms is not None)
        and run.id not in telling
        and not is_told_above(run.id)
    ]
    used = [run for run in counted if run.usage != CACHED]
    return UsageRollup(
        llm_count=len(innermost),
        input_tokens=_sum([run.input_tokens for run in used]),
        output_tokens=_sum([run.output_tokens for run in used]),
        usage_missing=len(silent),
        cost_micro_usd=_sum([run.cost_micro_usd for run in counted]),
        cost_unknown=sum(1 for run in used if run.usage is not None and run.cost_micro_usd is None),
    )


def _ancestors(runs: Sequence[RunFacts], parents: Mapping[bytes, bytes | None]) -> set[bytes]:
    above: set[bytes] = set()
    for run in runs:
        parent = run.parent_id
        while parent is not None and parent not in above:
            above.add(parent)
            parent = parents.get(parent)
    return above


class _Descent:
    """Tells which runs lie below some given ones; each way up is walked once."""

    def __init__(self, tops: set[bytes], parents: Mapping[bytes, bytes | None]) -> None:
        self._parents = parents
        self._known = dict.fromkeys(tops, True)

    def __call__(self, run_id: bytes) -> bool:
        way: list[bytes] = []
        above = self._parents.get(run_id)
        while above is not None and above not in self._known:
            way.append(above)
            # Said for now, so that a ring of parents ends.
            self._known[above] = False
            above = self._parents.get(above)
        found = above is not None and self._known[above]
        self._known.update(dict.fromkeys(way, found))
        return found


def _sum(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return bounded(sum(known)) if known else None
