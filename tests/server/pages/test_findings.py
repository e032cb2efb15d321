"""What an expert would say on opening a trace."""

from __future__ import annotations

from contracts.records import BEGIN

from driftline.records import Kind, Score, Status
from driftline_server.pages.findings import find_problems, most_telling, problem_runs

from .summaries import a_stream, a_summary, run, tree

FAILED = Status.ERROR


def test_an_error_that_reached_the_root_leads_to_where_it_began() -> None:
    grown = tree(
        run("root", status=FAILED),
        run("chain", "root", status=FAILED, at=1),
        run("parse", "chain", status=FAILED, at=2, error="ValueError: no date"),
    )
    (finding,) = find_problems(a_summary(status=FAILED), grown)
    assert (finding.tone, finding.title, finding.run_id) == (
        "bad",
        "parse failed and ended the trace",
        "parse",
    )
    assert finding.detail == "ValueError: no date"


def test_the_last_attempt_is_what_ended_the_trace() -> None:
    grown = tree(
        run("root", status=FAILED), *(run(f"try{n}", "root", at=n, status=FAILED) for n in (1, 2, 3))
    )
    assert find_problems(a_summary(), grown)[0].run_id == "try3"


def test_an_error_that_was_retried_says_what_it_cost() -> None:
    grown = tree(
        run("root"),
        run("first", "root", name="fx_rate", at=1, took=650, status=FAILED, kind=Kind.TOOL),
        run("second", "root", name="fx_rate", at=701, took=90, kind=Kind.TOOL),
    )
    (finding,) = find_problems(a_summary(), grown)
    assert finding.title == "fx_rate failed once"
    assert finding.detail == "second attempt worked, 700\u00a0ms lost"
    assert finding.tone == "calm"


def test_an_error_that_the_parent_lived_with_says_what_it_was() -> None:
    grown = tree(run("root"), run("tool", "root", at=1, status=FAILED, error="KeyError: 'x'"))
    assert find_problems(a_summary(), grown)[0].detail == "KeyError: 'x'"


def test_a_stall_says_how_long_and_where() -> None:
    stream = a_stream(100, 10, 10, 1420, 10)
    (finding,) = find_problems(a_summary(), tree(run("llm", kind=Kind.LLM, took=1600, timeline=stream)))
    assert finding.title == "Stream stood still for 1.42\u00a0s"
    assert finding.detail == "after chunk 3"
    counted = tree(run("llm", kind=Kind.LLM, took=1600, timeline=stream, output_tokens=5))
    assert find_problems(a_summary(), counted)[0].detail == "after token 3"


def test_a_trace_that_waits_for_a_person_says_where() -> None:
    waiting = Status.INTERRUPTED
    grown = tree(run("root", status=waiting), run("approve", "root", at=1, status=waiting))
    (finding,) = find_problems(a_summary(status=waiting), grown)
    assert (finding.title, finding.run_id, finding.trace_id) == (
        "Waits for a person in approve",
        "approve",
        "",
    )
    later = a_summary(trace_id="f" * 32, name="draft_notice")
    (finding,) = find_problems(a_summary(status=waiting), grown, resumed_by=later, resumed_at="01:43:52")
    assert (finding.title, finding.tone, finding.trace_id) == (
        "Waited for a person in approve",
        "calm",
        "f" * 32,
    )
    assert finding.detail == "continued in draft_notice, 01:43:52 →"


def test_a_stopped_trace_says_how_far_the_answer_had_come() -> None:
    cancelled = Status.CANCELLED
    grown = tree(
        run("root", status=cancelled),
        run(
            "llm", "root", kind=Kind.LLM, model="m-1", at=1, status=cancelled, timeline=a_stream(9, *[5] * 12)
        ),
        run("parse", "root", kind=Kind.PARSER, at=2, status=cancelled),
    )
    (finding,) = find_problems(a_summary(status=cancelled), grown)
    assert (finding.title, finding.run_id) == ("Stopped from outside after 13 chunks", "llm")
    assert finding.detail == "in m-1: its reader left, or its task was cancelled"
    early = tree(run("root", status=cancelled))
    assert find_problems(a_summary(), early)[0].title == "Stopped from outside before its end"


def test_a_run_that_was_tried_in_vain_says_how_often_under_the_name_that_the_tree_shows() -> None:
    grown = tree(
        run("root", status=FAILED),
        *(
            run(f"try{n}", "root", name="extract", model="m-1", kind=Kind.LLM, at=n, status=FAILED)
            for n in (1, 2, 3)
        ),
    )
    assert find_problems(a_summary(), grown)[0].title == "m-1 failed after 3 attempts and ended the trace"


def test_missing_usage_unfinished_runs_low_scores_and_clock_skew_are_said() -> None:
    grown = tree(
        run("root"),
        run("llm", "root", kind=Kind.LLM, at=1),
        run("lost", "root", at=2, took=None, status=Status.INCOMPLETE, error="silence"),
        run("late", "root", at=3, took=None, status=Status.RUNNING),
        run("early", "root", at=-50),
    )
    found = find_problems(a_summary(usage_missing=1, lowest_score=("faithfulness", 0.2)), grown)
    assert [finding.title for finding in found] == [
        "faithfulness is 0.20",
        "1 run never ended",
        "1 run still running",
        "Two clocks disagree",
        "1 model run without usage",
    ]
    assert [finding.run_id for finding in found] == ["root", "lost", "late", "early", "llm"]


def test_there_are_at_most_five_findings() -> None:
    runs = [run(f"t{n}", "root", at=n, status=FAILED) for n in range(1, 20)]
    assert len(find_problems(a_summary(), tree(run("root"), *runs))) == 5


def test_a_trace_without_a_fault_has_no_findings() -> None:
    assert find_problems(a_summary(), tree(run("root"), run("a", "root"))) == ()
    assert find_problems(a_summary(), tree()) == ()


def test_the_keys_for_problems_visit_failed_stalled_unfinished_and_skewed_runs() -> None:
    grown = tree(
        run("root"),
        run("failed", "root", at=1, status=FAILED),
        run("stalled", "root", at=2, kind=Kind.LLM, timeline=a_stream(1, 1, 1, 5000)),
        run("lost", "root", at=3, status=Status.INCOMPLETE),
        run("early", "root", at=-50),
        run("fine", "root", at=4),
    )
    assert problem_runs(grown) == {"failed", "stalled", "lost", "early"}


def a_score(run_id: str, value: float) -> Score:
    return Score(id="s", trace_id="t", run_id=run_id, name="faithfulness", value=value, created_at=BEGIN)


def test_what_is_shown_first_is_what_tells_most() -> None:
    fine = tree(run("root"), run("llm", "root", kind=Kind.LLM, at=1), run("parse", "root", at=2))
    broken = tree(
        run("root", status=FAILED),
        run("llm", "root", kind=Kind.LLM, at=1),
        run("tool", "root", at=2, status=FAILED),
    )
    plain = tree(run("root"), run("tool", "root", at=1))
    assert most_telling(fine, ()).run.id == "llm"  # type: ignore[union-attr]
    assert most_telling(broken, ()).run.id == "tool"  # type: ignore[union-attr]
    assert most_telling(broken, (a_score("llm", 0.1),)).run.id == "llm"  # type: ignore[union-attr]
    assert most_telling(plain, ()).run.id == "root"  # type: ignore[union-attr]
    assert most_telling(tree(), ()) is None
