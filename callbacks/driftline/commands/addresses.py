"""Which server a command means, and whose spool a file is."""

from __future__ import annotations

import os

from driftline.configuration import read_configuration
from driftline.spool import Spool, url_in


def can_be_read(url: str | None) -> bool:
    """Whether the address that is given, or else the one of the environment, is one."""
    # An address that cannot be read is the only thing here that could switch recording off.
    alone = {"DRIFTLINE_URL": os.environ.get("DRIFTLINE_URL", "")}
    return read_configuration(alone, url=url).enabled


def spool_at(path: str) -> Spool | None:
    """The spool in a file, which knows its server; ``None`` where it is none that can be read."""
    url = url_in(path)
    spool = None if url is None else Spool(os.path.dirname(path), url)
    return spool if spool and os.path.basename(spool.file.path) == os.path.basename(path) else None
