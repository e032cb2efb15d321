"""Bounded copies of what frameworks pass, taken on the caller's thread.

An application goes on changing what it hands to a model or a chain, so a copy is taken at once. It holds only
``records.Json``: strings, which cannot change, are kept as they are; containers are built anew; pydantic
models and dataclasses are taken apart by their own storage. No code of an unknown object is ever run: what
cannot be copied becomes ``{"$type": "module.Name"}``, and what is cut says how much is missing.
"""

from __future__ import annotations

import hashlib
import math
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from driftline.anatomy import EMPTY_KINDS, Fields, TakeApart, anatomy_of, is_importable, type_name
from driftline.codec import clean_text
from driftline.records import Json

LARGEST_INT = 2**63 - 1
LONGEST_KEY = 500
"""Characters of a key."""
KEPT_OF_DATA_URL = 80
"""Characters of a ``data:`` URL that is too long to be kept whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one run may keep of what it was passed."""

    depth: int = 16
    """Containers within containers."""
    items: int = 2_000
    """Of one container."""
    nodes: int = 50_000
    """Items of all containers together."""
    text: int = 200_000
    """Characters of one string."""
    characters: int = 4_000_000
    """Characters of all strings together."""


DEFAULT = Limits()


def snapshot(value: object, limits: Limits = DEFAULT) -> Json:
    """Copy one value within limits of its own. Never raises."""
    return Copier(limits).copy(value)


def register(kind: type[Any], take_apart: TakeApart) -> None:
    """Copy objects of exactly this type as what ``take_apart`` gives for them.

    It gets the object and returns a new dict or list of its contents, which are then copied like anything
    else; so it copies nothing itself, and runs none of the application's code. It runs on the caller's
    thread.
    """
    _COPIES[kind] = _by_parts(take_apart)


