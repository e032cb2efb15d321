"""The description is what the server does: every route, every parameter, every answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from contracts.records import a_child, a_full_run, a_run, a_score
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from driftline.wire import encode_batch
from driftline_server.api import ENDPOINTS, PREFIXES

PATHS = sorted({endpoint.path for endpoint in ENDPOINTS})


@pytest.fixture
def description(client: FlaskClient) -> Any:
    return client.get("/api/v1/openapi.json").get_json()


def check(description: Any, method: str, path: str, answer: Any) -> None:
    """Hold an answer against what is described for it."""
    responses = description["paths"][path][method]["responses"]
    assert str(answer.status_code) in responses, f"{method} {path} must not answer {answer.status_code}"
    content = responses[str(answer.status_code)]["content"]
    assert answer.mimetype in content
    pointer = f"#/paths/{path.replace('~', '~0').replace('/', '~1')}/{method}"
    pointer += f"/responses/{answer.status_code}/content/application~1json/schema"
    resource = Resource.from_contents(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", **description}
    )
    registry: Any = Registry().with_resource("urn:api", resource)
    Draft202012Validator({"$ref": f"urn:api{pointer}"}, registry=registry).validate(answer.get_json())


def a_token(client: FlaskClient) -> str:
    with client.session_transaction() as cookie:
        cookie["csrf"] = "token"
    return "token"


def test_every_route_is_described_and_nothing_else(app: Flask, description: Any) -> None:
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(PREFIXES)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {(path, method) for path, operations in description["paths"].items() for method in operations}
    assert described == routes


def test_every_operation_says_what_it_is_for(description: Any) -> None:
    operations = [each for path in description["paths"].values() for each in path.values()]
    assert len({each["operationId"] for each in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"].endswith(".")
        assert all(each["description"] for each in operation["parameters"])
        Draft202012Validator.check_schema(
            operation["responses"]["200"]["content"]["application/json"]["schema"]
        )


def test_good_answers_are_as_described(client: FlaskClient, description: Any) -> None:
    root = a_run()
    run = a_full_run(root)
    sent = client.post("/api/v1/runs", json=encode_batch([root, run, a_child(root)]))
    check(description, "post", "/api/v1/runs", sent)
    scores = {"version": 1, "scores": encode_batch(scores=[a_score(root)])["scores"]}
    check(description, "post", "/api/v1/scores", client.post("/api/v1/scores", json=scores))

    for path in PATHS:
        if path == "/api/v1/scores":
            continue
        described = re.sub(r"<(\w+)>", r"{\1}", path)
        asked = path.replace("<trace_id>", run.trace_id).replace("<run_id>", run.id)
        answer = client.get(asked)
        assert answer.status_code == 200, asked
        check(description, "get", described, answer)


@pytest.mark.parametrize(
    ("method", "asked", "described", "body"),
    [
        ("get", "/api/v1/traces?limit=0", "/api/v1/traces", None),
        ("get", "/api/v1/traces/404", "/api/v1/traces/{trace_id}", None),
        ("get", "/api/v1/runs/404", "/api/v1/runs/{run_id}", None),
        ("post", "/api/v1/runs", "/api/v1/runs", {"version": 1}),
        ("post", "/api/v1/runs", "/api/v1/runs", {"version": 1, "runs": [{}]}),
        ("post", "/api/v1/runs", "/api/v1/runs", None),
    ],
)
def test_errors_are_as_described(
    client: FlaskClient, description: Any, method: str, asked: str, described: str, body: Any
) -> None:
    answer = client.open(asked, method=method.upper(), json=body)
    assert answer.status_code >= 400
    check(description, method, described, answer)


@pytest.mark.parametrize("path", PATHS)
def test_a_method_that_an_address_does_not_take_is_answered_as_described(
    client: FlaskClient, description: Any, path: str
) -> None:
    asked = path.replace("<trace_id>", "1" * 32).replace("<run_id>", "1" * 32)
    # Pages and what stands beside them take no write without the token of their cookie.
    token = {"X-Driftline-CSRF": a_token(client)} if not path.startswith("/api/") else {}
    answer = client.delete(asked, headers=token)
    assert answer.status_code == 405
    described = re.sub(r"<(\w+)>", r"{\1}", path)
    for method in description["paths"][described]:
        assert method.upper() in answer.headers["Allow"]
        check(description, method, described, answer)


def test_the_health_of_a_server_that_asks_for_a_key_is_open_to_all(
    make_app: Callable[..., Flask], description: Any
) -> None:
    client = make_app(host="0.0.0.0").test_client()
    assert client.get("/api/v1/openapi.json").status_code == 401
    for path in ("/healthz", "/readyz"):
        operation = description["paths"][path]["get"]
        assert operation["security"] == []
        assert "401" not in operation["responses"]
        answer = client.get(path, headers={"Authorization": "Bearer wrong"})
        assert answer.status_code == 200
        check(description, "get", path, answer)
        check(description, "get", path, client.get(f"{path}?colour=red"))
    assert "503" not in description["paths"]["/healthz"]["get"]["responses"]


def test_parameters_of_lists_are_described_with_their_bounds(description: Any) -> None:
    parameters = {
        each["name"]: each["schema"] for each in description["paths"]["/api/v1/traces"]["get"]["parameters"]
    }
    assert parameters["limit"] == {"type": "integer", "minimum": 1, "maximum": 500}
    assert parameters["status"]["enum"][0] == "running"
    assert {"project", "since", "until", "cursor"} <= parameters.keys()


def test_the_schema_of_the_wire_is_served_and_reads_our_batches(client: FlaskClient) -> None:
    schema = client.get("/api/v1/schema.json").get_json()
    Draft202012Validator(schema).validate(encode_batch([a_full_run(a_run()), a_run()]))


@pytest.mark.parametrize("path", ["/api/v1", "/api/v1/nothing", "/api/v2/runs"])
def test_an_unknown_address_is_404_in_json(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.get_json()["error"]["problem"] == "there is nothing at this address"


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/api/v1/runs"), ("PUT", "/api/v1/traces")])
def test_a_wrong_method_is_405_with_the_right_ones(client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert answer.get_json()["error"]["problem"] == "this address does not take this method"
