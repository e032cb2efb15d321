"""How two records of one run become one, in whatever order they come.

Each field is settled on its own: a record that knows it beats one that does not, then the higher revision
wins, then the greater text. That is a maximum, so the result depends neither on the order in which records
come, nor on how they are grouped, nor on how often each comes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from driftline.records import Kind, Run, Status

_SETTLED_APART = frozenset(
    {"id", "trace_id", "status", "error", "revision", "older_fields", "derived", "extra"}
)
_FIELDS = tuple(each.name for each in fields(Run) if each.name not in _SETTLED_APART)
_BLANK = Run(id="", trace_id="")
_UNSET: dict[str, Any] = {"kind": Kind.CHAIN, "sampling_weight": 1.0}
"""What these fields hold where nobody set them."""
_LATEST_YEAR = 2999


def merge_runs(one: Run, other: Run) -> Run:
    """Join two records of the same run, field by field.

    Status and error are settled together: a late start never reopens a run that ended, and a late end clears
    "its end never arrived" with the error that said so. What only a newer version knows is kept too.

    Raises:
        ValueError: the records are of different runs.
    """
    if one.id != other.id:
        raise ValueError(f"cannot merge run {one.id} with run {other.id}")
    if one == other:
        return one
    merging = _Merging(one, other)
    values = {name: merging.settle_field(name) for name in _FIELDS}
    found = worked_out(values["started_at"], values["ended_at"], values["duration_ms"])
    return replace(
        one,
        **(values | found | merging.settle_outcome()),
        trace_id=max((one, other), key=lambda run: (run.revision, run.trace_id)).trace_id,
        extra=merging.settle_extra(),
        revision=merging.revision,
        older_fields=merging.older_fields,
        derived=tuple(found),
    )


def worked_out(
    started_at: datetime | None, ended_at: datetime | None, duration_ms: float | None
) -> dict[str, Any]:
    """The end or the duration of a run by name, where it is unknown and follows from the other two."""
    if started_at is None:
        return {}
    if duration_ms is None and ended_at is not None:
        return {"duration_ms": max(0.0, (ended_at - started_at) / timedelta(milliseconds=1))}
    if ended_at is None and duration_ms is not None:
        try:
            end = started_at + timedelta(milliseconds=duration_ms)
        except OverflowError:
            return {}
        return {"ended_at": end} if end.year <= _LATEST_YEAR else {}
    return {}


@dataclass(frozen=True, slots=True)
class _Merging:
    """Two records of one run, and which settled fields came from a lower revision than the higher one."""

    one: Run
    other: Run
    older_fields: dict[str, int] = field(default_factory=dict)

    @property
    def revision(self) -> int:
        return max(self.one.revision, self.other.revision)

    def settle_field(self, name: str) -> Any:
        winner = self._winner(name, lambda run: _is_known(run, name), lambda run: repr(getattr(run, name)))
        return getattr(winner or _BLANK, name)

    def settle_outcome(self) -> dict[str, Any]:
        winner = self._winner("status", _has_outcome, _finality) or _BLANK
        return {"status": winner.status, "error": winner.error}

    def settle_extra(self) -> dict[str, Any]:
        return {key: self._settle_extra_field(key) for key in {**self.one.extra, **self.other.extra}}

    def _settle_extra_field(self, key: str) -> Any:
        winner = self._winner(key, lambda run: key in run.extra, lambda run: repr(run.extra[key]))
        return winner.extra[key] if winner else None

    def _winner(self, name: str, knows: Callable[[Run], bool], weight: Callable[[Run], Any]) -> Run | None:
        known = [run for run in (self.one, self.other) if knows(run)]
        if not known:
            return None
        revision = max(_field_revision(run, name) for run in known)
        newest = [run for run in known if _field_revision(run, name) == revision]
        if revision != self.revision:
            self.older_fields[name] = revision
        return newest[0] if len(newest) == 1 else max(newest, key=weight)


def _field_revision(run: Run, name: str) -> int:
    return run.older_fields.get(name, run.revision)


def _is_known(run: Run, name: str) -> bool:
    if name in run.derived:
        return False
    value = getattr(run, name)
    if name in _UNSET:
        return bool(value != _UNSET[name])
    return value is not None and value not in ("", (), {})


def _has_outcome(run: Run) -> bool:
    return run.status is not Status.RUNNING or run.error is not None


def _finality(run: Run) -> tuple[int, str]:
    """Between equal revisions, an end that was seen beats one that was only missed."""
    rank = {Status.RUNNING: 0, Status.INCOMPLETE: 1}.get(run.status, 2)
    return rank, repr((run.status, run.error))
