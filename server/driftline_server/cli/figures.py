"""The figures of a trace for a terminal, in the words that the pages use where there is no number."""

from __future__ import annotations

from typing import Any

from driftline_server.pages.formatting import NARROW, Shown, duration, money, tokens
from driftline_server.pages.trace_rows import at_least

_RUNNING = "running"


def said(shown: Shown) -> str:
    """A figure for a terminal, whose fonts know no narrow spaces."""
    return str(shown).replace(NARROW, " ")


def trace_took(trace: dict[str, Any]) -> str:
    """How long it took."""
    return said(duration(trace["duration_ms"], missing=_running_or(trace, "unknown", running="running")))


def trace_first_token(trace: dict[str, Any]) -> str:
    """How long it was until the answer began to appear."""
    return said(duration(trace["first_token_ms"], missing=_running_or(trace, "none")))


def trace_tokens(trace: dict[str, Any]) -> str:
    """Input and output together; ``≥`` where a model run reported none."""
    used = trace["tokens"]
    shown = tokens(used["total"], missing=_running_or(trace, _none_or(trace, "not reported")))
    return said(at_least(shown) if used["total"] is not None and used["usage_missing"] else shown)


def trace_cost(trace: dict[str, Any]) -> str:
    """What it cost; ``≥`` where the price or the usage of a model run is not known."""
    cost = trace["cost"]
    is_part = cost["unknown"] or trace["tokens"]["usage_missing"]
    missing = "unknown" if cost["unknown"] else _running_or(trace, _none_or(trace, "not reported"))
    shown = money(cost["total_micro_usd"], missing=missing)
    return said(at_least(shown) if cost["total_micro_usd"] is not None and is_part else shown)


def run_figures(run: dict[str, Any]) -> tuple[str, str, str, str]:
    """Duration, first token, tokens and cost of a run; only a model is missed when it reports nothing."""
    is_model = run["kind"] == "llm"
    timeline, usage, cost = run["timeline"] or {}, run["usage"] or {}, run["cost"] or {}
    counts = [usage[key] for key in ("input_tokens", "output_tokens") if usage.get(key) is not None]
    took = said(duration(run["duration_ms"], missing=_running_or(run, "unknown", running="running")))
    first = used = paid = ""
    if is_model or timeline.get("ttft_ms") is not None:
        first = said(duration(timeline.get("ttft_ms"), missing=_running_or(run, "none")))
    if is_model or counts:
        used = said(tokens(sum(counts) if counts else None, missing=_running_or(run, "not reported")))
        # Without usage there is nothing to reckon with; with it, only the price is missing.
        no_cost = "not reported" if usage.get("output_tokens") is None else "unknown"
        paid = said(money(cost.get("total_micro_usd"), missing=_running_or(run, no_cost)))
    elif cost:
        paid = said(money(cost.get("total_micro_usd"), missing="unknown"))
    return took, first, used, paid


def _running_or(record: dict[str, Any], missing: str, *, running: str = "not yet") -> str:
    return running if record["status"] == _RUNNING else missing


def _none_or(trace: dict[str, Any], missing: str) -> str:
    """Where no model was asked, nothing is missing."""
    return missing if trace["counts"]["llm"] else "none"
