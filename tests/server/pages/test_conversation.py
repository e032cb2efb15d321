"""Dialogues, passages and data of a run, ready to be read."""

from __future__ import annotations

from typing import Any

import pytest
from contracts.records import a_run, said

from driftline.records import Document, Kind, Message, Part, Run, ToolCall
from driftline_server.pages.conversation import read_conversation, write_call
from driftline_server.pages.documents import read_documents
from driftline_server.pages.json_view import view_json
from driftline_server.pages.run_data import read_call, read_data, read_raw

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="


def a_dialogue(*messages: Message, **values: Any) -> Run:
    return a_run(kind=Kind.LLM, messages=messages, **values)


def test_roles_are_called_as_people_call_them() -> None:
    dialogue = read_conversation(a_dialogue(said("human", "a"), said("ai", "b"), said("critic", "c")))
    turns = (*dialogue.earlier, *dialogue.turns)
    assert [(turn.label, turn.role) for turn in turns] == [
        ("User", "user"),
        ("Assistant", "assistant"),
        ("critic", "other"),
    ]


def test_a_long_system_prompt_is_folded() -> None:
    (system,) = read_conversation(a_dialogue(said("system", "rule\n" * 30), said("user", "hi"))).opening
    assert system.blocks[0].said is not None
    assert system.blocks[0].said.fold == "Show all 30 lines"


def test_a_long_dialogue_folds_what_came_earlier() -> None:
    dialogue = read_conversation(a_dialogue(said("system", "s"), *(said("user", f"{n}") for n in range(20))))
    assert (len(dialogue.opening), len(dialogue.earlier), len(dialogue.turns)) == (1, 12, 8)
    short = read_conversation(a_dialogue(*(said("user", f"{n}") for n in range(10))))
    assert (len(short.earlier), len(short.turns)) == (0, 10)


def test_what_an_earlier_model_run_saw_is_folded_and_what_is_new_stands_open() -> None:
    call = Message(role="assistant", tool_calls=(ToolCall(name="fx_rate", id="c1"),))
    result = Message(role="tool", tool_call_id="c1", parts=(Part(type="text", text="1.08"),))
    dialogue = read_conversation(a_dialogue(said("system", "s"), said("user", "in CHF?"), call, result))
    assert [turn.role for turn in dialogue.earlier] == ["user", "assistant"]
    assert [turn.role for turn in dialogue.turns] == ["tool"]
    assert dialogue.earlier_preview.striptags() == "User: in CHF? · Assistant: fx_rate(…)"
    assert dialogue.earlier_preview.startswith('<span class="e-who">User:</span> in CHF?')
    first = read_conversation(a_dialogue(said("system", "s"), said("user", "in CHF?")))
    assert (len(first.earlier), len(first.turns)) == (0, 1)


@pytest.mark.parametrize(
    ("text", "fold"),
    [
        ("one line", ""),
        ("line\n" * 6, ""),
        ("line\n" * 7, "Show all 7 lines"),
        ("w" * 500, "Show all 500 characters"),
    ],
)
def test_an_earlier_user_text_of_more_than_six_lines_is_folded(text: str, fold: str) -> None:
    turn, _ = read_conversation(a_dialogue(said("user", text), said("user", "hi"))).turns
    assert turn.blocks[0].said is not None
    assert turn.blocks[0].said.fold == fold


def test_the_last_words_of_the_user_stand_open_and_where_they_are_too_long_their_end_does() -> None:
    passages = "Passages:\n" + "[1] A passage.\n" * 20 + "Question: what is EBITDA?"
    (turn,) = read_conversation(a_dialogue(said("user", passages))).turns
    assert turn.blocks[0].said is not None
    assert turn.blocks[0].said.fold == ""
    (turn,) = read_conversation(a_dialogue(said("user", passages.replace(".\n", ".\n\n\n")))).turns
    assert turn.blocks[0].said is not None
    assert turn.blocks[0].said.fold == "Show all 62 lines"
    assert turn.blocks[0].said.ends == "Question: what is EBITDA?"
    (turn,) = read_conversation(a_dialogue(said("user", "word " * 900))).turns
    assert turn.blocks[0].said is not None
    assert turn.blocks[0].said.ends.startswith("… word word")
    assert len(turn.blocks[0].said.ends) <= 242


def test_nothing_is_folded_for_who_asked_for_all() -> None:
    (turn,) = read_conversation(a_dialogue(said("user", "line\n" * 60)), whole=True).turns
    assert turn.blocks[0].said is not None
    assert turn.blocks[0].said.fold == ""


HUMAN = {"$type": "HumanMessage", "content": "How much in CHF?", "type": "human", "id": "1"}
CALL = {
    "$type": "AIMessage",
    "type": "ai",
    "content": "",
    "tool_calls": [{"name": "fx_rate", "args": {"base": "EUR"}, "id": "c1", "type": "tool_call"}],
}
RATE = {"$type": "ToolMessage", "type": "tool", "content": "0.96", "tool_call_id": "c1"}
ANSWER = {"type": "AIMessageChunk", "$type": "AIMessageChunk", "content": [{"type": "text", "text": "960"}]}


