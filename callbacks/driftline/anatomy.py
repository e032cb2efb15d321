"""How the objects of a type are taken apart without running any of their own code."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import fractions
import pathlib
import sys
import types
import uuid
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

TakeApart: TypeAlias = Callable[[Any], Any]
"""Gives the contents of an object as a new dict or list, or as a plain value."""
EMPTY_KINDS = frozenset({str, list, tuple, dict, set, frozenset})
"""Whose objects can be asked at no risk whether they are empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """A model whose storage can be read: a pydantic model or a dataclass."""

    name: str
    read_storage: Callable[[Any], dict[str, Any]] | None
    """Gives an object's ``__dict__``."""
    read_extra: Callable[[Any], dict[str, Any] | None] | None
    """Gives the fields that a pydantic model was given beyond its own."""
    slots: tuple[tuple[str, Callable[[Any], Any]], ...]
    hidden: frozenset[str]
    """What the model leaves out of its own dumps and ``repr``."""

    def items_of(self, value: Any) -> Sequence[tuple[str, Any]]:
        """What an object holds now."""
        # A list of the items is made at once: no other thread can change the storage meanwhile.
        items = [] if self.read_storage is None else list(self.read_storage(value).items())
        extra = None if self.read_extra is None else self.read_extra(value)
        if extra:
            items += list(extra.items())
        for field, read in self.slots:
            try:
                items.append((field, read(value)))
            except AttributeError:
                continue
        return items


def anatomy_of(kind: type[Any]) -> Fields | TakeApart | None:
    """How objects of exactly this type are taken apart; ``None`` where they must not be looked into."""
    if kind in _KNOWN:
        return _KNOWN[kind]
    bases: tuple[type[Any], ...] = type.__getattribute__(kind, "__mro__")
    names = {type_name(base) for base in bases}
    merged: dict[str, Any] = {}
    for base in reversed(bases):
        merged.update(type.__getattribute__(base, "__dict__"))
    if names & _SECRETS:
        return lambda value: {"$type": "secret"}
    if enum.Enum in bases:
        return _enum_value(merged)
    for plain, take_apart in _PLAIN:
        if plain in bases:
            return _named_tuple(merged) if plain is tuple and "_fields" in merged else take_apart
    if names & _PYDANTIC:
        return _fields_of(kind, merged, wanted=(), hidden=_hidden(merged.get("__pydantic_fields__")))
    declared = merged.get("__dataclass_fields__")
    if type(declared) is dict:
        return _fields_of(kind, merged, wanted=tuple(declared), hidden=_hidden(declared))
    if BaseException in bases:
        return _exception(type_name(kind))
    if "numpy.ndarray" in names:
        return _array if type_name(kind) == "numpy.ndarray" else None
    if "numpy.generic" in names:
        return _numpy_scalar
    return _class if type in bases else None


def type_name(kind: type[Any]) -> str:
    """The module and name of a type, read without asking its metaclass."""
    module = type.__getattribute__(kind, "__module__")
    name = str(type.__getattribute__(kind, "__qualname__"))
    return name if type(module) is not str or module == "builtins" else f"{module}.{name}"


def is_importable(kind: type[Any]) -> bool:
    """Whether a type stands in its module under its own name, and so lives as long as the program."""
    module = sys.modules.get(type.__getattribute__(kind, "__module__"))
    if type(module) is not types.ModuleType:
        return False
    return vars(module).get(type.__getattribute__(kind, "__name__")) is kind


def _fields_of(
    kind: type[Any], merged: Mapping[str, Any], *, wanted: Sequence[str], hidden: frozenset[str]
) -> Fields:
    storage, extra = merged.get("__dict__"), merged.get("__pydantic_extra__")
    return Fields(
        name=type.__getattribute__(kind, "__qualname__"),
        read_storage=storage.__get__ if type(storage) is types.GetSetDescriptorType else None,
        read_extra=extra.__get__ if type(extra) is types.MemberDescriptorType else None,
        slots=tuple(
            (field, merged[field].__get__)
            for field in wanted
            if type(merged.get(field)) is types.MemberDescriptorType
        ),
        hidden=hidden,
    )


