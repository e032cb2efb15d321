"""``driftline doctor``: what this machine would send and where to, and whether that works."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from importlib.util import find_spec
from tempfile import TemporaryFile
from typing import Any

from driftline.activation import AUTO_VARIABLE, asked_by_environment
from driftline.causes import counted, logger
from driftline.commands.addresses import can_be_read, spool_at
from driftline.commands.printing import Parser, plain
from driftline.configuration import Configuration, Content, read_configuration
from driftline.errors import DeliveryError
from driftline.runtime import http_exporter_of, spool_of
from driftline.spool import Spool, SpoolError, spool_files
from driftline.spool.places import prepare
from driftline.version import __version__


class Verdict(StrEnum):
    """How a finding is to be taken."""

    FINE = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    verdict: Verdict
    subject: str
    said: str


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code: 0, or 1 where something keeps runs from arriving."""
    parser = Parser(
        prog="driftline doctor",
        description="Check what programs of this environment send, where to, and what became of it. Set the"
        " variables of the program that you ask about first.",
    )
    parser.add_argument("--url", help="the server; DRIFTLINE_URL where it is left out")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    asked = parser.parse_args(arguments)
    findings = list(examine(asked.url))
    if asked.json:
        print(
            json.dumps(
                [{"verdict": each.verdict, "subject": each.subject, "said": each.said} for each in findings]
            )
        )
    else:
        _print(findings)
    return 1 if any(each.verdict is Verdict.PROBLEM for each in findings) else 0


def examine(url: str | None = None) -> Iterator[Finding]:
    """Look at everything, one after the other."""
    yield Finding(Verdict.FINE, "client", f"driftline {__version__} on Python {platform.python_version()}")
    configuration, complaints = _read_with_complaints(url)
    yield from (Finding(Verdict.PROBLEM, "settings", plain(each)) for each in complaints)
    yield from _what_is_watched()
    yield from _what_is_sent(configuration)
    if configuration.file is not None:
        yield _file(configuration.file)
    elif not can_be_read(url):
        # The address in its place is another server's, which nobody asked about.
        given = "DRIFTLINE_URL" if url is None else "--url"
        yield Finding(Verdict.PROBLEM, "server", f"was not tried: {given} cannot be read")
    else:
        yield _server(configuration)
        yield from _spools(configuration)


def _read_with_complaints(url: str | None) -> tuple[Configuration, list[str]]:
    """What the environment says, and what the log would say against it."""
    complaints: list[str] = []

    def catch(record: Any) -> bool:
        said = record.getMessage().removeprefix("driftline: ")
        complaints.append(f"--{said}" if said.startswith("url is ") else said)
        return False

    logger.addFilter(catch)
    try:
        return read_configuration(url=url), complaints
    finally:
        logger.removeFilter(catch)


def _what_is_watched() -> Iterator[Finding]:
    asked, complaint = asked_by_environment()
    if complaint:
        yield Finding(Verdict.PROBLEM, "watching", plain(complaint))
    elif asked:
        said = f"every LangChain run of a program is recorded, for {AUTO_VARIABLE} is on"
        yield Finding(Verdict.NOTE, "watching", said)


def _what_is_sent(configuration: Configuration) -> Iterator[Finding]:
    switch = os.environ.get("DRIFTLINE_ENABLED", "").strip()
    if not configuration.enabled and not read_configuration({"DRIFTLINE_ENABLED": switch}).enabled:
        yield Finding(Verdict.PROBLEM, "recording", plain(f"is off: DRIFTLINE_ENABLED is {switch!r}"))
    if configuration.sample_rate < 1:
        yield Finding(Verdict.NOTE, "sampling", f"keeps {configuration.sample_rate:.3g} of all traces")
    if configuration.content is Content.NONE:
        yield Finding(Verdict.NOTE, "content", "stays here: only timing, usage, names and sizes are sent")
    found = {name: _version_of(name) for name in ("langchain-core", "langgraph", "orjson", "zstandard")}
    frameworks = [f"{name} {found[name]}" for name in ("langchain-core", "langgraph") if found[name]]
    if frameworks:
        yield Finding(Verdict.FINE, "frameworks", ", ".join(frameworks))
    else:
        yield Finding(Verdict.NOTE, "frameworks", "LangChain is not installed in this environment")
    slower = [name for name in ("orjson", "zstandard") if find_spec(name) is None]
    if slower:
        yield Finding(
            Verdict.NOTE, "speed", f"sending costs less CPU where {' and '.join(slower)} can be imported"
        )


