"""Server-sent events as both providers write them."""

from __future__ import annotations

import json
from typing import Any

from driftline.records import Channel
from stand_ins.provider.exchanges import Frame


def data_frame(document: Any, channel: Channel | None = None) -> Frame:
    """An event without a name."""
    return Frame(data=f"data: {_written(document)}\n\n".encode(), channel=channel)


def named_frame(document: dict[str, Any], channel: Channel | None = None) -> Frame:
    """An event that is named after the ``type`` of its document."""
    data = f"event: {document['type']}\ndata: {_written(document)}\n\n"
    return Frame(data=data.encode(), channel=channel)


def _written(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
