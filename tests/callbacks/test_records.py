"""What holds for every record."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest

from driftline import records
from driftline.records import Run, Usage

RECORDS: list[Any] = [
    each
    for each in vars(records).values()
    if inspect.isclass(each) and dataclasses.is_dataclass(each) and each.__module__ == records.__name__
]


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_is_frozen_slotted_and_built_by_name(record: Any) -> None:
    assert record.__dataclass_params__.frozen
    assert all(each.kw_only for each in dataclasses.fields(record))
    assert "__slots__" in vars(record)


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_says_what_it_is_for(record: Any) -> None:
    assert record.__doc__
    assert not record.__doc__.startswith(f"{record.__name__}(")


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_keeps_what_a_newer_writer_knows(record: Any) -> None:
    (extra,) = [each for each in dataclasses.fields(record) if each.name == "extra"]
    assert extra.default_factory is dict


def test_an_empty_field_never_means_zero() -> None:
    run = Run(id="0" * 32, trace_id="0" * 32)
    assert run.duration_ms is None
    assert run.cost is None
    assert run.usage is None
    assert all(
        getattr(Usage(), each.name) is None
        for each in dataclasses.fields(Usage)
        if each.name.endswith("_tokens")
    )


def test_records_share_no_mutable_default() -> None:
    one, other = Run(id="0" * 32, trace_id="0" * 32), Run(id="0" * 32, trace_id="0" * 32)
    assert one.metadata is not other.metadata
    assert one.extra is not other.extra