class Copier:
    """Copies the values of one run within one budget; to be used by one thread at a time."""

    __slots__ = ("_characters", "_limits", "_nodes", "_open")

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self._limits = limits
        self._nodes = limits.nodes
        self._characters = limits.characters
        self._open: set[int] = set()
        """Identities of the containers that are being copied, from the outermost to the innermost."""

    @property
    def size_bytes(self) -> int:
        """About how much memory the copies hold."""
        return self._limits.characters - self._characters + 64 * (self._limits.nodes - self._nodes)

    def copy(self, value: object) -> Json:
        """Copy a value. Never raises; what cannot be copied becomes a placeholder."""
        try:
            return self._copy(value, 0)
        except Exception:
            self._open.clear()
            return _placeholder(type(value), problem="could not be copied")

    def text(self, value: str) -> str:
        """Bound a string; lone surrogates, which no UTF-8 can hold, become U+FFFD."""
        allowed = min(self._limits.text, self._characters)
        if len(value) > allowed:
            if value.startswith("data:"):
                # Half an image is of no use to anybody; its head says what it was.
                allowed = min(allowed, KEPT_OF_DATA_URL)
            self._characters -= allowed
            return f"{_whole(value[:allowed])}…[cut: {len(value):,} characters, {fingerprint(value)}]"
        self._characters -= len(value)
        return _whole(value)

    def _copy(self, value: Any, depth: int) -> Json:
        copy = _COPIES.get(type(value))
        if copy is None:
            copy = _copy_of(type(value))
        return copy(self, value, depth)

    def _copy_text(self, value: str, depth: int) -> str:
        return self.text(value)

    def _copy_int(self, value: int, depth: int) -> Json:
        if -LARGEST_INT <= value <= LARGEST_INT:
            return value
        return {"$type": "int", "bits": value.bit_length()}

    def _copy_float(self, value: float, depth: int) -> Json:
        return value if math.isfinite(value) else {"$type": "float", "value": float.__repr__(value)}

    def _copy_bytes(self, value: bytes | bytearray, depth: int) -> Json:
        return {"$type": type(value).__name__, "size_bytes": len(value)}

    def _copy_dict(self, value: dict[Any, Any], depth: int) -> Json:
        if not value:
            return {}
        allowed = self._enter(value, len(value), depth)
        if not allowed:
            return self._not_entered(value, len(value))
        try:
            return self._copy_items({}, value.items(), allowed, depth + 1)
        except RuntimeError:
            # Another thread added or removed a key; none comes between while a list of the items is made.
            return self._copy_items({}, list(value.items()), allowed, depth + 1)
        finally:
            self._open.discard(id(value))

    def _copy_items(
        self, copied: dict[str, Json], items: Iterable[tuple[Any, Any]], allowed: int, depth: int
    ) -> dict[str, Json]:
        longest = self._limits.text
        renamed = False
        for key, item in islice(items, allowed):
            if type(key) is not str or renamed or not key.isascii() or len(key) > LONGEST_KEY:
                renamed = True  # from here on a key may already be taken
                key = self._key(key, copied)
            # A plain string is by far the most frequent item, so it takes no call.
            if (
                type(item) is str
                and item.isascii()
                and len(item) <= longest
                and len(item) <= self._characters
            ):
                self._characters -= len(item)
                copied[key] = item
            else:
                copied[key] = self._copy(item, depth)
        left_out = len(items) - allowed  # type: ignore[arg-type]
        if left_out > 0:
            copied["$cut"] = left_out
        return copied

    def _copy_sequence(self, value: list[Any] | tuple[Any, ...], depth: int) -> Json:
        if not value:
            return []
        allowed = self._enter(value, len(value), depth)
        if not allowed:
            return self._not_entered(value, len(value))
        depth += 1
        try:
            copied: list[Json] = []
            for item in islice(value, allowed):
                copy = _COPIES.get(type(item))
                if copy is None:
                    copy = _copy_of(type(item))
                copied.append(copy(self, item, depth))
        finally:
            self._open.discard(id(value))
        if len(value) > allowed:
            copied.append({"$cut": len(value) - allowed})
        return copied

    def _copy_set(self, value: set[Any] | frozenset[Any], depth: int) -> Json:
        return self._copy_sequence(list(value), depth)

    def _copy_fields(self, value: Any, depth: int, plan: Fields) -> Json:
        """Copy a model by its storage, leaving out what is empty or what the model itself hides."""
        items = plan.items_of(value)
        allowed = self._enter(value, len(items), depth)
        if not allowed:
            return self._not_entered(value, len(items)) if items else {"$type": plan.name}
        hidden = plan.hidden
        filled = [
            (field, item)
            for field, item in items
            if item is not None and (item or type(item) not in EMPTY_KINDS) and field not in hidden
        ]
        try:
            return self._copy_items({"$type": plan.name}, filled, allowed, depth + 1)
        finally:
            self._open.discard(id(value))

    def _copy_parts(self, value: Any, depth: int, take_apart: TakeApart) -> Json:
        if id(value) in self._open:
            return {"$type": "cycle"}
        self._open.add(id(value))
        try:
            return self._copy(take_apart(value), depth)
        except Exception:
            return _placeholder(type(value), problem="could not be taken apart")
        finally:
            self._open.discard(id(value))

    def _enter(self, container: object, length: int, depth: int) -> int:
        """How many items of a container may be copied; 0 where it may not be opened at all."""
        allowed = min(length, self._limits.items, self._nodes)
        if allowed <= 0 or depth >= self._limits.depth or id(container) in self._open:
            return 0
        self._nodes -= allowed
        self._open.add(id(container))
        return allowed

    def _not_entered(self, container: object, length: int) -> Json:
        return {"$type": "cycle"} if id(container) in self._open else {"$cut": length}

    def _key(self, key: Any, taken: Mapping[str, Json]) -> str:
        text = _key_text(key)
        if len(text) > LONGEST_KEY:
            text = f"{text[:LONGEST_KEY]}…[cut: {len(text):,} characters, {fingerprint(text)}]"
        text = _whole(text)
        if text not in taken:
            return text
        return next(f"{text}#{n}" for n in range(2, len(taken) + 3) if f"{text}#{n}" not in taken)


