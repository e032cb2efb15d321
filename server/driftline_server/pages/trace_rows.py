"""One line of the trace list, ready to be looked at."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from driftline.records import Status
from driftline_server.pages.clock import Clock
from driftline_server.pages.formatting import Shown, duration, money, plural, tokens, word
from driftline_server.pages.quoting import visible
from driftline_server.pages.shapes import Shape, draw_shape, lasted_ms
from driftline_server.storage.queries import WITHHELD, TraceSummary

STATUS_TONES = {
    Status.OK: "ok", Status.ERROR: "bad", Status.CANCELLED: "off", Status.INTERRUPTED: "watch",
    Status.INCOMPLETE: "watch", Status.RUNNING: "going",
}  # fmt: skip
STATUS_ICONS = {
    Status.OK: "check", Status.ERROR: "error", Status.CANCELLED: "close", Status.INTERRUPTED: "user",
    Status.INCOMPLETE: "warn", Status.RUNNING: "running",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusMark:
    """A status with its icon and tone; every state is told by more than its colour."""

    word: str
    icon: str
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRow:
    """What one row shows."""

    trace_id: str
    address: str
    started: Markup
    name: Markup
    context: Markup
    question: Markup
    reply: Markup
    reply_voice: str
    """``answer`` (somebody said it), ``error``, or ``note`` (the page says it)."""
    status: StatusMark | None
    """``None`` where all went well, which is not worth a mark."""
    shape: Shape
    took: Shown
    first_token: Shown
    tokens: Shown
    tokens_title: str
    cost: Shown
    cost_title: str
    user: Markup
    feature: Markup
    score: tuple[Markup, str, bool] | None
    """Name, value, whether it fails; ``None`` where nothing was judged."""


def status_mark(status: Status) -> StatusMark:
    """How a status looks wherever it stands."""
    return StatusMark(word=status.value, icon=STATUS_ICONS[status], tone=STATUS_TONES[status])


def trace_row(
    trace: TraceSummary, *, address: str, clock: Clock, scale_ms: float, names_project: bool = False
) -> TraceRow:
    """Prepare one row; ``names_project`` where its neighbours belong to others."""
    reply, voice = _reply(trace, clock)
    cost, cost_title = trace_cost(trace)
    used, used_title = trace_tokens(trace)
    return TraceRow(
        trace_id=trace.trace_id,
        address=address,
        started=clock.moment(trace.started_at),
        name=visible(trace.name or "unnamed"),
        context=visible(", ".join([trace.project] * names_project + _context(trace)[:3])),
        question=trace_question(trace),
        reply=reply,
        reply_voice=voice,
        status=None if trace.status is Status.OK else status_mark(trace.status),
        shape=draw_shape(trace, scale_ms, now=clock.now),
        took=trace_took(trace, clock),
        first_token=trace_first_token(trace),
        tokens=used,
        tokens_title=used_title,
        cost=cost,
        cost_title=cost_title,
        user=visible(trace.user_id or ""),
        feature=visible(trace.feature or ""),
        score=_score(trace),
    )


def trace_question(trace: TraceSummary) -> Markup:
    """What was asked; while a trace runs, its root may still be on its way."""
    if not trace.question and trace.status is Status.RUNNING:
        return Markup('<span class="none">question not known yet</span>')
    if trace.question == WITHHELD:
        return Markup('<span class="none">{}</span>').format(WITHHELD)
    return visible(trace.question)


def trace_took(trace: TraceSummary, clock: Clock) -> Shown:
    """How long a trace took, or has taken so far."""
    return duration(lasted_ms(trace, clock.now))


def trace_first_token(trace: TraceSummary) -> Shown:
    """How long it was until the answer began to appear."""
    return duration(trace.first_token_ms, missing="not yet" if trace.status is Status.RUNNING else "none")


def trace_tokens(trace: TraceSummary) -> tuple[Shown, str]:
    """Input and output together, and what the number leaves out."""
    if trace.input_tokens is None and trace.output_tokens is None:
        return _no_figure(trace), ""
    shown = tokens((trace.input_tokens or 0) + (trace.output_tokens or 0))
    title = f"{tokens(trace.input_tokens)} in, {tokens(trace.output_tokens)} out"
    if trace.usage_missing:
        title += f"; {plural(trace.usage_missing, 'model run')} without usage"
        shown = at_least(shown)
    return shown, title


def trace_cost(trace: TraceSummary) -> tuple[Shown, str]:
    """What a trace cost, and what the number leaves out."""
    if trace.cost_micro_usd is None:
        if trace.cost_unknown:
            return word("unknown"), "no price is known for the model"
        return _no_figure(trace), ""
    left_out = [
        f"{plural(count, 'model run')} {why}"
        for count, why in ((trace.cost_unknown, "of unknown price"), (trace.usage_missing, "without usage"))
        if count
    ]
    if left_out:
        return at_least(money(trace.cost_micro_usd)), f"without {' and '.join(left_out)}"
    return money(trace.cost_micro_usd), ""


def _context(trace: TraceSummary) -> list[str]:
    """Its tags, codes such as ``DE`` before words, without the feature, which has its own column.

    The order in which they were given is not known: LangChain sorts the tags of some runs before a handler
    sees them, and of others not. This is the order in which it does.
    """
    return sorted({tag for tag in trace.tags if tag != trace.feature})


def _no_figure(trace: TraceSummary) -> Shown:
    if trace.status is Status.RUNNING:
        return word("not yet")
    return word("not reported" if trace.llm_count else "none")


def at_least(shown: Shown) -> Shown:
    """A sum from which something is missing."""
    return Shown(f"≥{shown.text}", Markup("<i>≥</i>{}").format(shown.html))


def _reply(trace: TraceSummary, clock: Clock) -> tuple[Markup, str]:
    match trace.status:
        case Status.RUNNING:
            return Markup("answering …" if trace.llm_count else "working …"), "note"
        case Status.ERROR:
            return visible(trace.error or "no message"), "error"
        case Status.INCOMPLETE:
            heard = f", last heard {clock.text(trace.heard_at)}" if trace.heard_at else ""
            return visible(f"its end never arrived{heard}"), "note"
        case Status.INTERRUPTED if not trace.answer:
            return Markup("waits for a person"), "note"
        case Status.CANCELLED if not trace.answer:
            return Markup("stopped before it answered"), "note"
    if trace.answer == WITHHELD:
        return Markup(WITHHELD), "note"
    if trace.answer and trace.status is Status.CANCELLED:
        return Markup('<span class="none">stopped after</span> {}').format(visible(trace.answer)), "answer"
    if trace.answer:
        return visible(trace.answer), "answer"
    return Markup("no answer in words"), "note"


def _score(trace: TraceSummary) -> tuple[Markup, str, bool] | None:
    if trace.lowest_score is None:
        return None
    name, value = trace.lowest_score
    return visible(name), f"{value:.2f}", value < 0.5
