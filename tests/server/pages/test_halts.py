"""Where in an answer its stream stood still."""

from __future__ import annotations

from dataclasses import replace

from contracts.records import a_run, said

from driftline.records import Kind, Run
from driftline_server.pages.conversation import read_conversation
from driftline_server.pages.halts import find_halts

from .summaries import a_stream

WORDS = "one two three four five six seven eight nine ten"


def streamed(text: str, *gaps: float) -> Run:
    return a_run(kind=Kind.LLM, answers=(said("assistant", text),), timeline=a_stream(50, *gaps))


def answer_of(run: Run) -> tuple[str, str]:
    (turn,) = read_conversation(run).answers
    assert turn.blocks[0].said is not None
    return str(turn.blocks[0].said.read), str(turn.blocks[0].said.source)


def test_a_stall_stands_in_the_answer_between_the_words_where_it_was() -> None:
    run = streamed(WORDS, 5, 5, 5, 5, 1500, 5, 5, 5, 5)
    for html in answer_of(run):
        before, _, after = html.partition('<span class="halt" title="about here, after chunk 5 of 10">')
        assert before.endswith("five ")
        assert after.startswith("stood still 1.50\u00a0s</span> six")


def test_an_answer_without_a_stall_is_left_as_it_is() -> None:
    assert answer_of(streamed(WORDS, *[5] * 9)) == (f"<p>{WORDS}</p>\n", WORDS)


def test_emphasis_lists_and_links_hold_with_a_remark_among_them() -> None:
    text = "- **one** two [three four](https://x.example/a) five\n- six seven"
    for place in range(1, 9):
        html, _ = answer_of(streamed(text, *(1500.0 if n == place else 5.0 for n in range(1, 10))))
        assert html.count('class="halt"') == 1
        assert html.count("<li>") == 2
        assert '<a href="https://x.example/a"' in html
        assert "<strong>one</strong>" in html


def test_a_mark_from_outside_is_shown_as_a_sign_and_takes_no_remark() -> None:
    html, source = answer_of(streamed("a\ue0f2 " + WORDS, 5, 5, 5, 5, 1500, 5, 5, 5, 5))
    for shown in (html, source):
        assert "U+E0F2" in shown
        assert shown.index("U+E0F2") < shown.index("stood still")


def test_where_nothing_tells_the_place_no_remark_is_made() -> None:
    run = streamed('{"a": "b c d"}', 5, 1500, 5, 5)
    assert "stood still" not in answer_of(run)[0]
    assert find_halts(replace(run, answers=(*run.answers, *run.answers))) == ()
    assert find_halts(replace(run, timeline=None)) == ()
