"""Sends runs to a Driftline server."""

from __future__ import annotations

import gzip
import http.client
import importlib
import json
import os
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from driftline.errors import DeliveryError, Refusal, RefusedError
from driftline.exporters.connections import Line, NoTlsError, Trust, is_loopback, open_line
from driftline.exporters.encoding import encode_runs
from driftline.records import Run
from driftline.version import __version__
from driftline.wire import WIRE_VERSION

PATH = "/api/v1/runs"
DEFAULT_PORT = 8321
MAX_ANSWER_BYTES = 2 * 2**20
MAX_BODY_BYTES = 6 * 2**20
"""Of one request before compression; a larger batch goes in several."""
PLAIN_BELOW_BYTES = 500
"""Smaller bodies are not worth compressing."""
_LATER = frozenset({401, 403, 404, 405, 407, 408, 421, 425, 429})
"""Whoever answers so turns us away, whatever we send: a person puts it right, or time passes."""
_BUSY = frozenset({408, 425, 429, 503})
"""Whoever answers so has not looked at what we sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpExporter:
    """Posts batches over one connection that is kept open."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 10.0,
        ca_file: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """``timeout_s`` holds for a whole request, from connecting to the end of the answer."""
        self._url = url.rstrip("/")
        self._parts = urlsplit(self._url)
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._trust = Trust(ca_file)
        self._environ = os.environ if environ is None else environ
        self._line: Line | None = None
        self._line_pid = 0
        self._sent = False
        """Whether the request that goes on has left."""
        self._encoding = "zstd" if _zstandard is not None else "gzip"
        self._written: tuple[Sequence[Run], list[bytes]] | None = None
        self.meanwhile: Callable[[], object] | None = None
        """Called a few times a second while this waits for the server."""

    def export(self, runs: Sequence[Run]) -> None:
        """Send a batch; it is stored once this returns.

        Raises:
            DeliveryError: the server cannot be reached, is busy, turns us away or breaks down; a later try
                may work.
            RefusedError: the server, or JSON, will never take all or ``count`` of it.
        """
        pieces = self.write(runs)
        refusals = self.send(pieces)
        unwritable = len(runs) - len(pieces)
        self._written = None
        if refusals or unwritable:
            problem = refusals[-1].problem if refusals else "they cannot be written as JSON"
            raise RefusedError(problem, count=len(refusals) + unwritable, refusals=refusals)

    def write(self, runs: Sequence[Run]) -> list[bytes]:
        """Encode a batch, once for all its tries, without the runs that JSON cannot hold."""
        if self._written is None or self._written[0] is not runs:
            self._written = (runs, [piece for piece in encode_runs(runs) if piece is not None])
        return self._written[1]

    def send(self, pieces: Sequence[bytes]) -> list[Refusal]:
        """Send runs that are JSON already; gives what the server will never take of them.

        Raises:
            DeliveryError: as for ``export``; part of it may have been stored, and may be sent again.
        """
        return [refusal for part in _parts(pieces) for refusal in self._send(part)]

    def send_nothing(self) -> str:
        """Send an empty batch, to see whether a full one would be taken; gives what is said against it.

        Raises:
            DeliveryError: as for ``export``.
        """
        refusals = self._send([])
        return refusals[0].problem if refusals else ""

    def close(self) -> None:
        """Hang up."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _send(self, pieces: list[bytes]) -> list[Refusal]:
        """Send one request."""
        answer = self._post(b'{"version":%d,"runs":[%s]}' % (WIRE_VERSION, b",".join(pieces)))
        status = answer.status
        if status in (200, 422) and (problems := _problems_of(answer, len(pieces))) is not None:
            said = f"{self._url} refused {_described(list(problems.values()))}"
            return [Refusal(pieces[index], said, status) for index in problems]
        if 200 <= status < 300:
            raise DeliveryError(
                f"{self._url} answers, but not as a Driftline server does: check DRIFTLINE_URL"
            )
        if status == 415 and self._encoding == "zstd":
            self._encoding = "gzip"
            return self._send(pieces)
        if status == 413 and len(pieces) > 1:
            middle = len(pieces) // 2
            return self._send(pieces[:middle]) + self._send(pieces[middle:])
        said = f"{self._url} answers {status}{_reason_of(answer)}"
        if status in _LATER or status >= 500 or 300 <= status < 400:
            raise DeliveryError(
                said,
                retry_after_s=_retry_after_s(answer.headers),
                failing=status == 500,
                reached=status not in _BUSY,
                remedy=self._remedy(status),
            )
        return [Refusal(piece, said, status) for piece in pieces or [b""]]

    def _remedy(self, status: int) -> str:
        if status in (401, 403):
            key = "set DRIFTLINE_API_KEY" if self._api_key is None else "check DRIFTLINE_API_KEY"
            if self._parts.path:
                # The pages of a server refuse such a request in the same way.
                return f"is DRIFTLINE_URL right, with {self._parts.path!r} at its end? If so, {key}"
            return key
        if status in (404, 405, 421) or 300 <= status < 400:
            return "is DRIFTLINE_URL the address of a Driftline server?"
        return ""

    def _remedy_where_nobody_is(self, error: Exception) -> str:
        parts = self._parts
        if not isinstance(error, ConnectionRefusedError) or not is_loopback(parts.hostname or ""):
            return ""
        port = f" --port {parts.port}" if parts.port not in (None, DEFAULT_PORT) else ""
        return f"start it with: driftline serve{port}"

    def _post(self, document: bytes) -> Answer:
        body, encoding = self._compress(document)
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": f"driftline/{__version__}",
        }
        if encoding:
            headers["Content-Encoding"] = encoding
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        if self._line is not None and self._line_pid != os.getpid():
            self._line.abandon()
            self._line = None
        try:
            if self._line is not None:
                try:
                    return self._exchange(body, headers)
                except ConnectionError:
                    # A server may hang up on a line that was idle; that says nothing about a new one.
                    self.close()
            return self._exchange(body, headers)
        except NoTlsError as error:
            raise DeliveryError(
                f"cannot reach {self._url}: {error}: is it http://{self._parts.netloc}?"
            ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise DeliveryError(
                f"cannot reach {self._url}: {_said(error)}",
                reached=self._sent and not isinstance(error, TimeoutError),
                remedy=self._remedy_where_nobody_is(error),
            ) from error

    def _exchange(self, body: bytes, headers: dict[str, str]) -> Answer:
        deadline = time.monotonic() + self._timeout_s
        self._sent = False
        if self._line is None:
            self._line = open_line(
                self._parts, timeout_s=self._timeout_s, trust=self._trust, environ=self._environ
            )
            self._line_pid = os.getpid()
        line = self._line
        line.socket.deadline = deadline
        line.socket.meanwhile = self.meanwhile
        target = f"{line.target_prefix}{self._parts.path}{PATH}"
        line.connection.request("POST", target, body=body, headers={**headers, **line.headers})
        self._sent = True
        with line.connection.getresponse() as response:
            content = response.read(MAX_ANSWER_BYTES + 1)
            if response.length and len(content) <= MAX_ANSWER_BYTES:
                raise http.client.IncompleteRead(content, response.length)
            answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, content)
        if response.will_close or len(content) > MAX_ANSWER_BYTES:
            self.close()
        return answer

    def _compress(self, document: bytes) -> tuple[bytes, str]:
        if len(document) < PLAIN_BELOW_BYTES:
            return document, ""
        if self._encoding == "zstd":
            # One compressor per use: they must not be shared between threads.
            return _zstandard.ZstdCompressor(level=1).compress(document), "zstd"
        return gzip.compress(document, compresslevel=1, mtime=0), "gzip"


def _parts(pieces: Sequence[bytes]) -> list[list[bytes]]:
    """Split a batch so that no request gets too large."""
    parts: list[list[bytes]] = []
    size = MAX_BODY_BYTES
    for piece in pieces:
        if size + len(piece) > MAX_BODY_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(piece)
        size += len(piece) + 1
    return parts


def _problems_of(answer: Answer, sent: int) -> dict[int, str] | None:
    """What is said against single runs, by their place; ``None`` where no Driftline server answered."""
    document = _json_of(answer)
    accepted, listed = document.get("accepted"), document.get("problems")
    if type(accepted) is not int or not isinstance(listed, list):
        return None
    by_index: dict[int, str] = {}
    for each in listed:
        if isinstance(each, dict) and type(each.get("index")) is int and 0 <= each["index"] < sent:
            by_index[each["index"]] = f"{_text(each.get('field'))} {_text(each.get('problem'))}".strip()
    # Whoever does not account for every run has not said that it stored them.
    return by_index if accepted >= 0 and accepted + len(by_index) >= sent else None


def _described(problems: list[str]) -> str:
    if not problems:
        return ""
    # The place of a run within its batch changes from batch to batch; what is wrong with it does not.
    _, dot, field = problems[0].partition("].")
    return field if dot else problems[0]


def _reason_of(answer: Answer) -> str:
    error = _json_of(answer).get("error")
    if not isinstance(error, dict):
        return ""
    said = [_text(error.get(key)) for key in ("field", "problem", "remedy")]
    return "".join(f": {each}" for each in said if each)


def _json_of(answer: Answer) -> dict[str, Any]:
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _text(value: Any) -> str:
    """What a server says, fit for a log line."""
    text = value if isinstance(value, str) else ""
    return "".join(each if each.isprintable() else " " for each in text[:300])


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _said(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); set DRIFTLINE_CA_FILE"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, http.client.IncompleteRead):
        return "its answer broke off"
    if isinstance(error, http.client.HTTPException) and not isinstance(error, ConnectionError):
        return f"it does not speak HTTP ({type(error).__name__})"
    reason = error.strerror if isinstance(error, OSError) else ""
    return reason or type(error).__name__


def _find_zstandard() -> Any:
    try:
        return importlib.import_module("zstandard")
    except ImportError:
        return None


_zstandard = _find_zstandard()
