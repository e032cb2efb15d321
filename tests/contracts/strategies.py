"""Hypothesis strategies for every record, derived from the records' own type hints.

A field that is added to a record is drawn here without further ado; only what a type hint cannot say (an id
is hexadecimal, a weight is at least 1) stands in ``_OVERRIDES``.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar, get_args, get_origin

from hypothesis import strategies as st

from driftline.codec import MAX_DURATION_MS, MAX_INT, is_json, is_time, optional_inner, plan_of
from driftline.merging import merge_runs, worked_out
from driftline.records import Kind, Run, RunError, Score, Status

Record = TypeVar("Record")

RUN_ID = "0" * 31 + "1"
"""The id of the run that ``records_of_one_run`` tells about."""

texts = st.text(max_size=20)
"""Any text that UTF-8 can hold."""

hex_ids = st.uuids().map(lambda each: each.hex)

moments = st.datetimes(
    min_value=datetime(1970, 1, 1), max_value=datetime(2999, 12, 31), timezones=st.just(UTC)
)

numbers = st.floats(allow_nan=False, allow_infinity=False)

times = st.floats(min_value=-MAX_DURATION_MS, max_value=MAX_DURATION_MS)

counts = st.integers(min_value=0, max_value=MAX_INT)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(min_value=-MAX_INT, max_value=MAX_INT) | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
"""Any JSON value; whole numbers stay where every reader keeps them exact."""

json_objects = st.dictionaries(texts, json_values, max_size=3)

_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: counts,
    float: numbers,
    bool: st.booleans(),
    datetime: moments,
}
_OVERRIDES: dict[tuple[type, str], st.SearchStrategy[Any]] = {
    (Run, "id"): hex_ids,
    (Run, "trace_id"): hex_ids,
    (Run, "parent_id"): st.none() | hex_ids,
    (Run, "duration_ms"): st.none() | st.floats(min_value=0, max_value=MAX_DURATION_MS),
    (Run, "sampling_weight"): st.floats(min_value=1, max_value=1e9),
    (Run, "revision"): st.integers(min_value=0, max_value=1000),
    # Written by merging only: see ``merged_runs``.
    (Run, "older_fields"): st.just({}),
    (Run, "derived"): st.just(()),
    (Score, "id"): hex_ids,
    (Score, "trace_id"): hex_ids,
    (Score, "run_id"): st.none() | hex_ids,
    (Score, "name"): st.text(min_size=1, max_size=20),
}


def records_of(record_type: type[Record]) -> st.SearchStrategy[Record]:
    """Records of one type, every field drawn or left empty, with fields of a newer version in ``extra``."""
    plans = plan_of(record_type)
    required = {plan.name: _field_of(record_type, plan.name, plan.hint) for plan in plans if plan.required}
    optional = {
        plan.name: _field_of(record_type, plan.name, plan.hint) for plan in plans if not plan.required
    }
    optional["extra"] = newer_fields(record_type)
    return st.fixed_dictionaries(required, optional=optional).map(lambda values: record_type(**values))


def newer_fields(record_type: type) -> st.SearchStrategy[dict[str, Any]]:
    """What a newer writer may add: any field that this version does not know."""
    known = {plan.name for plan in plan_of(record_type)}
    return st.dictionaries(texts.filter(lambda key: key not in known), json_values, max_size=2)


def runs() -> st.SearchStrategy[Run]:
    """Any run that can come off the wire."""
    return records_of(Run).map(_as_off_the_wire)


def scores() -> st.SearchStrategy[Score]:
    """Any score that can come off the wire."""
    return records_of(Score)


def records_of_one_run(run_id: str = RUN_ID) -> st.SearchStrategy[Run]:
    """Sparse records of one run from few values, so that two of them often agree, differ or complement."""
    clock = st.sampled_from([datetime(2026, 3, 4, 5, 6, second, tzinfo=UTC) for second in range(3)])
    return st.fixed_dictionaries(
        {
            "id": st.just(run_id),
            "trace_id": st.sampled_from([run_id, "f" * 32]),
            "revision": st.integers(min_value=0, max_value=3),
        },
        optional={
            "kind": st.sampled_from([Kind.CHAIN, Kind.LLM, Kind.TOOL]),
            "status": st.sampled_from([Status.RUNNING, Status.OK, Status.ERROR, Status.INCOMPLETE]),
            "error": st.sampled_from([None, RunError(type="KeyError")]),
            "started_at": clock,
            "ended_at": clock,
            "duration_ms": st.sampled_from([None, 500.0, 1000.0]),
            "name": st.sampled_from(["", "answer", "ask"]),
            "inputs": st.sampled_from([None, {}, {"a": 1}, {"a": 2}, 0]),
            "tags": st.sampled_from([(), ("a",), ("b",)]),
            "sampling_weight": st.sampled_from([1.0, 2.0]),
            "extra": st.dictionaries(
                st.sampled_from(["mood", "colour"]), st.sampled_from([1, 2]), max_size=2
            ),
        },
    ).map(lambda values: Run(**values))


def merged_runs() -> st.SearchStrategy[Run]:
    """Runs that merging made of two records."""
    record = records_of_one_run().map(_as_off_the_wire)
    return st.tuples(record, record).map(lambda pair: merge_runs(*pair))


def _as_off_the_wire(run: Run) -> Run:
    """What follows from its other fields is filled in, as decoding does."""
    return replace(run, **worked_out(run.started_at, run.ended_at, run.duration_ms))


def _field_of(record_type: type, name: str, hint: Any) -> st.SearchStrategy[Any]:
    override = _OVERRIDES.get((record_type, name))
    if override is None and is_time(name):
        return st.none() | times if optional_inner(hint) else times
    return _values_of(hint) if override is None else override


def _values_of(hint: Any) -> st.SearchStrategy[Any]:
    inner = optional_inner(hint)
    if inner is not None:
        return st.none() | _values_of(inner)
    if is_json(hint):
        return json_values
    origin = get_origin(hint)
    if origin is tuple:
        return st.lists(_values_of(get_args(hint)[0]), max_size=2).map(tuple)
    if origin in (dict, Mapping, types.MappingProxyType):
        return json_objects
    if is_dataclass(hint) and isinstance(hint, type):
        return st.deferred(lambda: records_of(hint))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return st.sampled_from(list(hint))
    return _SCALARS[hint]
