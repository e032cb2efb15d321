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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from sys import getsizeof
from typing import Any, TypeAlias

from driftline.anatomy import EMPTY_KINDS, Fields, Like, TakeApart, anatomy_of, is_importable, type_name
from driftline.guarding import let_signals_pass
from driftline.json_data import clean_text
from driftline.records import Json

LARGEST_INT = 2**63 - 1
LONGEST_KEY = 500
"""Characters of a key."""
SHORT_KEY = 64
"""Characters of a key whose memory is counted with its item."""
CONTAINER_BYTES = 128
"""About how much memory a container takes apart from its items."""
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
    _COPIES[id(kind)] = _by_parts(take_apart)
    _KEPT_TYPES.append(kind)


class Copier:
    """Copies the values of one run within one budget; to be used by one thread at a time."""

    __slots__ = ("_characters", "_limits", "_more_bytes", "_nodes", "_open")

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self._limits = limits
        self._nodes = limits.nodes
        self._characters = limits.characters
        self._more_bytes = 0
        """Of containers, of long keys, and beyond one for each character of texts that are not ASCII."""
        self._open: set[int] = set()
        """Identities of the containers that are being copied, from the outermost to the innermost."""

    @property
    def size_bytes(self) -> int:
        """About how much memory the copies hold."""
        limits = self._limits
        return limits.characters - self._characters + 64 * (limits.nodes - self._nodes) + self._more_bytes

    def copy(self, value: object) -> Json:
        """Copy a value. Never raises; what cannot be copied becomes a placeholder."""
        try:
            return self.text(value) if type(value) is str else self._copy(value, 0)
        except Exception as error:
            self._open.clear()
            return _not_copied(value, error)

    def text(self, value: str) -> str:
        """Bound a string; lone surrogates, which no UTF-8 can hold, become U+FFFD."""
        allowed = min(self._limits.text, self._characters)
        if len(value) > allowed:
            if value.startswith("data:"):
                # Half an image is of no use to anybody; its head says what it was.
                allowed = min(allowed, KEPT_OF_DATA_URL)
            self._characters -= allowed
            text = f"{_whole(value[:allowed])}…[cut: {len(value):,} characters, {fingerprint(value)}]"
            self._more_bytes += getsizeof(text) - allowed
            return text
        self._characters -= len(value)
        if value.isascii():
            return value
        self._more_bytes += getsizeof(value) - len(value)
        return _whole(value)

    def _copy(self, value: Any, depth: int) -> Json:
        copy = _COPIES.get(id(type(value)))
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
        self._more_bytes += CONTAINER_BYTES
        return {"$type": type(value).__name__, "size_bytes": len(value)}

    # The methods are those of the base, so that what a subclass overrides is not run.

    def _copy_dict(self, value: dict[Any, Any], depth: int) -> Json:
        length = dict.__len__(value)
        if not length:
            return {}
        allowed = self._enter(value, length, depth)
        if not allowed:
            return self._not_entered(value, length)
        try:
            return self._copy_items({}, dict.items(value), allowed, depth + 1)
        except RuntimeError as error:
            let_signals_pass(error)
            # Another thread added or removed a key; none comes between while a list of the items is made.
            return self._copy_items({}, list(dict.items(value)), allowed, depth + 1)
        finally:
            self._open.discard(id(value))

    def _copy_items(
        self, copied: dict[str, Json], items: Iterable[tuple[Any, Any]], allowed: int, depth: int
    ) -> dict[str, Json]:
        longest = self._limits.text
        keys: Keys | None = None
        for key, item in islice(items, allowed):
            if keys is not None or type(key) is not str or len(key) > SHORT_KEY or not key.isascii():
                keys = keys or Keys(copied)  # from here on a key may already be taken
                key = keys.free(key)
                self._more_bytes += getsizeof(key)
            # A plain string is by far the most frequent item, so it takes no call.
            if (
                type(item) is str
                and item.isascii()
                and len(item) <= longest
                and len(item) <= self._characters
            ):
                self._characters -= len(item)
                copied[key] = item
                continue
            try:
                copied[key] = self._copy(item, depth)
            except Exception as error:
                copied[key] = _not_copied(item, error)
        left_out = len(items) - allowed  # type: ignore[arg-type]
        if left_out > 0:
            copied["$cut"] = left_out
        return copied

    def _copy_list(self, value: list[Any], depth: int) -> Json:
        return self._copy_sequence(value, list.__iter__(value), list.__len__(value), depth)

    def _copy_tuple(self, value: tuple[Any, ...], depth: int) -> Json:
        return self._copy_sequence(value, tuple.__iter__(value), tuple.__len__(value), depth)

    def _copy_set(self, value: set[Any], depth: int) -> Json:
        try:
            return self._copy_sequence(value, set.__iter__(value), set.__len__(value), depth)
        except RuntimeError as error:
            let_signals_pass(error)
            # As with a dictionary: another thread came between.
            items = list(set.__iter__(value))
            return self._copy_sequence(value, iter(items), len(items), depth)

    def _copy_frozenset(self, value: frozenset[Any], depth: int) -> Json:
        return self._copy_sequence(value, frozenset.__iter__(value), frozenset.__len__(value), depth)

    def _copy_sequence(self, value: Any, items: Iterator[Any], length: int, depth: int) -> Json:
        if not length:
            return []
        allowed = self._enter(value, length, depth)
        if not allowed:
            return self._not_entered(value, length)
        depth += 1
        copied: list[Json] = []
        try:
            for item in islice(items, allowed):
                try:
                    copy = _COPIES.get(id(type(item))) or _copy_of(type(item))
                    copied.append(copy(self, item, depth))
                except Exception as error:
                    copied.append(_not_copied(item, error))
        finally:
            self._open.discard(id(value))
        if length > allowed:
            copied.append({"$cut": length - allowed})
        return copied

    def _copy_fields(self, value: Any, depth: int, plan: Fields) -> Json:
        """Copy a model by its storage, leaving out what is empty or what the model itself hides."""
        items = plan.items_of(value)
        allowed = self._enter(value, len(items), depth)
        if not allowed:
            return self._not_entered(value, len(items)) if items else {"$type": plan.name}
        hidden = plan.hidden
        try:
            filled = [
                (field, item)
                for field, item in items
                if item is not None and (id(type(item)) not in EMPTY_KINDS or item) and field not in hidden
            ]
            return self._copy_items({"$type": plan.name}, filled, allowed, depth + 1)
        finally:
            self._open.discard(id(value))

    def _copy_parts(self, value: Any, depth: int, take_apart: TakeApart) -> Json:
        if id(value) in self._open:
            return {"$type": "cycle"}
        self._open.add(id(value))
        try:
            return self._copy(take_apart(value), depth)
        except Exception as error:
            let_signals_pass(error)
            return {"$type": type_name(type(value)), "problem": "could not be taken apart"}
        finally:
            self._open.discard(id(value))

    def _enter(self, container: object, length: int, depth: int) -> int:
        """How many items of a container may be copied; 0 where it may not be opened at all."""
        allowed = min(length, self._limits.items, self._nodes)
        if allowed <= 0 or depth >= self._limits.depth or id(container) in self._open:
            return 0
        self._nodes -= allowed
        self._more_bytes += CONTAINER_BYTES
        self._open.add(id(container))
        return allowed

    def _not_entered(self, container: object, length: int) -> Json:
        return {"$type": "cycle"} if id(container) in self._open else {"$cut": length}


