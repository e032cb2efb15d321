"""Who may read: everybody, each question inside one moment of the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from driftline_server.storage.errors import StoreError, explained

Answer = TypeVar("Answer")


class Reader:
    """Asks questions of a database, however many statements each has."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._closed = False

    def read(self, question: Callable[[Connection], Answer]) -> Answer:
        """Answer a question.

        Raises:
            StoreError: the database refused, or was closed.
        """
        if self._closed:
            raise StoreError("the store is closed")
        try:
            with self._engine.begin() as connection:
                return question(connection)
        except SQLAlchemyError as error:
            raise explained(error) from error

    def close(self) -> None:
        """Take no more questions."""
        self._closed = True
