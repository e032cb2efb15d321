"""A copy holds plain JSON, nothing of the application, and is bounded whatever it is given."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import functools
import gc
import io
import json
import pathlib
import sys
import threading
import uuid
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from driftline.snapshot import Copier, Keys, Limits, fingerprint, register, snapshot


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Filled:
    name: str
    note: str = ""
    tags: list[str] = field(default_factory=list)
    count: int = 0
    hidden: str = field(default="do not show", repr=False)


@dataclass(slots=True)
class Slotted:
    name: str
    other: Any = None


class Inner(BaseModel):
    text: str
    nothing: str | None = None
    empty: dict[str, str] = Field(default_factory=dict)


class Settings(BaseModel):
    model_config = ConfigDict(extra="allow")
    key: SecretStr = SecretStr("sk-secret")
    internal: str = Field("not for dumps", exclude=True)
    inner: Inner = Inner(text="hello")


class Hostile:
    """Every way of looking at it runs its own code."""

    touched: list[str] = []  # noqa: RUF012

    def __getattribute__(self, name: str) -> Any:
        type(self).touched.append(name)
        raise RuntimeError(name)

    def __repr__(self) -> str:
        type(self).touched.append("repr")
        raise RuntimeError

    __str__ = __repr__

    def __iter__(self) -> Iterator[int]:
        type(self).touched.append("iter")
        raise RuntimeError

    def __len__(self) -> int:
        type(self).touched.append("len")
        raise RuntimeError

    def __bool__(self) -> bool:
        type(self).touched.append("bool")
        raise RuntimeError

    def __eq__(self, other: object) -> bool:
        type(self).touched.append("eq")
        raise RuntimeError

    def __hash__(self) -> int:
        return 1


def test_plain_values_stay_what_they_are() -> None:
    value = {"a": [1, 2.5, "x", None, True], "b": {"c": ("y", "z")}}
    assert snapshot(value) == {"a": [1, 2.5, "x", None, True], "b": {"c": ["y", "z"]}}


def test_a_later_change_does_not_show() -> None:
    document = Document(page_content="first", metadata={"source": "a"})
    value = {"documents": [document], "counts": {"n": 1}}
    copied = snapshot(value)
    document.page_content = "second"
    document.metadata["source"] = "b"
    value["documents"].append("third")  # type: ignore[attr-defined]
    value["counts"]["n"] = 2  # type: ignore[index]
    assert copied == {
        "documents": [
            {"$type": "Document", "page_content": "first", "metadata": {"source": "a"}, "type": "Document"}
        ],
        "counts": {"n": 1},
    }


def test_nothing_of_the_application_is_kept_alive() -> None:
    class Payload:
        pass

    holder = Settings(object=Payload(), list=[Payload()])  # type: ignore[call-arg]
    watched = [weakref.ref(each) for each in (holder, holder.inner, *_payloads_of(holder))]
    copied = snapshot({"holder": holder, "call": functools.partial(print, holder)})
    del holder
    gc.collect()
    assert [each() for each in watched] == [None] * len(watched)
    assert copied


def _payloads_of(holder: Any) -> list[object]:
    return [holder.object, holder.list[0]]


def test_types_made_for_one_request_are_not_kept_alive() -> None:
    def made() -> weakref.ref[type[object]]:
        kind = type("Passing", (BaseModel,), {"__module__": __name__, "__annotations__": {"x": int}})
        assert snapshot(kind(x=1)) == {"$type": "Passing", "x": 1}
        assert snapshot(kind(x=2)) == {"$type": "Passing", "x": 2}
        return weakref.ref(kind)

    kept = made()
    gc.collect()
    assert kept() is None


def test_models_and_dataclasses_are_taken_apart_without_what_is_empty() -> None:
    assert snapshot(Filled(name="a")) == {"$type": "Filled", "name": "a", "count": 0}
    assert snapshot(Slotted(name="a")) == {"$type": "Slotted", "name": "a"}
    assert snapshot(Inner(text="a")) == {"$type": "Inner", "text": "a"}


def test_a_slot_that_was_never_set_is_left_out() -> None:
    half = Slotted.__new__(Slotted)
    half.name = "only this"
    assert snapshot(half) == {"$type": "Slotted", "name": "only this"}


def test_secrets_and_what_a_model_hides_are_not_copied() -> None:
    copied = snapshot(Settings(more=SecretStr("sk-other")))  # type: ignore[call-arg]
    assert copied == {
        "$type": "Settings",
        "key": {"$type": "secret"},
        "inner": {"$type": "Inner", "text": "hello"},
        "more": {"$type": "secret"},
    }
    assert "do not show" not in json.dumps(snapshot(Filled(name="a")))


def test_messages_of_a_framework_are_taken_apart_like_any_model() -> None:
    answer = AIMessage("yes", tool_calls=[{"name": "find", "args": {"q": "x"}, "id": "1"}])
    assert snapshot([HumanMessage("hi"), answer]) == [
        {"$type": "HumanMessage", "content": "hi", "type": "human"},
        {
            "$type": "AIMessage",
            "content": "yes",
            "type": "ai",
            "tool_calls": [{"name": "find", "args": {"q": "x"}, "id": "1", "type": "tool_call"}],
        },
    ]


def test_no_code_of_an_unknown_object_is_run() -> None:
    Hostile.touched.clear()
    copied = snapshot({"a": Hostile(), "b": [Hostile()], Hostile(): 1})
    name = f"{__name__}.Hostile"
    assert copied == {"a": {"$type": name}, "b": [{"$type": name}], f"<{name}>": 1}
    assert Hostile.touched == []


def test_generators_stay_unread() -> None:
    numbers = (number for number in (1, 2, 3))
    assert snapshot({"stream": numbers}) == {"stream": {"$type": "generator"}}
    assert list(numbers) == [1, 2, 3]


def test_subclasses_of_plain_types_are_copied_by_the_methods_of_their_base() -> None:
    class Shouting(str):
        def __str__(self) -> str:
            raise RuntimeError

    class Counting(dict[str, int]):
        def items(self) -> Any:
            raise RuntimeError

        def __iter__(self) -> Iterator[str]:
            raise RuntimeError

    class Odd(int):
        def __int__(self) -> int:
            raise RuntimeError

    copied = snapshot([Shouting("a"), Counting(n=1), Odd(3), collections.OrderedDict(b=2), Point(1, 2)])
    assert copied == ["a", {"n": 1}, 3, {"b": 2}, {"x": 1, "y": 2}]
    assert {type(each) for each in copied} == {str, dict, int}


@pytest.mark.parametrize(
    ("value", "copied"),
    [
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC), "2026-01-02T03:04:00+00:00"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.timedelta(seconds=1.5), {"$type": "timedelta", "seconds": 1.5}),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (decimal.Decimal("1.10"), "1.10"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (b"abc", {"$type": "bytes", "size_bytes": 3}),
        (bytearray(4), {"$type": "bytearray", "size_bytes": 4}),
        (memoryview(b"abcde"), {"$type": "memoryview", "size_bytes": 5}),
        (float("nan"), {"$type": "float", "value": "nan"}),
        (float("-inf"), {"$type": "float", "value": "-inf"}),
        (10**40, {"$type": "int", "bits": 133}),
        (range(3), {"$type": "range", "start": 0, "stop": 3, "step": 1}),
        (threading.Lock(), {"$type": "_thread.lock"}),
        (io.StringIO("x"), {"$type": "_io.StringIO"}),
        (json, {"$type": "module"}),
        (Filled, {"$type": "type", "name": f"{__name__}.Filled"}),
        (json.dumps, {"$type": "function", "name": "json.dumps"}),
        (ValueError("x", 2), {"$type": "ValueError", "args": ["x", 2]}),
        (frozenset(["a"]), ["a"]),
    ],
)
def test_other_things_become_text_or_a_placeholder(value: object, copied: object) -> None:
    assert snapshot(value) == copied


def test_a_time_zone_of_the_application_is_left_alone() -> None:
    class Zone(dt.tzinfo):
        def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
            raise AssertionError("code of the application was run")

        dst = tzname = utcoffset  # type: ignore[assignment]

    assert snapshot(dt.datetime(2026, 1, 2, tzinfo=Zone())) == "2026-01-02T00:00:00"


def test_numpy_is_known_by_its_names_alone() -> None:
    # numpy is no dependency of the client, so a type of the same shape stands in for its scalars.
    generic = type("generic", (), {"__module__": "numpy", "item": lambda self: 0.5})
    single = type("float32", (generic,), {"__module__": "numpy"})
    assert snapshot({"score": single()}) == {"score": 0.5}


def test_keys_become_strings_and_none_is_lost() -> None:
    value = {1: "a", "1": "b", None: "c", (1, "x"): "d", Colour.RED: "e", 2.5: "f", True and "yes": "g"}
    assert snapshot(value) == {
        "1": "a", "1#2": "b", "null": "c", "(1, x)": "d", "red": "e", "2.5": "f", "yes": "g",
    }  # fmt: skip


def test_cycles_end() -> None:
    value: dict[str, Any] = {"name": "a"}
    value["self"] = value
    value["list"] = [value]
    model = Slotted(name="m")
    model.other = {"back": model}
    assert snapshot(value) == {"name": "a", "self": {"$type": "cycle"}, "list": [{"$type": "cycle"}]}
    assert snapshot(model) == {"$type": "Slotted", "name": "m", "other": {"back": {"$type": "cycle"}}}


def test_a_value_that_occurs_twice_is_no_cycle() -> None:
    shared = {"a": 1}
    assert snapshot([shared, shared]) == [{"a": 1}, {"a": 1}]


def test_depth_is_bounded() -> None:
    deep: Any = "bottom"
    for _ in range(100_000):
        deep = [deep]
    assert snapshot(deep, Limits(depth=3)) == [[[{"$cut": 1}]]]
    # Ends the nesting step by step: dropping it at once would recurse a hundred thousand times.
    while isinstance(deep, list):
        deep = deep.pop()


def test_items_are_bounded_and_the_rest_is_counted() -> None:
    limits = Limits(items=2)
    assert snapshot([1, 2, 3, 4, 5], limits) == [1, 2, {"$cut": 3}]
    assert snapshot({"a": 1, "b": 2, "c": 3}, limits) == {"a": 1, "b": 2, "$cut": 1}


def test_all_containers_together_are_bounded() -> None:
    wide = [[list(range(100)) for _ in range(100)] for _ in range(100)]
    copied = snapshot(wide, Limits(nodes=1_000))
    assert len(json.dumps(copied)) < 20_000


def test_long_text_keeps_its_length_and_a_hash() -> None:
    text = "word " * 10_000
    copied = snapshot(text, Limits(text=10))
    assert copied == f"word word …[cut: 50,000 characters, {fingerprint(text)}]"
    assert fingerprint(text) != fingerprint(text[:-1])
    assert fingerprint(text) != fingerprint("x" + text[1:])


def test_all_text_together_is_bounded() -> None:
    copied = snapshot(["a" * 600, "b" * 600, "c" * 600], Limits(characters=1_000))
    assert isinstance(copied, list)
    assert copied[0] == "a" * 600
    assert str(copied[1]).startswith("b" * 400 + "…[cut")
    assert str(copied[2]).startswith("…[cut")
    assert len(json.dumps(copied)) < 1_300


def test_of_an_image_that_is_too_long_only_the_head_stays() -> None:
    copied = snapshot("data:image/png;base64," + "A" * 5_000_000)
    assert str(copied).startswith("data:image/png;base64,AAA")
    assert "…[cut: 5,000,022 characters" in str(copied)
    assert len(str(copied)) < 200


def test_lone_surrogates_are_replaced() -> None:
    copied = snapshot({"a\ud800": "b\udfff", "pair": "\ud83d\ude00", "good": "é–日😀"})
    assert json.loads(json.dumps(copied, ensure_ascii=False).encode()) == copied
    assert copied["good"] == "é–日😀"  # type: ignore[index,call-overload]


def test_a_copier_keeps_one_budget_for_a_whole_run() -> None:
    copier = Copier(Limits(characters=100))
    assert copier.copy("a" * 60) == "a" * 60
    assert copier.size_bytes == 60
    assert str(copier.copy("b" * 60)).startswith("b" * 40 + "…[cut")
    assert str(copier.copy({"k": "c"})).startswith("{'k': '…[cut")


def test_registered_types_are_copied_as_their_integration_says() -> None:
    class Odd:
        def __init__(self, value: Any) -> None:
            self.value = value

    register(Odd, lambda odd: {"value": odd.value})
    assert snapshot([Odd([1]), Odd(Odd(2))]) == [{"value": [1]}, {"value": {"value": 2}}]


def test_a_registration_that_fails_costs_one_value_only() -> None:
    class Broken:
        pass

    def fail(value: Any) -> Any:
        raise KeyError

    register(Broken, fail)
    assert snapshot([Broken(), "kept"]) == [
        {"$type": f"{__name__}.{Broken.__qualname__}", "problem": "could not be taken apart"},
        "kept",
    ]


def test_a_dictionary_may_change_while_it_is_copied() -> None:
    shared: dict[Any, Any] = {str(number): {"n": number} for number in range(300)}
    stop, failed = threading.Event(), []

    def change() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            shared[f"new {number % 50}"] = number
            shared.pop(f"new {(number + 25) % 50}", None)

    changing = [threading.Thread(target=change) for _ in range(2)]
    for each in changing:
        each.start()
    try:
        for _ in range(300):
            copied = snapshot(shared)
            if not isinstance(copied, dict) or copied.get("7") != {"n": 7}:
                failed.append(copied)
    finally:
        stop.set()
        for each in changing:
            each.join()
    assert failed == []


_leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals()
    | st.uuids() | st.datetimes() | st.characters(categories=["Cs"])
    | st.builds(Hostile) | st.just(Colour.RED)
)  # fmt: skip
_values = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none() | st.floats(), inner)
        | st.tuples(inner, inner) | st.builds(Slotted, name=st.text(), other=inner)
    ),
    max_leaves=30,
)  # fmt: skip


@given(_values)
def test_whatever_comes_in_strict_json_comes_out(value: Any) -> None:
    copied = snapshot(value, Limits(depth=4, items=5, nodes=40, text=20, characters=200))
    written = json.dumps(copied, allow_nan=False, ensure_ascii=False).encode("utf-8")
    assert json.loads(written) == copied
    # 40 nodes at most, each with a key and a value of which both can be cut.
    assert len(written) < 40 * 1_500


class Nosy(type):
    """A metaclass whose types cannot even be compared without its code."""

    touched: list[str] = []  # noqa: RUF012

    def __hash__(cls) -> int:
        Nosy.touched.append("hash")
        raise RuntimeError

    def __eq__(cls, other: object) -> bool:
        Nosy.touched.append("eq")
        raise RuntimeError


class Watching(metaclass=Nosy):
    @property
    def __class__(self) -> Any:
        Nosy.touched.append("class")
        raise RuntimeError


def hostile(base: type[Any]) -> type[Any]:
    """A subclass of a container that runs code whenever it is looked at by its own methods."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("code of the application was run")

    names = (
        "__iter__",
        "__len__",
        "__bool__",
        "__getitem__",
        "__contains__",
        "keys",
        "values",
        "items",
        "copy",
    )
    return type("Hostile", (base,), dict.fromkeys(names, refuse))


