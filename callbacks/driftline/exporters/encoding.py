"""Runs as the bytes of their JSON."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from driftline.courtesy import Courtesy
from driftline.guarding import failures
from driftline.records import Run
from driftline.snapshot import snapshot
from driftline.wire import encode_run


def encode_runs(runs: Sequence[Run]) -> Iterator[bytes | None]:
    """Encode one run after the other; ``None`` stands for one that cannot be written.

    In between it makes way for the application's threads, so that they never wait for a whole batch.
    """
    courtesy = Courtesy()
    for run in runs:
        try:
            yield encode_json(encode_run(run))
        except Exception as error:
            failures.note("writing a run", error)
            yield None
        courtesy.make_way()


def encode_json(document: Any) -> bytes:
    """Write JSON in UTF-8: quickly where it is as it should be, and in any case somehow."""
    if _dumps is not None:
        try:
            return _dumps(document)
        except TypeError:
            # Numbers beyond 64 bits and lone surrogates, which the standard library can write.
            pass
    try:
        return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError):
        return json.dumps(snapshot(document), allow_nan=False, separators=(",", ":")).encode()


def _find_dumps() -> Callable[[Any], bytes] | None:
    try:
        dumps: Callable[[Any], bytes] = importlib.import_module("orjson").dumps
    except ImportError:
        return None
    return dumps


_dumps = _find_dumps()
