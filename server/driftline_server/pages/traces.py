"""The trace list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from flask import make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from driftline.records import Status
from driftline_server.doors import services
from driftline_server.operations.cursors import write_cursor
from driftline_server.operations.facets import count_facets
from driftline_server.operations.list_traces import ListedTraces
from driftline_server.operations.list_traces import list_traces as read_list
from driftline_server.operations.totals import get_totals
from driftline_server.pages import blueprint
from driftline_server.pages.addresses import trace_address, traces_address
from driftline_server.pages.clock import Clock
from driftline_server.pages.emptiness import Suggestion, none_title, suggest_less
from driftline_server.pages.frame import Frame, Link, make_frame, project_links, read_current_viewer
from driftline_server.pages.mistakes import Mistake, unknown_fields
from driftline_server.pages.range_ribbon import range_ribbon
from driftline_server.pages.ribbon import Ribbon
from driftline_server.pages.shapes import page_scale_ms
from driftline_server.pages.trace_query import (
    ACCEPTED,
    CLAUSES,
    CUSTOM,
    RANGES,
    Chip,
    Clause,
    TraceQuery,
    read_query,
)
from driftline_server.pages.trace_rows import StatusMark, TraceRow, status_mark, trace_row
from driftline_server.storage.queries import Facet

PAGE_SIZE = 50
_FACETS = {
    "name": Facet.NAME, "feature": Facet.FEATURE, "user": Facet.USER, "model": Facet.MODEL,
    "environment": Facet.ENVIRONMENT, "release": Facet.RELEASE,
}  # fmt: skip
_OTHER_NAMES = {name: clause.key for clause in reversed(CLAUSES) for name in (clause.label, clause.field)}
"""What people may call a field that has a shorter name in the address."""


@blueprint.get("/")
def go_to_traces() -> AnyResponse:
    """The overview will stand here; until then the list is the first page."""
    return redirect(traces_address({}))


@blueprint.get("/traces")
def list_traces() -> AnyResponse:
    """The list; where a part of the filter makes no sense, the list without it, and what is wrong."""
    frame = make_frame("Traces", here="Traces")
    query = read_query(request.args, frame.viewer.clock)
    listed = read_list(services(), query.wanted, limit=PAGE_SIZE, after=query.after)
    page = TracesPage(
        frame=frame,
        query=query,
        mistakes=query.mistakes + unknown_fields(request.args, known=ACCEPTED, names=_OTHER_NAMES),
        listed=listed,
        statuses=count_facets(services(), query.wanted, (Facet.STATUS,)).get(Facet.STATUS, {}),
        ribbon=range_ribbon(query, frame.viewer.clock),
        suggestions=() if listed.page.traces else suggest_less(query, frame.viewer.clock),
        has_any=bool(listed.page.traces) or get_totals(services()).traces > 0,
        server_url=request.host_url.rstrip("/"),
    )
    return make_response(render_template("traces/list.html", page=page), 400 if page.mistakes else 200)


@blueprint.get("/traces/offers")
def list_offers() -> str:
    """The values that occur in each field of the filter, for the module that completes what one types."""
    query = read_query(request.args, read_current_viewer().clock)
    counts = count_facets(services(), query.wanted, _FACETS.values())
    offers = {key: tuple(counts.get(facet, {})) for key, facet in _FACETS.items()}
    return render_template("traces/_offers.html", page=OffersPage(offers=offers))


@dataclass(frozen=True, slots=True, kw_only=True)
class OffersPage:
    """What ``traces/_offers.html`` shows."""

    offers: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusTab:
    """All traces, or those of one status, with their number."""

    label: str
    count: int
    address: str
    mark: StatusMark | None
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of the filter form."""

    clause: Clause
    value: str
    is_wrong: bool
    """Its value cannot be read; why, stands above the form."""
    has_offers: bool
    """Whether values that occur can be offered; they are counted only once somebody opens the form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TracesPage:
    """What ``traces/list.html`` shows."""

    frame: Frame
    query: TraceQuery
    mistakes: tuple[Mistake, ...]
    listed: ListedTraces
    statuses: Mapping[str, int]
    """How many traces of each status there are, whatever status is asked for."""
    ribbon: Ribbon | None
    suggestions: tuple[Suggestion, ...]
    has_any: bool
    server_url: str

    @property
    def clock(self) -> Clock:
        return self.frame.viewer.clock

    @property
    def rows(self) -> tuple[TraceRow, ...]:
        traces = self.listed.page.traces
        scale_ms = page_scale_ms(traces, now=self.clock.now)
        # A trace stands in the list that one came from, so the range is named even where it is the usual one.
        address = self.query.address(range=self.query.range.name)
        names_project = len({trace.project for trace in traces}) > 1
        return tuple(
            trace_row(
                trace,
                address=trace_address(trace.trace_id, address),
                clock=self.clock,
                scale_ms=scale_ms,
                names_project=names_project,
            )
            for trace in traces
        )

    @property
    def has_scores(self) -> bool:
        return any(trace.lowest_score is not None for trace in self.listed.page.traces)

    @property
    def when_class(self) -> str:
        """How much room the moments need: a time, a day before it, or a year as well."""
        now = self.clock.local(self.clock.now)
        days = {self.clock.local(trace.started_at).date() for trace in self.listed.page.traces}
        if any(day.year != now.year for day in days):
            return "with-years"
        return "with-days" if days - {now.date()} else ""

    @property
    def chips(self) -> tuple[tuple[Chip, str], ...]:
        """The clauses in force, and the moments of a range, each with the address without it."""
        chips = self.query.chips()
        if not {"since", "until"}.isdisjoint(self.query.values) and self.query.range.name == CUSTOM:
            without = self.query.address(range=None, since=None, until=None)
            chips += (Chip(text=self.query.range.label, key="range", without=without),)
        return tuple((chip, traces_address(chip.without)) for chip in chips)

    @property
    def none_title(self) -> str:
        return none_title(self.query, self.suggestions)

    @property
    def everything(self) -> str:
        """The address without any clause; project and time range stay."""
        return traces_address(self.query.address(**{clause.key: None for clause in CLAUSES}))

    @property
    def projects(self) -> tuple[str, tuple[Link, ...]]:
        return project_links(self.query.wanted.project, self.query.address())

    @property
    def ranges(self) -> tuple[Link, ...]:
        """The ready-made time ranges."""
        return tuple(
            Link(
                label=label,
                address=traces_address(self.query.address(range=name, since=None, until=None)),
                is_current=self.query.range.name == name,
            )
            for name, (label, _) in RANGES.items()
        )

    @property
    def tabs(self) -> tuple[StatusTab, ...]:
        """All, then each status that occurs."""
        counts = self.statuses
        chosen = self.query.wanted.status
        tabs = [self._tab("all", sum(counts.values()), None)]
        for status in Status:
            if counts.get(status.value) or status is chosen:
                tabs.append(self._tab(status.value, counts.get(status.value, 0), status))
        return tuple(tabs)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields of the form behind the search line."""
        wrong = {mistake.key: mistake for mistake in self.query.mistakes}
        return tuple(
            Field(
                clause=clause,
                value=wrong[clause.key].text
                if clause.key in wrong
                else self.query.values.get(clause.key, ""),
                is_wrong=clause.key in wrong,
                has_offers=clause.key in _FACETS,
            )
            for clause in CLAUSES
            if clause.key not in ("q", "status")
        )

    def meant(self, mistake: Mistake) -> str:
        """The address with the field that was probably meant."""
        return traces_address(self.query.address(**{mistake.meant: mistake.text}))

    @property
    def without_mistakes(self) -> str:
        return traces_address(self.query.address())

    @property
    def kept(self) -> tuple[tuple[str, str], ...]:
        """Parts of the address that the filter form carries along."""
        keys = ("project", "range", "since", "until", "status")
        return tuple((key, self.query.values[key]) for key in keys if key in self.query.values)

    @property
    def kept_by_range(self) -> tuple[tuple[str, str], ...]:
        """Parts of the address that the form for a time range carries along."""
        left = ("range", "since", "until", "after")
        return tuple((key, value) for key, value in self.query.values.items() if key not in left)

    @property
    def since_local(self) -> str:
        return self._local(self.query.range.since)

    @property
    def until_local(self) -> str:
        return self._local(self.query.range.until)

    @property
    def count_text(self) -> str:
        """``1 to 50 of 214, exact``; ``of more than 10,000`` where counting stopped."""
        number, count, newer = len(self.listed.page.traces), self.listed.count, self.listed.newer
        if not number and not newer.number:
            return "none"
        whole = f"{count.number:,}, exact" if count.exact else f"more than {count.number:,}"
        if not newer.exact:
            return f"{number} after more than {newer.number:,}"
        return f"{newer.number + 1:,} to {newer.number + number:,} of {whole}"

    @property
    def paper_title(self) -> str:
        """What this is a list of, for a sheet of paper, which has no header and is read on another day."""
        span = self.query.range.phrase
        if self.query.range.until is None and self.query.range.name in RANGES:
            span += f" up to {self.clock.day(self.clock.now)} {self.clock.local(self.clock.now):%H:%M}"
        return f"{self.projects[0]}, Traces, {span} ({self.clock.zone_label}), {self.count_text}"

    @property
    def older(self) -> str:
        """The address of the next page; empty on the last one."""
        cursor = self.listed.page.next
        return traces_address(self.query.address(after=write_cursor(cursor))) if cursor else ""

    @property
    def newest(self) -> str:
        """The address of the first page; empty when this is it."""
        return traces_address(self.query.address()) if self.query.after else ""

    def _tab(self, label: str, count: int, status: Status | None) -> StatusTab:
        value = status.value if status else None
        return StatusTab(
            label=label,
            count=count,
            address=traces_address(self.query.address(status=value)),
            mark=status_mark(status) if status else None,
            is_current=self.query.wanted.status is status,
        )

    def _local(self, at: datetime | None) -> str:
        return "" if at is None else f"{self.clock.local(at):%Y-%m-%dT%H:%M}"
