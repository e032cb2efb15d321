"""What went into a run and what came out: in words where it is a text, else as an outline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from driftline.records import Json, Run
from driftline.wire import encode_run
from driftline_server.pages.conversation import Call, write_call
from driftline_server.pages.json_view import JsonView, view_json
from driftline_server.pages.texts import Said, quote_text

_WHOLE_VALUES = 20_000
_WHOLE_CHARACTERS = 200_000
_RECORDED = (
    ("messages", "Messages"), ("answers", "Answers"), ("documents", "Documents"),
    ("invocation_params", "Invocation parameters"), ("extra", "Not known to this version"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One part of the data of a run; one of its last three fields is set."""

    label: str
    raw: str
    """Where in the run it lies."""
    said: Said | None = None
    json: JsonView | None = None
    call: Call | None = None


def read_call(run: Run, *, whole: bool = False) -> tuple[Field, ...]:
    """A tool's call as one would write it, and what it gave back, in words where it is a text."""
    fields = []
    if run.inputs is not None:
        fields.append(Field(label="Call", raw="inputs", call=write_call(run.name, run.inputs, raw="inputs")))
    if run.outputs is not None:
        text, place = _answer_of(run.outputs)
        fields.append(_field("Result", f"outputs{place}", run.outputs if text is None else text, whole))
    return tuple(fields)


def read_data(run: Run, *, whole: bool = False) -> tuple[Field, ...]:
    """What went in and what came out, then whatever else was recorded."""
    fields = [
        _field(label, raw, value, whole)
        for label, raw, value in (("Input", "inputs", run.inputs), ("Output", "outputs", run.outputs))
        if value is not None
    ]
    document = encode_run(run)
    fields += [_field(label, key, document[key], whole) for key, label in _RECORDED if key in document]
    return tuple(fields)


def outline(value: Json, *, whole: bool = False) -> JsonView:
    """A value as an outline, within the usual bounds or within those of somebody who asked for all."""
    if whole:
        return view_json(value, most_values=_WHOLE_VALUES, most_characters=_WHOLE_CHARACTERS)
    return view_json(value)


def read_raw(run: Run, place: str) -> Json:
    """The part of a run at a place such as ``messages/0/parts/1/text``.

    Raises:
        LookupError: there is nothing at that place.
    """
    value: Any = encode_run(run)
    for step in place.split("/"):
        if isinstance(value, list) and step.isdecimal():
            value = value[int(step)]
        elif isinstance(value, dict):
            value = value[step]
        else:
            raise LookupError(place)
    part: Json = value
    return part


def _field(label: str, raw: str, value: Json, whole: bool) -> Field:
    text, place = _text_of(value)
    if text is not None:
        return Field(label=label, raw=raw, said=quote_text(text, raw=raw + place, whole=whole))
    return Field(label=label, raw=raw, json=outline(value, whole=whole))


def _answer_of(value: Json) -> tuple[str | None, str]:
    """The text of the message that a framework wraps a tool's result in, and where it lies."""
    if isinstance(value, dict) and (value.get("type") == "tool" or value.get("$type") == "ToolMessage"):
        content = value.get("content")
        if isinstance(content, str) and content:
            return content, "/content"
    return None, ""


def _text_of(value: Json) -> tuple[str | None, str]:
    """The text that a value is, or that is all it holds, and where in it."""
    if isinstance(value, str):
        return value, ""
    if isinstance(value, dict) and len(value) == 1:
        key, only = next(iter(value.items()))
        if isinstance(only, str) and "/" not in key:
            return only, f"/{key}"
    return None, ""
