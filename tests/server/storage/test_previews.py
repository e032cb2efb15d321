"""A few words tell what a run was asked and what it answered."""

from __future__ import annotations

from typing import Any

import pytest
from contracts.records import a_model_run, a_run, said
from contracts.strategies import runs
from hypothesis import given

from driftline.processors import without_content
from driftline.records import Document, Kind, Message, Part, Run, ToolCall
from driftline_server.storage.facts import facts_of, preview_of
from driftline_server.storage.previews import answered_by, asked_of, call_line
from driftline_server.storage.queries import WITHHELD
from driftline_server.storage.values import MAX_PREVIEW


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (None, ""),
        ("What is  EBITDA?", "What is EBITDA?"),
        ({"question": "What is EBITDA?", "context": "long"}, "What is EBITDA?"),
        ({"query": "EBITDA"}, "EBITDA"),
        ({"input": {"question": "nested"}}, "nested"),
        ({"company": "ACME"}, "ACME"),
        ({"company": "ACME", "year": 2024, "final": True}, 'company: "ACME", year: 2024, final: true'),
        ({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]}, "Hi"),
        ({"messages": [["user", "Hi"], ["assistant", "Hello"]]}, "Hi"),
        ({"messages": [{"type": "human", "content": [{"type": "text", "text": "Look"}, {"type": "image"}]}]},
         "Look"),
        ([{"type": "human", "content": "1"}, {"type": "ai", "content": "x"}, ["user", "2"]],
         "2"),
        ({"messages": [{"type": "constructor", "id": ["lc", "HumanMessage"], "kwargs": {"content": "Hi"}}]},
         "Hi"),
        ({"messages": [{"role": "user", "content": ""}], "question": "here"}, "here"),
        (["a", "b"], "b"),
        ([], ""),
        ({}, ""),
        (42, "42"),
        ({"question": ""}, 'question: ""'),
        ({"messages": [{"$type": "core.HumanMessage", "content": "Hi"}, {"$type": "AIMessage"}]}, "Hi"),
        ({"$type": "Command", "resume": "Approved"}, "Approved"),
        ({"$type": "Terms", "sum": 5, "of": {"$type": "Money", "unit": "EUR"}}, 'sum: 5, of: {unit: "EUR"}'),
    ],
)  # fmt: skip
def test_the_question_is_found_where_frameworks_put_it(inputs: Any, words: str) -> None:
    assert asked_of(a_run(inputs=inputs)) == words


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (None, ""),
        ("Earnings.", "Earnings."),
        ({"answer": "Earnings.", "context": ["…"]}, "Earnings."),
        ({"output": "Earnings."}, "Earnings."),
        ({"content": "Earnings.", "type": "ai", "id": "x"}, "Earnings."),
        ({"content": [{"type": "text", "text": "Earnings"}, {"type": "text", "text": "up."}], "role": "ai"},
         "Earnings up."),
        ({"messages": [{"type": "human", "content": "Q"}, {"type": "ai", "content": "A"}]}, "A"),
        ({"summary": "Short."}, "Short."),
        ({"rate": 1.5, "unit": None}, "rate: 1.5, unit: null"),
        ([{"page_content": "a passage", "metadata": {}}], "a passage"),
        (True, "true"),
        ([{"$type": "Command", "update": {"messages": [{"$type": "AIMessage", "content": "Yes"}]}}], "Yes"),
        ({"role": "assistant", "content": "", "tool_calls": [{"name": "fx", "args": {"to": "EUR"}}]},
         'fx(to="EUR")'),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "fx", "arguments": "{}"}}]}, 'fx("{}")'),
        ({"type": "AIMessageChunk", "content": "", "id": "x"}, ""),
        ({"content": "the text of a page", "page": 3}, "the text of a page"),
    ],
)  # fmt: skip
def test_the_answer_is_found_where_frameworks_put_it(outputs: Any, words: str) -> None:
    assert answered_by(a_run(outputs=outputs)) == words


def test_a_prompt_answers_with_what_a_model_will_be_asked() -> None:
    dialogue = [
        {"type": "human", "content": "first"},
        {"type": "ai", "content": "x"},
        {"type": "human", "content": "last"},
    ]
    assert answered_by(a_run(kind=Kind.PROMPT, outputs={"messages": dialogue})) == "last"
    assert answered_by(a_run(outputs={"messages": dialogue})) == "x"


def test_a_model_was_asked_what_the_user_said_last() -> None:
    messages = (
        said("system", "Be brief."),
        said("user", "first"),
        said("assistant", "x"),
        said("user", "last"),
    )
    assert asked_of(a_run(kind=Kind.LLM, messages=messages)) == "last"
    assert asked_of(a_run(kind=Kind.LLM, messages=messages[:1])) == "Be brief."


