"""Moves runs out of files and runs and scores in: one run a line, or a batch, as JSON of the wire."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from driftline.errors import DriftlineError, WireError
from driftline.wire import WIRE_VERSION, decode_batch, decode_run, encode_run
from driftline_server.cli.doors import Kind, Traces, UnreadableTraceError
from driftline_server.cli.strict_json import UnsendableError, parse_strictly
from driftline_server.pages.formatting import plural

_KINDS: tuple[Kind, ...] = ("runs", "scores")
_BATCH_ITEMS = 500
_BATCH_BYTES = 4 * 1024 * 1024
_MOST_TOLD = 10
"""Refused lines that are told one by one; after that they are only counted."""
_MOST_STRANGE = 3
"""A file that begins with so many lines that are no JSON is another kind of file."""


@dataclass(slots=True)
class Exported:
    """How much was written."""

    traces: int = 0
    runs: int = 0
    unreadable: int = 0
    """Traces that the server could not read."""


@dataclass(slots=True)
class Imported:
    """What became of the lines, and of the runs and scores in them."""

    accepted: int = 0
    new: int = 0
    merged: int = 0
    unchanged: int = 0
    refused: int = 0
    """Lines of which at least a part was refused; the other figures but the last two are of runs."""
    scores: int = 0
    """Accepted, whether new or known before."""
    new_scores: int = 0

    def add(self, kind: Kind, answer: Mapping[str, Any]) -> None:
        """Count what a server answered to a batch."""
        accepted, new = answer.get("accepted", 0), answer.get("new", 0)
        if kind == "scores":
            self.scores += accepted
            self.new_scores += new
            return
        self.accepted += accepted
        self.new += new
        self.merged += answer.get("merged", 0)
        self.unchanged += answer.get("unchanged", 0)


def export_traces(
    traces: Traces, trace_ids: Iterable[str], lines: IO[str], tell: Callable[[str], None]
) -> Exported:
    """Write all runs of some traces; ``tell`` hears of every trace that cannot be read."""
    count = Exported()
    for trace_id in trace_ids:
        try:
            written = [_line_of(run) for run in traces.get(trace_id)["runs"]]
        except (UnreadableTraceError, WireError) as error:
            count.unreadable += 1
            tell(f"left out trace {trace_id}: {error}")
            continue
        lines.writelines(written)
        count.runs += len(written)
        count.traces += 1
    return count


def _line_of(run: Any) -> str:
    return json.dumps(encode_run(decode_run(run)), ensure_ascii=False, allow_nan=False) + "\n"


@contextmanager
def opened_output(path: Path | None, *, overwriting: bool) -> Iterator[IO[str]]:
    """Standard output, or a file that appears under its name when it is whole.

    Raises:
        DriftlineError: the file is there and may not be written over, or cannot be written.
    """
    if path is None or str(path) == "-":
        yield sys.stdout
        return
    if path.is_file() and not overwriting:
        raise DriftlineError(f"{path} is there already: write over it with --force, or choose another name")
    # A device or a pipe is written to; a file in its place would take it away.
    part = path if path.exists() and not path.is_file() else path.with_name(path.name + ".part")
    try:
        if part != path:
            # One that a killed export left may be open to others.
            part.unlink(missing_ok=True)
        # What a trace holds is nobody else's business.
        with open(part, "w", encoding="utf-8", opener=partial(os.open, mode=0o600)) as lines:
            yield lines
        if part != path:
            os.replace(part, path)
    except OSError as error:
        raise DriftlineError(
            f"cannot write {path}: {error.strerror}; choose another with --output"
        ) from error
    finally:
        if part != path:
            part.unlink(missing_ok=True)


def import_files(traces: Traces, files: Sequence[Path], tell: Callable[[str], None]) -> Imported:
    """Send what some files hold; ``tell`` hears of every line that was refused, and how many scores came."""
    counts = Imported()
    for path in files:
        sender = _Sender(traces, counts, tell, "input" if str(path) == "-" else str(path))
        with _opened_input(path) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    sender.take(number, line)
                if sender.is_lost:
                    tell(f"{sender.name} is no JSON lines file: driftline traces export writes such files")
                    break
        sender.send_all()
    if counts.scores:
        tell(f"imported {plural(counts.scores, 'score')}: {counts.new_scores:,} new")
    return counts


@contextmanager
def _opened_input(path: Path) -> Iterator[IO[bytes]]:
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        with path.open("rb") as lines:
            yield lines
    except OSError as error:
        raise DriftlineError(f"cannot read {path}: {error.strerror}") from error


@dataclass(slots=True)
class _Batch:
    """Runs or scores that wait to be sent, each with the number of its line."""

    items: list[tuple[int, Any]] = field(default_factory=list)
    size: int = 0
    """Bytes, about."""

    def is_full(self, size: int) -> bool:
        """Whether one more, of so many bytes, is for the next batch."""
        return bool(self.items) and (len(self.items) >= _BATCH_ITEMS or self.size + size > _BATCH_BYTES)


@dataclass(slots=True)
class _Sender:
    """Gathers lines of one file into batches."""

    traces: Traces
    counts: Imported
    tell: Callable[[str], None]
    name: str
    batches: dict[Kind, _Batch] = field(default_factory=lambda: {kind: _Batch() for kind in _KINDS})
    refused: set[int] = field(default_factory=set)
    """Lines that were refused, or of which a part was."""
    strange: int = 0
    """Lines that were no JSON, as long as no line was."""
    has_json: bool = False

    @property
    def is_lost(self) -> bool:
        """Whether nothing is to be hoped for from further lines."""
        return not self.has_json and self.strange >= _MOST_STRANGE

    def take(self, number: int, line: bytes) -> None:
        """Read a line: a run, a batch of the wire, or a trace as the API gives it."""
        try:
            document = parse_strictly(line)
        except UnsendableError as error:
            self.has_json = True
            self._refuse(number, str(error))
            return
        except ValueError as error:
            self.strange += 1
            self._refuse(number, f"is not JSON: {error}")
            return
        self.has_json = True
        try:
            items = _items_of(document)
        except WireError as error:
            self._refuse(number, str(error))
            return
        # Their mean will do: a batch that comes out too large for the server is halved.
        size = len(line) // max(1, len(items))
        for kind, item in items:
            self._gather(kind, number, item, size)

    def send_all(self) -> None:
        """Hand over what was gathered."""
        for kind in _KINDS:
            self._send_batch(kind)

    def _gather(self, kind: Kind, number: int, item: Any, size: int) -> None:
        if self.batches[kind].is_full(size):
            self._send_batch(kind)
        self.batches[kind].items.append((number, item))
        self.batches[kind].size += size

    def _send_batch(self, kind: Kind) -> None:
        items = self.batches[kind].items
        self.batches[kind] = _Batch()
        if items:
            self._send(kind, items)

    def _send(self, kind: Kind, items: list[tuple[int, Any]]) -> None:
        status, answer = self.traces.add(kind, [item for _, item in items])
        if status == 413 and len(items) > 1:
            middle = len(items) // 2
            self._send(kind, items[:middle])
            self._send(kind, items[middle:])
            return
        self.counts.add(kind, answer)
        problems = answer.get("problems") or []
        for problem in problems:
            field_name = str(problem["field"]).partition("].")[2]
            said = f"{field_name}: {problem['problem']}" if field_name else str(problem["problem"])
            self._refuse(items[problem["index"]][0], said)
        if status != 200 and not problems:
            reason = (answer.get("error") or {}).get("problem", f"the server answered {status}")
            for number, _ in items:
                self._refuse(number, reason)

    def _refuse(self, number: int, reason: str) -> None:
        if number in self.refused:
            return
        self.refused.add(number)
        self.counts.refused += 1
        if self.counts.refused <= _MOST_TOLD:
            self.tell(f"{self.name}:{number}: {reason}")
        elif self.counts.refused == _MOST_TOLD + 1:
            self.tell("further lines were refused; they are only counted")


def _items_of(document: Any) -> list[tuple[Kind, Any]]:
    """What a line holds.

    Raises:
        WireError: it is of a newer version, or nothing that can be sent.
    """
    if not isinstance(document, dict):
        raise WireError("", "is no run: expected an object with the fields id and trace_id")
    # A batch has no ids, and a trace no other than its own.
    if document.keys() >= {"id", "trace_id"} or document.keys().isdisjoint({"version", *_KINDS}):
        return [("runs", document)]
    # A trace as the API gives it has no version. What is in the lists is for the server to judge.
    frame = {"version": document.get("version", WIRE_VERSION)}
    for kind in _KINDS:
        if kind in document:
            frame[kind] = [] if isinstance(document[kind], list) else document[kind]
    decode_batch(frame)
    return [(kind, item) for kind in _KINDS for item in document.get(kind, [])]
