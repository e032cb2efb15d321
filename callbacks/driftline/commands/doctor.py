"""``driftline doctor``: what this machine would send and where to, and whether that works."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from importlib.util import find_spec
from typing import Any

from driftline.causes import counted, logger
from driftline.commands.printing import plain
from driftline.configuration import Configuration, Content, read_configuration
from driftline.errors import DeliveryError
from driftline.exporters import HttpExporter
from driftline.runtime import spool_of
from driftline.spool import SpoolError
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
    parser = argparse.ArgumentParser(
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
    yield from _what_is_sent(configuration)
    if configuration.file is not None:
        yield Finding(Verdict.FINE, "target", f"the file {configuration.file}")
        return
    yield _server(configuration)
    yield _spool(configuration)


def _read_with_complaints(url: str | None) -> tuple[Configuration, list[str]]:
    """What the environment says, and what the log would say against it."""
    complaints: list[str] = []

    def catch(record: Any) -> bool:
        complaints.append(record.getMessage().removeprefix("driftline: "))
        return False

    logger.addFilter(catch)
    try:
        return read_configuration(url=url), complaints
    finally:
        logger.removeFilter(catch)


def _what_is_sent(configuration: Configuration) -> Iterator[Finding]:
    if not configuration.enabled:
        yield Finding(Verdict.PROBLEM, "recording", "is off: see DRIFTLINE_ENABLED and DRIFTLINE_URL")
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
    with closing(
        HttpExporter(
            configuration.url,
            api_key=configuration.api_key,
            timeout_s=configuration.timeout_s,
            ca_file=configuration.ca_file,
        )
    ) as exporter:
        try:
            problem = exporter.send_nothing()
        except DeliveryError as error:
            remedy = f"; {error.remedy}" if error.remedy else ""
            return Finding(Verdict.PROBLEM, "server", plain(f"{error}{remedy}", 500))
    if problem:
        return Finding(Verdict.PROBLEM, "server", plain(problem, 500))
    return Finding(Verdict.FINE, "server", f"{where}: takes runs")


def _spool(configuration: Configuration) -> Finding:
    spool = spool_of(configuration)
    if spool is None:
        return Finding(Verdict.NOTE, "spool", "is off: while the server is away, runs wait in memory alone")
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
