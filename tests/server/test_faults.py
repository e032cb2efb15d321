"""A fault of ours is logged once under an id, and strangers learn the id and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn, cast

import pytest
from contracts.records import a_run
from flask.testing import FlaskClient

from driftline.wire import encode_batch
from driftline_server.app import create_app
from driftline_server.operations.services import Services
from driftline_server.storage.errors import StoreBusyError, StoreError
from driftline_server.storage.protocols import RunStore

SECRET = "postgresql://ann:hunter2@db"
MakeClient = Callable[[Exception], FlaskClient]


class FailingStore:
    """A store in which everything fails in the same way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        def fail(*_: Any, **__: Any) -> NoReturn:
            raise self._error

        return fail


@pytest.fixture
def make_client(services: Services) -> MakeClient:
    def make(error: Exception) -> FlaskClient:
        runs = cast(RunStore, FailingStore(error))
        return create_app(replace(services, runs=runs)).test_client()

    return make


@pytest.mark.parametrize("path", ["/api/v1/traces", "/traces"])
def test_an_unexpected_fault_is_logged_once_under_the_id_that_the_sender_learns(
    make_client: MakeClient, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    client = make_client(ZeroDivisionError(SECRET))
    with caplog.at_level(logging.INFO):
        answer = client.get(path)

    assert answer.status_code == 500
    [record] = caplog.records
    request_id = cast(tuple[Any, ...], record.args)[0]
    assert record.exc_info
    assert f"request {request_id} failed: GET {path!r}" in record.getMessage()
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    if path.startswith("/api"):
        assert answer.get_json()["error"]["request_id"] == request_id
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/api/v1/traces", "/api/v1/runs", "/readyz"])
def test_a_store_that_does_not_answer_may_be_asked_again(
    make_client: MakeClient, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    client = make_client(StoreError(f"cannot reach {SECRET}"))
    answer = client.get(path)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "hunter2" not in answer.text
    assert [record.exc_info for record in caplog.records] == [None]
    assert client.get("/healthz").status_code == 200


def test_a_batch_for_which_there_is_no_room_is_to_be_sent_again(make_client: MakeClient) -> None:
    client = make_client(StoreBusyError("too much is waiting", retry_after_s=2.5))
    answer = client.post("/api/v1/runs", json=encode_batch([a_run()]))
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "3"
    error = answer.get_json()["error"]
    assert error["field"] == "body"
    assert (error["problem"], error["remedy"]) == (
        "too much is waiting",
        "send the request again later; nothing of it was kept",
    )