def a_graph(inputs: Any, outputs: Any) -> Run:
    return a_run(kind=Kind.AGENT, inputs=inputs, outputs=outputs)


def roles_of(run: Run) -> list[list[str]]:
    dialogue = read_conversation(run)
    return [[turn.role for turn in turns] for turns in (dialogue.earlier, dialogue.turns, dialogue.answers)]


def test_the_messages_in_the_state_of_a_graph_are_a_dialogue() -> None:
    run = a_graph({"messages": [HUMAN]}, {"messages": [HUMAN, CALL, RATE, ANSWER], "steps": 2})
    assert roles_of(run) == [[], ["user", "assistant", "tool"], ["assistant"]]
    dialogue = read_conversation(run)
    assert dialogue.turns[1].calls[0].name == "fx_rate"
    assert dialogue.turns[2].note == "fx_<wbr>rate returned"
    assert dialogue.answers[0].spoken == "outputs/messages/3/content/0/text"
    assert [read_raw(run, turn.spoken) for turn in (dialogue.turns[0], dialogue.answers[0])] == [
        "How much in CHF?",
        "960",
    ]


def test_what_a_graph_remembered_from_before_is_folded() -> None:
    old = [{"type": "human", "content": "Hello"}, {"type": "ai", "content": "Good day"}]
    run = a_graph({"messages": [HUMAN]}, {"messages": [*old, HUMAN, ANSWER]})
    assert roles_of(run) == [["user", "assistant"], ["user"], ["assistant"]]


def test_a_step_that_gives_only_what_is_new_continues_what_it_was_given() -> None:
    assert roles_of(a_graph({"messages": [HUMAN]}, {"messages": [ANSWER]})) == [[], ["user"], ["assistant"]]
    assert roles_of(a_graph({"messages": [["user", "hi"]]}, None)) == [[], ["user"], []]
    wrapped = {"type": "constructor", "id": ["langchain", "HumanMessage"], "kwargs": {"content": "hi"}}
    assert roles_of(a_graph({"messages": [wrapped]}, None)) == [[], ["user"], []]


@pytest.mark.parametrize("messages", ["hi", [], [1], [{"sent": "hi"}], [HUMAN, None], [["user", "hi", "x"]]])
def test_what_is_only_called_messages_is_no_dialogue(messages: Any) -> None:
    assert roles_of(a_graph({"messages": messages}, None)) == [[], [], []]


def test_a_tool_call_reads_as_a_call_and_its_result_names_it() -> None:
    call = Message(
        role="assistant",
        tool_calls=(ToolCall(name="fx_rate", arguments={"on": "2026-03-04", "n": 2}, id="c1"),),
    )
    result = Message(role="tool", tool_call_id="c1", parts=(Part(type="text", text="1.08"),))
    asked, returned = read_conversation(a_dialogue(call, result)).turns
    (written,) = asked.calls
    assert written.name == "fx_rate"
    assert written.arguments == (("on", "&#34;2026-03-04&#34;"), ("n", "2"))
    assert returned.note == "fx_<wbr>rate returned"


def test_arguments_that_are_no_json_are_shown_as_they_are() -> None:
    assert write_call("f", "{broken", raw="").arguments == (("", "&#34;{broken&#34;"),)
    assert write_call("f", None, raw="").arguments == ()


def test_reasoning_stands_apart_from_what_was_said() -> None:
    answer = Message(
        role="assistant", parts=(Part(type="reasoning", text="hm"), Part(type="text", text="yes"))
    )
    (turn,) = read_conversation(a_run(kind=Kind.LLM, answers=(answer,))).answers
    assert turn.blocks[0].reasoning is not None
    assert turn.blocks[1].said is not None
    assert turn.spoken == "answers/0/parts/1/text"


def test_several_answers_are_numbered() -> None:
    answers = read_conversation(
        a_run(kind=Kind.LLM, answers=(said("assistant", "a"), said("assistant", "b")))
    ).answers
    assert [turn.note for turn in answers] == ["1 of 2", "2 of 2"]


def a_part(**values: Any):  # type: ignore[no-untyped-def]
    part = Part(**({"type": "image"} | values))
    return read_conversation(a_dialogue(Message(role="user", parts=(part,)))).turns[0].blocks[0]


def test_a_file_is_a_tile_with_its_size_and_is_never_fetched() -> None:
    tile = a_part(
        type="file", url="https://example.com/a.pdf", media_type="application/pdf", size_bytes=4200
    ).tile
    assert (tile.title, tile.detail, tile.picture) == ("File", "application/pdf, 4.2\u202fKB", "")


def test_a_whole_picture_in_the_message_is_shown() -> None:
    assert a_part(url=f"data:image/png;base64,{PIXEL}").tile.picture == f"data:image/png;base64,{PIXEL}"


