"""What an evaluator is given, and what it answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import entry_points
from typing import Protocol

from driftline.errors import DriftlineError
from driftline.records import Document, JsonObject, Score, Source

ENTRY_POINTS = "driftline.evaluators"
"""The entry-point group under which distributions offer evaluators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One question with its answer, what the answer was made from, and what is known to be right."""

    question: str = ""
    answer: str = ""
    documents: tuple[Document, ...] = ()
    """What was retrieved, the best first."""
    expected_answer: str | None = None
    """``None`` where nobody wrote one."""
    relevance: Mapping[str, float] = field(default_factory=dict)
    """How relevant which document is, by id; 0, or not to be named, is not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one evaluator says of one exchange; reads upward from 0, 1 is what you hope for."""

    name: str
    value: float | None
    """``None`` where it cannot be judged; ``explanation`` then says why."""
    explanation: str = ""
    label: str = ""
    evaluator_version: str = ""
    metadata: JsonObject = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.value is None and not self.explanation:
            raise ValueError(f"{self.name}: a judgement without a value needs an explanation")
        if self.value is not None and not 0 <= self.value <= 1:
            raise ValueError(f"{self.name}: {self.value} is not between 0 and 1")

    def to_score(
        self, *, id: str, trace_id: str, run_id: str | None = None, created_at: datetime | None = None
    ) -> Score:
        """The record that a store keeps."""
        return Score(
            id=id,
            trace_id=trace_id,
            run_id=run_id,
            name=self.name,
            value=self.value,
            label=self.label,
            explanation=self.explanation,
            source=Source.CODE,
            evaluator_version=self.evaluator_version,
            created_at=created_at,
            metadata=self.metadata,
        )


class CannotJudge(DriftlineError):
    """Raised by an evaluator's function where the exchange lacks what it needs; the text says what."""


class Evaluator(Protocol):
    """Judges one exchange. Calling it never raises for what the exchange holds or lacks."""

    @property
    def name(self) -> str:
        """What its judgements are called."""
        ...

    @property
    def version(self) -> str:
        """Changes when the same exchange may be judged otherwise."""
        ...

    @property
    def about(self) -> str:
        """One sentence on what a high value means."""
        ...

    def __call__(self, exchange: Exchange, /) -> Judgement: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionEvaluator:
    """An evaluator made of a function."""

    name: str
    version: str
    about: str
    function: Callable[[Exchange], float]

    def __call__(self, exchange: Exchange, /) -> Judgement:
        try:
            value, explanation = self.function(exchange), ""
        except CannotJudge as reason:
            value, explanation = None, str(reason)
        return Judgement(name=self.name, value=value, explanation=explanation, evaluator_version=self.version)


def evaluator(
    *, version: str, name: str | None = None
) -> Callable[[Callable[[Exchange], float]], FunctionEvaluator]:
    """Turn a function from an exchange to a number between 0 and 1 into an evaluator.

    Its docstring's first line becomes ``about``; its name, unless one is given, becomes ``name``.
    """

    def wrap(function: Callable[[Exchange], float]) -> FunctionEvaluator:
        lines = (inspect.getdoc(function) or "").splitlines()
        return FunctionEvaluator(
            name=name or function.__name__,
            version=version,
            about=lines[0] if lines else "",
            function=function,
        )

    return wrap


def get_evaluators() -> tuple[Evaluator, ...]:
    """Every evaluator that an installed distribution offers, by name."""
    offered: list[Evaluator] = [each.load() for each in entry_points(group=ENTRY_POINTS)]
    return tuple(sorted(offered, key=lambda each: each.name))
