"""JSON to frozen dataclasses and back, by their type hints."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import Any, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from driftline.errors import WireError
from driftline.json_data import clean_text, decode_float, decode_json, kind_of, step_of

MAX_INT = 2**53 - 1
"""The largest whole number that every JSON reader keeps exact."""
MAX_DURATION_MS = 1030 * 366 * 86_400_000
"""Of any time in a record, before or after: from the first moment that a record may name to the last."""
Record = TypeVar("Record")
Decode = Callable[[Any], Any]
"""Raises ``WireError`` with the place inside of what it was given; who calls it knows where that stands."""
Encode = Callable[[Any], Any]
EXTRA = "extra"
_Row: TypeAlias = tuple[str, Encode | None, Any]
_NEVER = object()
"""Stands for the default of a field that has none, and so is always written."""


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """How one field of a record is read and written."""

    name: str
    hint: Any
    decode: Decode
    encode: Encode | None
    required: bool
    empty: Any
    """The default, which is left out when writing."""


def encode_record(record: Any) -> dict[str, Any]:
    """Write a record as JSON data, leaving out what is empty."""
    document: dict[str, Any] = {}
    record_type: Any = type(record)
    rows, read_values = _writing_of(record_type)
    for (name, encode, empty), value in zip(rows, read_values(record), strict=True):
        if value is empty or value == empty:
            continue
        document[name] = value if encode is None else encode(value)
    if record.extra:
        known = _plans_by_name(record_type)
        document.update({key: value for key, value in record.extra.items() if key not in known})
    return document


def decode_record(record_type: Callable[..., Record], document: Any) -> Record:
    """Read a record from JSON data; what it does not know goes to ``extra``.

    Raises:
        WireError: a field is missing, or is not what its place asks for; the error names it.
    """
    return record_type(**decode_values(record_type, document))


def decode_values(record_type: Callable[..., Any], document: Any) -> dict[str, Any]:
    """Read the fields of a record from JSON data, as ``decode_record`` does."""
    if not isinstance(document, dict):
        raise WireError("", f"expected an object, got {kind_of(document)}")
    values: dict[str, Any] = {}
    decoders, required = _reading_of(record_type)
    extra: dict[str, Any] = {}
    key = ""
    try:
        for key, value in document.items():
            decode = decoders.get(key)
            if decode is None:
                extra[clean_text(key)] = decode_json(value)
            elif value is not None:
                values[key] = decode(value)
    except WireError as error:
        raise error.under(step_of(key)) from None
    for name in required:
        if name not in values:
            raise WireError(name, "is missing")
    if extra:
        values[EXTRA] = extra
    return values


@cache
def plan_of(record_type: Any) -> tuple[FieldPlan, ...]:
    """The fields of a record in their order, ``extra`` left out."""
    hints = get_type_hints(record_type)
    plans = []
    for each in fields(record_type):
        if each.name == EXTRA:
            continue
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        decode, encode = _codec_of(hints[each.name])
        if is_time(each.name):
            decode = _decode_ms
        plans.append(
            FieldPlan(
                name=each.name,
                hint=hints[each.name],
                decode=decode,
                encode=encode,
                required=default is MISSING,
                empty=default,
            )
        )
    return tuple(plans)


@cache
def _writing_of(record_type: Any) -> tuple[tuple[_Row, ...], Callable[[Any], tuple[Any, ...]]]:
    """What writing needs of each field, and how all of them are read from a record at once."""
    plans = plan_of(record_type)
    rows = tuple((each.name, each.encode, _NEVER if each.required else each.empty) for each in plans)
    names = [each.name for each in plans]
    read_one = attrgetter(names[0])
    return rows, attrgetter(*names) if len(names) > 1 else lambda record: (read_one(record),)


@cache
def _reading_of(record_type: Any) -> tuple[dict[str, Decode], tuple[str, ...]]:
    """How each field is read, and which must be there."""
    plans = plan_of(record_type)
    return {each.name: each.decode for each in plans}, tuple(each.name for each in plans if each.required)


@cache
def _plans_by_name(record_type: Any) -> dict[str, FieldPlan]:
    return {plan.name: plan for plan in plan_of(record_type)}


def is_time(name: str) -> bool:
    """Whether a field holds a time in milliseconds; units ride in names."""
    return name.endswith("_ms")


def is_json(hint: Any) -> bool:
    """Whether a type hint is ``records.Json``."""
    return get_origin(hint) in (Union, types.UnionType) and len(get_args(hint)) > 3


def optional_inner(hint: Any) -> Any | None:
    """The ``X`` of ``X | None``; ``None`` where the hint is not such."""
    if get_origin(hint) not in (Union, types.UnionType) or is_json(hint):
        return None
    inner = [each for each in get_args(hint) if each is not types.NoneType]
    return inner[0] if len(inner) == 1 and len(get_args(hint)) == 2 else None


def _codec_of(hint: Any) -> tuple[Decode, Encode | None]:
    inner = optional_inner(hint)
    if inner is not None:
        return _codec_of(inner)
    if is_json(hint) or hint is Any or isinstance(hint, str):
        return decode_json, None
    origin = get_origin(hint)
    if origin is tuple:
        return _tuple_codec(get_args(hint)[0])
    if origin in (dict, Mapping):
        return _mapping_codec(get_args(hint)[1])
    if is_dataclass(hint) and isinstance(hint, type):
        record_type = hint
        return (lambda value: decode_record(record_type, value)), encode_record
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _enum_decoder(hint), str
    try:
        return _SCALARS[hint]
    except KeyError:
        raise TypeError(f"no codec for {hint!r}") from None


def _tuple_codec(item: Any) -> tuple[Decode, Encode]:
    decode, encode = _codec_of(item)

    def decode_items(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise WireError("", f"expected an array, got {kind_of(value)}")
        decoded: list[Any] = []
        try:
            for each in value:
                decoded.append(decode(each))
        except WireError as error:
            raise error.under(f"[{len(decoded)}]") from None
        return tuple(decoded)

    return decode_items, (list if encode is None else lambda value: [encode(each) for each in value])


def _mapping_codec(item: Any) -> tuple[Decode, Encode]:
    decode, _ = _codec_of(item)

    def decode_mapping(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise WireError("", f"expected an object, got {kind_of(value)}")
        decoded: dict[str, Any] = {}
        key = ""
        try:
            for key, each in value.items():
                decoded[clean_text(key)] = decode(each)
        except WireError as error:
            raise error.under(step_of(key)) from None
        return decoded

    return decode_mapping, dict


def _enum_decoder(enum: type[StrEnum]) -> Decode:
    members = {each.value: each for each in enum}

    def decode(value: Any) -> StrEnum:
        member = members.get(value) if isinstance(value, str) else None
        if member is None:
            raise WireError("", f"{_shown(value)} is none of {', '.join(members)}")
        return member

    return decode


def _decode_str(value: Any) -> str:
    if not isinstance(value, str):
        raise WireError("", f"expected a string, got {kind_of(value)}")
    return clean_text(value)


def _decode_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        if isinstance(value, float) and value.is_integer():
            return _decode_int(int(value))
        raise WireError("", f"expected a whole number, got {kind_of(value)}")
    if not 0 <= value <= MAX_INT:
        raise WireError("", f"{_shown(value)} is not between 0 and {MAX_INT}")
    return value


def _decode_ms(value: Any) -> float:
    number = decode_float(value)
    if abs(number) > MAX_DURATION_MS:
        raise WireError("", f"is not between -{MAX_DURATION_MS:,} and {MAX_DURATION_MS:,}")
    return number


def _decode_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WireError("", f"expected true or false, got {kind_of(value)}")
    return value


def _decode_moment(value: Any) -> datetime:
    if not isinstance(value, str):
        raise WireError("", f"expected an ISO 8601 moment, got {kind_of(value)}")
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise WireError("", f"{_shown(value)} has no offset; write UTC as 2026-03-04T05:06:07Z")
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise WireError(
            "", f"{_shown(value)} is not an ISO 8601 moment such as 2026-03-04T05:06:07Z"
        ) from None
    if not 1970 <= moment.year < 3000:
        raise WireError("", f"{_shown(value)} is not between the years 1970 and 3000")
    return moment


def _encode_moment(value: datetime) -> str:
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return value.isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


_SCALARS: dict[Any, tuple[Decode, Encode | None]] = {
    str: (_decode_str, None),
    int: (_decode_int, None),
    float: (decode_float, None),
    bool: (_decode_bool, None),
    datetime: (_decode_moment, _encode_moment),
}


def _shown(value: Any) -> str:
    text = clean_text(value) if isinstance(value, str) else repr(value)
    return repr(text if len(text) <= 60 else text[:60] + "…")