def test_of_content_that_the_client_kept_it_is_said_that_it_did() -> None:
    root = a_run(inputs={"question": "Who pays?"}, outputs="The lessee.")
    model = a_model_run(root, messages=(said("user", "Who?"),), answers=(said("assistant", "They."),))
    for run in (without_content(root), without_content(model)):
        assert (asked_of(run), answered_by(run)) == (WITHHELD, WITHHELD)
    tool = without_content(a_run(kind=Kind.TOOL, name="fx_rate", inputs={"currency": "EUR"}))
    assert asked_of(tool) == "fx_rate(…)"
    silent = without_content(a_model_run(root, messages=(said("user", ""),)))
    assert asked_of(silent) == ""


def test_a_model_answers_in_words_or_calls() -> None:
    call = Message(
        role="assistant",
        tool_calls=(ToolCall(name="fx_rate", arguments={"currency": "EUR"}), ToolCall(name="now")),
    )
    assert answered_by(a_run(kind=Kind.LLM, answers=(call,))) == 'fx_rate(currency="EUR"), now()'
    spoken = Message(
        role="assistant", parts=(Part(type="reasoning", text="hm"), Part(type="text", text="Yes."))
    )
    assert answered_by(a_run(kind=Kind.LLM, answers=(spoken,))) == "Yes."


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"to": "EUR", "amount": 2.5, "exact": True, "on": None},
         'fx(to="EUR", amount=2.5, exact=true, on=null)'),
        ({"of": ["a", {"b": [1, [2]]}]}, 'fx(of=["a", {b: […]}])'),
        ("free text", 'fx("free text")'),
        ('quo"ted\\', 'fx("quo\\"ted\\\\")'),
        (None, "fx()"),
        (10**400, "fx(…)"),
    ],
)  # fmt: skip
def test_a_call_is_written_as_one_would_write_it(arguments: Any, line: str) -> None:
    assert call_line("fx", arguments) == line


@pytest.mark.parametrize(
    ("run", "preview"),
    [
        (a_run(kind=Kind.RETRIEVER, inputs="EBITDA", documents=(Document(text="x"),)), "EBITDA"),
        (a_run(kind=Kind.RETRIEVER, documents=(Document(text="x"), Document(text="y"))), "2 documents"),
        (a_run(kind=Kind.TOOL, name="fx_rate", inputs={"to": "EUR"}, outputs="1.08"), 'fx_rate(to="EUR")'),
        (a_run(kind=Kind.LLM, messages=(said("user", "Q"),), answers=(said("assistant", "A"),)), "A"),
        (a_run(kind=Kind.PROMPT, inputs={"question": "Q"}, outputs="filled in"), "filled in"),
        (a_run(inputs="Q"), "Q"),
        (a_run(), ""),
    ],
)  # fmt: skip
def test_a_preview_tells_a_run_from_its_siblings(run: Run, preview: str) -> None:
    assert preview_of(facts_of(run, heard_at=0)) == preview


@given(runs())
def test_any_run_has_short_words(run: Run) -> None:
    for words in (asked_of(run), answered_by(run), preview_of(facts_of(run, heard_at=0))):
        assert len(words) <= MAX_PREVIEW
        assert "\n" not in words


def test_a_text_of_megabytes_costs_no_more_than_its_beginning() -> None:
    assert asked_of(a_run(inputs="word " * 1_000_000)).startswith("word word")


def test_deep_nesting_ends() -> None:
    nested: Any = "deep"
    for _ in range(60):
        nested = {"input": nested}
    assert len(asked_of(a_run(inputs=nested))) <= MAX_PREVIEW


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a **term loan of EUR 42,500,000**. [1]", "a term loan of EUR 42,500,000. [1]"),
        ("To Mutuelle SA\r\nOn behalf of\n\nAteliers", "To Mutuelle SA · On behalf of · Ateliers"),
        ("## Terms\n- *rent*: 5\n- `notice`: 3", "Terms · rent: 5 · notice: 3"),
        ("| Term | Value |\n|---|:---|\n| Rent | 5 |", "Term | Value · Rent | 5"),
        ("```python\nprint(2 ** 3)\n```", "print(2 ** 3)"),
        ("2*3*4 and def f(*args, **kwargs) and __init__", "2*3*4 and def f(*args, **kwargs) and __init__"),
        ("- 5 °C, #1 and *.py, *.js", "- 5 °C, #1 and *.py, *.js"),
        ('{\n  "a": "**b**"\n}', '{ "a": "**b**" }'),
        ('["a",\n"b"]', '["a", "b"]'),
        ("[1] The rent\n[2] The term", "[1] The rent · [2] The term"),
        ("---", "---"),
    ],
)
def test_words_are_read_without_their_marks_and_with_their_line_breaks(text: str, words: str) -> None:
    assert answered_by(a_run(outputs=text)) == words
    assert asked_of(a_run(inputs=text)) == words
