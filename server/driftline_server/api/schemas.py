"""JSON Schemas of what the API answers with, from the types that it is written with."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping
from dataclasses import is_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from driftline.codec import is_json, optional_inner, plan_of

Schema = dict[str, Any]
_SCALARS: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
}


class Schemas:
    """Collects the schemas of named types as components that others point at."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}

    def of(self, hint: Any) -> Schema:
        """The schema of a type hint; named types are added to the components."""
        inner = optional_inner(hint)
        if inner is not None:
            return {"anyOf": [self.of(inner), {"type": "null"}]}
        if is_json(hint) or hint is Any or isinstance(hint, str):
            return {}
        origin = get_origin(hint)
        if origin in (list, tuple):
            return {"type": "array", "items": self.of(get_args(hint)[0])}
        if origin in (dict, Mapping):
            return {"type": "object", "additionalProperties": self.of(get_args(hint)[1])}
        if origin in (Union, types.UnionType):
            return {"anyOf": [self.of(each) for each in get_args(hint)]}
        if isinstance(hint, type) and issubclass(hint, StrEnum):
            return {"type": "string", "enum": [each.value for each in hint]}
        if is_typeddict(hint):
            return self._component(hint, self._fields_of_typeddict)
        if is_dataclass(hint):
            return self._component(hint, self._fields_of_record)
        return _SCALARS[hint]

    def _component(self, named: Any, fields_of: Any) -> Schema:
        name = named.__name__
        if name not in self.components:
            self.components[name] = {}
            self.components[name] = {
                "type": "object",
                "description": inspect.cleandoc(named.__doc__ or ""),
                **fields_of(named),
            }
        return {"$ref": f"#/components/schemas/{name}"}

    def _fields_of_typeddict(self, named: Any) -> Schema:
        hints = get_type_hints(named, include_extras=True)
        properties = {}
        for name, hint in hints.items():
            properties[name] = self.of(get_args(hint)[0] if get_origin(hint) is NotRequired else hint)
        required = [name for name, hint in hints.items() if get_origin(hint) is not NotRequired]
        return {"properties": properties, "required": required, "additionalProperties": False}

    def _fields_of_record(self, named: Any) -> Schema:
        """A record is answered whole, so every field is there; what a newer client sent beside them stays."""
        properties = {plan.name: self.of(plan.hint) for plan in plan_of(named)}
        return {"properties": properties, "required": list(properties)}
