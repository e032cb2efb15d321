"""Decide what of a run leaves the program: which traces, and how much of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from driftline.records import Document, Event, Json, JsonObject, Message, Part, Run, RunError, ToolCall

_SPACE = 2**64


class Sampling:
    """Keeps a share of the traces, whole, and says for how many each of them stands.

    The choice follows from the trace's id alone, so all processes that take part in a trace choose alike.
    """

    def __init__(self, rate: float) -> None:
        """``rate`` is the share that is kept, from 0 to 1.

        Raises:
            ValueError: it is not.
        """
        if not 0 <= rate <= 1:
            raise ValueError(f"the rate {rate!r} is not between 0 and 1")
        self._below = round(rate * _SPACE)
        self._weight = 1 / rate if rate else 0.0

    def keeps(self, trace_id: str) -> bool:
        """Whether a trace is kept."""
        # Ids may begin with the time, so only a hash of them is spread evenly.
        digest = hashlib.blake2b(trace_id.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") < self._below

    def __call__(self, run: Run) -> Run | None:
        """Give the run its weight, or keep it back with the rest of its trace."""
        if not self.keeps(run.trace_id):
            return None
        return replace(run, sampling_weight=run.sampling_weight * self._weight)


def without_content(run: Run) -> Run:
    """Take out what people and models wrote; timing, usage, sizes, names, and whose run it is stay.

    Tags, metadata and every ``extra`` are content: nobody can know what a program puts there.
    """
    bare: Run = _without_extras(run)
    return replace(
        bare,
        inputs=_size_of(run.inputs),
        outputs=_size_of(run.outputs),
        messages=tuple(_bare_message(each) for each in run.messages),
        answers=tuple(_bare_message(each) for each in run.answers),
        documents=tuple(_bare_document(each) for each in run.documents),
        events=tuple(
            Event(name=each.name, offset_ms=each.offset_ms, data=_size_of(each.data)) for each in run.events
        ),
        error=None if run.error is None else _bare_error(run.error),
        invocation_params=_bare_values(run.invocation_params),
        tags=(),
        metadata=_size_of_all(run.metadata),
    )


def _without_extras(record: Any) -> Any:
    """A record without its ``extra`` and those of the records within it."""
    changes: dict[str, Any] = {}
    for each in fields(record):
        value = getattr(record, each.name)
        if each.name == "extra":
            changes["extra"] = _size_of_all(value)
        elif is_dataclass(value):
            changes[each.name] = _without_extras(value)
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            changes[each.name] = tuple(_without_extras(inner) for inner in value)
    return replace(record, **changes)


def _size_of_all(values: JsonObject) -> JsonObject:
    """How much there was; the names of the entries may be content too."""
    return {"$withheld": {"characters": _characters_of(values), "entries": len(values)}} if values else {}


def _size_of(value: Json) -> Json:
    """What stands in place of a value; numbers and the like are values too."""
    if value is None:
        return None
    return {"$type": "withheld", "characters": _characters_of(value)}


def _characters_of(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_characters_of(each) for each in value.values())
    if isinstance(value, list | tuple):
        return sum(_characters_of(each) for each in value)
    return 0


def _bare_values(values: JsonObject) -> JsonObject:
    """Keep the names, and values that are no text, such as a temperature."""
    return {
        key: each if each is None or isinstance(each, bool | int | float) else _size_of(each)
        for key, each in values.items()
    }


def _bare_message(message: Message) -> Message:
    return Message(
        role=message.role,
        parts=tuple(_bare_part(each) for each in message.parts),
        tool_calls=tuple(
            ToolCall(name=each.name, id=each.id, arguments=_size_of(each.arguments))
            for each in message.tool_calls
        ),
        tool_call_id=message.tool_call_id,
        name=message.name,
        id=message.id,
    )


def _bare_part(part: Part) -> Part:
    size = part.size_bytes
    if size is None:
        size = len((part.text or "").encode("utf-8", "replace")) + _characters_of(part.data)
    return Part(type=part.type, media_type=part.media_type, size_bytes=size)


def _bare_document(document: Document) -> Document:
    return Document(
        text="",
        id=document.id,
        rank=document.rank,
        score=document.score,
        distance=document.distance,
        metadata={"$withheld": {"characters": len(document.text), "metadata": len(document.metadata)}},
    )


def _bare_error(error: RunError) -> RunError:
    # Of a stack only the places are kept: source lines and messages may quote what was processed.
    places = [line for line in error.stack.splitlines() if line.startswith('  File "')]
    return RunError(type=error.type, stack="\n".join(places))
