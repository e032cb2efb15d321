"""The sentences that an expert would say on opening a trace, worst first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from driftline.records import Kind, Score, Stall, Status
from driftline_server.pages.formatting import duration, plural, shortened
from driftline_server.pages.run_rows import run_title
from driftline_server.pages.token_times import piece_of
from driftline_server.pages.tree import Node, RunTree
from driftline_server.storage.queries import RunSummary, TraceSummary

MOST = 5
_FAILING = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that stands out, and the run where it can be seen."""

    tone: str
    """``bad``, ``watch`` or ``calm``."""
    icon: str
    title: str
    detail: str
    run_id: str
    trace_id: str = ""
    """Another trace, where that is the place to go on reading."""


def find_problems(
    summary: TraceSummary, tree: RunTree, *, resumed_by: TraceSummary | None = None, resumed_at: str = ""
) -> tuple[Finding, ...]:
    """What stands out in a trace: at most five findings, the worst first.

    ``resumed_by`` is the trace that went on where this one had to wait, ``resumed_at`` when that was.
    """
    if not tree.nodes:
        return ()
    found = [
        *_error_at_the_root(tree),
        *_failing_score(summary, tree),
        *_waiting(tree, resumed_by, resumed_at),
        *_stopped(tree),
        *_stalls(tree),
        *_unfinished(summary, tree),
        *_handled_errors(tree),
        *_clock_skew(tree),
        *_missing_usage(summary, tree),
    ]
    return tuple(found[:MOST])


def culprit_of(tree: RunTree) -> Node | None:
    """The run in which the error that reached the root began; ``None`` where no error did."""
    node = next((node for node in tree.nodes if node.level == 1 and node.run.status is Status.ERROR), None)
    while node is not None:
        below = [tree.by_id[child] for child in node.children]
        # What failed last is what the parent gave up over; earlier failures were tried again.
        failed = next((child for child in reversed(below) if child.run.status is Status.ERROR), None)
        if failed is None:
            return node
        node = failed
    return None


def most_telling(tree: RunTree, scores: tuple[Score, ...]) -> Node | None:
    """What to look at first: a failing score, the error that ended the trace, the last model run, a root."""
    for score in scores:
        if score.value is not None and score.value < _FAILING and (score.run_id or "") in tree.by_id:
            return tree.by_id[score.run_id or ""]
    culprit = culprit_of(tree)
    if culprit is not None:
        return culprit
    last_model = next((node for node in reversed(tree.nodes) if node.run.kind is Kind.LLM), None)
    return last_model or next(iter(tree.nodes), None)


def problem_runs(tree: RunTree) -> frozenset[str]:
    """The runs that ``n`` visits: failed, stalled, unfinished or skewed."""
    return frozenset(
        node.run.id
        for node in tree.nodes
        if node.run.status in (Status.ERROR, Status.INCOMPLETE)
        or (node.run.timeline is not None and node.run.timeline.stalls)
        or node.skew_ms
    )


def _error_at_the_root(tree: RunTree) -> Iterator[Finding]:
    culprit = culprit_of(tree)
    if culprit is not None:
        attempts = _failed_attempts(culprit, tree)
        title = f"{_name(culprit)} failed"
        if attempts > 1:
            title += f" after {attempts:,} attempts"
        if culprit.level > 1:
            title += " and ended the trace"
        yield Finding(tone="bad", icon="error", title=title, detail=shortened(culprit.run.error, 90),
                      run_id=culprit.run.id)  # fmt: skip


def _failed_attempts(node: Node, tree: RunTree) -> int:
    """How often a step was tried in vain; parts of a chain that bear one name are no attempts."""
    if node.run.kind in (Kind.CHAIN, Kind.AGENT):
        return 1
    return sum(each.run.status is Status.ERROR for each in _alike(node, tree))


def _failing_score(summary: TraceSummary, tree: RunTree) -> Iterator[Finding]:
    if summary.lowest_score is not None and summary.lowest_score[1] < _FAILING:
        name, value = summary.lowest_score
        yield Finding(tone="bad", icon="error", title=f"{name} is {value:.2f}", detail="the lowest score",
                      run_id=tree.nodes[0].run.id)  # fmt: skip


def _waiting(tree: RunTree, resumed_by: TraceSummary | None, resumed_at: str) -> Iterator[Finding]:
    waiting = [node for node in tree.nodes if node.run.status is Status.INTERRUPTED]
    if not waiting:
        return
    node = max(waiting, key=lambda each: each.level)
    if resumed_by is None:
        yield Finding(tone="watch", icon="user", title=f"Waits for a person in {_name(node)}",
                      detail="its session has not gone on yet", run_id=node.run.id)  # fmt: skip
    else:
        then = ", ".join(filter(None, (resumed_by.name or "another trace", resumed_at)))
        yield Finding(tone="calm", icon="user", title=f"Waited for a person in {_name(node)}",
                      detail=f"continued in {then} →", run_id=node.run.id,
                      trace_id=resumed_by.trace_id)  # fmt: skip


def _stopped(tree: RunTree) -> Iterator[Finding]:
    """Where somebody stopped it; no record says who, only that it was neither an error nor the end."""
    stopped = [node for node in tree.nodes if node.run.status is Status.CANCELLED]
    if not stopped:
        return
    models = [node for node in stopped if node.run.kind is Kind.LLM]
    node = models[-1] if models else max(stopped, key=lambda each: each.level)
    yield Finding(
        tone="watch",
        icon="close",
        title=f"Stopped from outside {_progress(node.run)}",
        detail=f"in {_name(node)}: its reader left, or its task was cancelled",
        run_id=node.run.id,
    )


