"""How a command reaches the traces: over HTTP, or through the same API over a data folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, TypedDict
from urllib.parse import urlencode, urlsplit

import click

from driftline.configuration import DEFAULT_URL, without_page
from driftline.errors import DriftlineError
from driftline.json_data import clean_text
from driftline.wire import WIRE_VERSION
from driftline_server.settings import load_settings

_TIMEOUT_S = 30.0
_TRIES = 5
_MOST_PATIENCE_S = 10.0
_PAGE = 200
_ID_DIGITS = 32
_LEAST_DIGITS = 4
_SEARCHED = 10_000
"""A part of an id is looked for among so many traces, from the newest on."""
_MOST_TOLD = 10
_REMEDY = "driftline traces list shows them"
_KEY_REMEDY = "where the server runs, make one with driftline keys add NAME, and set DRIFTLINE_API_KEY to it"


Kind: TypeAlias = Literal["runs", "scores"]
"""What a batch holds, as its field and its address are called."""


class _Option(TypedDict):
    envvar: str
    default: str
    show_default: bool
    metavar: str
    help: str
    callback: Callable[[click.Context, click.Parameter, str], str]


UrlOption: _Option = {
    "envvar": "DRIFTLINE_URL",
    "default": DEFAULT_URL,
    "show_default": True,
    "metavar": "URL",
    "help": "The server; DRIFTLINE_URL.",
    # People copy it from their browser.
    "callback": lambda ctx, param, value: without_page(value.strip()),
}


class UnreadableTraceError(DriftlineError):
    """A fault of the server; other traces may be read."""


class Door(Protocol):
    """Answers a request of the API with a status and a document."""

    def ask(self, method: str, path: str, document: Any = None) -> tuple[int, Mapping[str, str], Any]:
        """Status, headers and JSON document."""
        ...


class HttpDoor:
    """A server, reached over HTTP."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self._parts = urlsplit(url if "://" in url else f"http://{url}")
        if self._parts.scheme not in ("http", "https") or not self._parts.hostname:
            raise click.UsageError(f"{url!r} is no address of a server, such as {DEFAULT_URL}")
        self._url = url
        self._api_key = api_key

    def ask(self, method: str, path: str, document: Any = None) -> tuple[int, Mapping[str, str], Any]:
        kind = HTTPSConnection if self._parts.scheme == "https" else HTTPConnection
        connection = kind(self._parts.netloc.rpartition("@")[2], timeout=_TIMEOUT_S)
        headers = {"Accept": "application/json"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        body = None
        if document is not None:
            # Half a character, which no server reads, would spoil the whole body.
            body = clean_text(json.dumps(document, ensure_ascii=False)).encode()
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, self._parts.path.rstrip("/") + path, body, headers)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), _read(response.read(), self._url)
        except (OSError, HTTPException) as error:
            reason = getattr(error, "strerror", None) or error
            raise DriftlineError(
                f"nothing answers at {self._url} ({reason}): start it with driftline serve, "
                "or name another with --url"
            ) from error
        finally:
            connection.close()


