"""The page of one trace."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from flask import Response, redirect, render_template, request
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from driftline.records import Kind, Score, Status
from driftline_server.doors import RefusedRequest, services
from driftline_server.operations.find_resumption import find_resumption
from driftline_server.operations.place_trace import Place, place_trace
from driftline_server.operations.runs import get_run
from driftline_server.operations.scores import get_scores
from driftline_server.operations.traces import TraceSkeleton, get_trace_skeleton
from driftline_server.pages import blueprint
from driftline_server.pages.addresses import trace_address, traces_address
from driftline_server.pages.clock import Clock
from driftline_server.pages.findings import Finding, find_problems, most_telling, problem_runs
from driftline_server.pages.formatting import number, plural, so_far
from driftline_server.pages.frame import Frame, Link, make_frame, project_links, read_current_viewer
from driftline_server.pages.json_view import pretty_json
from driftline_server.pages.quoting import visible
from driftline_server.pages.range_ribbon import range_ribbon
from driftline_server.pages.ribbon import Ribbon
from driftline_server.pages.run_data import read_raw
from driftline_server.pages.run_detail import RunPage
from driftline_server.pages.run_facts import Fact
from driftline_server.pages.run_rows import RunRow, run_rows
from driftline_server.pages.trace_query import TraceQuery, parse_query
from driftline_server.pages.trace_rows import (
    StatusMark,
    status_mark,
    trace_cost,
    trace_first_token,
    trace_question,
    trace_tokens,
    trace_took,
)
from driftline_server.pages.tree import Node, RunTree, grow_tree
from driftline_server.pages.viewer import Viewer
from driftline_server.pages.waterfall import Waterfall, draw_waterfall
from driftline_server.storage.queries import TraceSummary

WINDOW = 500
"""Rows that one page holds."""
_ID = re.compile(r"[0-9a-f]{32}")


@blueprint.get("/traces/<trace_id>")
def show_trace(trace_id: str) -> str | AnyResponse:
    plain = trace_id.replace("-", "").lower()
    if not _ID.fullmatch(plain):
        raise RefusedRequest(
            404, f"{trace_id[:100]!r} is not the id of a trace", remedy="an id has 32 hexadecimal digits"
        )
    if plain != trace_id:
        return redirect(trace_address(plain, request.args.to_dict()))
    skeleton = get_trace_skeleton(services(), trace_id)
    if skeleton is None:
        return _go_to_run(trace_id)
    frame = make_frame(_title(skeleton), here="Traces", is_tight=True)
    query = parse_query(request.args, frame.viewer.clock, default_range="all")
    tree = grow_tree(skeleton.runs)
    scores = get_scores(services(), trace_id)
    asked = request.args.get("run", "").replace("-", "").lower()
    chosen = tree.by_id.get(asked) or most_telling(tree, scores)
    page = TracePage(
        frame=frame,
        query=query,
        skeleton=skeleton,
        tree=tree,
        place=place_trace(services(), query.wanted, skeleton.summary),
        chosen=chosen,
        unknown_run=asked if asked and asked not in tree.by_id else "",
        first=_first_row(request.args.get("from", ""), chosen, len(tree.nodes)),
        detail=_detail(chosen, tree, scores, query, frame.viewer) if chosen is not None else None,
        ribbon=range_ribbon(query, frame.viewer.clock, here=skeleton.summary.started_at),
        resumed_by=_resumption(skeleton.summary),
    )
    return render_template("traces/show.html", page=page)


@blueprint.get("/traces/<trace_id>/runs/<run_id>")
def show_run(trace_id: str, run_id: str) -> str:
    """The panel of one run alone, for the module that moves through the tree."""
    skeleton = get_trace_skeleton(services(), trace_id)
    tree = grow_tree(skeleton.runs if skeleton is not None else ())
    node = tree.by_id.get(run_id)
    if node is None:
        raise RefusedRequest(404, "there is no such run in this trace")
    viewer = read_current_viewer()
    query = parse_query(request.args, viewer.clock, default_range="all")
    detail = _detail(node, tree, get_scores(services(), trace_id), query, viewer)
    return render_template("traces/_detail.html", page=detail)


@blueprint.get("/traces/<trace_id>/runs/<run_id>/raw/<path:place>")
def show_raw(trace_id: str, run_id: str, place: str) -> Response:
    """A part of a run as it was recorded: texts as they are, everything else as JSON."""
    run = get_run(services(), run_id)
    if run is None or run.trace_id != trace_id:
        raise RefusedRequest(404, "there is no such run in this trace")
    try:
        value = read_raw(run, place)
    except LookupError:
        raise RefusedRequest(404, f"the run holds nothing at {place[:100]!r}") from None
    text = value if isinstance(value, str) else pretty_json(value)
    return Response(text, mimetype="text/plain")


@dataclass(frozen=True, kw_only=True)
class TracePage:
    """What ``traces/show.html`` shows."""

    frame: Frame
    query: TraceQuery
    skeleton: TraceSkeleton
    tree: RunTree
    place: Place
    chosen: Node | None
    unknown_run: str
    """A run that the address names and the trace does not hold."""
    first: int
    """The row that this window begins with."""
    detail: RunPage | None
    ribbon: Ribbon | None
    resumed_by: TraceSummary | None
    """The trace that went on where this one had to wait."""

    @property
    def clock(self) -> Clock:
        return self.frame.viewer.clock

    @property
    def trace_id(self) -> str:
        return self.skeleton.summary.trace_id

    @property
    def name(self) -> Markup:
        return visible(self.skeleton.summary.name or "unnamed")

    @property
    def question(self) -> Markup:
        return trace_question(self.skeleton.summary)

    @property
    def status(self) -> StatusMark | None:
        status = self.skeleton.summary.status
        return None if status is Status.OK else status_mark(status)

    @property
    def is_running(self) -> bool:
        return self.skeleton.summary.status is Status.RUNNING

    @property
    def seen_at(self) -> str:
        return self.clock.text(self.clock.now)

    @property
    def projects(self) -> tuple[str, tuple[Link, ...]]:
        return project_links(self.skeleton.summary.project, self.query.address())

    @property
    def facts(self) -> tuple[Fact, ...]:
        trace = self.skeleton.summary
        used, used_title = trace_tokens(trace)
        cost, cost_title = trace_cost(trace)
        took = trace_took(trace, self.clock)
        facts = [
            Fact(name="Started", value=self.clock.moment(trace.started_at, precise=True)),
            Fact(name="Took", value=so_far(took) if self.is_running else took),
            Fact(name="First token to user", value=trace_first_token(trace)),
            Fact(name="Runs", value=number(trace.run_count)),
        ]
        if trace.llm_count:
            facts += [
                Fact(name="Tokens", value=used, title=used_title),
                Fact(name="Cost", value=cost, title=cost_title),
            ]
        named = (
            ("User", "user", trace.user_id), ("Session", "session", trace.session_id),
            ("Feature", "feature", trace.feature), ("Release", "release", trace.release),
            ("Environment", "environment", trace.environment),
        )  # fmt: skip
        facts += [Fact(name=label, value=self._others(key, value)) for label, key, value in named if value]
        if trace.prompt_version:
            facts.append(Fact(name="Prompt version", value=visible(trace.prompt_version)))
        return tuple(facts)

    @cached_property
    def findings(self) -> tuple[tuple[Finding, str], ...]:
        """What stands out, each with the address of its place."""
        resumed_at = self.clock.text(self.resumed_by.started_at) if self.resumed_by else ""
        found = find_problems(
            self.skeleton.summary, self.tree, resumed_by=self.resumed_by, resumed_at=resumed_at
        )
        return tuple((finding, self._place_of(finding)) for finding in found)

    @property
    def back(self) -> str:
        """The list, with the row of this trace chosen."""
        return f"{traces_address(self.query.address())}#t-{self.trace_id}"

    @property
    def newer(self) -> str:
        return self._neighbour(self.place.newer)

    @property
    def older(self) -> str:
        return self._neighbour(self.place.older)

    @property
    def place_text(self) -> str:
        """``14 of 214 in this filter``; of all traces where nothing is filtered."""
        position, count = self.place.position, self.place.count
        whole = f"{count.number:,}" if count.exact else f"more than {count.number:,}"
        is_filtered = bool(self.query.chips())
        if position is None:
            return "not in this filter" if is_filtered else "not in this time range"
        if not position.exact:
            return f"beyond the newest {position.number:,}"
        among = "in this filter" if is_filtered else "traces"
        return f"{position.number:,} of {whole} {among}"

    @cached_property
    def waterfall(self) -> Waterfall:
        return draw_waterfall(self.tree, self._window, now=self.clock.now, is_running=self.is_running)

    @cached_property
    def rows(self) -> tuple[RunRow, ...]:
        return run_rows(
            self.tree,
            self._window,
            self.waterfall.lanes,
            first=self.first,
            chosen=self.chosen.run.id if self.chosen else None,
            problems=problem_runs(self.tree),
            is_running=self.is_running,
            now=self.clock.now,
            address_of=self.address_of,
        )

    @property
    def kinds_to_show(self) -> tuple[tuple[str, str, int], ...]:
        """What the rows can be narrowed to: key, label, how many."""
        models = sum(row.kind == Kind.LLM for row in self.rows)
        problems = sum(row.is_problem for row in self.rows)
        narrowed = (("llm", "Models", models), ("problem", "Problems", problems))
        return tuple(each for each in narrowed if each[2])

    @property
    def rows_text(self) -> str:
        """``27 of 27 runs``; which ones where they do not all fit."""
        count = len(self.tree.nodes)
        if count <= WINDOW:
            return plural(count, "run")
        return f"{self.first + 1:,} to {min(self.first + WINDOW, count):,} of {plural(count, 'run')}"

    @property
    def next_window(self) -> Link | None:
        left = len(self.tree.nodes) - self.first - WINDOW
        if left <= 0:
            return None
        return Link(
            label=f"Next {plural(min(left, WINDOW), 'run')}", address=self._window_at(self.first + WINDOW)
        )

    @property
    def previous_window(self) -> Link | None:
        if self.first == 0:
            return None
        return Link(label=f"Previous {WINDOW} runs", address=self._window_at(max(0, self.first - WINDOW)))

    @property
    def first_run(self) -> str:
        """The address of the first run of all; empty where it is in this window."""
        return self.address_of(self.tree.nodes[0].run.id) if self.previous_window else ""

    @property
    def last_run(self) -> str:
        """The address of the last run of all; empty where it is in this window."""
        return self.address_of(self.tree.nodes[-1].run.id) if self.next_window else ""

    def address_of(self, run_id: str) -> str:
        return trace_address(self.trace_id, {"run": run_id, **self.query.address()})

    def _place_of(self, finding: Finding) -> str:
        if finding.trace_id:
            return trace_address(finding.trace_id, self.query.address())
        return self.address_of(finding.run_id)

    @cached_property
    def _window(self) -> tuple[Node, ...]:
        window = self.tree.nodes[self.first : self.first + WINDOW]
        if self.first == 0 or not window:
            return window
        return (*self.tree.ancestors(window[0].run.id), *window)

    def _window_at(self, row: int) -> str:
        address = {**self.query.address(), "from": str(row + 1)}
        return trace_address(self.trace_id, address)

    def _neighbour(self, trace_id: str | None) -> str:
        return "" if trace_id is None else trace_address(trace_id, self.query.address())

    def _others(self, key: str, value: str) -> Markup:
        """A link to the traces that share a value."""
        address = {"project": self.skeleton.summary.project, "range": "all", key: value}
        return Markup('<a href="{}">{}</a>').format(traces_address(address), visible(value))


def _go_to_run(run_id: str) -> AnyResponse:
    """An id that is none of a trace may be that of a run."""
    run = get_run(services(), run_id)
    if run is None:
        raise RefusedRequest(
            404,
            f"there is no trace {run_id} here",
            remedy="it may have been forgotten by now, or belong to another server",
        )
    return redirect(trace_address(run.trace_id, {"run": run.id}))


def _resumption(summary: TraceSummary) -> TraceSummary | None:
    return find_resumption(services(), summary) if summary.status is Status.INTERRUPTED else None


def _title(skeleton: TraceSkeleton) -> str:
    return skeleton.summary.name or f"Trace {skeleton.summary.trace_id[:8]}"


def _first_row(asked: str, chosen: Node | None, count: int) -> int:
    """Where the window begins: at the row asked for, else where the chosen run is within it."""
    if asked.isascii() and asked.isdecimal() and len(asked) < 9:
        return min(max(int(asked) - 1, 0), max(count - 1, 0)) // WINDOW * WINDOW
    return 0 if chosen is None else chosen.index // WINDOW * WINDOW


def _detail(
    node: Node, tree: RunTree, scores: tuple[Score, ...], query: TraceQuery, viewer: Viewer
) -> RunPage | None:
    run = get_run(services(), node.run.id)
    if run is None:
        return None
    return RunPage(
        run=run,
        node=node,
        tree=tree,
        scores=scores,
        clock=viewer.clock,
        address=query.address(),
        asked_tab=request.args.get("tab", "")[:40],
        whole=request.args.get("show") == "all",
        reads_source=viewer.reads_source,
    )
