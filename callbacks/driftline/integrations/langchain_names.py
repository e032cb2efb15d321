"""What LangChain calls a run, and what kind of step it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from driftline.anatomy import plain_text
from driftline.records import Kind

_RUN_TYPES = {"prompt": Kind.PROMPT, "parser": Kind.PARSER, "llm": Kind.LLM}
_AGENT_CLASSES = frozenset(("AgentExecutor", "RunnableAgent", "RunnableMultiActionAgent"))
_GRAPH = "LangGraph"
"""The name of a graph that nobody named."""
_NODE_TAG = "graph:step:"
"""On the runs of nodes, but not on what runs inside them."""


def name_of(serialized: Any, name: Any, default: str) -> str:
    """The name of a run: the one that was given to it, or that of its class."""
    given = name if type(name) is str else plain_text(name)
    if given:
        return given
    if type(serialized) is dict:
        own = serialized.get("name")
        if type(own) is str and own:
            return own
        path = serialized.get("id")
        if type(path) is list and path and type(path[-1]) is str:
            return path[-1]
    return default


def chain_kind(name: str, run_type: Any, metadata: Mapping[str, Any], tags: Iterable[Any]) -> Kind:
    """What a chain event is about: LangChain sends it for prompts, parsers, agents and graphs too."""
    kind = _RUN_TYPES.get(run_type) if type(run_type) is str else None
    if kind is not None:
        return kind
    if name in _AGENT_CLASSES or _is_graph_agent(name, metadata, tags):
        return Kind.AGENT
    return Kind.CHAIN


def _is_graph_agent(name: str, metadata: Mapping[str, Any], tags: Iterable[Any]) -> bool:
    """Whether this is the graph of an agent; its nodes inherit the metadata, but not the name."""
    if plain_text(metadata.get("ls_integration")) != "langchain_create_agent":
        return False
    if name != (plain_text(metadata.get("lc_agent_name")) or _GRAPH):
        return False
    return not any(type(tag) is str and tag.startswith(_NODE_TAG) for tag in tags)
