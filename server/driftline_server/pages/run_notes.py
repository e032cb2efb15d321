"""The few words behind the name of a run that tell it from its neighbours."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TypeAlias

from markupsafe import Markup

from driftline.records import Kind, Status
from driftline_server.pages.formatting import plural
from driftline_server.pages.quoting import visible
from driftline_server.pages.tree import Node, RunTree
from driftline_server.storage.queries import WITHHELD

_Likeness: TypeAlias = tuple[str | None, str, Kind]
_HOLDERS = (Kind.CHAIN, Kind.AGENT)
_CALL = re.compile(r"[A-Za-z_][\w.-]*\((.*?)\)?\Z", re.S)
"""A call in one line, whole or cut."""
_CALLED = re.compile(r"([A-Za-z_][\w.-]*)\(")
_COUNTED = {
    Kind.RETRIEVER: ("search", "searches"), Kind.TOOL: ("tool call", "tool calls"),
    Kind.LLM: ("model run", "model runs"), Kind.EMBEDDING: ("embedding", "embeddings"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What stands behind a name."""

    attempt: str
    """Which attempt it is, where earlier ones failed; else empty."""
    facts: Markup
    words: Markup
    """What somebody asked, or the arguments of a call."""
    voice: str
    """How the words are set: ``said``, or ``machine``."""


class RunNotes:
    """What is worth knowing of each run of a tree beside its name."""

    def __init__(self, tree: RunTree, *, is_running: bool) -> None:
        """Look at the whole tree once; ``is_running`` says that more of the trace will come."""
        self._tree = tree
        self._is_running = is_running
        self._tools = {node.run.name for node in tree.nodes if node.run.kind is Kind.TOOL}
        self._alike: Counter[_Likeness] = Counter()
        self._place: dict[str, int] = {}
        self._failed_before: dict[str, int] = {}
        failed: Counter[_Likeness] = Counter()
        for node in tree.nodes:
            like = _likeness(node)
            self._alike[like] += 1
            self._place[node.run.id] = self._alike[like]
            self._failed_before[node.run.id] = failed[like]
            failed[like] += node.run.status is Status.ERROR

    def of(self, node: Node) -> Note:
        """What stands behind the name of one run."""
        facts = []
        if node.is_orphan:
            facts.append("parent not here yet" if self._is_running else "its parent never arrived")
        attempt = self._attempt(node)
        told, words, voice = self._told(node, is_told_apart=bool(facts or attempt))
        return Note(
            attempt=attempt, facts=visible(" · ".join([*facts, *told])), words=visible(words), voice=voice
        )

    def _told(self, node: Node, *, is_told_apart: bool) -> tuple[list[str], str, str]:
        """Facts, words and how the words are set."""
        run = node.run
        if run.error and self._began_here(node):
            return [run.error], "", "said"
        if run.kind is Kind.LLM:
            return self._of_a_model_run(node), "", "said"
        if run.preview == WITHHELD:
            return [WITHHELD], "", "said"
        if run.kind is Kind.RETRIEVER:
            return [], run.preview, "said"
        call = _CALL.match(run.preview) if run.kind is Kind.TOOL else None
        if call is not None:
            return [], call[1], "machine"
        return [] if is_told_apart else self._below(node) or self._which(node), "", "said"

    def _began_here(self, node: Node) -> bool:
        """Whether an error is its own; those above it only passed it on."""
        below = (self._tree.by_id[child].run.status for child in node.children)
        return node.run.status is Status.ERROR and Status.ERROR not in below

    def _attempt(self, node: Node) -> str:
        """What holds others is not tried but done again."""
        failed = self._failed_before[node.run.id]
        return f"{_ordinal(failed + 1)} attempt" if failed and node.run.kind not in _HOLDERS else ""

    def _of_a_model_run(self, node: Node) -> list[str]:
        """Which tools it called; and its own name, as its model stands in its place."""
        run = node.run
        called = [name for name in _CALLED.findall(run.preview) if name in self._tools]
        facts = [f"calls {', '.join(dict.fromkeys(called))}"] if called else []
        if run.model and run.name and run.name != run.model:
            facts.append(run.name)
        return facts

    def _below(self, node: Node) -> list[str]:
        counted = Counter(self._tree.by_id[child].run.kind for child in node.children)
        return [plural(counted[kind], *names) for kind, names in _COUNTED.items() if counted[kind] > 1]

    def _which(self, node: Node) -> list[str]:
        """Which of several of its name it is."""
        count = self._alike[_likeness(node)]
        return [f"{self._place[node.run.id]:,} of {count:,}"] if count > 1 else []


def _likeness(node: Node) -> _Likeness:
    """What runs have in common that could be taken for each other."""
    parent = None if node.level == 1 else node.run.parent_id
    return parent, node.run.name, node.run.kind


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{'th' if number % 100 in (11, 12, 13) else ending}"
