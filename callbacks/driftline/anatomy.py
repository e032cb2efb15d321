"""How the objects of a type are taken apart without running any of their own code."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import fractions
import pathlib
import sys
import types
import uuid
import zoneinfo
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

TakeApart: TypeAlias = Callable[[Any], Any]
"""Gives the contents of an object as a new dict or list, or as a plain value."""
EMPTY_KINDS = frozenset(id(kind) for kind in (str, list, tuple, dict, set, frozenset))
"""Identities of the types whose objects can be asked at no risk whether they are empty.

Types are told apart by identity throughout: comparing or hashing one runs the code of its metaclass.
"""


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
        items = [] if self.read_storage is None else list(dict.items(self.read_storage(value)))
        extra = None if self.read_extra is None else self.read_extra(value)
        if extra is not None:
            items += list(dict.items(extra))
        for field, read in self.slots:
            try:
                items.append((field, read(value)))
            except AttributeError:
                continue
        return items


@dataclass(frozen=True, slots=True)
class Like:
    """A subclass of a container that Python has itself, to be copied as that."""

    kind: type[Any]


def anatomy_of(kind: type[Any]) -> Fields | Like | TakeApart | None:
    """How objects of exactly this type are taken apart; ``None`` where they must not be looked into."""
    known = _KNOWN.get(id(kind))
    if known is not None:
        return known
    bases = bases_of(kind)
    identities = {id(base) for base in bases}
    names = {type_name(base) for base in bases}
    merged: dict[str, Any] = {}
    for base in reversed(bases):
        merged.update(dict_of(base))
    if names & _SECRETS:
        return lambda value: {"$type": "secret"}
    if id(enum.Enum) in identities:
        return _enum_value(merged)
    for plain, take_apart in _PLAIN:
        if id(plain) in identities:
            return take_apart
    for container in _CONTAINERS:
        if id(container) in identities:
            return _named_tuple(merged) if container is tuple and "_fields" in merged else Like(container)
    if names & _PYDANTIC:
        return _fields_of(kind, merged, wanted=(), hidden=_hidden(merged.get("__pydantic_fields__")))
    declared = merged.get("__dataclass_fields__")
    if type(declared) is dict:
        return _fields_of(kind, merged, wanted=tuple(declared), hidden=_hidden(declared))
    if id(BaseException) in identities:
        return _exception(type_name(kind))
    if "numpy.ndarray" in names:
        return _array if type_name(kind) == "numpy.ndarray" else None
    if "numpy.generic" in names:
        return _numpy_scalar
    return _class if id(type) in identities else None


def bases_of(kind: type[Any]) -> tuple[type[Any], ...]:
    """A type and those that it is derived from, read without asking its metaclass."""
    bases: tuple[type[Any], ...] = _read_bases(kind)
    return bases


def dict_of(kind: type[Any]) -> Mapping[str, Any]:
    """What a type itself defines, read without asking its metaclass."""
    defined: Mapping[str, Any] = _read_dict(kind)
    return defined


def derives_from(value: object, base: type[Any]) -> bool:
    """``isinstance`` that believes neither a ``__class__`` property nor a metaclass, and runs neither."""
    for each in bases_of(type(value)):  # noqa: SIM110 - as any() it takes twice as long
        if each is base:
            return True
    return False


def is_filled(value: object) -> bool:
    """Whether a value says anything; only what Python has itself is asked whether it is empty."""
    return value is not None and (id(type(value)) not in EMPTY_KINDS or bool(value))


def plain_text(value: object) -> str | None:
    """A text without what a subclass adds to it; ``None`` for an empty one, and for what is none."""
    if type(value) is str:
        return value or None
    return (str.__str__(value) or None) if issubclass(type(value), str) else None  # pyright: ignore[reportArgumentType]


def items_of(value: Any) -> Iterator[Any]:
    """The items of a list or a tuple, by its base; none of anything else."""
    if issubclass(type(value), list):
        return list.__iter__(value)
    return tuple.__iter__(value) if issubclass(type(value), tuple) else iter(())


def storage_of(value: object) -> dict[str, Any]:
    """The ``__dict__`` of an object, which its class cannot make up on the way; empty where it has none."""
    try:
        storage = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return storage if type(storage) is dict else {}


def type_name(kind: type[Any]) -> str:
    """The module and name of a type, read without asking its metaclass."""
    module = _read_module(kind)
    name = str(_read_qualname(kind))
    return name if type(module) is not str or module == "builtins" else f"{module}.{name}"


def is_importable(kind: type[Any]) -> bool:
    """Whether a type stands in its module under its own name, and so lives as long as the program."""
    name = _read_module(kind)
    module = sys.modules.get(name) if type(name) is str else None
    if type(module) is not types.ModuleType:
        return False
    return vars(module).get(_read_name(kind)) is kind


def _fields_of(
    kind: type[Any], merged: Mapping[str, Any], *, wanted: Sequence[str], hidden: frozenset[str]
) -> Fields:
    storage, extra = merged.get("__dict__"), merged.get("__pydantic_extra__")
    return Fields(
        name=_read_qualname(kind),
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


def _named_tuple(merged: Mapping[str, Any]) -> Like | TakeApart:
    names = merged["_fields"]
    if type(names) is not tuple or not all(type(name) is str for name in names):
        return Like(tuple)
    return lambda value: dict(zip(names, tuple.__iter__(value), strict=False))


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


_read_bases, _read_dict, _read_module, _read_name, _read_qualname = (
    type.__dict__[name].__get__ for name in ("__mro__", "__dict__", "__module__", "__name__", "__qualname__")
)
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
    (bytes, lambda value: {"$type": "bytes", "size_bytes": bytes.__len__(value)}),
)
_CONTAINERS = (dict, list, tuple, set, frozenset)
_BY_TYPE: tuple[tuple[type[Any], TakeApart], ...] = (
    (dt.datetime, _moment),
    (dt.date, dt.date.isoformat),
    (dt.time, _moment),
    (dt.timedelta, lambda value: {"$type": "timedelta", "seconds": value.total_seconds()}),
    (uuid.UUID, str),
    (decimal.Decimal, str),
    (fractions.Fraction, str),
    (complex, lambda value: {"$type": "complex", "value": str(value)}),
    (range, lambda value: {"$type": "range", "start": value.start, "stop": value.stop, "step": value.step}),
    (memoryview, lambda value: {"$type": "memoryview", "size_bytes": value.nbytes}),
    (pathlib.PosixPath, str),
    (pathlib.WindowsPath, str),
    (pathlib.PurePosixPath, str),
    (pathlib.PureWindowsPath, str),
    (types.FunctionType, _function),
    (types.BuiltinFunctionType, _function),
    # The order of its own, which moves are made in, is not that of the dictionary below.
    (collections.OrderedDict, dict),
    (types.SimpleNamespace, lambda value: dict(value.__dict__)),
    (type, _class),
)
_KNOWN = {id(kind): take_apart for kind, take_apart in _BY_TYPE}
