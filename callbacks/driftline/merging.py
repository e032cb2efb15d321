"""How two records of one run become one, in whatever order they come."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial
from typing import Any

from driftline.records import Kind, Run, Status

_FIXED = frozenset({"id", "trace_id", "revision", "older_fields"})
_FIELDS = tuple(each.name for each in fields(Run) if each.name not in _FIXED)
_BLANK = Run(id="", trace_id="")
_EMPTY: dict[str, Any] = {name: getattr(_BLANK, name) for name in _FIELDS}
_UNSET: dict[str, Any] = {"kind": Kind.CHAIN, "status": Status.RUNNING, "sampling_weight": 1.0}
"""What these fields hold where nobody set them; so a late start never reopens a run that ended."""


def merge_runs(one: Run, other: Run) -> Run:
    """Join two records of the same run, field by field.

    A field that only one of them knows is kept; where both know it, the higher revision wins, and between
    equal revisions the greater text. So the result depends neither on the order in which records come nor on
    how often. An error goes with the status that it explains: a late end clears "its end never arrived".

    Raises:
        ValueError: the records are of different runs.
    """
    if one.id != other.id:
        raise ValueError(f"cannot merge run {one.id} with run {other.id}")
    if one == other:
        return one
    revision = max(one.revision, other.revision)
    trace_id = max((one, other), key=lambda run: (run.revision, run.trace_id)).trace_id
    values: dict[str, Any] = {"trace_id": trace_id, "revision": revision}
    older: dict[str, int] = {}
    for name in _FIELDS:
        known = [run for run in (one, other) if _is_known(run, name)]
        if name == "error":
            known = [run for run in known if run.status is values["status"]]
        winner = max(known, key=partial(_precedence, name), default=None)
        values[name] = _EMPTY[name] if winner is None else getattr(winner, name)
        if winner is not None and _field_revision(winner, name) != revision:
            older[name] = _field_revision(winner, name)
    return replace(one, **values, older_fields=older)


def _field_revision(run: Run, name: str) -> int:
    return run.older_fields.get(name, run.revision)


def _precedence(name: str, run: Run) -> tuple[int, str]:
    return _field_revision(run, name), repr(getattr(run, name))


def _is_known(run: Run, name: str) -> bool:
    value = getattr(run, name)
    if name in _UNSET:
        return bool(value != _UNSET[name])
    return value is not None and value not in ("", (), {})
