"""The OpenAPI 3.1 document, made from the table of routes that requests are checked by."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from daemon.api.parameters import Parameter
from daemon.api.problems import PROBLEM_JSON
from daemon.api.routes import Route
from daemon.api.schemas import components, ref

_WORDS = {
    304: "Unchanged since the ETag of If-None-Match.",
    400: "A parameter is unknown, repeated, empty, malformed, or out of order; it is named.",
    401: "No bearer token, or a wrong one.",
    404: "There is no such market, record or address.",
    405: "Another method than those in Allow.",
    409: "It cannot be answered so, for example because it was answered before.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    429: "The budget of this minute is used up; Retry-After says when to ask again.",
    500: "The record cannot be read.",
    503: "Too much is asked at the moment; Retry-After says when to ask again.",
}
_RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
_ETAG = {
    "ETag": {"description": "Strong; the same as long as the answer is.", "schema": {"type": "string"}},
    "Cache-Control": {"description": "no-cache: keep it, ask before using it.", "schema": {"type": "string"}},
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "ETags held, or *; an unchanged answer is 304 without a body.",
    "schema": {"type": "string"},
}


def document(routes: Sequence[Route], bodies: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the description of these routes.

    Args:
        routes: In the document's order.
        bodies: Schemas of request bodies by operation.
    """
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, bodies.get(route.name))
    schemas = components() | {f"{name}_body": schema for name, schema in bodies.items()}
    told: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "regimed",
            "version": version("regimed"),
            "description": "Regimes, records and what was recommended, read from a data repository. Times are"
            " UTC, spans half-open [start, end), `symbol` is the market's key.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas},
    }
    if bodies:
        told["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return told


def _operation(route: Route, body: dict[str, Any] | None) -> dict[str, Any]:
    reading = route.method == "GET"
    told: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": [_parameter(each) for each in route.parameters] + [_IF_NONE_MATCH] * reading,
        "responses": {
            "200" if reading else "201": {
                "description": route.summary,
                "headers": _ETAG if reading else {},
                "content": {"application/json": {"schema": ref(route.answer)}},
            },
            **({"304": {"description": _WORDS[304], "headers": _ETAG}} if reading else {}),
            **{str(status): _problem(status) for status in route.errors},
        },
    }
    if body is not None:
        told["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": ref(f"{route.name}_body")}},
        }
        told["security"] = [{"token": []}]
    return told


def _problem(status: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "description": _WORDS[status],
        "content": {PROBLEM_JSON: {"schema": ref("Problem")}},
    }
    return told | ({"headers": _RETRY} if status in (429, 503) else {})


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = dict(parameter.form.schema)
    if parameter.default is not None:
        schema["default"] = parameter.default
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.description,
        "schema": schema,
    }
