"""The messages of a run: those that a model was given, or those that a graph holds in its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from driftline.records import Json, JsonObject, Message, Part, Run, ToolCall

_KEY = "messages"
_BY_CLASS = {
    "HumanMessage": "user", "AIMessage": "assistant", "SystemMessage": "system", "ToolMessage": "tool",
    "FunctionMessage": "function", "ChatMessage": "",
}  # fmt: skip
_PAIRED = {"user", "human", "assistant", "ai", "system"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A message, and where in the run it lies."""

    message: Message
    place: str
    texts: tuple[str, ...]
    """Where the text of each of its parts lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """The messages of a run in their order."""

    given: tuple[Spoken, ...]
    answers: tuple[Spoken, ...]
    known: int | None
    """How many of those given a graph had from before; ``None`` where a model run does not say."""


def read_dialogue(run: Run) -> Dialogue | None:
    """What was said in a run; ``None`` where it holds no messages."""
    if run.messages or run.answers:
        return Dialogue(
            given=tuple(_recorded(run.messages, "messages")),
            answers=tuple(_recorded(run.answers, "answers")),
            known=None,
        )
    before, after = _held(run.inputs, "inputs"), _held(run.outputs, "outputs")
    known = _begins_at(before, after)
    spoken = (*before, *after) if known is None else after
    if not spoken:
        return None
    is_answered = bool(after) and spoken[-1].message.role == "assistant"
    end = len(spoken) - 1 if is_answered else len(spoken)
    return Dialogue(given=spoken[:end], answers=spoken[end:], known=known or 0)


def _recorded(messages: Sequence[Message], place: str) -> list[Spoken]:
    return [
        Spoken(
            message=message,
            place=f"{place}/{index}",
            texts=tuple(f"{place}/{index}/parts/{n}/text" for n in range(len(message.parts))),
        )
        for index, message in enumerate(messages)
    ]


def _held(value: Json, place: str) -> tuple[Spoken, ...]:
    """The messages in the state of a graph; none unless every one can be read."""
    held = value.get(_KEY) if isinstance(value, dict) else None
    if not isinstance(held, list):
        return ()
    read = [_read(each, f"{place}/{_KEY}/{index}") for index, each in enumerate(held)]
    spoken = tuple(each for each in read if each is not None)
    return spoken if len(spoken) == len(read) else ()


def _begins_at(before: Sequence[Spoken], after: Sequence[Spoken]) -> int | None:
    """Where in the state after a run that before it begins; ``None`` where the run only gave what is new."""
    wanted = [_gist(each.message) for each in before]
    gists = [_gist(each.message) for each in after]
    starts = range(len(gists) - len(wanted) + 1)
    return next((at for at in starts if gists[at : at + len(wanted)] == wanted), None)


def _gist(message: Message) -> tuple[str, tuple[str | None, ...]]:
    return message.role, tuple(part.text for part in message.parts)


def _read(value: Json, place: str) -> Spoken | None:
    if isinstance(value, list):
        return _read_pair(value, place)
    if not isinstance(value, dict):
        return None
    wrapped = value.get("kwargs")
    if value.get("type") == "constructor" and isinstance(wrapped, dict):
        names = value.get("id")
        name = names[-1] if isinstance(names, list) and names else ""
        return _read({"$type": name, **wrapped}, f"{place}/kwargs")
    role = _role_of(value)
    if not role:
        return None
    parts, texts = _parts(value.get("content"), f"{place}/content")
    calls = value.get("tool_calls")
    message = Message(
        role=role,
        parts=parts,
        tool_calls=tuple(_call(each) for each in calls if isinstance(each, dict))
        if isinstance(calls, list)
        else (),
        tool_call_id=_text(value.get("tool_call_id")),
        name=_text(value.get("name")) if role != "assistant" else None,
    )
    return Spoken(message=message, place=place, texts=texts)


def _read_pair(value: list[Json], place: str) -> Spoken | None:
    """``("user", "words")``, LangChain's short way to write a message."""
    if len(value) != 2 or value[0] not in _PAIRED or not isinstance(value[1], str):
        return None
    message = Message(role=str(value[0]), parts=(Part(type="text", text=value[1]),))
    return Spoken(message=message, place=place, texts=(f"{place}/1",))


def _role_of(value: JsonObject) -> str:
    name = str(value.get("$type") or "").rpartition(".")[2].removesuffix("Chunk")
    role = _BY_CLASS.get(name) or value.get("role") or value.get("type")
    return role if isinstance(role, str) and ("content" in value or "tool_calls" in value) else ""


def _parts(content: Json, place: str) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    if isinstance(content, str):
        return ((Part(type="text", text=content),), (place,)) if content else ((), ())
    if not isinstance(content, list):
        return (), ()
    parts, texts = [], []
    for index, each in enumerate(content):
        at = f"{place}/{index}"
        if isinstance(each, str):
            parts.append(Part(type="text", text=each))
        elif isinstance(each, dict) and each.get("type") == "text" and isinstance(each.get("text"), str):
            parts.append(Part(type="text", text=str(each["text"])))
            at += "/text"
        elif not (isinstance(each, dict) and each.get("type") in ("tool_use", "tool_call")):
            parts.append(Part(type="data", data=each))
        else:
            continue  # the call itself stands among the tool calls
        texts.append(at)
    return tuple(parts), tuple(texts)


def _call(call: JsonObject) -> ToolCall:
    function = call.get("function")
    told = function if isinstance(function, dict) else call
    arguments = told["args"] if "args" in told else told.get("arguments")
    return ToolCall(name=str(told.get("name") or "call"), arguments=arguments, id=_text(call.get("id")))


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None
