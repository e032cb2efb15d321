"""How an address of the API is declared: once, for the routes, the checks and the description alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request

from driftline_server.api.parameters import Parameter, read_parameters

Asked = Mapping[str, Any]
"""The parameters that were sent, read, by name."""
View = Callable[..., Response]
"""Takes ``Asked`` and, by keyword, the parts of the path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method at one address."""

    method: str
    path: str
    """In Flask's spelling, such as ``/api/v1/traces/<trace_id>``."""
    name: str
    about: str
    view: View
    answer: Any
    """The type of the good answer's document."""
    parameters: Callable[[], tuple[Parameter, ...]] = tuple
    """A call, because some bounds are settings."""
    takes: str = ""
    """The array that the body must hold, ``runs`` or ``scores``; empty where there is no body."""
    statuses: tuple[int, ...] = ()
    """Errors of its own, beside those that every address of the API may answer with."""
    never: tuple[int, ...] = ()
    """Of those that every address may answer with, what cannot come from here."""


def register(blueprint: Blueprint, endpoints: tuple[Endpoint, ...]) -> None:
    """Give every endpoint its route."""
    for endpoint in endpoints:
        blueprint.add_url_rule(endpoint.path, endpoint.name, _view_of(endpoint), methods=[endpoint.method])


def _view_of(endpoint: Endpoint) -> View:
    def view(**path_parts: str) -> Response:
        return endpoint.view(read_parameters(request.args, endpoint.parameters()), **path_parts)

    return view
