"""A graph that drafts a letter of termination and does not send it before a person has agreed."""

from __future__ import annotations

from typing import TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

from driftline_server.demo.steps import Step


class NoticeState(TypedDict, total=False):
    """What the graph passes from node to node."""

    question: str
    passages: str
    answer: str


def notice_graph(*, find: Step, write: Step) -> Step:
    """Compile the graph from a step that adds ``passages`` and one that adds the letter as ``answer``."""

    async def find_clause(state: NoticeState, config: RunnableConfig) -> NoticeState:
        return {"passages": (await find.ainvoke(state, config))["passages"]}

    async def draft(state: NoticeState, config: RunnableConfig) -> NoticeState:
        return {"answer": (await write.ainvoke(state, config))["answer"]}

    def approve(state: NoticeState) -> NoticeState:
        decision = interrupt({"question": "Send this letter?", "letter": state["answer"]})
        return {"answer": f"{decision}\n\n{state['answer']}"}

    graph = StateGraph(NoticeState)
    graph.add_node("find_clause", find_clause)
    graph.add_node("draft", draft)
    graph.add_node("approve", approve)
    graph.add_edge(START, "find_clause")
    graph.add_edge("find_clause", "draft")
    graph.add_edge("draft", "approve")
    graph.add_edge("approve", END)
    return graph.compile(checkpointer=InMemorySaver(), name="draft_notice")
