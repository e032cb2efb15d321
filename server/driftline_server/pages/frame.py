"""What stands around every page: rail, header, the viewer's choices."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import request, url_for

from driftline_server.doors import services
from driftline_server.operations.projects import get_projects
from driftline_server.operations.totals import get_totals
from driftline_server.pages.addresses import traces_address
from driftline_server.pages.formatting import Shown, number
from driftline_server.pages.viewer import Viewer, read_viewer
from driftline_server.security import current_user

STATIC = Path(__file__).parent.parent / "static"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A place to go."""

    label: str
    address: str
    icon: str = ""
    is_current: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What stands around a page."""

    title: str
    viewer: Viewer
    links: tuple[Link, ...]
    """Of the rail."""
    stored: Shown | None
    """Runs in the store; ``None`` where the page must do without the store."""
    account: str
    """Who is logged in; empty where nobody has to be."""
    address: str
    """Of the page, for its foot on paper."""
    is_tight: bool = False
    """The rail shows icons only."""


def read_current_viewer() -> Viewer:
    """The choices of whoever sent the current request."""
    return read_viewer(request, services().now())


def make_frame(title: str, *, here: str = "", is_tight: bool = False) -> Frame:
    """The frame of a page; ``here`` is the label of its place in the rail."""
    return Frame(
        title=title,
        viewer=read_current_viewer(),
        links=_links(here),
        stored=number(get_totals(services()).runs),
        account=_account(),
        address=request.url,
        is_tight=is_tight,
    )


def make_bare_frame(title: str) -> Frame:
    """The frame of a page that must not read the store: nobody is logged in yet, or something failed."""
    return Frame(
        title=title,
        viewer=read_current_viewer(),
        links=_links(""),
        stored=None,
        account="",
        address=request.url,
    )


def project_links(chosen: str | None, address: dict[str, str]) -> tuple[str, tuple[Link, ...]]:
    """The name that the switch bears, and where its lines lead, the rest of the address kept."""
    names = [project.name for project in get_projects(services())]
    rest = {key: value for key, value in address.items() if key != "project"}
    links = [Link(label="All projects", address=traces_address(rest), is_current=chosen is None)]
    links += [
        Link(
            label=name,
            address=traces_address({**rest, "project": name}),
            is_current=name == chosen,
        )
        for name in names
    ]
    if len(names) == 1 and chosen in (None, *names):
        return names[0], ()
    return chosen or "All projects", tuple(links)


def asset(name: str) -> str:
    """The address of a file of ours, with a mark that changes when the file does."""
    return url_for("static", filename=name, v=_mark_of(name, (STATIC / name).stat().st_mtime_ns))


@cache
def _mark_of(name: str, changed_ns: int) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]


def may_look() -> bool:
    """Whether whoever sent the current request may see what the store holds."""
    return not services().settings.asks_for_login or current_user() is not None


def _links(here: str) -> tuple[Link, ...]:
    return (Link(label="Traces", icon="traces", address=traces_address({}), is_current=here == "Traces"),)


def _account() -> str:
    user = current_user() if services().settings.asks_for_login else None
    return user.name if user is not None else ""
