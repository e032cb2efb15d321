"""Tools: their calls, their answers and their failures."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import InjectedToolArg, StructuredTool, ToolException, tool

from driftline.records import Kind, Status

from .conftest import Watched


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def fail(a: int) -> int:
    """Always fail."""
    raise ValueError("no such account")


CALL: Any = {"name": "add", "args": {"a": 1, "b": 2}, "id": "c1", "type": "tool_call"}


def test_a_tool_says_what_it_was_given_and_what_it_gave(watched: Watched) -> None:
    add.invoke({"a": 1, "b": 2}, watched.config())
    run = watched.only(kind=Kind.TOOL)
    assert (run.name, run.inputs, run.outputs, run.status) == ("add", {"a": 1, "b": 2}, 3, Status.OK)


def test_a_tool_that_answers_a_call_keeps_the_id_of_the_call(watched: Watched) -> None:
    answer = add.invoke(CALL, watched.config())
    assert isinstance(answer, ToolMessage)
    run = watched.only()
    assert run.inputs == {"a": 1, "b": 2}
    assert run.metadata["tool_call_id"] == "c1"
    assert isinstance(run.outputs, dict)
    assert (run.outputs["content"], run.outputs["tool_call_id"]) == ("3", "c1")


def test_what_is_injected_into_a_tool_stays_out(watched: Watched) -> None:
    @tool
    def pay(amount: int, key: Annotated[str, InjectedToolArg]) -> str:
        """Pay."""
        return "paid"

    pay.invoke({"amount": 5, "key": "s3cret"}, watched.config())
    assert watched.only().inputs == {"amount": 5}


def test_a_tool_that_raises_is_an_error_with_its_stack(watched: Watched) -> None:
    with pytest.raises(ValueError, match="no such account"):
        fail.invoke({"a": 1}, watched.config())
    run = watched.only()
    assert (run.status, run.kind) == (Status.ERROR, Kind.TOOL)
    assert run.error is not None
    assert (run.error.type, run.error.message) == ("ValueError", "no such account")
    assert 'raise ValueError("no such account")' in run.error.stack


def test_an_error_that_a_tool_turns_into_an_answer_is_still_an_error(watched: Watched) -> None:
    def refuse(a: int) -> int:
        raise ToolException("the account is locked")

    gentle = StructuredTool.from_function(
        refuse, name="refuse", description="Refuse.", handle_tool_error=True
    )
    answer = gentle.invoke({**CALL, "args": {"a": 1}}, watched.config())
    assert answer.status == "error"
    run = watched.only()
    assert run.status is Status.ERROR
    assert run.error is not None
    assert "the account is locked" in run.error.message
    assert isinstance(run.outputs, dict)


def test_tools_that_run_at_once_are_siblings(watched: Watched) -> None:
    async def both(_: Any) -> Any:
        return await asyncio.gather(add.ainvoke(CALL), add.ainvoke({**CALL, "id": "c2"}))

    asyncio.run(RunnableLambda(both, name="both").ainvoke("x", watched.config()))
    assert watched.tree == [["both", "add", "add"]]
    assert {run.metadata["tool_call_id"] for run in watched.runs(kind=Kind.TOOL)} == {"c1", "c2"}


def test_a_tool_of_one_string_keeps_it(watched: Watched) -> None:
    @tool
    def echo(text: str) -> str:
        """Echo."""
        return text

    echo.run("hello", callbacks=[watched.handler])
    assert watched.only().inputs in ("hello", {"text": "hello"})
