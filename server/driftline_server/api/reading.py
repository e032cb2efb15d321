"""Hands out traces, runs and projects."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import fields
from typing import Any

from flask import Response

from driftline.records import Kind, Run, Status
from driftline_server.api import documents
from driftline_server.api.answers import json_answer
from driftline_server.api.endpoints import Asked, Endpoint
from driftline_server.api.large import begin_large_read, stream_trace
from driftline_server.api.parameters import Parameter, choice, cursor, moment, number, text, whole
from driftline_server.doors import RefusedRequest, services
from driftline_server.operations import projects, runs, traces
from driftline_server.storage.queries import RunFilter, TraceFilter

DEFAULT_PAGE_SIZE = 50
_MAX_MICRO_USD = 2**53 - 1


def _paging() -> tuple[Parameter, ...]:
    highest = services().settings.max_page_size
    return (
        whole(
            "limit",
            f"How many to give, 1 to {highest}; {DEFAULT_PAGE_SIZE} by default.",
            lowest=1,
            highest=highest,
        ),
        cursor("cursor", "The next of the page before; leave it out for the first page."),
    )


def _place_and_time(what: str) -> tuple[Parameter, ...]:
    return (
        text("project", f"{what} of this project."),
        moment("since", "Started at or after this moment."),
        moment("until", "Started before this moment."),
    )


def trace_parameters() -> tuple[Parameter, ...]:
    """What a list of traces may be asked for."""
    return (
        *_place_and_time("Traces"),
        choice("status", "How the trace stands.", Status),
        text("name", "The name of the root run."),
        text("feature", "The feature that it served."),
        text("user_id", "The user that it served."),
        text("session_id", "The session that it belongs to."),
        text("environment", "Where the application ran."),
        text("release", "The release of the application."),
        text("model", "A model that answered in the trace."),
        text("text", "Contained in name, question, answer or error, whatever its case."),
        number("min_duration_ms", "Took at least so many milliseconds."),
        number("max_duration_ms", "Took at most so many milliseconds."),
        whole("min_cost_micro_usd", "Cost at least so many micro-USD.", lowest=0, highest=_MAX_MICRO_USD),
        *_paging(),
    )


def run_parameters() -> tuple[Parameter, ...]:
    """What a list of runs may be asked for."""
    return (
        *_place_and_time("Runs"),
        text("trace_id", "Runs of this trace."),
        choice("kind", "What the run does.", Kind),
        choice("status", "How the run stands.", Status),
        text("name", "The name of the run."),
        text("model", "The model that answered, else that was asked."),
        *_paging(),
    )


def list_traces(asked: Asked) -> Response:
    """One page of traces."""
    page = traces.find_traces(services(), TraceFilter(**_clauses(asked, TraceFilter)), **_page(asked))
    return json_answer(documents.traces_document(page))


def show_trace(asked: Asked, *, trace_id: str) -> Response:
    """A whole trace."""
    trace = traces.get_trace(services(), _id(trace_id, "trace_id"))
    if trace is None:
        raise RefusedRequest(404, f"there is no trace {trace_id[:100]}", field="trace_id")
    return stream_trace(trace) if trace.is_large else json_answer(documents.trace_with_runs(trace))


def list_runs(asked: Asked) -> Response:
    """One page of runs."""
    clauses = _clauses(asked, RunFilter)
    if "trace_id" in clauses:
        clauses["trace_id"] = _id(clauses["trace_id"], "trace_id", status=422)
    page = runs.find_runs(services(), RunFilter(**clauses), **_page(asked))
    return json_answer(documents.runs_document(page))


def show_run(asked: Asked, *, run_id: str) -> Response:
    """A run with its payload."""
    plain_id = _id(run_id, "run_id")
    with ExitStack() as stack:
        if runs.is_large(services(), plain_id):
            stack.callback(begin_large_read())
        run = runs.get_run(services(), plain_id)
        if run is None:
            raise RefusedRequest(404, f"there is no run {run_id[:100]}", field="run_id")
        return json_answer(documents.run_with_payload(run))


def list_projects(asked: Asked) -> Response:
    """All projects."""
    found = projects.get_projects(services())
    return json_answer({"projects": [documents.project_document(each) for each in found]})


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/traces",
        name="list_traces",
        about="Traces from new to old, without payloads.",
        view=list_traces,
        answer=documents.TracesDocument,
        parameters=trace_parameters,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/traces/<trace_id>",
        name="show_trace",
        about="A whole trace: every run with its payload, and every score.",
        view=show_trace,
        answer=documents.TraceWithRuns,
        statuses=(404, 429),
    ),
    Endpoint(
        method="GET",
        path="/api/v1/runs",
        name="list_runs",
        about="Runs from new to old, without payloads.",
        view=list_runs,
        answer=documents.RunsDocument,
        parameters=run_parameters,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/runs/<run_id>",
        name="show_run",
        about="One run with its payload.",
        view=show_run,
        answer=Run,
        statuses=(404, 429),
    ),
    Endpoint(
        method="GET",
        path="/api/v1/projects",
        name="list_projects",
        about="All projects, by name.",
        view=list_projects,
        answer=documents.ProjectsDocument,
    ),
)


def _clauses(asked: Asked, filter_type: type[TraceFilter] | type[RunFilter]) -> dict[str, Any]:
    names = {each.name for each in fields(filter_type)}
    return {name: value for name, value in asked.items() if name in names}


def _page(asked: Asked) -> dict[str, Any]:
    limit = min(DEFAULT_PAGE_SIZE, services().settings.max_page_size)
    return {"limit": asked.get("limit", limit), "after": asked.get("cursor")}


def _id(sent: str, field: str, *, status: int = 404) -> str:
    """An id in the store's spelling; UUIDs with hyphens are welcome too."""
    plain = sent.replace("-", "").lower()
    if len(plain) == 32 and all(each in "0123456789abcdef" for each in plain):
        return plain
    raise RefusedRequest(
        status, f"{sent[:100]!r} is no id", field=field, remedy="an id has 32 hexadecimal digits"
    )
