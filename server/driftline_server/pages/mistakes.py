"""What is wrong with a filter, said where it stands."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

_MOST = 5
_ALIKE = 0.7
"""Below, a name has too little in common with another to be meant by it: ``contry`` and ``cost`` have 0.6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A part of the address that the list goes on without."""

    key: str
    """Its name in the address."""
    name: str
    """Its name on the page."""
    text: str
    """What was written."""
    problem: str
    """Empty where there is no such field."""
    meant: str = ""
    """The field that was probably meant; empty where none comes near."""

    def __str__(self) -> str:
        return f"{self.name}: {self.problem}."


def unknown_fields(
    arguments: Mapping[str, str], *, known: Collection[str], names: Mapping[str, str]
) -> tuple[Mistake, ...]:
    """The parts of an address that are none of ``known``; ``names`` are other words for known ones."""
    unknown = [key for key, text in arguments.items() if text.strip() and key not in known]
    candidates = {**{key: key for key in known}, **names}
    mistakes = []
    for key in unknown[:_MOST]:
        near = get_close_matches(key.lower(), candidates, n=1, cutoff=_ALIKE)
        meant = candidates[near[0]] if near else ""
        text = arguments[key].strip()
        mistakes.append(Mistake(key=key, name=key, text=text, problem="", meant=meant))
    return tuple(mistakes)