def _hidden(declared: Any) -> frozenset[str]:
    """The fields that are declared with ``exclude=True`` or ``repr=False``."""
    if type(declared) is not dict:
        return frozenset()
    return frozenset(
        name
        for name, field in declared.items()
        if getattr(field, "exclude", None) is True or getattr(field, "repr", True) is False
    )


def _enum_value(merged: Mapping[str, Any]) -> TakeApart | None:
    storage = merged.get("__dict__")
    if type(storage) is not types.GetSetDescriptorType:
        return None
    read_storage = storage.__get__
    return lambda value: read_storage(value)["_value_"]


def _named_tuple(merged: Mapping[str, Any]) -> TakeApart:
    names = merged["_fields"]
    if type(names) is not tuple or not all(type(name) is str for name in names):
        return _items_of_tuple
    return lambda value: dict(zip(names, tuple.__iter__(value), strict=False))


def _items_of_tuple(value: Any) -> list[Any]:
    return list(tuple.__iter__(value))


def _exception(name: str) -> TakeApart:
    read_args = BaseException.__dict__["args"].__get__
    return lambda value: {"$type": name, "args": read_args(value)}


def _array(value: Any) -> dict[str, Any]:
    return {"$type": "numpy.ndarray", "shape": list(value.shape), "dtype": value.dtype.str}


def _numpy_scalar(value: Any) -> Any:
    plain = value.item()
    return plain if type(plain) in (bool, int, float, str) else {"$type": type_name(type(value))}


def _moment(value: Any) -> str:
    # The application may have written the time zone itself; then its code is left alone.
    safe = type(value.tzinfo) in (types.NoneType, dt.timezone, zoneinfo.ZoneInfo)
    return str(value.isoformat() if safe else value.replace(tzinfo=None).isoformat())


def _function(value: Any) -> dict[str, Any]:
    return {"$type": "function", "name": f"{value.__module__}.{value.__qualname__}"}


def _class(value: Any) -> dict[str, Any]:
    return {"$type": "type", "name": type_name(value)}


_PYDANTIC = frozenset({"pydantic.main.BaseModel", "pydantic.v1.main.BaseModel"})
_SECRETS = frozenset(
    f"{module}.{name}"
    for module in ("pydantic.types", "pydantic.v1.types")
    for name in ("Secret", "_SecretBase", "SecretField", "SecretStr", "SecretBytes")
)
# The methods are those of the base, so that what a subclass overrides is not run.
_PLAIN: tuple[tuple[type[Any], TakeApart], ...] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (dict, dict.copy),
    (list, list.copy),
    (tuple, _items_of_tuple),
    (set, lambda value: list(set.__iter__(value))),
    (frozenset, lambda value: list(frozenset.__iter__(value))),
    (bytes, lambda value: {"$type": "bytes", "size_bytes": bytes.__len__(value)}),
)
_KNOWN: dict[type[Any], TakeApart] = {
    dt.datetime: _moment,
    dt.date: dt.date.isoformat,
    dt.time: _moment,
    dt.timedelta: lambda value: {"$type": "timedelta", "seconds": value.total_seconds()},
    uuid.UUID: str,
    decimal.Decimal: str,
    fractions.Fraction: str,
    complex: lambda value: {"$type": "complex", "value": str(value)},
    range: lambda value: {"$type": "range", "start": value.start, "stop": value.stop, "step": value.step},
    memoryview: lambda value: {"$type": "memoryview", "size_bytes": value.nbytes},
    pathlib.PosixPath: str,
    pathlib.WindowsPath: str,
    pathlib.PurePosixPath: str,
    pathlib.PureWindowsPath: str,
    types.FunctionType: _function,
    types.BuiltinFunctionType: _function,
    types.SimpleNamespace: lambda value: dict(value.__dict__),
    type: _class,
}
