"""The place in a list as a text that fits into an address."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta

from driftline.errors import DriftlineError
from driftline_server.storage.queries import Cursor

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_LENGTH = 200


class CursorError(DriftlineError):
    """A text that is no cursor of ours."""


def write_cursor(cursor: Cursor) -> str:
    """Write a cursor; opaque to its reader."""
    micros = (cursor.started_at - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(f"{micros}.{cursor.id}".encode()).decode().rstrip("=")


def read_cursor(text: str) -> Cursor:
    """Read a cursor that ``write_cursor`` wrote.

    Raises:
        CursorError: the text is none; the way out is to begin at the first page.
    """
    try:
        if len(text) > _MAX_LENGTH or not text.isascii():
            raise ValueError
        plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
        micros, _, run_id = plain.partition(".")
        int(run_id, 16)
        cursor = Cursor(started_at=_EPOCH + timedelta(microseconds=int(micros)), id=run_id)
    except (ValueError, OverflowError, binascii.Error):
        raise CursorError("is not a cursor of this list; leave it out to begin at the first page") from None
    if len(run_id) != 32 or write_cursor(cursor) != text:
        raise CursorError("is not a cursor of this list; leave it out to begin at the first page")
    return cursor
