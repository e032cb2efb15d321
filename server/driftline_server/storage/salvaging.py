"""Records that an earlier version, or a fault of ours, stored in a way that is refused by now."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from driftline.codec import decode_record
from driftline.errors import WireError

logger = logging.getLogger(__name__)
Record = TypeVar("Record")


def salvage_record(record_type: Callable[..., Record], document: dict[str, Any], what: str) -> Record:
    """Read a stored record without those of its fields that cannot be read, and say so in the log.

    Raises:
        WireError: it makes no sense without them.
    """
    while True:
        try:
            return decode_record(record_type, document)
        except WireError as error:
            name = _field_of(error, document)
            if name is None:
                raise
            _report(what, error.field, error.problem)
            document = {key: value for key, value in document.items() if key != name}


def _field_of(error: WireError, document: dict[str, Any]) -> str | None:
    """The field of the document in which an error lies; the error names longer ones by their beginning."""
    fitting = [name for name in document if error.field.startswith(name[:80])]
    return max(fitting, key=len, default=None)


@lru_cache(maxsize=1_000)
def _report(what: str, field: str, problem: str) -> None:
    """Once per record: it will be read again and again."""
    logger.warning("%s is read without its %s, which %s", what, field, problem)