def test_types_are_told_apart_without_their_metaclass() -> None:
    touched: list[str] = type.__getattribute__(Nosy, "touched")
    touched.clear()
    name = f"{__name__}.Watching"
    assert snapshot({"a": Watching(), "b": [Watching()]}) == {"a": {"$type": name}, "b": [{"$type": name}]}
    assert snapshot(Filled(name="x", tags=Watching())) == {  # type: ignore[arg-type]
        "$type": "Filled", "name": "x", "tags": {"$type": name}, "count": 0,
    }  # fmt: skip
    assert touched == []


def test_fields_of_the_application_are_not_asked_whether_they_are_empty() -> None:
    Hostile.touched.clear()
    name = f"{__name__}.Hostile"
    state = Slotted(name="kept", other=Hostile())
    assert snapshot({"state": state, "answer": "ok"}) == {
        "state": {"$type": "Slotted", "name": "kept", "other": {"$type": name}}, "answer": "ok",
    }  # fmt: skip
    assert snapshot(Settings(extra=Hostile())) == {  # type: ignore[call-arg]
        "$type": "Settings", "key": {"$type": "secret"}, "inner": {"$type": "Inner", "text": "hello"},
        "extra": {"$type": name},
    }  # fmt: skip
    assert Hostile.touched == []


