"""The few words behind the name of a run."""

from __future__ import annotations

from driftline.records import Kind, Status
from driftline_server.pages.run_notes import Note, RunNotes
from driftline_server.pages.tree import RunTree

from .summaries import run, tree


def notes(grown: RunTree, *, is_running: bool = False) -> dict[str, str]:
    told = RunNotes(grown, is_running=is_running)
    return {node.run.id: _words(told.of(node)) for node in grown.nodes}


def _words(note: Note) -> str:
    return " · ".join(filter(None, (note.attempt, str(note.facts)))).replace("\u00a0", " ")


def test_what_went_in_and_out_of_a_chain_is_not_repeated_behind_its_name() -> None:
    grown = tree(run("root", preview='question: "why?"'), run("parse", "root", kind=Kind.PARSER, preview="{"))
    assert notes(grown) == {"root": "", "parse": ""}


def test_a_retriever_is_told_by_its_query_and_a_tool_by_its_arguments() -> None:
    grown = tree(
        run("find", kind=Kind.RETRIEVER, preview="notice period"),
        run("fx", kind=Kind.TOOL, preview='fx(base="EUR", text="a (b)")'),
        run("cut", kind=Kind.TOOL, preview='fx(base="EUR", text="a (b'),
    )
    told = RunNotes(grown, is_running=False)
    words = {node.run.id: (told.of(node).words.unescape(), told.of(node).voice) for node in grown.nodes}
    assert words == {
        "find": ("notice period", "said"),
        "fx": ('base="EUR", text="a (b)"', "machine"),
        "cut": ('base="EUR", text="a (b', "machine"),
    }


def test_a_model_run_says_its_own_name_and_which_tools_it_called() -> None:
    grown = tree(
        run("root", kind=Kind.AGENT),
        run("a", "root", name="think", kind=Kind.LLM, model="m-1", preview='fx(base="EUR"), fx(base="USD")'),
        run("b", "root", name="fx", kind=Kind.TOOL, at=1),
        run("c", "root", name="answer", kind=Kind.LLM, model="m-1", at=2, preview="print(x) shows it"),
    )
    assert notes(grown)["a"] == "calls fx · think"
    assert notes(grown)["c"] == "answer"


def test_a_worker_after_failures_of_its_like_says_which_attempt_it_is() -> None:
    failed = Status.ERROR
    grown = tree(
        run("root"),
        run("one", "root", name="fx", kind=Kind.TOOL, at=1, status=failed, error="Timeout"),
        run("two", "root", name="fx", kind=Kind.TOOL, at=2, status=failed, error="Timeout"),
        run("three", "root", name="fx", kind=Kind.TOOL, at=3),
    )
    assert notes(grown) == {
        "root": "3 tool calls",
        "one": "Timeout",
        "two": "2nd attempt · Timeout",
        "three": "3rd attempt",
    }


def test_what_holds_several_runs_of_a_kind_counts_them_and_its_likes_are_numbered() -> None:
    grown = tree(
        run("root"),
        *(run(f"doc{n}", "root", name="read", at=n) for n in (1, 2)),
        *(run(f"find{n}", "doc1", kind=Kind.RETRIEVER, at=n) for n in (1, 2, 3)),
    )
    assert notes(grown)["doc1"] == "3 searches"
    assert notes(grown)["doc2"] == "2 of 2"


def test_a_parent_that_is_missing_may_still_come_while_the_trace_runs() -> None:
    grown = tree(run("child", "root", kind=Kind.LLM, name="answer", model="m-1"))
    assert notes(grown) == {"child": "its parent never arrived · answer"}
    assert notes(grown, is_running=True) == {"child": "parent not here yet · answer"}


def test_an_error_is_told_where_it_began_and_not_again_by_all_above() -> None:
    failed = {"status": Status.ERROR, "error": "KeyError: 'x'"}
    grown = tree(run("root", **failed), run("read", "root", **failed), run("parse", "read", **failed))
    assert notes(grown) == {"root": "", "read": "", "parse": "KeyError: &#39;x&#39;"}
