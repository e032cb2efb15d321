"""Text from outside is shown, never obeyed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_server.pages.markdown import render_markdown
from driftline_server.pages.quoting import HIDDEN, visible
from driftline_server.pages.stacks import cut_stack, own_place, read_stack
from driftline_server.pages.texts import MOST_CHARACTERS, quote_text

HOSTILE = "<img src=x onerror=alert(1)>"


def test_markup_stays_text() -> None:
    assert visible(HOSTILE) == "&lt;img src=x onerror=alert(1)&gt;"


@pytest.mark.parametrize(
    ("hidden", "sign"),
    [
        ("\u202e", 'title="right-to-left override">U+202E<'),
        ("\x07", 'title="control character">U+0007<'),
        ("\u200b", 'title="zero width space">U+200B<'),
        ("\ufeff", "U+FEFF"),
        ("\ud800", "U+D800"),
        ("\U000e0041", "U+E0041"),
    ],
)
def test_hidden_characters_become_signs(hidden: str, sign: str) -> None:
    assert sign in visible(f"a{hidden}b")
    assert hidden not in visible(f"a{hidden}b")
    assert sign in render_markdown(f"a{hidden}b")


def test_line_breaks_tabs_joiners_and_other_scripts_stay_as_they_are() -> None:
    text = "a\n\tb 👩\u200d🔬 می\u200cخواهم Größe"
    assert visible(text) == text


def test_stand_ins_for_hidden_characters_cannot_be_forged() -> None:
    html = visible("\ue0f0202E\ue0f1")
    assert "private character" in html
    assert "U+E0F0</span>202E<span" in html


@given(st.text())
def test_nothing_hidden_ever_gets_through(text: str) -> None:
    for html in (visible(text), render_markdown(text)):
        assert not HIDDEN.search(html)


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE,
        f"# {HOSTILE}",
        f"`{HOSTILE}`",
        f"[{HOSTILE}](https://example.com)",
        "<script>alert(1)</script>",
        "<a href='javascript:alert(1)'>x</a>",
        "<svg/onload=alert(1)>",
    ],
)
def test_html_in_markdown_stays_text(text: str) -> None:
    html = render_markdown(text)
    assert "<img" not in html
    assert "<script" not in html
    assert "<svg" not in html


@pytest.mark.parametrize("scheme", ["javascript", "JaVaScRiPt", "data", "vbscript", "file"])
def test_a_link_that_would_act_is_no_link(scheme: str) -> None:
    assert "href" not in render_markdown(f"[click]({scheme}:alert(1))")


def test_a_link_to_the_web_leads_there_without_saying_from_where() -> None:
    html = render_markdown("[docs](https://example.com/a?b=1&c=2)")
    assert 'href="https://example.com/a?b=1&amp;c=2"' in html
    assert 'rel="noopener noreferrer nofollow"' in html


def test_a_picture_is_never_fetched() -> None:
    html = render_markdown("![a chart](https://example.com/x.png)")
    assert "<img" not in html
    assert "picture, not loaded: a chart (https://example.com/x.png)" in html


def test_headings_of_a_text_stand_below_those_of_the_page() -> None:
    assert "<h3>Title</h3>" in render_markdown("# Title")
    assert "<h1" not in render_markdown("# Title\n\n## Sub")


def test_line_breaks_survive_in_markdown() -> None:
    assert "one<br" in render_markdown("one\ntwo")


def test_a_long_text_is_cut_and_says_how_long_it_is() -> None:
    said = quote_text("x" * (MOST_CHARACTERS + 1), raw="outputs")
    assert not said.is_whole
    assert said.size_text == "20.0\u202fKB"
    assert len(said.source) == MOST_CHARACTERS
    assert quote_text("x" * (MOST_CHARACTERS + 1), raw="outputs", whole=True).is_whole


def test_a_folded_text_says_how_many_lines_there_are() -> None:
    said = quote_text("\n".join("abcdef"), raw="messages/0/parts/0/text", open_lines=3)
    assert said.fold == "Show all 6 lines"
    assert said.preview == "a b c d e f"
    assert quote_text("short", raw="", open_lines=3).fold == ""


def test_the_last_own_line_of_a_stack_stands_out() -> None:
    stack = """Traceback (most recent call last):
  File "/srv/app/service.py", line 88, in answer
    return chain.invoke(question)
  File "/srv/app/terms.py", line 141, in parse
    date.fromisoformat(text)
    ^^^^^^^^^^^^^^^^^^^^^^^^
  File "/usr/lib/python3.12/json/decoder.py", line 355, in raw_decode
    raise JSONDecodeError
ValueError: no"""
    own = [str(line.text).replace("<wbr>", "").strip() for line in read_stack(stack) if line.is_own]
    assert own == [
        "File &#34;/srv/app/terms.py&#34;, line 141, in parse",
        "date.fromisoformat(text)",
        "^" * 24,
    ]


def test_the_place_of_an_error_is_said_in_a_line() -> None:
    own = 'File "/srv/app/terms.py", line 141, in parse\n    x()\nFile "/x/site-packages/a.py", line 2, in g'
    assert own_place(own) == "terms.py, line 141, in parse"
    assert own_place("ValueError") == ""


def test_a_text_that_is_json_is_read_as_an_outline() -> None:
    said = quote_text('{"landlord": "Portico <b>", "rent": 3150}', raw="answers/0")
    assert '<span class="jk">landlord</span>' in said.read
    assert "&lt;b&gt;" in said.read
    assert said.source.startswith("{&#34;landlord")
    assert "U+D800" in quote_text('["\\ud800"]', raw="").read
    assert "<p>" in quote_text("[1] is a reference", raw="").read
    assert "<p>" in quote_text("{}", raw="").read


def test_a_long_line_of_a_stack_goes_on_after_a_separator_and_not_within_a_word() -> None:
    (line,) = read_stack('  File "/srv/own_code/terms.py", line 1, in parse')
    assert str(line.text).replace("&#34;", '"') == (
        '  File "/<wbr>srv/<wbr>own_code/<wbr>terms.py", line 1, in parse'
    )


def test_a_stack_of_libraries_alone_marks_nothing() -> None:
    lines = read_stack('Traceback\n  File "/x/site-packages/a.py", line 1, in f\n    g()\nValueError')
    assert len(lines) == 4
    assert not any(line.is_own for line in lines)


def test_of_a_very_long_stack_its_ends_are_kept_in_whole_lines() -> None:
    lines = [f"line {number}" for number in range(20_000)]
    cut = cut_stack("\n".join(lines)).splitlines()
    [gap] = [line for line in cut if line not in lines]
    assert re.fullmatch(r"… [0-9,]+ characters are left out here …", gap)
    assert (cut[0], cut[-1]) == (lines[0], lines[-1])
    assert len(cut) < 5_000

    one_line = cut_stack("x" * 1_000_000)
    assert len(one_line) < 41_000
    assert "960,000 characters are left out here" in one_line
    assert cut_stack("short") == "short"
