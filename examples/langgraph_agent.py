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
from showing import choose_model, question_or, traced

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


def main() -> None:
    # Without a network the calls are given; Claude finds them out from the tools.
    asked_for = [
        ToolCall(name="maturity", args={"name": "Isar note"}, id="call-1"),
        ToolCall(name="days_between", args={"first": "Isar note", "second": "Elbe loan"}, id="call-2"),
    ]
    agent = create_agent(choose_model(calls=asked_for), [maturity, days_between], name="maturity_agent")
    question = question_or("When does the Isar note mature, and how many days after the Elbe loan?")
    with traced() as handler:
        config: RunnableConfig = {
            "callbacks": [handler],
            "metadata": {"user_id": "u-42", "session_id": "s-8", "feature": "maturities"},
        }
        asked: Any = {"messages": [HumanMessage(question)]}
        stream: Any = agent.stream(asked, config, stream_mode="messages")
        for chunk, where in stream:
            if where["langgraph_node"] == "model":
                print(chunk.text, end="", flush=True)


if __name__ == "__main__":
    main()
