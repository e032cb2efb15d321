"""What a program says about where its runs go, by arguments and by the environment.

A wrong value never stops the program: it is logged once with the remedy, and the default holds in its place.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from driftline.causes import say
from driftline.redaction import CREDENTIALS, DETECTOR_NAMES
from driftline.variables import unknown_variables
from driftline.wire import MAX_PROJECT

DEFAULT_URL = "http://127.0.0.1:8321"


class Content(StrEnum):
    """How much of what passes through a run is sent."""

    FULL = "full"
    NONE = "none"
    """Timing, usage, names and sizes only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Where the runs of a program go, and what of them."""

    url: str = DEFAULT_URL
    """Of the server, without ``/api/...``."""
    api_key: str | None = field(default=None, repr=False)
    project: str = "default"
    environment: str | None = None
    release: str | None = None
    enabled: bool = True
    sample_rate: float = 1.0
    """The share of traces that is kept, from 0 to 1."""
    content: Content = Content.FULL
    redact: tuple[str, ...] = CREDENTIALS
    """Names of the detectors whose finds are replaced."""
    file: str | None = None
    """Where runs are written in place of the server, as JSON lines."""
    ca_file: str | None = None
    """Certificates to be trusted beside those of the system."""
    timeout_s: float = 10.0
    """For one request, from its start to the end of the answer."""
    exit_timeout_s: float = 5.0
    """How long the end of the program may wait for runs that are queued."""
    queue_runs: int = 10_000
    """How many runs may wait in memory."""
    spool: str | None = None
    """The folder for what the server cannot take now; ``None`` for the usual one, empty for none at all."""
    spool_mb: int = 512
    """Of one server's spool on disk, in units of 2**20 bytes."""
    spool_days: float = 30.0
    """How long runs wait on disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """An environment variable and the field that it sets."""

    name: str
    field: str
    meaning: str
    expected: str
    """What a right value looks like."""
    read: Callable[[str], Any]
    """Raises ``ValueError`` for a wrong one."""


def read_configuration(
    environ: Mapping[str, str] | None = None,
    *,
    url: str | None = None,
    api_key: str | None = None,
    project: str | None = None,
) -> Configuration:
    """Read the environment; arguments that are not ``None`` come first. Never raises."""
    environ = os.environ if environ is None else environ
    for name, described in unknown_variables(environ, _NAMES):
        _say_once(name, "", described)
    given = {"url": url, "api_key": api_key, "project": project}
    values: dict[str, Any] = {}
    unreadable: set[str] = set()
    for variable in VARIABLES:
        text = given.get(variable.field)
        origin = variable.field if text is not None else variable.name
        if text is None:
            text = environ.get(variable.name, "")
        if type(text) is not str:
            _complain(origin, f"of type {type(text).__name__}", variable)
            unreadable.add(variable.field)
        elif text.strip():
            try:
                values[variable.field] = variable.read(text.strip())
            except ValueError:
                _complain(origin, _shown(text, variable), variable)
                unreadable.add(variable.field)
                if variable.field in _CAUTIOUS:
                    values[variable.field] = _CAUTIOUS[variable.field]
            else:
                if variable.field == "url":
                    _tell_of_a_page(origin, text.strip(), values["url"])
    if "url" in unreadable and "file" not in values:
        # The default is another server, which nobody named.
        values["enabled"] = False
    return Configuration(**values)


def without_page(url: str) -> str:
    """The address of the server whose page an address is; others stay as they are."""
    return _PAGE.sub("", url)


def _complain(origin: str, shown: str, variable: Variable) -> None:
    default = _DEFAULTS[variable.field]
    instead = "it is left unset" if default is None else f"it stays {_written(default)}"
    if variable.field in _CAUTIOUS:
        instead = f"it counts as {_written(_CAUTIOUS[variable.field])}"
    if variable.field == "url":
        instead = "nothing is sent"
    _say_once(origin, shown, f"{origin} is {shown}; {instead}. Set it to {variable.expected}")


def _tell_of_a_page(origin: str, text: str, url: str) -> None:
    if _PAGE.search(text):
        _say_once(origin, text, f"{origin} is the address of a page; runs go to its server, {url}")


def _say_once(origin: str, shown: str, message: str) -> None:
    if (origin, shown) in _COMPLAINED or len(_COMPLAINED) >= 1_000:
        return
    _COMPLAINED.add((origin, shown))
    say(message)


def _shown(text: str, variable: Variable) -> str:
    if variable.field == "api_key":
        return "not what a key looks like"
    return repr(text if len(text) <= 80 else text[:80] + "…")


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _url(text: str) -> str:
    if _HOST_AND_PORT.match(text):
        text = f"http://{text}"
    text = without_page(text)
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError
    if parts.query or parts.fragment or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError
    _ = parts.port  # raises ValueError where it is no port
    return text.rstrip("/")


def _header(text: str) -> str:
    if not text.isascii() or not text.isprintable() or len(text) > 4_096:
        raise ValueError
    return text


def _name(text: str) -> str:
    if len(text) > MAX_PROJECT or not text.isprintable():
        raise ValueError
    return text


def _switch(text: str) -> bool:
    switches = {"1": True, "true": True, "yes": True, "on": True} | dict.fromkeys(
        ("0", "false", "no", "off"), False
    )
    if text.lower() not in switches:
        raise ValueError
    return switches[text.lower()]


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise ValueError
    return share


def _seconds(text: str) -> float:
    seconds = float(text)
    if not (math.isfinite(seconds) and 0 <= seconds <= 3_600):
        raise ValueError
    return seconds


def _days(text: str) -> float:
    days = float(text)
    if not 0.01 <= days <= 3_650:
        raise ValueError
    return days


def _folder(text: str) -> str:
    if text.lower() in ("off", "none", "0"):
        return ""
    return os.path.abspath(os.path.expanduser(text))


def _some_seconds(text: str) -> float:
    seconds = _seconds(text)
    if seconds < 0.1:
        raise ValueError
    return seconds


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 10_000_000:
        raise ValueError
    return count


def _detectors(text: str) -> tuple[str, ...]:
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    if names in (["none"], ["off"], ["0"]):
        return ()
    if names in (["all"], ["on"], ["1"]):
        return DETECTOR_NAMES
    if not names or not set(names) <= set(DETECTOR_NAMES):
        raise ValueError
    return tuple(name for name in DETECTOR_NAMES if name in names)


def _existing_file(text: str) -> str:
    path = os.path.expanduser(text)
    if not os.path.isfile(path):
        raise ValueError
    return path


VARIABLES: tuple[Variable, ...] = (
    Variable(
        name="DRIFTLINE_URL", field="url", meaning="The server that takes the runs.",
        expected="an address such as http://127.0.0.1:8321", read=_url,
    ),
    Variable(
        name="DRIFTLINE_API_KEY", field="api_key", meaning="The key for a server that asks for one.",
        expected="the key as the server showed it", read=_header,
    ),
    Variable(
        name="DRIFTLINE_PROJECT", field="project", meaning="The project that the runs belong to.",
        expected=f"a name of at most {MAX_PROJECT} characters", read=_name,
    ),
    Variable(
        name="DRIFTLINE_ENVIRONMENT", field="environment", meaning="Where the program runs.",
        expected="a name such as production or staging", read=_name,
    ),
    Variable(
        name="DRIFTLINE_RELEASE", field="release", meaning="Which edition of the program runs.",
        expected="a name such as 2026.3.1 or a commit", read=_name,
    ),
    Variable(
        name="DRIFTLINE_ENABLED", field="enabled", meaning="Whether anything is recorded at all.",
        expected="1 or 0", read=_switch,
    ),
    Variable(
        name="DRIFTLINE_SAMPLE_RATE", field="sample_rate",
        meaning="The share of traces that is kept; those stand for the others.",
        expected="a number from 0 to 1, such as 0.1", read=_share,
    ),
    Variable(
        name="DRIFTLINE_CONTENT", field="content",
        meaning="With none, only timing, usage, names and sizes leave the program.",
        expected="full or none", read=lambda text: Content(text.lower()),
    ),
    Variable(
        name="DRIFTLINE_REDACT", field="redact",
        meaning="What is found in texts and replaced before it leaves the program.",
        expected=f"all, none, or some of {','.join(DETECTOR_NAMES)}", read=_detectors,
    ),
    Variable(
        name="DRIFTLINE_FILE", field="file",
        meaning="A file that runs are appended to, one JSON object a line, in place of the server.",
        expected="a path", read=os.path.expanduser,
    ),
    Variable(
        name="DRIFTLINE_CA_FILE", field="ca_file",
        meaning="Certificates to be trusted beside those of the system.",
        expected="a PEM file that exists", read=_existing_file,
    ),
    Variable(
        name="DRIFTLINE_TIMEOUT_S", field="timeout_s", meaning="How long one request may take, in seconds.",
        expected="a number from 0.1 to 3600", read=_some_seconds,
    ),
    Variable(
        name="DRIFTLINE_EXIT_TIMEOUT_S", field="exit_timeout_s",
        meaning="How long the end of the program may wait for queued runs, in seconds.",
        expected="a number from 0 to 3600", read=_seconds,
    ),
    Variable(
        name="DRIFTLINE_QUEUE_RUNS", field="queue_runs", meaning="How many runs may wait in memory.",
        expected="a whole number from 1 on", read=_count,
    ),
    Variable(
        name="DRIFTLINE_SPOOL", field="spool",
        meaning="The folder that keeps on disk what the server cannot take now.",
        expected="a path, or off", read=_folder,
    ),
    Variable(
        name="DRIFTLINE_SPOOL_MB", field="spool_mb", meaning="How much may wait for one server, in MB.",
        expected="a whole number from 1 on", read=_count,
    ),
    Variable(
        name="DRIFTLINE_SPOOL_DAYS", field="spool_days", meaning="How many days it may wait there.",
        expected="a number from 0.01 to 3650", read=_days,
    ),
)  # fmt: skip
"""What the client reads from the environment, beside ``DRIFTLINE_AUTO`` and ``DRIFTLINE_STRICT``."""
_NAMES = frozenset(variable.name for variable in VARIABLES)
_CAUTIOUS: dict[str, Any] = {"enabled": False, "content": Content.NONE, "redact": DETECTOR_NAMES}
"""What is done where these cannot be read: who set them wanted less to leave the program."""
_DEFAULTS: dict[str, Any] = {each.name: each.default for each in fields(Configuration)}
_HOST_AND_PORT = re.compile(r"(?:[\w.-]+|\[[0-9a-fA-F:.]+\]):\d+(?:/|$)", re.ASCII)
"""What people write who leave ``http://`` out."""
_PAGE = re.compile(r"(?<![:/])/(?:traces(?:/[0-9a-fA-F]+)?|login)/?(?:[?#]\S*)?$", re.ASCII)
"""The end of an address that was copied from a browser."""
_COMPLAINED: set[tuple[str, str]] = set()
