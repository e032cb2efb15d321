"""Payloads of neighbouring runs, compressed together.

A line of a frame is the JSON of one whole run without its timeline, which lies in the narrow row. Frameworks
pass the same text from run to run, so that runs of one trace compress four times better together than alone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import zstandard

from driftline.codec import encode_record
from driftline.json_data import clean_text
from driftline.records import Run
from driftline_server.storage.salvaging import salvage_record

MAX_FRAME_BYTES = 64 * 1024
"""Raw. A longer run gets a frame of its own."""
MAX_FRAME_RUNS = 16
_LEVEL = 1
_SEPARATOR = b"\n"
"""JSON as we write it holds no line break."""


class _Zstd(threading.local):
    """Compressors are not safe to share between threads."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


_zstd = _Zstd()


def encode_payload(run: Run) -> bytes:
    """Write a run, timeline left out, as one line of JSON."""
    document = encode_record(run)
    document.pop("timeline", None)
    return encode_json(document)


def encode_timeline(run: Run) -> str | None:
    """Write the timeline of a run as the column that holds it."""
    return None if run.timeline is None else encode_json(encode_record(run.timeline)).decode()


def decode_payload(line: bytes, timeline: str | None) -> Run:
    """Read what ``encode_payload`` and ``encode_timeline`` wrote, as far as it can be read."""
    document = msgspec.json.decode(line)
    if timeline is not None:
        document["timeline"] = msgspec.json.decode(timeline)
    return salvage_record(Run, document, f"run {document.get('id')}")


def encode_json(document: Any) -> bytes:
    """Write JSON on one line, in UTF-8; lone surrogates become U+FFFD."""
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:
        return msgspec.json.encode(_cleaned(document))


def in_frames(lines: Iterable[tuple[Any, bytes]]) -> Iterator[list[tuple[Any, bytes]]]:
    """Group neighbouring lines, each with whatever it belongs to, into what one frame holds."""
    group: list[tuple[Any, bytes]] = []
    size = 0
    for owner, line in lines:
        if group and (len(group) == MAX_FRAME_RUNS or size + len(line) > MAX_FRAME_BYTES):
            yield group
            group, size = [], 0
        group.append((owner, line))
        size += len(line) + 1
    if group:
        yield group


def pack(lines: Sequence[bytes]) -> tuple[int, bytes]:
    """Compress lines to a frame: its raw size, and its bytes."""
    raw = _SEPARATOR.join(lines)
    return len(raw), _zstd.compressor.compress(raw)


def unpack(raw_bytes: int, data: bytes) -> list[bytes]:
    """The lines of a frame; it may not hold more than the size that was noted beside it."""
    raw = _zstd.decompressor.decompress(data, max_output_size=max(1, raw_bytes))
    return raw.split(_SEPARATOR)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list | tuple):
        return [_cleaned(each) for each in value]
    if isinstance(value, dict):
        return {clean_text(key): _cleaned(each) for key, each in value.items()}
    return value
