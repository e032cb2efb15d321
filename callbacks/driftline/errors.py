"""The errors that Driftline raises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class DriftlineError(Exception):
    """Something that a person can put right; the message names the thing, its state and the next step."""


class WireError(DriftlineError):
    """A document on the wire does not hold what its place asks for."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.field = field
        """Where in the document, such as ``runs[3].usage.input_tokens``; empty for the document itself."""
        self.problem = problem

    def under(self, path: str) -> WireError:
        """The same, seen from a document that holds this one at ``path``."""
        joined = (
            path
            if not self.field
            else f"{path}{self.field}"
            if self.field[0] == "["
            else f"{path}.{self.field}"
        )
        return WireError(joined, self.problem)


class WireVersionError(WireError):
    """The document was written by a newer wire version than this one reads."""


class ConfigurationError(DriftlineError):
    """A setting, or a combination of settings, that cannot work."""


class DeliveryError(DriftlineError):
    """A batch of runs could not be handed over now; trying again later may work."""

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float | None = None,
        failing: bool = False,
        reached: bool = False,
        remedy: str = "",
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """What the server asked for; ``None`` where it said nothing."""
        self.failing = failing
        """The server was there and broke down over this very batch, so another batch may fare better."""
        self.reached = reached or failing
        """Somebody had the batch and did not take it, which may be the fault of one run in it."""
        self.remedy = remedy
        """What a person can do about it; empty where only time helps."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One run that a server will never take as it is."""

    piece: bytes
    """The run as JSON, as it was sent."""
    problem: str
    """What the server said against it."""
    status: int
    """Of the answer: an HTTP status."""


class RefusedError(DriftlineError):
    """The server will never take this; sending it again is useless."""

    def __init__(self, message: str, *, count: int | None = None, refusals: Sequence[Refusal] = ()) -> None:
        super().__init__(message)
        self.count = count
        """How many runs of the batch were refused while the others were taken; ``None`` means all."""
        self.refusals = refusals
        """Those of them that can be kept, each with what the server said."""
