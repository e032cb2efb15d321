"""The passages that a run found, in their order, with how near they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from driftline.records import Document, Json
from driftline_server.pages.json_view import JsonView, view_json
from driftline_server.pages.quoting import visible
from driftline_server.pages.texts import Said, quote_text

_TITLES = ("title", "source", "file_name", "filename", "file", "path", "url")
_PLACES = ("page", "page_label", "section", "chunk", "start_index", "language")

MOST, _MOST_OF_ALL = 200, 2_000
"""Documents that a page shows, and that it shows to somebody who asked for all."""
_OPEN_LINES = 15
"""Lines up to which a passage stands open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One document as the page shows it."""

    rank: str
    title: Markup
    place: Markup
    said: Said
    measure: str
    """``score``, ``distance``, or empty where the retriever said neither."""
    value: str
    meter: str
    """Percent of the best of the list, for the small bar; empty where scores cannot be compared."""
    id: Markup
    metadata: JsonView | None


def read_documents(documents: Sequence[Document], *, whole: bool = False) -> tuple[Passage, ...]:
    """Prepare documents in the order of their ranks, up to the bound of a page.

    Those without a rank keep the place they came in.
    """
    placed = sorted(
        enumerate(documents, start=1), key=lambda item: item[0] if item[1].rank is None else item[1].rank
    )
    scores = [document.score for document in documents if document.score is not None]
    # Above 1 a score says something only beside others.
    best = max(scores) if len(scores) > 1 or (scores and scores[0] <= 1) else 0.0
    shown = placed[: _MOST_OF_ALL if whole else MOST]
    return tuple(_passage(document, place, best, whole) for place, document in shown)


def _passage(document: Document, place: int, best: float, whole: bool) -> Passage:
    metadata = dict(document.metadata)
    title = next((str(metadata.pop(key)) for key in _TITLES if _is_short(metadata.get(key))), "")
    places = [
        f"{key.replace('_', ' ')} {metadata.pop(key)}" for key in _PLACES if _is_short(metadata.get(key))
    ]
    measure, value, meter = "", "", ""
    if document.score is not None:
        measure, value = "score", _rounded(document.score)
        if best > 0 and document.score >= 0:
            meter = f"{100 * document.score / max(best, 1.0 if best <= 1 else best):.1f}"
    elif document.distance is not None:
        measure, value = "distance", _rounded(document.distance)
    return Passage(
        rank=str(document.rank if document.rank is not None else place),
        title=visible(title or document.id or "no name"),
        place=visible(", ".join(places)),
        said=quote_text(
            document.text,
            raw=f"documents/{place - 1}/text",
            open_lines=None if whole else _OPEN_LINES,
            whole=whole,
        ),
        measure=measure,
        value=value,
        meter=meter,
        id=visible(document.id or "") if title else Markup(),
        metadata=view_json(metadata) if metadata else None,
    )


def _is_short(value: Json) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and 0 < len(str(value)) <= 200


def _rounded(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"
