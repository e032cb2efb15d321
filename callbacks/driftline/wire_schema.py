"""The wire as JSON Schema (draft 2020-12), derived from the records' type hints and docstrings."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, get_args, get_origin

from driftline import records
from driftline.codec import MAX_DURATION_MS, MAX_INT, FieldPlan, is_json, is_time, optional_inner, plan_of
from driftline.records import Run, Score
from driftline.wire import MAX_NAME, NAME_LIMITS, WIRE_VERSION

Schema = dict[str, Any]

_SCALARS: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer", "minimum": 0, "maximum": MAX_INT},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
}
_HEX = "[0-9a-fA-F]"
_ID: Schema = {
    "pattern": f"^({_HEX}{{32}}|{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}})$",
    "maxLength": 36,
}
_NAME: Schema = {"maxLength": MAX_NAME}
_RULES: dict[type, dict[str, Schema]] = {
    Run: {
        **dict.fromkeys(("id", "trace_id", "parent_id"), _ID),
        **{name: {"maxLength": limit} for name, limit in NAME_LIMITS.items()},
        "tags": {"items": {"type": "string", **_NAME}},
        "duration_ms": {"minimum": 0, "maximum": MAX_DURATION_MS},
        "sampling_weight": {"minimum": 1},
    },
    Score: {**dict.fromkeys(("id", "trace_id", "run_id"), _ID), "name": {"minLength": 1, **_NAME}},
}
"""What decoding asks of a field beyond its type."""


def batch_schema() -> Schema:
    """The schema of a batch; the definitions of ``Run`` and ``Score`` may be pointed at by themselves."""
    definitions: dict[str, Schema] = {}
    runs = {"type": "array", "items": _schema_of(Run, definitions)}
    scores = {"type": "array", "items": _schema_of(Score, definitions)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:driftline:wire:{WIRE_VERSION}",
        "title": f"A batch on Driftline's wire, version {WIRE_VERSION}",
        "description": (
            "Empty fields are left out, or null. Fields that are not named here are kept and given back: "
            "a newer client may send them to an older server."
        ),
        "type": "object",
        "properties": {
            "version": {"type": "integer", "minimum": 1, "maximum": WIRE_VERSION},
            "runs": runs,
            "scores": scores,
        },
        "required": ["version"],
        "anyOf": [{"required": ["runs"]}, {"required": ["scores"]}],
        "$defs": dict(sorted(definitions.items())),
    }


def _schema_of(hint: Any, definitions: dict[str, Schema]) -> Schema:
    inner = optional_inner(hint)
    if inner is not None:
        return _or_null(_schema_of(inner, definitions))
    if is_json(hint) or isinstance(hint, str):
        return {}
    origin = get_origin(hint)
    if origin is tuple:
        return {"type": "array", "items": _schema_of(get_args(hint)[0], definitions)}
    if origin is Mapping:
        values = _schema_of(get_args(hint)[1], definitions)
        return {"type": "object", **({"additionalProperties": values} if values else {})}
    if hint in _SCALARS:
        return dict(_SCALARS[hint])
    if hint.__name__ not in definitions:
        definitions[hint.__name__] = {}  # so that a record within itself would point here
        is_word = issubclass(hint, StrEnum)
        definitions[hint.__name__] = _word_schema(hint) if is_word else _record_schema(hint, definitions)
    return {"$ref": f"#/$defs/{hint.__name__}"}


def _record_schema(record_type: type, definitions: dict[str, Schema]) -> Schema:
    plans = plan_of(record_type)
    return {
        "description": _prose(record_type.__doc__),
        "type": "object",
        "properties": {plan.name: _field_schema(record_type, plan, definitions) for plan in plans},
        "required": [plan.name for plan in plans if plan.required],
    }


def _field_schema(record_type: type, plan: FieldPlan, definitions: dict[str, Schema]) -> Schema:
    times = {"minimum": -MAX_DURATION_MS, "maximum": MAX_DURATION_MS} if is_time(plan.name) else {}
    schema = _schema_of(plan.hint, definitions) | times | _RULES.get(record_type, {}).get(plan.name, {})
    if not plan.required:
        schema = _or_null(schema)
    about = _member_docs()[record_type.__name__].get(plan.name)
    return {"description": about, **schema} if about else schema


def _word_schema(enum: type[StrEnum]) -> Schema:
    docs = _member_docs()[enum.__name__]
    lines = [_prose(enum.__doc__), *(f"{each}: {docs[each.name]}" for each in enum if each.name in docs)]
    return {"description": "\n".join(lines), "type": "string", "enum": [each.value for each in enum]}


def _or_null(schema: Schema) -> Schema:
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return schema


@cache
def _member_docs() -> dict[str, dict[str, str]]:
    """The string below each field of each class in ``records``; Python itself does not keep these."""
    docs: dict[str, dict[str, str]] = {}
    for each in ast.parse(inspect.getsource(records)).body:
        if isinstance(each, ast.ClassDef):
            docs[each.name] = {}
            for member, below in zip(each.body, each.body[1:], strict=False):
                match member, below:
                    case (
                        (ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)])),
                        ast.Expr(value=ast.Constant(value=str(text))),
                    ):
                        docs[each.name][name] = _prose(text)
    return docs


def _prose(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("``", "`")
