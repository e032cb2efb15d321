"""Moves runs in and out of files: one run a line, as JSON of the wire."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from driftline.errors import DriftlineError, WireError
from driftline.wire import decode_run, encode_run
from driftline_server.cli.doors import Traces, UnreadableTraceError
from driftline_server.cli.strict_json import UnsendableError, parse_strictly

_BATCH_RUNS = 500
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
    """What became of the lines."""

    accepted: int = 0
    new: int = 0
    merged: int = 0
    unchanged: int = 0
    refused: int = 0


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
    """Send the runs of some files; ``tell`` hears of every line that was refused."""
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
        sender.send()
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
class _Sender:
    """Gathers lines of one file into batches."""

    traces: Traces
    counts: Imported
    tell: Callable[[str], None]
    name: str
    numbers: list[int] = field(default_factory=list)
    """The line that each run of the batch stands in."""
    runs: list[Any] = field(default_factory=list)
    size: int = 0
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
        runs = document.get("runs", [document]) if isinstance(document, dict) else None
        if not isinstance(runs, list):
            self._refuse(number, "is no run: expected an object with the fields id and trace_id")
            return
        if self.size + len(line) > _BATCH_BYTES:
            self.send()
        self.numbers += [number] * len(runs)
        self.runs += runs
        self.size += len(line)
        if len(self.runs) >= _BATCH_RUNS:
            self.send()

    def send(self) -> None:
        """Hand over what was gathered."""
        if not self.runs:
            return
        status, answer = self.traces.add(self.runs)
        self.counts.accepted += answer.get("accepted", 0)
        for name in ("new", "merged", "unchanged"):
            setattr(self.counts, name, getattr(self.counts, name) + answer.get(name, 0))
        problems = answer.get("problems") or []
        for problem in problems:
            field_name = str(problem["field"]).partition("].")[2]
            said = f"{field_name}: {problem['problem']}" if field_name else str(problem["problem"])
            self._refuse(self.numbers[problem["index"]], said)
        if status != 200 and not problems:
            reason = (answer.get("error") or {}).get("problem", f"the server answered {status}")
            for number in self.numbers:
                self._refuse(number, reason)
        self.numbers, self.runs, self.size = [], [], 0

    def _refuse(self, number: int, reason: str) -> None:
        self.counts.refused += 1
        if self.counts.refused <= _MOST_TOLD:
            self.tell(f"{self.name}:{number}: {reason}")
        elif self.counts.refused == _MOST_TOLD + 1:
            self.tell("further lines were refused; they are only counted")
