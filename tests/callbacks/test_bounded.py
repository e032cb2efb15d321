"""The memory of the newest entries."""

from __future__ import annotations

import threading

from driftline.bounded import BoundedMap


def test_beyond_the_limit_the_oldest_make_room() -> None:
    kept: BoundedMap[str] = BoundedMap(2)
    assert kept.put(1, "a") == []
    assert kept.put(2, "b") == []
    assert kept.put(3, "c") == ["a"]
    assert (kept.values(), len(kept)) == (("b", "c"), 2)
    assert 1 not in kept
    assert kept.get(1) is None


def test_an_entry_is_taken_out_once() -> None:
    kept: BoundedMap[str] = BoundedMap(2)
    kept.put(1, "a")
    assert (kept.pop(1), kept.pop(1)) == ("a", None)


def test_cleared_it_is_empty() -> None:
    kept: BoundedMap[str] = BoundedMap(2)
    kept.put(1, "a")
    kept.clear()
    assert kept.values() == ()


def test_threads_at_once_lose_nothing_and_exceed_nothing() -> None:
    kept: BoundedMap[int] = BoundedMap(100)
    gone: list[int] = []
    meet = threading.Barrier(8)

    def fill(number: int) -> None:
        meet.wait(10)
        for n in range(2_000):
            gone.extend(kept.put(number * 10_000 + n, n))
            kept.values()

    threads = [threading.Thread(target=fill, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept) == 100
    assert len(gone) == 8 * 2_000 - 100