class Keys:
    """Names the items of one copied dictionary, so that none takes the place of another."""

    __slots__ = ("_next", "_taken")

    def __init__(self, taken: dict[str, Json]) -> None:
        self._taken = taken
        self._next: dict[str, int] = {}
        """The number to try next behind a name that was taken."""

    def free(self, key: Any) -> str:
        """The text of a key, with a number behind it where it is taken."""
        text = _key_text(key)
        if len(text) > LONGEST_KEY:
            text = f"{text[:LONGEST_KEY]}…[cut: {len(text):,} characters, {fingerprint(text)}]"
        text = _whole(text)
        if text not in self._taken:
            return text
        number = self._next.get(text, 2)
        while (numbered := f"{text}#{number}") in self._taken:
            number += 1
        self._next[text] = number + 1
        return numbered


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
    anatomy = anatomy_of(kind)
    if anatomy is None:
        copy = _without_looking(type_name(kind))
    elif isinstance(anatomy, Fields):
        copy = _by_fields(anatomy)
    elif isinstance(anatomy, Like):
        copy = _COPIES[id(anatomy.kind)]
    else:
        copy = _by_parts(anatomy)
    identity = id(kind)
    if is_importable(kind):
        _KEPT_TYPES.append(kind)
    else:
        # A type that the application made for one request must not live on because of us. It is forgotten
        # before its place in memory, which is its identity, can become that of another.
        _PASSING_TYPES[identity] = weakref.ref(kind, lambda _: _forget(identity))
    _COPIES[identity] = copy
    return copy


def _by_fields(plan: Fields) -> _Copy:
    return lambda copier, value, depth: copier._copy_fields(value, depth, plan)


def _by_parts(take_apart: TakeApart) -> _Copy:
    return lambda copier, value, depth: copier._copy_parts(value, depth, take_apart)


def _forget(identity: int) -> None:
    _COPIES.pop(identity, None)
    _PASSING_TYPES.pop(identity, None)


def _whole(text: str) -> str:
    if text.isascii():
        return text
    try:
        # The cheapest way to find a lone surrogate: three times as fast as encoding UTF-8.
        text.encode("utf-16-le")
    except UnicodeEncodeError:
        return clean_text(text)
    return text


def _not_copied(value: object, error: Exception) -> Json:
    let_signals_pass(error)
    return {"$type": type_name(type(value)), "problem": "could not be copied"}


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
    plain = Copier(_INSIDE_KEYS).copy(key)
    return f"<{type_name(kind)}>" if isinstance(plain, dict | list) else _key_text(plain)


def _without_looking(name: str) -> _Copy:
    def copy(copier: Copier, value: Any, depth: int) -> Json:
        copier._more_bytes += CONTAINER_BYTES
        return {"$type": name}

    return copy


def _as_it_is(copier: Copier, value: bool | None, depth: int) -> Json:
    return value


_INSIDE_KEYS = Limits(depth=0)
_COPIES: dict[int, _Copy] = {
    id(str): Copier._copy_text,
    id(type(None)): _as_it_is,
    id(bool): _as_it_is,
    id(int): Copier._copy_int,
    id(float): Copier._copy_float,
    id(dict): Copier._copy_dict,
    id(list): Copier._copy_list,
    id(tuple): Copier._copy_tuple,
    id(set): Copier._copy_set,
    id(frozenset): Copier._copy_frozenset,
    id(bytes): Copier._copy_bytes,
    id(bytearray): Copier._copy_bytes,
}
"""By the identity of a type: to look it up by itself would run the ``__hash__`` of its metaclass."""
_KEPT_TYPES: list[type[Any]] = []
"""Keeps their identities from being given to others."""
_PASSING_TYPES: dict[int, weakref.ref[type[Any]]] = {}
