"""The panel of one run: its facts, its strip, and its tabs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from driftline.records import Kind, Run, Score, Stall, Status
from driftline_server.pages.addresses import raw_address, trace_address
from driftline_server.pages.clock import Clock
from driftline_server.pages.conversation import Conversation, read_conversation
from driftline_server.pages.documents import Passage, read_documents
from driftline_server.pages.formatting import Shown, byte_length, offset, score, shortened, size
from driftline_server.pages.json_view import JsonView
from driftline_server.pages.quoting import visible
from driftline_server.pages.run_data import Field, outline, read_call, read_data
from driftline_server.pages.run_facts import (
    Fact,
    cost_facts,
    head_facts,
    identity_facts,
    timing_facts,
    usage_facts,
)
from driftline_server.pages.run_rows import FAMILIES, run_title
from driftline_server.pages.spoken import read_dialogue
from driftline_server.pages.stacks import StackLine, cut_stack, own_place, read_stack
from driftline_server.pages.token_strip import Strip, draw_strip
from driftline_server.pages.trace_rows import StatusMark, status_mark
from driftline_server.pages.tree import Node, RunTree

_FAILING = 0.5
_LONG_STACK = 18
_MOST_OF_MESSAGE = 4_000
"""Characters; what comes behind it must stay in reach."""
_MOST, _MOST_OF_ALL = 200, 2_000
"""Events, or stalls, that a page shows, and that it shows to somebody who asked for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """One view of a run."""

    key: str
    label: str
    count: int | None
    address: str
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One score."""

    name: Markup
    value: Shown
    explanation: Markup
    source: str
    fails: bool
    is_judged: bool


@dataclass(frozen=True, kw_only=True)
class RunPage:
    """What ``traces/_detail.html`` shows."""

    run: Run
    node: Node
    tree: RunTree
    scores: tuple[Score, ...]
    """Of the whole trace."""
    clock: Clock
    address: Mapping[str, str]
    """The parts of the address that stay: the filter of the list."""
    asked_tab: str
    whole: bool
    """Leave nothing out, however long it is."""
    reads_source: bool

    @property
    def kind(self) -> str:
        return self.run.kind.value

    @property
    def family(self) -> str:
        return FAMILIES[self.run.kind]

    @property
    def title(self) -> Markup:
        model = self.run.model_answered or self.run.model_requested
        return visible(run_title(self.run.kind, self.run.name, model))

    @property
    def subtitle(self) -> Markup:
        """Its name, where the title is that of the model."""
        name = visible(self.run.name)
        return name if name != self.title else Markup()

    @property
    def status(self) -> StatusMark:
        return status_mark(self.run.status)

    @property
    def is_running(self) -> bool:
        return self.run.status is Status.RUNNING

    @property
    def facts(self) -> tuple[Fact, ...]:
        return head_facts(self.run, self.node, self.tree, self.clock)

    @cached_property
    def strip(self) -> Strip | None:
        usage = self.run.usage
        written = usage.output_tokens if usage is not None else None
        return draw_strip(self.run.timeline, self.run.duration_ms, output_tokens=written)

    @property
    def error_type(self) -> Markup:
        """The class of what was raised, without its module."""
        return visible(self.run.error.type.rpartition(".")[2]) if self.run.error else Markup()

    @property
    def error_path(self) -> Markup:
        """The class with its module."""
        return visible(self.run.error.type) if self.run.error else Markup()

    @property
    def error_message(self) -> Markup:
        return visible(shortened(self.run.error.message, _MOST_OF_MESSAGE)) if self.run.error else Markup()

    @cached_property
    def stack(self) -> tuple[StackLine, ...]:
        return read_stack(cut_stack(self.run.error.stack)) if self.run.error else ()

    @property
    def stack_lines(self) -> int:
        """How many there are, shown or not."""
        return len(self.run.error.stack.rstrip().splitlines()) if self.run.error else 0

    @property
    def error_size(self) -> str:
        """How large message and stack are, where only parts of them are shown; else empty."""
        error = self.run.error
        if error is None:
            return ""
        is_whole = len(error.message) <= _MOST_OF_MESSAGE and cut_stack(error.stack) == error.stack
        return "" if is_whole else size(byte_length(error.message) + byte_length(error.stack)).text

    @property
    def error_place(self) -> Markup:
        """Where in the user's own code it rose."""
        return visible(own_place(cut_stack(self.run.error.stack))) if self.run.error else Markup()

    @property
    def opens_stack(self) -> bool:
        """A long stack stays folded, so that what went in is in view."""
        return len(self.stack) <= _LONG_STACK

    @cached_property
    def tabs(self) -> tuple[Tab, ...]:
        """The views that this run has something for; what its kind is looked at for comes first."""
        run = self.run
        available: list[tuple[str, str, int | None]] = []
        if read_dialogue(run) is not None:
            available.append(("conversation", "Conversation", None))
        if run.documents:
            available.append(("documents", "Documents", len(run.documents)))
        if self.call:
            available.append(("call", "Call", None))
        available.append(("data", "Data", None))
        if self.judgements:
            available.append(("scores", "Scores", len(self.judgements)))
        available += [("timing", "Timing", None), ("metadata", "Metadata", None)]
        keys = [key for key, *_ in available]
        current = self.asked_tab if self.asked_tab in keys else keys[0]
        return tuple(
            Tab(key=key, label=label, count=count, address=self.here(tab=key), is_current=key == current)
            for key, label, count in available
        )

    @property
    def conversation(self) -> Conversation:
        return read_conversation(self.run, whole=self.whole)

    @cached_property
    def passages(self) -> tuple[Passage, ...]:
        return read_documents(self.run.documents, whole=self.whole)

    @cached_property
    def call(self) -> tuple[Field, ...]:
        return read_call(self.run, whole=self.whole) if self.run.kind is Kind.TOOL else ()

    @property
    def data(self) -> tuple[Field, ...]:
        return read_data(self.run, whole=self.whole)

    @cached_property
    def judgements(self) -> tuple[Judgement, ...]:
        """Scores of this run, and on a root those of the whole trace; the worst first."""
        mine = [
            each
            for each in self.scores
            if each.run_id == self.run.id or (each.run_id is None and self.node.level == 1)
        ]
        mine.sort(key=lambda each: (each.value is None, each.value or 0.0, each.name))
        return tuple(
            Judgement(
                name=visible(each.name),
                value=score(each.value),
                explanation=visible(each.explanation or each.label),
                source=each.source.value,
                fails=each.value is not None and each.value < _FAILING,
                is_judged=each.value is not None,
            )
            for each in mine
        )

    @property
    def timing(self) -> tuple[Fact, ...]:
        return timing_facts(self.run, self.node, self.tree, self.clock)

    @cached_property
    def events(self) -> tuple[tuple[Shown, Markup, JsonView | None], ...]:
        """Offset, name and data of what happened inside the run, up to the bound of a page."""
        return tuple(
            (
                offset(each.offset_ms),
                visible(each.name),
                outline(each.data) if each.data is not None else None,
            )
            for each in self.run.events[: self._most]
        )

    @property
    def stalls(self) -> tuple[Stall, ...]:
        """The stalls of the stream, up to the same bound."""
        return self.run.timeline.stalls[: self._most] if self.run.timeline else ()

    @property
    def usage(self) -> tuple[Fact, ...]:
        return usage_facts(self.run)

    @property
    def cost(self) -> tuple[Fact, ...]:
        return cost_facts(self.run)

    @property
    def identity(self) -> tuple[Fact, ...]:
        return identity_facts(self.run)

    @property
    def metadata(self) -> JsonView | None:
        return outline(dict(self.run.metadata), whole=self.whole) if self.run.metadata else None

    @property
    def _most(self) -> int:
        return _MOST_OF_ALL if self.whole else _MOST

    def here(self, **changes: str) -> str:
        """The address of this run on the trace page."""
        parts = {"run": self.run.id, "tab": self.asked_tab, **changes, **self.address}
        return trace_address(self.run.trace_id, {key: value for key, value in parts.items() if value})

    def raw(self, place: str) -> str:
        """The address of a part of the run as it was recorded."""
        return raw_address(self.run.trace_id, self.run.id, place)
