"""How the person who looks wants to see things, from the cookies that the page's own modules set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Request

from driftline_server.pages.clock import Clock, find_zone

THEMES = ("light", "dark")
THEME_COOKIE = "driftline_theme"
ZONE_COOKIE = "driftline_zone"
CLOCK_COOKIE = "driftline_clock"
TEXT_COOKIE = "driftline_text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """What one person chose."""

    clock: Clock
    theme: str
    """``light``, ``dark``, or empty where the system decides."""
    reads_source: bool
    """Texts as they were written, in place of rendered Markdown."""
    own_zone: str
    """The zone of the browser; empty where it never said."""
    prefers_utc: bool

    @property
    def may_choose_zone(self) -> bool:
        """Whether UTC and the zone of the browser are two."""
        return bool(Clock(now=self.clock.now, zone=find_zone(self.own_zone) or UTC).place)


def read_viewer(request: Request, now: datetime) -> Viewer:
    """Read the cookies of a request; what makes no sense counts as not chosen."""
    zone = find_zone(request.cookies.get(ZONE_COOKIE))
    prefers_utc = request.cookies.get(CLOCK_COOKIE) == "utc"
    theme = request.cookies.get(THEME_COOKIE, "")
    return Viewer(
        clock=Clock(now=now, zone=zone if zone is not None and not prefers_utc else UTC),
        theme=theme if theme in THEMES else "",
        reads_source=request.cookies.get(TEXT_COOKIE) == "source",
        own_zone=str(zone) if zone is not None else "",
        prefers_utc=prefers_utc,
    )
