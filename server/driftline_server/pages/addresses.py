"""The addresses of our pages, with what they carry along in their query."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from flask import url_for


def traces_address(values: Mapping[str, str]) -> str:
    """The trace list with its filter."""
    return _with_query(url_for("pages.list_traces"), values)


def trace_address(trace_id: str, values: Mapping[str, str]) -> str:
    """The page of a trace, with the filter of the list that one came from."""
    return _with_query(url_for("pages.show_trace", trace_id=trace_id), values)


def raw_address(trace_id: str, run_id: str, place: str) -> str:
    """A part of a run as it was recorded."""
    return url_for("pages.show_raw", trace_id=trace_id, run_id=run_id, place=place)


def _with_query(path: str, values: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(values)}" if values else path