def _server(configuration: Configuration) -> Finding:
    """Send an empty batch, which needs the address, the key and the whole way to be right."""
    where = f"{configuration.url}, project {configuration.project}"
    with closing(http_exporter_of(configuration)) as exporter:
        try:
            problem = exporter.send_nothing()
        except DeliveryError as error:
            remedy = f"; {error.remedy}" if error.remedy else ""
            return Finding(Verdict.PROBLEM, "server", plain(f"{error}{remedy}", 500))
    if problem:
        return Finding(Verdict.PROBLEM, "server", plain(problem, 500))
    return Finding(Verdict.FINE, "server", f"{where}: takes runs")


def _file(path: str) -> Finding:
    try:
        if os.path.exists(path):
            with open(path, "ab"):
                pass
        else:
            folder = os.path.dirname(os.path.abspath(path))
            os.makedirs(folder, exist_ok=True)
            _write_something(folder)
    except OSError as error:
        said = f"runs cannot be written to {path}: {_reason_of(error)}; check DRIFTLINE_FILE"
        return Finding(Verdict.PROBLEM, "target", plain(said, 500))
    return Finding(Verdict.FINE, "target", f"the file {path}")


def _spools(configuration: Configuration) -> Iterator[Finding]:
    spool = spool_of(configuration)
    if spool is None:
        yield Finding(Verdict.NOTE, "spool", "is off: while the server is away, runs wait in memory alone")
        return
    folder = os.path.dirname(spool.file.path)
    try:
        _try_to_write(spool, folder)
    except (OSError, SpoolError) as error:
        remedy = "set DRIFTLINE_SPOOL to a folder of yours, or to off"
        said = f"nothing can be kept in {folder}: {_reason_of(error)}; {remedy}"
        yield Finding(Verdict.PROBLEM, "spool", plain(said, 500))
        return
    yield _own_spool(spool)
    for path in spool_files(folder):
        if path != spool.file.path:
            yield from _other_spool(path)


def _own_spool(spool: Spool) -> Finding:
    try:
        counts = spool.counts()
    except SpoolError as error:
        return Finding(Verdict.PROBLEM, "spool", plain(str(error), 500))
    if counts.letters:
        said = f"{counted(counts.letters)} refused by the server: see driftline spool letters"
        return Finding(Verdict.PROBLEM, "spool", said)
    if counts.waiting:
        said = f"waiting on disk: {counted(counts.waiting)}; send them with driftline spool replay"
        return Finding(Verdict.NOTE, "spool", said)
    return Finding(Verdict.FINE, "spool", f"nothing waits in {spool.file.path}")


def _try_to_write(spool: Spool, folder: str) -> None:
    """Write to the spool as a program would, without making one where there is none."""
    prepare(folder)
    _write_something(folder)
    if spool.file.exists:
        with spool.file.writing():
            pass


def _write_something(folder: str) -> None:
    with TemporaryFile(dir=folder) as file:
        file.write(b"\n")


def _reason_of(error: Exception) -> str:
    if isinstance(error, FileExistsError):
        return "a file is in the place of a folder"
    return getattr(error, "strerror", None) or str(error)


def _other_spool(path: str) -> Iterator[Finding]:
    """Runs that wait for another server than the one that was asked about."""
    spool = spool_at(path)
    try:
        waiting = 0 if spool is None else spool.counts().waiting
    except SpoolError as error:
        yield Finding(Verdict.NOTE, "elsewhere", plain(str(error), 500))
        return
    if spool is not None and waiting:
        verb = "waits" if waiting == 1 else "wait"
        said = f"{counted(waiting)} {verb} for {spool.url}: see driftline spool"
        yield Finding(Verdict.NOTE, "elsewhere", plain(said, 500))


def _version_of(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _print(findings: Sequence[Finding]) -> None:
    widths = [max(len(read(each)) for each in findings) for read in _COLUMNS]
    for each in findings:
        verdict, subject = (read(each).ljust(width) for read, width in zip(_COLUMNS, widths, strict=True))
        print(f"{verdict}  {subject}  {each.said}")


_COLUMNS: tuple[Callable[[Finding], str], ...] = (
    lambda finding: str(finding.verdict),
    lambda finding: finding.subject,
)