@pytest.mark.parametrize(
    ("base", "content", "copied"),
    [
        (dict, {"a": 1}, {"a": 1}),
        (list, [1, 2], [1, 2]),
        (tuple, (1, 2), [1, 2]),
        (set, {1}, [1]),
        (frozenset, {1}, [1]),
    ],
)
def test_containers_of_the_application_are_read_by_their_base(base: Any, content: Any, copied: Any) -> None:
    assert snapshot({"v": hostile(base)(content)}) == {"v": copied}
    assert snapshot({"v": hostile(base)()}) == {"v": base() if base is dict else []}


def test_containers_of_the_application_are_bounded_like_pythons_own() -> None:
    class Rows(list[int]):
        pass

    limits = Limits(items=2)
    assert snapshot(Rows(range(10)), limits) == [0, 1, {"$cut": 8}]
    assert snapshot(collections.Counter("abcd"), limits) == {"a": 1, "b": 1, "$cut": 2}
    assert snapshot(frozenset(range(10)), limits) == [0, 1, {"$cut": 8}]


def test_an_ordered_dictionary_keeps_its_order() -> None:
    ordered = collections.OrderedDict(a=1, b=2)
    ordered.move_to_end("a")
    copied = snapshot(ordered)
    assert isinstance(copied, dict)
    assert list(copied) == ["b", "a"]