_Copy: TypeAlias = Callable[[Copier, Any, int], Json]


def fingerprint(text: str) -> str:
    """A short hash that tells one long string from another at a constant cost.

    It covers the length, both ends and pieces spread evenly over the middle, not every character.
    """
    digest = hashlib.blake2b(str(len(text)).encode(), digest_size=8)
    pieces: Iterable[str] = (text,)
    if len(text) > 24_000:
        stride = len(text) // 65
        middle = (text[at : at + 64] for at in range(stride, len(text), stride))
        pieces = (text[:8_000], *middle, text[-8_000:])
    for piece in pieces:
        digest.update(piece.encode("utf-8", "surrogatepass"))
    return f"blake2b {digest.hexdigest()}"


def _copy_of(kind: type[Any]) -> _Copy:
    """How objects of a type that was not met before are copied."""
    reference = weakref.ref(kind)
    known = _COPIES_OF_PASSING_TYPES.get(reference)
    if known is not None:
        return known
    anatomy = anatomy_of(kind)
    if anatomy is None:
        copy: _Copy = _without_looking
    elif isinstance(anatomy, Fields):
        copy = _by_fields(anatomy)
    else:
        copy = _by_parts(anatomy)
    if is_importable(kind):
        _COPIES[kind] = copy
    else:
        # A type that the application made for one request must not live on because of us.
        _COPIES_OF_PASSING_TYPES[weakref.ref(kind, _forget)] = copy
    return copy


def _by_fields(plan: Fields) -> _Copy:
    return lambda copier, value, depth: copier._copy_fields(value, depth, plan)


def _by_parts(take_apart: TakeApart) -> _Copy:
    return lambda copier, value, depth: copier._copy_parts(value, depth, take_apart)


def _forget(reference: weakref.ref[type[Any]]) -> None:
    _COPIES_OF_PASSING_TYPES.pop(reference, None)


def _whole(text: str) -> str:
    if text.isascii():
        return text
    try:
        # The cheapest way to find a lone surrogate: three times as fast as encoding UTF-8.
        text.encode("utf-16-le")
    except UnicodeEncodeError:
        return clean_text(text)
    return text


def _placeholder(kind: type[Any], **more: Json) -> Json:
    return {"$type": type_name(kind), **more}


def _key_text(key: Any) -> str:
    kind = type(key)
    if kind is str:
        return str(key)
    if key is None or kind is bool:
        return {None: "null", True: "true", False: "false"}[key]
    if kind is int:
        return str(key) if -LARGEST_INT <= key <= LARGEST_INT else f"<int of {key.bit_length()} bits>"
    if kind is float:
        return float.__repr__(key)
    if kind is tuple and len(key) <= 8:
        return f"({', '.join(_key_text(each) if type(each) is not tuple else '…' for each in key)})"
    plain = Copier().copy(key)
    return plain if isinstance(plain, str) else f"<{type_name(kind)}>"


def _without_looking(copier: Copier, value: Any, depth: int) -> Json:
    return _placeholder(type(value))


def _as_it_is(copier: Copier, value: bool | None, depth: int) -> Json:
    return value


_COPIES: dict[type[Any], _Copy] = {
    str: Copier._copy_text,
    type(None): _as_it_is,
    bool: _as_it_is,
    int: Copier._copy_int,
    float: Copier._copy_float,
    dict: Copier._copy_dict,
    list: Copier._copy_sequence,
    tuple: Copier._copy_sequence,
    set: Copier._copy_set,
    frozenset: Copier._copy_set,
    bytes: Copier._copy_bytes,
    bytearray: Copier._copy_bytes,
}
_COPIES_OF_PASSING_TYPES: dict[weakref.ref[type[Any]], _Copy] = {}
