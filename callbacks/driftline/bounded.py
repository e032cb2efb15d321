"""A memory of the newest entries, shared by threads without a lock."""

from __future__ import annotations

from typing import Generic, TypeVar

Value = TypeVar("Value")


class BoundedMap(Generic[Value]):
    """A dictionary that lets go of its oldest entries beyond a limit.

    It has no lock. A finalizer can come back here while this very thread is in the middle of a method (the
    garbage collector closes an abandoned stream, whose run ends), and a fork can happen while another thread
    would hold one. So each step is one operation on a dictionary, which the interpreter makes atomic.
    """

    __slots__ = ("_entries", "_limit")

    def __init__(self, limit: int) -> None:
        self._entries: dict[int, Value] = {}
        self._limit = limit

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: int) -> bool:
        return key in self._entries

    def get(self, key: int) -> Value | None:
        """The entry of a key; ``None`` where there is none."""
        return self._entries.get(key)

    def pop(self, key: int) -> Value | None:
        """Take an entry out; of several threads, one gets it."""
        return self._entries.pop(key, None)

    def put(self, key: int, value: Value) -> list[Value]:
        """Add an entry; gives the oldest ones that had to make room."""
        entries = self._entries
        entries[key] = value
        return self._shrink() if len(entries) > self._limit else []

    def values(self) -> tuple[Value, ...]:
        """The entries as they are now, the oldest first."""
        # The copy is one step; going over the dictionary itself is not.
        return tuple(self._entries.copy().values())

    def clear(self) -> None:
        """Forget everything."""
        self._entries = {}

    def _shrink(self) -> list[Value]:
        gone: list[Value] = []
        while len(self._entries) > self._limit:
            try:
                gone.append(self._entries.pop(next(iter(self._entries))))
            except StopIteration:
                break
            except (RuntimeError, KeyError):
                # Another thread was faster, or changed the dictionary between two steps.
                continue
        return gone