def test_what_cannot_be_copied_costs_itself_only() -> None:
    class Broken:
        __dataclass_fields__ = {"x": Hostile()}  # noqa: RUF012

    lost = {"$type": f"{__name__}.{Broken.__qualname__}", "problem": "could not be copied"}
    assert snapshot({"a": Broken(), "b": 1}) == {"a": lost, "b": 1}
    assert snapshot(["x", Broken(), {"y": Broken()}]) == ["x", lost, {"y": lost}]
    assert snapshot(Slotted(name="kept", other=Broken())) == {
        "$type": "Slotted",
        "name": "kept",
        "other": lost,
    }


def test_keys_that_look_alike_are_numbered_at_the_first_try() -> None:
    class Counted(dict[str, Any]):
        asked = 0

        def __contains__(self, key: object) -> bool:
            self.asked += 1
            return super().__contains__(key)

    taken = Counted()
    keys = Keys(taken)
    for _ in range(1_000):
        taken[keys.free(object())] = 1
    assert list(taken)[:3] == ["<object>", "<object>#2", "<object>#3"]
    assert len(taken) == 1_000
    assert taken.asked < 3_000


def test_a_number_that_is_taken_is_passed_over() -> None:
    copied = snapshot({1: "a", "1#2": "b", "1": "c"})
    assert copied == {"1": "a", "1#2": "b", "1#3": "c"}


