"""One row of the tree on the trace page, ready to be looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from driftline.records import Kind, Status
from driftline_server.pages.formatting import Shown, duration, plural, tokens
from driftline_server.pages.quoting import visible
from driftline_server.pages.run_facts import took_of
from driftline_server.pages.run_notes import Note, RunNotes
from driftline_server.pages.trace_rows import StatusMark, at_least, status_mark
from driftline_server.pages.tree import Node, RunTree
from driftline_server.pages.waterfall import Lane
from driftline_server.storage.queries import RunSummary

FAMILIES = {
    Kind.CHAIN: "line", Kind.AGENT: "line", Kind.LLM: "box", Kind.EMBEDDING: "box", Kind.RERANKER: "box",
    Kind.RETRIEVER: "disc", Kind.TOOL: "disc", Kind.PROMPT: "tag", Kind.PARSER: "tag", Kind.GUARDRAIL: "gem",
    Kind.EVALUATOR: "gem",
}  # fmt: skip
DEEPEST_INDENT = 12
"""Levels that are indented; beyond them the number of the level says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """What one row shows."""

    id: str
    address: str
    kind: str
    family: str
    name: Markup
    note: Note
    level: int
    indent: int
    depth_note: str
    position: int
    siblings: int
    is_parent: bool
    is_chosen: bool
    is_context: bool
    """It belongs to the page before and only says where the first rows hang."""
    marks: tuple[StatusMark, ...]
    is_problem: bool
    took: Shown
    tokens: Shown | None
    lane: Lane


def run_title(kind: Kind, name: str, model: str | None) -> str:
    """What a run is called: a model run by its model, everything else by its name."""
    if kind is Kind.LLM and model:
        return model
    return name or kind.value


def run_rows(
    tree: RunTree,
    rows: Sequence[Node],
    lanes: Sequence[Lane],
    *,
    first: int,
    chosen: str | None,
    problems: frozenset[str],
    is_running: bool,
    now: datetime,
    address_of: Callable[[str], str],
) -> tuple[RunRow, ...]:
    """Prepare rows; those before ``first`` are context, and ``is_running`` says that more runs will come."""
    notes = RunNotes(tree, is_running=is_running)
    sums = _token_sums(tree)
    return tuple(
        RunRow(
            id=node.run.id,
            address=address_of(node.run.id),
            kind=node.run.kind.value,
            family=FAMILIES[node.run.kind],
            name=visible(run_title(node.run.kind, node.run.name, node.run.model)),
            note=notes.of(node),
            level=node.level,
            indent=min(node.level - 1, DEEPEST_INDENT),
            depth_note=f"{node.level}" if node.level - 1 > DEEPEST_INDENT else "",
            position=node.position,
            siblings=node.siblings,
            is_parent=bool(node.children),
            is_chosen=node.run.id == chosen,
            is_context=node.index < first,
            marks=_marks(node),
            is_problem=node.run.id in problems,
            took=took_of(node.run, now),
            tokens=_tokens(*sums[node.run.id]),
            lane=lane,
        )
        for node, lane in zip(rows, lanes, strict=True)
    )


def _marks(node: Node) -> tuple[StatusMark, ...]:
    marks = [] if node.run.status is Status.OK else [status_mark(node.run.status)]
    stalls = node.run.timeline.stalls if node.run.timeline is not None else ()
    if stalls:
        marks.append(StatusMark(word=plural(len(stalls), "stall"), icon="pause", tone="watch"))
    if node.skew_ms:
        words = f"claims to start {duration(node.skew_ms)} before its parent"
        marks.append(StatusMark(word=words, icon="clock", tone="watch"))
    return tuple(marks)


def _tokens(count: int, is_partial: bool) -> Shown | None:
    if not count:
        return None
    return at_least(tokens(count)) if is_partial else tokens(count)


def _failed_at_once(run: RunSummary) -> bool:
    """Whether a call failed before its first word; that was, as a rule, not charged."""
    answered = run.timeline is not None and run.timeline.first_text_ms is not None
    return run.status is Status.ERROR and not answered


def _token_sums(tree: RunTree) -> Mapping[str, tuple[int, bool]]:
    """Tokens of each run with all below it, and whether a model run among them reported none.

    A run that reports its own counts for itself.
    """
    sums: dict[str, tuple[int, bool]] = {}
    for node in reversed(tree.nodes):
        run = node.run
        below = [sums[child] for child in node.children if child in sums]
        own = (run.input_tokens or 0) + (run.output_tokens or 0)
        is_silent = run.kind is Kind.LLM and run.status is not Status.RUNNING and not _failed_at_once(run)
        partial = not own and (is_silent or any(partial for _, partial in below))
        sums[run.id] = own or sum(count for count, _ in below), partial
    return sums
