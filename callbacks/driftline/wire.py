"""Records as the JSON that travels between client and server, version 1.

A batch is ``{"version": 1, "runs": [...], "scores": [...]}``. Fields bear the names of ``records``; what is
empty is left out; moments are ISO 8601 in UTC; what this version does not know survives in ``extra``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from driftline.codec import MAX_DURATION_MS, decode_values, encode_record
from driftline.errors import WireError, WireVersionError
from driftline.json_data import check_values, clean_text
from driftline.merging import worked_out
from driftline.records import Run, Score, Status

WIRE_VERSION = 1
MAX_PROJECT = 200
"""Characters of a project's name: people pick it from lists."""
MAX_NAME = 1_000
"""Characters of any other name, id, tag or label that is not payload."""
MAX_VALUES = 200_000
"""JSON values of one run or score, at any depth."""
NAME_LIMITS: Mapping[str, int] = {
    "project": MAX_PROJECT,
    **dict.fromkeys(
        ("name", "model_requested", "model_answered", "provider", "user_id", "session_id", "feature",
         "endpoint_class", "release", "environment", "index_version"),
        MAX_NAME,
    ),
}  # fmt: skip
"""How many characters a field of ``Run`` may have that is a name."""
_HEX_ID = re.compile("[0-9a-f]{32}")
_UUID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}", re.IGNORECASE)
Decoded = TypeVar("Decoded", Run, Score)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why one item of a batch was refused."""

    index: int
    id: str | None
    """As it was sent; ``None`` where the item has none."""
    field: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a batch held, and what in it was refused."""

    runs: tuple[Run, ...] = ()
    scores: tuple[Score, ...] = ()
    problems: tuple[Problem, ...] = ()


def encode_run(run: Run) -> dict[str, Any]:
    """Write a run as JSON data."""
    document = encode_record(run)
    # Their absence means "work it out from the rest", so they are said where that would come out otherwise.
    if run.status is Status.RUNNING and (run.ended_at is not None or run.duration_ms is not None):
        document["status"] = run.status.value
    if run.status is not Status.RUNNING and run.revision == 0:
        document["revision"] = 0
    return document


def encode_score(score: Score) -> dict[str, Any]:
    """Write a score as JSON data."""
    return encode_record(score)


def encode_batch(runs: Iterable[Run] = (), scores: Iterable[Score] = ()) -> dict[str, Any]:
    """Write a batch as JSON data."""
    document: dict[str, Any] = {"version": WIRE_VERSION}
    document["runs"] = [encode_run(run) for run in runs]
    written = [encode_score(score) for score in scores]
    if written:
        document["scores"] = written
    return document


def decode_batch(document: Any) -> Batch:
    """Read a batch; an item that cannot be read does not stop its neighbours.

    Raises:
        WireVersionError: the batch is of a newer version.
        WireError: the document is no batch.
    """
    if not isinstance(document, dict):
        raise WireError("", "expected an object with the fields version and runs")
    version = document.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise WireError(
            "version", f"is missing or no whole number from 1 on; this server reads {WIRE_VERSION}"
        )
    if version > WIRE_VERSION:
        raise WireVersionError("version", f"{version} is newer than {WIRE_VERSION}: upgrade the server")
    if "runs" not in document and "scores" not in document:
        raise WireError("runs", "is missing")
    problems: list[Problem] = []
    runs = _decode_items(document, "runs", decode_run, problems)
    scores = _decode_items(document, "scores", decode_score, problems)
    return Batch(runs=runs, scores=scores, problems=tuple(problems))


def decode_run(document: Any) -> Run:
    """Read a run, with what follows from its other fields filled in.

    Raises:
        WireError: a field is missing or wrong; the error names it.
    """
    values = decode_values(Run, document)
    values["id"] = _checked_id(values["id"], "id")
    values["trace_id"] = _checked_id(values["trace_id"], "trace_id")
    if values.get("parent_id") is not None:
        values["parent_id"] = _checked_id(values["parent_id"], "parent_id")
        if values["parent_id"] == values["id"]:
            raise WireError("parent_id", "is the run itself")
    for name, limit in NAME_LIMITS.items():
        value = values.get(name)
        if value is not None and len(value) > limit:
            raise WireError(name, f"has {len(value):,} characters; {limit:,} are allowed")
    for index, tag in enumerate(values.get("tags", ())):
        if len(tag) > MAX_NAME:
            raise WireError(f"tags[{index}]", f"has {len(tag):,} characters; {MAX_NAME:,} are allowed")
    if not 0 <= values.get("duration_ms", 0) <= MAX_DURATION_MS:
        raise WireError("duration_ms", f"is not between 0 and {MAX_DURATION_MS:,}")
    if values.get("sampling_weight", 1) < 1:
        raise WireError("sampling_weight", "is below 1")
    known_revision = values.get("revision", 0)
    for name, revision in values.get("older_fields", {}).items():
        if revision >= known_revision:
            raise WireError(f"older_fields.{name}", f"is not below the revision {known_revision}")
    _work_out(values)
    return Run(**values)


def decode_score(document: Any) -> Score:
    """Read a score.

    Raises:
        WireError: a field is missing or wrong; the error names it.
    """
    values = decode_values(Score, document)
    values["id"] = _checked_id(values["id"], "id")
    values["trace_id"] = _checked_id(values["trace_id"], "trace_id")
    if values.get("run_id") is not None:
        values["run_id"] = _checked_id(values["run_id"], "run_id")
    name = values["name"]
    if not name or len(name) > MAX_NAME:
        raise WireError("name", f"is empty or longer than {MAX_NAME:,} characters")
    return Score(**values)


def _decode_items(
    document: dict[str, Any], key: str, decode: Callable[[Any], Decoded], problems: list[Problem]
) -> tuple[Decoded, ...]:
    items = document.get(key, [])
    if not isinstance(items, list):
        raise WireError(key, "expected an array")
    decoded: list[Decoded] = []
    for index, item in enumerate(items):
        try:
            check_values(item, MAX_VALUES)
            decoded.append(decode(item))
        except WireError as relative:
            error = relative.under(f"{key}[{index}]")
            sent_id = item.get("id") if isinstance(item, dict) else None
            shown_id = clean_text(sent_id[:100]) if isinstance(sent_id, str) else None
            problems.append(Problem(index=index, id=shown_id, field=error.field, problem=error.problem))
    return tuple(decoded)


def _checked_id(text: str, path: str) -> str:
    if _HEX_ID.fullmatch(text):
        return text
    if _UUID.fullmatch(text):
        return text.replace("-", "").lower()
    raise WireError(path, "expected 32 hexadecimal digits, as of a UUID")


def _work_out(values: dict[str, Any]) -> None:
    """Fill in what follows from other fields: status, revision, and of end and duration the missing one."""
    ended_at, duration_ms = values.get("ended_at"), values.get("duration_ms")
    if "status" not in values and (ended_at is not None or duration_ms is not None):
        values["status"] = Status.ERROR if values.get("error") else Status.OK
    if "revision" not in values and values.get("status", Status.RUNNING) is not Status.RUNNING:
        values["revision"] = 1
    values.update(worked_out(values.get("started_at"), ended_at, duration_ms))