def test_keys_that_are_values_of_numpy_or_of_an_enumeration_give_them() -> None:
    generic = type("generic", (), {"__module__": "numpy", "item": lambda self: self.plain})
    whole = type("int64", (generic,), {"__module__": "numpy", "plain": 7})
    truth = type("bool_", (generic,), {"__module__": "numpy", "plain": True})
    copied = snapshot({whole(): "a", truth(): "b", Level.HIGH: "c", decimal.Decimal("1.5"): "d"})
    assert copied == {"7": "a", "true": "b", "3": "c", "1.5": "d"}


def test_what_stands_inside_a_key_is_not_copied() -> None:
    long = tuple(range(9))
    assert snapshot({long: 1, frozenset("abc"): 2}) == {"<tuple>": 1, "<frozenset>": 2}


@pytest.mark.parametrize(
    "value",
    [
        "😀" * 1_000,
        "文" * 1_000,
        [{"a": n} for n in range(500)],
        [[float(n)] for n in range(500)],
        {"k" * 400 + str(n): None for n in range(100)},
        {"😀" * 50 + str(n): None for n in range(100)},
        [object() for _ in range(500)],
    ],
    ids=["emoji", "han", "dictionaries", "lists", "long keys", "wide keys", "placeholders"],
)
def test_a_copier_says_how_much_memory_its_copies_hold(value: object) -> None:
    copier = Copier()
    held = _size_of(copier.copy(value))
    assert held * 0.9 < copier.size_bytes < held * 3


def _size_of(value: Any) -> int:
    size = sys.getsizeof(value)
    if isinstance(value, dict):
        # The name of a key or a type is one object, however often it occurs.
        return (
            size
            + sum(_size_of(each) for each in value.values() if type(each) is not str)
            + sum(sys.getsizeof(key) for key in value if len(key) > 40)
        )
    return size + sum(_size_of(each) for each in value) if isinstance(value, list) else size
