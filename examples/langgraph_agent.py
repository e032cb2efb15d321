"""An agent of LangGraph, traced: two tools at once, then an answer.

python examples/langgraph_agent.py
"""

from __future__ import annotations

import sys
from datetime import date
from typing import Any

try:
    from langchain.agents import create_agent
    from langchain_core.messages import HumanMessage, ToolCall
    from langchain_core.runnables import RunnableConfig
    from langchain_core.tools import tool
except ModuleNotFoundError as missing:
    sys.exit(
        f"This example needs {missing.name}: install Driftline with the extra [demo], as README.md shows."
    )
from showing import choose_model, read_command_line, traced

MATURITIES = {"isar note": date(2031, 3, 4), "elbe loan": date(2028, 6, 30)}


@tool
def maturity(name: str) -> str:
    """Tell when a loan or a note matures."""
    return f"The {name} matures on {MATURITIES[name.lower()]:%d %B %Y}."


@tool
def days_between(first: str, second: str) -> str:
    """Count the days between the maturities of two loans or notes."""
    days = abs(MATURITIES[first.lower()] - MATURITIES[second.lower()]).days
    return f"The {first} and the {second} mature {days} days apart."


def calls_for(question: str) -> list[ToolCall]:
    """The maturity of what the question names first, and the days to what it names next; else of all."""
    lower = question.lower()
    named = sorted((name for name in MATURITIES if name in lower), key=lower.find) or list(MATURITIES)
    first, *others = (name.capitalize() for name in named)
    calls = [ToolCall(name="maturity", args={"name": first}, id="call-1")]
    if others:
        between = {"first": first, "second": others[0]}
        calls.append(ToolCall(name="days_between", args=between, id="call-2"))
    return calls


def main() -> None:
    asked = read_command_line(
        __doc__, "When does the Isar note mature, and how many days after the Elbe loan?"
    )
    # Without a network the calls follow from the names in the question; Claude finds them out from the tools.
    model = choose_model(live=asked.live, calls=calls_for(asked.question))
    agent = create_agent(model, [maturity, days_between], name="maturity_agent")
    with traced() as handler:
        config: RunnableConfig = {
            "callbacks": [handler],
            "metadata": {"user_id": "u-42", "session_id": "s-8", "feature": "maturities"},
        }
        messages: Any = {"messages": [HumanMessage(asked.question)]}
        stream: Any = agent.stream(messages, config, stream_mode="messages")
        for chunk, where in stream:
            if where["langgraph_node"] == "model":
                print(chunk.text, end="", flush=True)


if __name__ == "__main__":
    main()
