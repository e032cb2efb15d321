"""What models are told and what they answer, message by message."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, ChatResult

from driftline.integrations.langchain_messages import copy_messages, messages_of
from driftline.records import Kind, Message, Part, ToolCall
from driftline.snapshot import Copier

from .conftest import Watched
from .models import ScriptedModel

PNG = base64.b64encode(b"\x89PNG" + bytes(5_000_000)).decode()
SMALL = base64.b64encode(b"tiny").decode()


def read(*messages: BaseMessage) -> tuple[Message, ...]:
    return messages_of(copy_messages(list(messages), Copier()))


def read_parts(*content: Any) -> tuple[Part, ...]:
    return read(HumanMessage(list(content)))[0].parts


def test_roles_are_said_in_one_language() -> None:
    messages = read(
        SystemMessage("a"),
        HumanMessage("b", name="ada"),
        AIMessage("c", id="m1"),
        ToolMessage("d", tool_call_id="c1", name="add"),
        FunctionMessage("e", name="add"),
        ChatMessage("f", role="critic"),
        SystemMessage("g", additional_kwargs={"__openai_role__": "developer"}),
    )
    assert [each.role for each in messages] == [
        "system", "user", "assistant", "tool", "tool", "critic", "developer",
    ]  # fmt: skip
    assert (messages[1].name, messages[2].id, messages[3].tool_call_id) == ("ada", "m1", "c1")


def test_tool_calls_keep_their_arguments_and_bad_ones_their_text() -> None:
    [message] = read(
        AIMessage(
            "",
            tool_calls=[{"name": "add", "args": {"a": 1}, "id": "c1"}],
            invalid_tool_calls=[{"name": "add", "args": '{"a": ', "id": "c2", "error": "cut"}],
        )
    )
    assert message.parts == ()
    assert message.tool_calls == (
        ToolCall(name="add", arguments={"a": 1}, id="c1"),
        ToolCall(name="add", arguments='{"a": ', id="c2"),
    )


def test_a_tool_that_failed_says_so() -> None:
    [message] = read(ToolMessage("no such file", tool_call_id="c1", status="error"))
    assert message.extra == {"status": "error"}


def test_a_call_is_not_told_twice() -> None:
    [message] = read(
        AIMessage(
            [{"type": "text", "text": "well"}, {"type": "tool_use", "id": "c1", "name": "add", "input": {}}],
            tool_calls=[{"name": "add", "args": {}, "id": "c1"}],
        )
    )
    assert [part.type for part in message.parts] == ["text"]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "thinking", "thinking": "hm", "signature": "x"},
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "reasoning_content", "reasoning_content": {"text": "hm"}},
    ],
    ids=str,
)
def test_reasoning_is_told_apart(block: Any) -> None:
    assert read_parts(block) == (Part(type="reasoning", text="hm"),)


def test_reasoning_beside_the_content_comes_first() -> None:
    [message] = read(AIMessage("so", additional_kwargs={"reasoning_content": "hm"}))
    assert message.parts == (Part(type="reasoning", text="hm"), Part(type="text", text="so"))


IMAGES: list[Any] = [
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    {"type": "image_url", "image_url": f"data:image/png;base64,{PNG}"},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    {"type": "image", "base64": PNG, "mime_type": "image/png"},
    {"type": "image", "source_type": "base64", "data": PNG, "mime_type": "image/png"},
    {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
    {"type": "media", "data": PNG, "mime_type": "image/png"},
]


@pytest.mark.parametrize("block", IMAGES, ids=[str(index) for index in range(len(IMAGES))])
def test_of_a_large_image_only_its_kind_and_size_are_kept(block: Any) -> None:
    copier = Copier()
    [message] = messages_of(copy_messages([HumanMessage([block])], copier))
    [part] = message.parts
    assert (part.type, part.media_type, part.size_bytes) == ("image", "image/png", 5_000_004)
    assert len(part.url or "") < 100
    assert copier.size_bytes < 10_000


def test_the_application_keeps_its_image() -> None:
    block = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    read_parts(block)
    assert block == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            Part(type="image", url="https://example.com/a.png"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": SMALL, "format": "wav"}},
            Part(type="audio", media_type="audio/wav", size_bytes=4),
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": SMALL}},
            Part(type="file", text="a.pdf", size_bytes=4),
        ),
        ({"type": "file", "file_id": "file-1"}, Part(type="file", url="file-1")),
        (
            {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
            Part(type="file", url="https://example.com/a.pdf"),
        ),
        ({"type": "video", "url": "https://example.com/v"}, Part(type="video", url="https://example.com/v")),
        (
            {"type": "tool_result", "tool_use_id": "c1"},
            Part(type="data", data={"type": "tool_result", "tool_use_id": "c1"}),
        ),
        ("plain", Part(type="text", text="plain")),
    ],
    ids=str,
)
def test_files_and_other_blocks(block: Any, expected: Part) -> None:
    assert read_parts(block) == (expected,)


def test_a_model_gets_every_message_of_the_dialogue(watched: Watched) -> None:
    dialogue = [SystemMessage("be brief"), *(HumanMessage(f"{n}") for n in range(60))]
    ScriptedModel(script=["ok"]).invoke(dialogue, watched.config())
    assert len(watched.only().messages) == 61


def test_several_answers_are_all_kept(watched: Watched) -> None:
    class Twice(ScriptedModel):
        def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
            answers = [ChatGeneration(message=AIMessage(text)) for text in ("yes", "no")]
            return ChatResult(generations=answers)

    Twice().invoke("hi", watched.config())
    assert [each.parts[0].text for each in watched.only().answers] == ["yes", "no"]


def test_an_answer_says_why_it_stopped(watched: Watched) -> None:
    message = AIMessage("ok", response_metadata={"finish_reason": "length"})
    ScriptedModel(script=[message]).invoke("hi", watched.config())
    assert watched.only().answers[0].extra == {"finish_reason": "length"}


def test_each_prompt_of_a_generate_is_a_run_of_its_own_with_an_approximate_duration(watched: Watched) -> None:
    model = ScriptedModel(script=["a", "b", "c"])
    model.generate([[HumanMessage("1")], [HumanMessage("2")]], callbacks=[watched.handler])
    runs = watched.runs(kind=Kind.LLM)
    assert [(run.messages[0].parts[0].text, run.answers[0].parts[0].text) for run in runs] == [
        ("1", "a"),
        ("2", "b"),
    ]
    assert all(run.metadata["duration_is_approximate"] for run in runs)
    assert {run.metadata["batch_size"] for run in runs} == {2}


def test_what_changes_after_the_event_is_recorded_as_it_was(watched: Watched) -> None:
    message = HumanMessage([{"type": "text", "text": "before"}])
    answer = AIMessage("before", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "c1"}])
    ScriptedModel(script=[answer]).invoke([message], watched.config())
    message.content[0]["text"] = "after"  # type: ignore[index]
    answer.content = "after"
    answer.tool_calls[0]["args"]["a"] = 2
    run = watched.only()
    assert run.messages[0].parts[0].text == "before"
    assert run.answers[0].parts[0].text == "before"
    assert run.answers[0].tool_calls[0].arguments == {"a": 1}