@pytest.mark.parametrize(
    "url",
    [
        f"data:image/svg+xml;base64,{PIXEL}",
        f"data:text/html;base64,{PIXEL}",
        "data:image/png;base64,cut off …",
        "data:image/png,plain",
        "https://example.com/x.png",
    ],
)
def test_a_picture_that_is_cut_active_or_elsewhere_is_not(url: str) -> None:
    assert a_part(url=url).tile.picture == ""


def test_parts_of_unknown_types_show_their_data() -> None:
    assert "grid" in a_part(type="table", data={"grid": [1]}).data.html


def test_passages_stand_by_rank_with_title_place_and_score() -> None:
    second, first = (
        Document(text="b", rank=2, score=0.5, metadata={"source": "b.pdf", "page": 7, "lang": "de"}),
        Document(text="a", rank=1, score=1.0, id="a1"),
    )
    one, two = read_documents((second, first))
    assert (one.rank, one.title, one.value, one.meter) == ("1", "a1", "1.00", "100.0")
    assert (two.title, two.place, two.meter) == ("b.pdf", "page 7", "50.0")
    assert two.metadata is not None
    assert "lang" in two.metadata.html
    assert two.said.raw == "documents/0/text"


def test_a_distance_reads_downward_and_has_no_meter() -> None:
    (passage,) = read_documents((Document(text="a", distance=0.25),))
    assert (passage.measure, passage.value, passage.meter, passage.rank) == ("distance", "0.25", "", "1")


def test_json_is_an_outline_with_its_keys() -> None:
    html = view_json({"a": {"b": [1, None, "<x>"]}, "empty": {}}).html
    assert '<span class="jk">a</span>' in html
    assert "&lt;x&gt;" in html
    assert "3 items" in html
    assert "no fields" in html


def test_json_beyond_the_bounds_says_what_is_left_out() -> None:
    view = view_json(list(range(1000)), most_values=50)
    assert not view.is_whole
    assert "951 more" in view.html
    long = view_json({"text": "x" * 5000}, most_characters=100)
    assert "5.0\u202fKB in all" in long.html
    assert view_json({"text": "x" * 5000}, most_characters=10_000).is_whole


def test_json_as_deep_as_the_wire_allows_is_no_problem() -> None:
    value: Any = 1
    for _ in range(64):
        value = [value]
    assert view_json(value).is_whole


def test_a_text_or_the_only_text_of_an_object_is_read_as_words() -> None:
    question, answer = read_data(a_run(inputs={"question": "why?"}, outputs="because"))
    assert (question.label, question.said.raw, answer.said.raw) == ("Input", "inputs/question", "outputs")  # type: ignore[union-attr]
    (several,) = read_data(a_run(inputs={"a": "x", "b": "y"}))
    assert several.json is not None


def test_a_tool_shows_its_call_and_its_result() -> None:
    call, result = read_call(a_run(kind=Kind.TOOL, name="fx", inputs={"on": "today"}, outputs={"rate": 1.08}))
    assert (call.label, result.label) == ("Call", "Result")
    assert call.call is not None


def test_the_result_of_a_tool_is_read_as_words_and_its_envelope_stays_in_the_data() -> None:
    envelope = {"$type": "ToolMessage", "type": "tool", "content": "first\nsecond", "status": "success"}
    run = a_run(kind=Kind.TOOL, name="search", inputs={"query": "q"}, outputs=envelope)
    _, result = read_call(run)
    assert result.said is not None
    assert (result.said.source, result.raw) == ("first\nsecond", "outputs/content")
    assert read_raw(run, result.raw) == "first\nsecond"
    _, output = read_data(run)
    assert output.json is not None
    assert "success" in output.json.html


def test_any_part_of_a_run_can_be_read_as_it_was_recorded() -> None:
    run = a_dialogue(said("user", "first", "second"), inputs={"a": [1, {"b": "deep"}]})
    assert read_raw(run, "messages/0/parts/1/text") == "second"
    assert read_raw(run, "inputs/a/1/b") == "deep"


@pytest.mark.parametrize(
    "place", ["nothing", "messages/7", "messages/x", "messages/-1", "inputs/a/b", "", "messages/0/role/x"]
)
def test_a_part_that_is_not_there_is_not_found(place: str) -> None:
    with pytest.raises(LookupError):
        read_raw(a_dialogue(said("user", "hi")), place)


@pytest.mark.parametrize(
    ("text", "is_prose"),
    [
        ("The lender may assign the loan in parts of at least EUR 500,000.", True),
        ("Fjordlight, back office", False),
        ("if x:\n    return the rate of the day on which it was paid", False),
        ("| a | b |\n| one two three four five six seven eight | 2 |", False),
    ],
)
def test_sentences_within_data_are_set_as_what_somebody_said(text: str, is_prose: bool) -> None:
    assert ('class="js prose"' in view_json({"value": text}).html) == is_prose
