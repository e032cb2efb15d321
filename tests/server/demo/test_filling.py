"""The whole demonstration: the real application, through the real handler, into a real server over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from driftline_server.demo import PROJECT
from driftline_server.demo.clicks import Outcome
from driftline_server.demo.filling import Filled, FillPlan, fill
from driftline_server.demo.models import local_models
from driftline_server.demo.prices import demo_prices
from driftline_server.demo.traffic import planned_sessions
from driftline_server.serving import running
from driftline_server.settings import Settings
from driftline_server.wiring import opened_services

PLANNED = sum(turn.traces for session in planned_sessions(None) for turn in session.turns)


@dataclass(frozen=True)
class Morning:
    """What was filled, and what the API of the server says of it."""

    filled: Filled
    traces: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    progress: list[tuple[int, int]]

    def named(self, name: str, **facts: Any) -> dict[str, Any]:
        """The newest trace of this name with these facts."""
        return next(
            trace
            for trace in self.traces
            if trace["name"] == name and all(trace[key] == value for key, value in facts.items())
        )

    def runs_of(self, trace: dict[str, Any]) -> list[dict[str, Any]]:
        """All runs of a trace."""
        return [run for run in self.runs if run["trace_id"] == trace["trace_id"]]


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Morning]:
    settings = Settings(data=tmp_path_factory.mktemp("demo"), port=0)
    set_prices(settings.data)
    progress: list[tuple[int, int]] = []
    with running(settings) as server:
        plan = FillPlan(url=server.url, models=local_models(), scale=0.02)
        filled = asyncio.run(fill(plan, lambda done, of: progress.append((done, of))))
        traces = ask(f"{server.url}/api/v1/traces?limit=200")["traces"]
        runs = [
            run for trace in traces for run in ask(f"{server.url}/api/v1/traces/{trace['trace_id']}")["runs"]
        ]
        yield Morning(filled, traces, runs, progress)


def set_prices(data: Path) -> None:
    with opened_services(Settings(data=data)) as services:
        for price in demo_prices(services.now()):
            services.catalog.put_price_override(price)


def ask(url: str) -> dict[str, Any]:
    with urlopen(url, timeout=30) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def test_every_run_that_was_recorded_is_delivered(morning: Morning) -> None:
    delivery = morning.filled.delivery
    assert delivery.recorded == delivery.delivered > 0
    assert morning.filled.lost == 0


def test_every_click_is_a_trace_of_the_project(morning: Morning) -> None:
    assert len(morning.traces) == morning.filled.traces == PLANNED
    assert {trace["project"] for trace in morning.traces} == {PROJECT}
    assert morning.progress[-1] == (PLANNED, PLANNED)


def test_what_users_saw_is_what_the_traces_say(morning: Morning) -> None:
    statuses = Counter(trace["status"] for trace in morning.traces)
    seen = morning.filled.outcomes
    assert statuses["ok"] == seen[Outcome.ANSWERED]
    assert statuses["error"] == seen[Outcome.FAILED]
    assert statuses["cancelled"] == seen[Outcome.LEFT]
    assert statuses["interrupted"] == seen[Outcome.WAITING]
    assert min(statuses.values()) >= 2
    assert set(statuses) == {"ok", "error", "cancelled", "interrupted"}


def test_names_are_those_of_the_application(morning: Morning) -> None:
    assert {trace["name"] for trace in morning.traces} == {
        "ask_document", "extract_terms", "check_covenants", "calculate", "portfolio_terms", "draft_notice",
    }  # fmt: skip
    assert not [run["name"] for run in morning.runs if run["name"].startswith("Runnable")]


def test_every_kind_of_run_is_there(morning: Morning) -> None:
    kinds = {run["kind"] for run in morning.runs}
    assert kinds >= {"chain", "llm", "retriever", "tool", "agent", "prompt", "parser"}


def test_traces_say_whom_they_served_and_with_what(morning: Morning) -> None:
    for fact in ("user_id", "session_id", "feature", "endpoint_class", "release", "environment"):
        assert all(trace[fact] for trace in morning.traces), fact
    assert {trace["feature"] for trace in morning.traces} == {
        "rag_qa", "extract", "covenants", "fx", "notices",
    }  # fmt: skip
    assert {trace["prompt_version"] for trace in morning.traces} >= {"v13", "v14", "v6", "v7", "v5"}


def test_questions_and_answers_can_be_read_in_the_list(morning: Morning) -> None:
    trace = morning.named("ask_document", question="What is the commitment fee?")
    assert trace["answer"] == "The commitment fee is 35 % of the margin on the undrawn amount [1]."
    assert morning.named("extract_terms", question="Key terms of Mutuo_Aurora.pdf")


def test_a_session_has_several_turns(morning: Morning) -> None:
    turns = Counter(trace["session_id"] for trace in morning.traces)
    assert max(turns.values()) >= 4
    assert len(turns) == len(planned_sessions(None))


def test_model_runs_say_model_usage_cost_fingerprint_and_prompt(morning: Morning) -> None:
    for run in morning.runs:
        if run["kind"] == "llm" and run["status"] == "ok":
            assert run["model_answered"].startswith("driftline-extract-1")
            assert run["provider"] == "driftline-local"
            assert run["usage"]["provenance"] == "reported"
            assert run["cost"]["price_source"] == "override"
            assert run["fingerprint"]["system_fingerprint"] == "fp_dlx_2611"
            assert run["prompt"]["name"]


def test_streams_are_timed_and_a_stall_is_seen(morning: Morning) -> None:
    streamed = [run for run in morning.runs if run["timeline"]]
    assert len(streamed) > PLANNED // 2
    assert all(run["timeline"]["chunks"] > 5 for run in streamed if run["status"] == "ok")
    assert all(trace["first_token_ms"] for trace in morning.traces if trace["name"] == "check_covenants")


def test_retrievals_carry_scores_and_the_version_of_the_index(morning: Morning) -> None:
    found = [run for run in morning.runs if run["kind"] == "retriever"]
    assert len(found) > PLANNED
    assert all(run["documents"][0]["score"] > 0 for run in found if run["documents"])
    assert {run["index_version"] for run in found if run["documents"]} == {"2026.11-a"}


def test_a_retry_leaves_its_error_in_a_trace_that_is_well(morning: Morning) -> None:
    trace = morning.named("extract_terms", question="Key terms of Contrat_Pret_Lyonnais.pdf")
    assert trace["status"] == "ok"
    failed = [run for run in morning.runs_of(trace) if run["status"] == "error"]
    assert [run["error"]["type"].rpartition(".")[2] for run in failed] == ["RateLimitedError"]


def test_a_tool_that_timed_out_was_called_again(morning: Morning) -> None:
    trace = morning.named("calculate", user_id="m.okafor")
    calls = [run for run in morning.runs_of(trace) if run["name"] == "fx_rate"]
    assert sorted(run["status"] for run in calls) == ["error", "ok", "ok"]


def test_a_cancelled_stream_keeps_what_was_said(morning: Morning) -> None:
    trace = morning.named("ask_document", status="cancelled")
    assert trace["answer"]
    assert "cancelled" in {run["status"] for run in morning.runs_of(trace) if run["kind"] == "llm"}


def test_the_long_trace_has_many_retrievals(morning: Morning) -> None:
    runs = morning.runs_of(morning.named("portfolio_terms"))
    assert len(runs) > 120
    assert sum(run["kind"] == "retriever" for run in runs) == 40


def test_every_run_hangs_below_another_run_of_its_trace(morning: Morning) -> None:
    ids = {run["id"] for run in morning.runs}
    assert all(run["parent_id"] is None or run["parent_id"] in ids for run in morning.runs)
    roots = Counter(run["trace_id"] for run in morning.runs if run["parent_id"] is None)
    assert set(roots.values()) == {1}


def test_the_long_trace_reads_three_documents_at_a_time(morning: Morning) -> None:
    runs = morning.runs_of(morning.named("portfolio_terms"))
    reads = [run for run in runs if run["name"] == "read_document"]
    begins = [(run["started_at"], 1) for run in reads]
    ends = [(run["ended_at"], -1) for run in reads]
    at_once = list(accumulate(step for _, step in sorted(begins + ends)))
    assert len(reads) == 8
    assert max(at_once) == 3
