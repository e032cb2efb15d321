"""Describes the API as OpenAPI 3.1, from the declarations that its routes are made of."""

from __future__ import annotations

import re
from typing import Any

from flask import Response, current_app

from driftline.version import __version__
from driftline.wire import WIRE_VERSION
from driftline.wire_schema import batch_schema
from driftline_server.api.answers import ErrorAnswer, json_answer
from driftline_server.api.endpoints import Asked, Endpoint
from driftline_server.api.ingest import IngestedDocument
from driftline_server.api.schemas import Schema, Schemas

DESCRIBED = "driftline_endpoints"
_ALWAYS = (400, 401, 403, 405, 421, 422, 500, 503)
"""Errors that every address may answer with: a wrong host, site, key, method, parameter, a fault of ours."""
_MEANINGS = {
    400: "The request is malformed.",
    401: "The server asks for an API key or a login.",
    403: "The sender may not do this.",
    404: "There is nothing under this id.",
    405: "The address does not take this method; Allow says which it takes.",
    413: "The request is too large.",
    415: "The content type or encoding is not known here.",
    421: "The server is not called so.",
    422: "A field or parameter is not allowed so.",
    429: "Too much at once; Retry-After says when to try again.",
    500: "A fault of the server; its log says more about the request id.",
    503: "The store does not answer; try again later.",
}


def show_description(asked: Asked) -> Response:
    """The description of this API."""
    return json_answer(describe(current_app.extensions[DESCRIBED]))


def show_schema(asked: Asked) -> Response:
    """The JSON Schema of a batch."""
    return json_answer(batch_schema())


def describe(endpoints: tuple[Endpoint, ...]) -> Schema:
    """An OpenAPI 3.1 document of some endpoints."""
    schemas = Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        operations = paths.setdefault(_openapi_path(endpoint.path), {})
        operations[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Driftline",
            "version": __version__,
            "description": f"Traces of LLM applications. Batches are of wire version {WIRE_VERSION}.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "Made by `driftline keys add`."}
            },
        },
        "security": [{"key": []}, {}],
    }


def _operation(endpoint: Endpoint, schemas: Schemas) -> Schema:
    operation: Schema = {
        "operationId": endpoint.name,
        "summary": endpoint.about,
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint)],
        "responses": {"200": _response("As asked.", schemas.of(endpoint.answer))},
    }
    error = schemas.of(ErrorAnswer)
    for status in sorted({*_ALWAYS, *endpoint.statuses}.difference(endpoint.never)):
        operation["responses"][str(status)] = _response(_MEANINGS[status], error)
    if 401 in endpoint.never:
        operation["security"] = []
    if endpoint.takes:
        operation["requestBody"] = {
            "required": True,
            "description": "A batch; may be sent with Content-Encoding: gzip or zstd.",
            "content": {"application/json": {"schema": _batch_schema(endpoint.takes)}},
        }
        refused = {"anyOf": [error, schemas.of(IngestedDocument)]}
        operation["responses"]["422"] = _response(_MEANINGS[422], refused)
    return operation


def _path_parameters(endpoint: Endpoint) -> list[Schema]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": "32 hexadecimal digits.",
            "schema": {"type": "string"},
        }
        for name in re.findall(r"<([a-z_]+)>", endpoint.path)
    ]


def _query_parameters(endpoint: Endpoint) -> list[Schema]:
    return [
        {"name": each.name, "in": "query", "description": each.about, "schema": each.schema}
        for each in endpoint.parameters()
    ]


def _response(about: str, schema: Schema) -> Schema:
    return {"description": about, "content": {"application/json": {"schema": schema}}}


def _batch_schema(takes: str) -> Schema:
    return {
        "type": "object",
        "description": "The schema of its items is at /api/v1/schema.json.",
        "properties": {
            "version": {"type": "integer", "minimum": 1, "maximum": WIRE_VERSION},
            "runs": {"type": "array", "items": {"type": "object"}},
            "scores": {"type": "array", "items": {"type": "object"}},
        },
        "required": ["version", takes],
    }


def _openapi_path(path: str) -> str:
    return re.sub(r"<([a-z_]+)>", r"{\1}", path)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/openapi.json",
        name="show_description",
        about="This description.",
        view=show_description,
        answer=Any,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/schema.json",
        name="show_schema",
        about="The JSON Schema of a batch.",
        view=show_schema,
        answer=Any,
    ),
)
