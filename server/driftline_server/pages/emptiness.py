"""What a list without a row says: what there is none of, and what to drop to see more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from driftline_server.doors import services
from driftline_server.operations.explain_emptiness import explain_emptiness
from driftline_server.pages.addresses import traces_address
from driftline_server.pages.clock import Clock
from driftline_server.pages.formatting import plural
from driftline_server.pages.trace_query import TraceQuery, read_query
from driftline_server.storage.queries import Count

_WITHOUT, _IN = "Without", "In"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What there would be without one part of the filter."""

    before: str
    """The word before the text: ``Without`` a clause, ``In`` all projects."""
    text: str
    count: str
    address: str


def suggest_less(query: TraceQuery, clock: Clock) -> tuple[Suggestion, ...]:
    """Which part of the filter to drop, where nothing passes all of it."""
    parts = {chip.text: (_WITHOUT, dict(chip.without)) for chip in query.chips()}
    if query.range.since is not None or query.range.until is not None:
        everywhen = query.address(range="all", since=None, until=None)
        parts[f"the time range ({query.range.label})"] = _WITHOUT, everywhen
    if query.wanted.project is not None:
        parts["all projects"] = _IN, query.address(project=None)
    filters = {text: read_query(address, clock).wanted for text, (_, address) in parts.items()}
    return tuple(
        Suggestion(before=before, text=text, count=_counted(count), address=traces_address(address))
        for text, count in explain_emptiness(services(), filters)
        for before, address in (parts[text],)
    )


def none_title(query: TraceQuery, suggestions: Sequence[Suggestion]) -> str:
    """What there is none of."""
    texts = [chip.text for chip in query.chips()]
    if len(texts) > 1:
        return "No trace matches all of this"
    if texts:
        return f"No trace matches {texts[0]}"
    project = query.wanted.project
    if project and all(suggestion.before == _IN for suggestion in suggestions):
        return f"No traces in {project} yet"
    return f"No traces in {project}, {query.range.phrase}" if project else f"No traces, {query.range.phrase}"


def _counted(count: Count) -> str:
    return plural(count.number, "trace") if count.exact else f"more than {count.number:,} traces"