def _progress(run: RunSummary) -> str:
    if run.output_tokens:
        return f"after {plural(run.output_tokens, 'token')}"
    if run.timeline is not None and run.timeline.chunks:
        # A chunk is a token for most providers, and never less; only its number is known here.
        return f"after {plural(run.timeline.chunks, 'chunk')}"
    return "before it answered" if run.kind is Kind.LLM else "before its end"


def _stalls(tree: RunTree) -> Iterator[Finding]:
    stalled = [node for node in tree.nodes if node.run.timeline is not None and node.run.timeline.stalls]
    worst = sorted(stalled, key=lambda node: -max(stall.gap_ms for stall in _timeline_stalls(node)))
    for node in worst[:2]:
        stall = max(_timeline_stalls(node), key=lambda stall: stall.gap_ms)
        more = len(_timeline_stalls(node)) - 1
        yield Finding(
            tone="watch",
            icon="pause",
            title=f"Stream stood still for {duration(stall.gap_ms).drawn}",
            detail=f"after {_piece(node.run)} {stall.after_chunk:,}"
            + (f", and {plural(more, 'more time')}" if more else ""),
            run_id=node.run.id,
        )


def _piece(run: RunSummary) -> str:
    return piece_of(run.timeline, run.output_tokens) if run.timeline is not None else "chunk"


def _timeline_stalls(node: Node) -> tuple[Stall, ...]:
    return node.run.timeline.stalls if node.run.timeline is not None else ()


def _unfinished(summary: TraceSummary, tree: RunTree) -> Iterator[Finding]:
    lost = [node for node in tree.nodes if node.run.status is Status.INCOMPLETE]
    if lost:
        yield Finding(tone="watch", icon="warn", title=f"{plural(len(lost), 'run')} never ended",
                      detail=shortened(lost[-1].run.error, 90), run_id=lost[-1].run.id)  # fmt: skip
    running = [node for node in tree.nodes if node.run.status is Status.RUNNING]
    if running and summary.status is not Status.RUNNING:
        yield Finding(tone="watch", icon="running", title=f"{plural(len(running), 'run')} still running",
                      detail="after the trace had ended", run_id=running[0].run.id)  # fmt: skip


def _handled_errors(tree: RunTree) -> Iterator[Finding]:
    """Errors that their parents survived; a later success of the same name means that it was tried again."""
    reported: set[str] = set()
    for node in tree.nodes:
        parent = tree.by_id.get(node.run.parent_id or "")
        if node.run.status is not Status.ERROR or parent is None or parent.run.status is Status.ERROR:
            continue
        if parent.run.id + node.run.name in reported:
            continue
        reported.add(parent.run.id + node.run.name)
        alike = _alike(node, tree)
        failed = [each for each in alike if each.run.status is Status.ERROR]
        success = next(
            (each for each in alike if each.index > node.index and each.run.status is Status.OK), None
        )
        times = "once" if len(failed) == 1 else f"{len(failed):,} times"
        detail = (
            f"{'second' if len(failed) == 1 else 'a later'} attempt worked, {_lost(node, success)} lost"
            if success is not None
            else shortened(node.run.error, 80)
        )
        yield Finding(tone="calm", icon="undo" if success is not None else "error",
                      title=f"{_name(node)} failed {times}", detail=detail,
                      run_id=node.run.id)  # fmt: skip


def _lost(failed: Node, success: Node) -> str:
    """From the start of the first attempt to that of the one that worked, with the waits between them."""
    if failed.start_ms is None or success.start_ms is None:
        return "an unknown time"
    return duration(max(0.0, success.start_ms - failed.start_ms)).drawn


def _alike(node: Node, tree: RunTree) -> list[Node]:
    """The runs of its name below the same parent, itself among them."""
    parent = tree.by_id.get(node.run.parent_id or "")
    family = [tree.by_id[child] for child in parent.children] if parent is not None else [node]
    return [each for each in family if each.run.name == node.run.name]


def _name(node: Node) -> str:
    """What the tree calls it."""
    return run_title(node.run.kind, node.run.name, node.run.model)


def _clock_skew(tree: RunTree) -> Iterator[Finding]:
    skewed = [node for node in tree.nodes if node.skew_ms]
    if skewed:
        worst = max(skewed, key=lambda node: node.skew_ms)
        yield Finding(
            tone="watch",
            icon="clock",
            title="Two clocks disagree",
            detail=f"{_name(worst)} claims to start {duration(worst.skew_ms).drawn} before its parent",
            run_id=worst.run.id,
        )


def _missing_usage(summary: TraceSummary, tree: RunTree) -> Iterator[Finding]:
    if summary.usage_missing and summary.status is not Status.RUNNING:
        silent = next((node for node in tree.nodes if _is_silent(node.run)), tree.nodes[0])
        yield Finding(
            tone="calm",
            icon="warn",
            title=f"{plural(summary.usage_missing, 'model run')} without usage",
            detail="tokens and cost are not complete",
            run_id=silent.run.id,
        )


def _is_silent(run: RunSummary) -> bool:
    return run.kind is Kind.LLM and run.input_tokens is None and run.output_tokens is None
