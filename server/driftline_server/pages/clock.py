"""Moments in the zone of the person who looks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

_UTC_NAMES = ("UTC", "UCT", "Universal", "Zulu")
"""In the IANA database, the last part of each."""


def find_zone(name: str | None) -> tzinfo | None:
    """The time zone of that name in the IANA database; ``None`` where there is none."""
    if not name or len(name) > 64:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Tells moments the way one viewer reads them."""

    now: datetime
    zone: tzinfo = UTC

    @property
    def zone_label(self) -> str:
        """``Berlin, UTC+1``; ``UTC`` for the zone of that name."""
        return f"{self.place}, {self.offset}" if self.place else self.offset

    @property
    def place(self) -> str:
        """``Berlin``; empty for the zone called UTC, wherever its rules come from."""
        name = str(self.zone).rpartition("/")[2].replace("_", " ")
        return "" if name in _UTC_NAMES else name

    @property
    def offset(self) -> str:
        """``UTC+1``: by how much the zone is ahead now."""
        return offset_label(self.now.astimezone(self.zone))

    def local(self, at: datetime) -> datetime:
        """The same moment in the viewer's zone."""
        return at.astimezone(self.zone)

    def moment(self, at: datetime | None, *, precise: bool = False) -> Markup:
        """``11:38:06`` today, ``24 Nov 11:38`` this year; precisely ``24 Nov 11:38:06.214``."""
        if at is None:
            return Markup('<span class="none">unknown</span>')
        return self._element(at, self.precise_text(at) if precise else self.text(at))

    def text(self, at: datetime) -> str:
        """What ``moment`` shows, without its element."""
        local, now = self.local(at), self.local(self.now)
        if local.date() == now.date():
            return f"{local:%H:%M:%S}"
        return f"{self._day(local, now)} {local:%H:%M}"

    def span_text(self, since: datetime, until: datetime, *, joined: str = "to") -> str:
        """``23 Nov 11:52 to 24 Nov 11:52``, ``24 Nov 08:00 to 11:52``: a day is named once.

        To the second within ten minutes.
        """
        form = "%H:%M" if until - since >= timedelta(minutes=10) else "%H:%M:%S"
        first, last = self.day(since), self.day(until)
        end = f"{self.local(until):{form}}" if first == last else f"{last} {self.local(until):{form}}"
        return f"{first} {self.local(since):{form}} {joined} {end}"

    def precise_text(self, at: datetime) -> str:
        """To the millisecond, always with its day."""
        local, now = self.local(at), self.local(self.now)
        return f"{self._day(local, now)} {local:%H:%M:%S}.{local.microsecond // 1000:03}"

    def day(self, at: datetime) -> str:
        """``24 Nov``, with the year where it is another one."""
        return self._day(self.local(at), self.local(self.now))

    def iso(self, at: datetime) -> str:
        """ISO 8601 with the offset of the viewer's zone, to the millisecond."""
        return self.local(at).isoformat(timespec="milliseconds")

    def _element(self, at: datetime, text: str) -> Markup:
        iso = self.iso(at)
        return Markup('<time datetime="{}" title="{}">{}</time>').format(iso, iso, text)

    @staticmethod
    def _day(local: datetime, now: datetime) -> str:
        day = f"{local.day} {_MONTHS[local.month - 1]}"
        return day if local.year == now.year else f"{day} {local.year}"


def offset_label(local: datetime) -> str:
    """``UTC+1``, ``UTC−3:30``, ``UTC`` for an aware moment in its zone."""
    seconds = int((local.utcoffset() or timedelta()).total_seconds())
    if seconds == 0:
        return "UTC"
    hours, rest = divmod(abs(seconds), 3600)
    sign = "+" if seconds > 0 else "\u2212"
    return f"UTC{sign}{hours}" + (f":{rest // 60:02}" if rest else "")
