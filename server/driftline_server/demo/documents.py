"""The documents that the demonstration reads: thirty agreements, policies and reports, written for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

INDEX_VERSION = "2026.11-a"
"""Of the passages as they are cut here; it goes with every retrieval."""
_SECTION = re.compile(r"^## (?P<heading>.+?) \{(?P<page>\d+)\}$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One section of a document: what is indexed and found."""

    id: str
    file: str
    """As the customer uploaded it, such as ``Huur_Zeeman.pdf``."""
    country: str
    """``DE``, ``FR``, ``IE``, ``IT``, ``NL``, ``UK`` or ``US``; it decides how a date is read."""
    page: int
    heading: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinancialDocument:
    """One document of a customer."""

    file: str
    title: str
    type: str
    """``loan``, ``amendment``, ``lease``, ``guarantee``, ``insurance`` or ``report``."""
    country: str
    group: str
    """The customer's group of companies, such as ``nordwind``."""
    passages: tuple[Passage, ...]


@cache
def load_documents() -> tuple[FinancialDocument, ...]:
    """All documents, by file name."""
    folder = files(__package__) / "documents"
    texts = (entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".md"))
    return tuple(sorted(map(read_document, texts), key=lambda document: document.file))


def read_document(text: str) -> FinancialDocument:
    """Read a document: a few ``key: value`` lines between ``---``, then its sections with their pages."""
    _, head, body = text.split("---\n", 2)
    facts = dict(line.split(": ", 1) for line in head.strip().splitlines())
    starts = list(_SECTION.finditer(body))
    ends = [match.start() for match in starts[1:]] + [len(body)]
    stem = facts["file"].rsplit(".", 1)[0].lower().replace("_", "-")
    passages = tuple(
        Passage(
            id=f"{stem}-{number}",
            file=facts["file"],
            country=facts["country"],
            page=int(match["page"]),
            heading=match["heading"],
            text=" ".join(body[match.end() : end].split()),
        )
        for number, (match, end) in enumerate(zip(starts, ends, strict=True), start=1)
    )
    return FinancialDocument(
        file=facts["file"],
        title=facts["title"],
        type=facts["type"],
        country=facts["country"],
        group=facts["group"],
        passages=passages,
    )