class FolderDoor:
    """The API over a data folder; no server has to run, but one may."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def ask(self, method: str, path: str, document: Any = None) -> tuple[int, Mapping[str, str], Any]:
        response = self._client.open(path, method=method, json=document)
        return response.status_code, dict(response.headers), response.get_json(silent=True)


class Traces:
    """Traces behind a door, whichever it is."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def find(self, wanted: Mapping[str, Any], *, limit: int | None) -> Iterator[dict[str, Any]]:
        """The traces that pass, from new to old; all of them where ``limit`` is ``None``."""
        asked = {name: value for name, value in wanted.items() if value is not None}
        left = limit
        while left is None or left > 0:
            asked["limit"] = _PAGE if left is None else min(_PAGE, left)
            page = self._require("GET", f"/api/v1/traces?{urlencode(asked)}")
            yield from page["traces"]
            if left is not None:
                left -= len(page["traces"])
            if not page["next"]:
                return
            asked["cursor"] = page["next"]

    def get(self, trace_id: str) -> dict[str, Any]:
        """A whole trace; a part of its id will do where no other trace has it.

        Raises:
            UnreadableTraceError: the server failed over this one.
            DriftlineError: there is none, or more than one.
        """
        whole_id = self.resolve(trace_id)
        status, _, answer = self._ask_patiently("GET", f"/api/v1/traces/{whole_id}")
        if status == 404:
            raise DriftlineError(f"there is no trace {whole_id}: {_REMEDY}")
        if status == 500:
            raise UnreadableTraceError(_problem_of(status, answer))
        return _required(status, answer)

    def resolve(self, trace_id: str) -> str:
        """The whole id of a trace of which the first or the last digits are given.

        Raises:
            DriftlineError: no trace has them, or several.
        """
        part = checked_part(trace_id)
        if len(part) == _ID_DIGITS:
            return part
        newest = self.find({}, limit=_SEARCHED)
        found = [
            trace
            for trace in newest
            if trace["trace_id"].startswith(part) or trace["trace_id"].endswith(part)
        ]
        if not found:
            raise DriftlineError(f"there is no trace {part} among the newest {_SEARCHED:,}: {_REMEDY}")
        if len(found) > 1:
            lines = [f"  {trace['trace_id']}  {trace['name']}" for trace in found[:_MOST_TOLD]]
            if len(found) > _MOST_TOLD:
                lines.append(f"  and {len(found) - _MOST_TOLD:,} more")
            raise DriftlineError("\n".join([f"{len(found):,} traces have {part}, give more digits:", *lines]))
        return str(found[0]["trace_id"])

    def add(self, kind: Kind, items: list[Any]) -> tuple[int, dict[str, Any]]:
        """Send a batch of runs or scores; a busy server is asked again. Gives the status and the answer."""
        document = {"version": WIRE_VERSION, kind: items}
        status, _, answer = self._ask_patiently("POST", f"/api/v1/{kind}", document)
        if status not in (200, 400, 413, 422):
            raise DriftlineError(_problem_of(status, answer))
        return status, answer if isinstance(answer, dict) else {}

    def _ask_patiently(
        self, method: str, path: str, document: Any = None
    ) -> tuple[int, Mapping[str, str], Any]:
        """Ask a busy server again, when it says."""
        for _ in range(_TRIES - 1):
            answer = self._door.ask(method, path, document)
            if answer[0] not in (429, 503):
                return answer
            asked_s = answer[1].get("Retry-After", "1")
            time.sleep(min(_MOST_PATIENCE_S, float(asked_s) if asked_s.isdigit() else 1.0))
        return self._door.ask(method, path, document)

    def _require(self, method: str, path: str) -> dict[str, Any]:
        status, _, answer = self._door.ask(method, path)
        return _required(status, answer)


@contextmanager
def opened_traces(
    *, url: str, api_key: str | None, data: Path | None, read_only: bool = True
) -> Iterator[Traces]:
    """Reach the traces over HTTP, or in a data folder where one is named.

    With ``read_only`` nothing in the folder is made or changed.
    """
    if data is None:
        yield Traces(HttpDoor(url, api_key))
        return
    from driftline_server.app import create_app
    from driftline_server.wiring import opened_services

    if not data.is_dir():
        raise click.UsageError(
            f"there is no data folder {data}: driftline serve --data {data} makes one; "
            "without --data the server at --url is asked"
        )
    with ExitStack() as stack:
        # Whoever can read the folder needs no login to it.
        settings = load_settings({"data": data, "host": "127.0.0.1"})
        app = create_app(stack.enter_context(opened_services(settings, read_only=read_only)))
        yield Traces(FolderDoor(app.test_client()))


def checked_part(trace_id: str) -> str:
    """An id or a part of one in the spelling of the store; UUIDs with hyphens are welcome too."""
    plain = trace_id.strip().replace("-", "").lower()
    if not _LEAST_DIGITS <= len(plain) <= _ID_DIGITS or not all(each in "0123456789abcdef" for each in plain):
        raise click.UsageError(f"{trace_id!r} is no id of a trace; {_REMEDY}")
    return plain


def _required(status: int, answer: Any) -> dict[str, Any]:
    if status != 200 or not isinstance(answer, dict):
        raise DriftlineError(_problem_of(status, answer))
    return answer


def _read(body: bytes, url: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise DriftlineError(f"what answers at {url} is no Driftline server: name it with --url") from None


def _problem_of(status: int, answer: Any) -> str:
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return f"the server answered with status {status}; is it a Driftline server? name it with --url"
    if status == 401:
        return f"{error.get('problem')}: {_KEY_REMEDY}"
    field = f"{error['field']}: " if error.get("field") else ""
    remedy = f"; {error['remedy']}" if error.get("remedy") else ""
    return f"{field}{error.get('problem', status)}{remedy}"
