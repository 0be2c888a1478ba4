"""OpenAPI 3.1 of the collector's routes, from the table of routes and the models that validate.

Beside the record's way: served for player developers and generators of requests. Imports `models`
and the table of routes only.
"""

from typing import Any, Final

from ingest.routes import API, ROUTES, Name, Route
from models.records import EVENT_TYPES
from models.request_schemas import DIALECT, component_schemas
from models.requests import Profile

_REF: Final = "#/components/schemas/{model}"
_SID: Final = {
    "name": "sid",
    "in": "path",
    "required": True,
    "description": "Id of the session, as it stands at the end of Location.",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
}
_EVENT_TYPE: Final = {
    "name": "eventType",
    "in": "path",
    "required": True,
    "description": "An event type, exact case.",
    "schema": {"type": "string", "enum": list(EVENT_TYPES)},
}
_PROBLEM: Final = {
    "type": "object",
    "title": "Problem",
    "description": "What is wrong (RFC 9457).",
    "required": ["type", "title", "status", "message", "errors"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "message": {"type": "string", "description": "One line that sums the errors up."},
        "errors": {
            "type": "array",
            "description": "Everything that is wrong with the body.",
            "items": {
                "type": "object",
                "required": ["path", "message"],
                "properties": {"path": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "request_id": {"type": "string", "description": "With 500 only: leads to the log line."},
    },
}
_ERRORS: Final = {
    400: "The body is not valid; `errors` lists all that is wrong.",
    404: "No such session, path or event type.",
    405: "The path has no such method; `Allow` lists those it has.",
    408: "The request did not come completely in time.",
    410: "The session was closed before this event, or is older than 48 hours.",
    413: "The body is too large.",
    503: "Not stored: too much in flight, or the log does not answer. `Retry-After` says when to "
    "try again.",
}


def openapi(profile: Profile, version: str) -> dict[str, Any]:
    """The document."""
    references, definitions = component_schemas(profile, _REF)
    schemas = {
        **definitions,
        **_of_lists(definitions),
        "AnyEvent": {"oneOf": list(references.values())},
        "Problem": _PROBLEM,
    }
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": DIALECT,
        "info": {
            "title": "bookended collector",
            "version": version,
            "description": f"Media Collection API, profile `{profile}`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {route.path: _path(route) for route in ROUTES},
        "components": {"schemas": schemas},
    }


def _of_lists(definitions: dict[str, Any]) -> dict[str, Any]:
    """The schemas of a finished offline session: its `sessionStart` says that it was downloaded."""
    params, start = definitions["SessionStartParams"], definitions["SessionStart"]
    downloaded_params = {
        **params,
        "title": "DownloadedStartParams",
        "properties": {**params["properties"], "media.downloaded": {"const": True}},
        "required": [*params["required"], "media.downloaded"],
    }
    downloaded_start = {
        **start,
        "title": "DownloadedStart",
        "properties": {**start["properties"], "params": _component("DownloadedStartParams")},
    }
    return {
        "DownloadedStartParams": downloaded_params,
        "DownloadedStart": downloaded_start,
        "OfflineSession": {
            "type": "array",
            "minItems": 1,
            "prefixItems": [_component("DownloadedStart")],
            "items": _component("AnyEvent"),
        },
    }


def _path(route: Route) -> dict[str, Any]:
    described = _OPERATIONS[route.name]
    parameters = [
        parameter for parameter in (_SID, _EVENT_TYPE) if f"{{{parameter['name']}}}" in route.path
    ]
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": described["summary"],
        "parameters": parameters,
        "responses": _responses(described),
    }
    if "body" in described:
        content = {"application/json": {"schema": described["body"]}}
        operation["requestBody"] = {"required": True, "content": content}
    return {
        route.method.lower(): operation,
        "options": {
            "operationId": f"{route.name}Preflight",
            "summary": "CORS preflight.",
            "responses": {"204": {"description": "Allowed."}},
            # A preflight is answered before anybody looks what the path names.
            "parameters": [{**one, "schema": {"type": "string"}} for one in parameters],
        },
    }


def _responses(described: dict[str, Any]) -> dict[str, Any]:
    responses = dict(described["success"])
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status in described["errors"]:
        responses[str(status)] = {"description": _ERRORS[status], "content": content}
    return responses


def _component(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(description: str, media_type: str = "application/json") -> dict[str, Any]:
    return {"200": {"description": description, "content": {media_type: {"schema": {}}}}}


_CREATED: Final = {
    "201": {
        "description": "The log has the session.",
        "headers": {
            "Location": {
                "description": f"{API}/sessions/ and the session's id.",
                "required": True,
                "schema": {"type": "string", "pattern": f"^{API}/sessions/[0-9a-f]{{64}}$"},
            }
        },
        # Empty, but it has a type: some clients look for one.
        "content": {"application/octet-stream": {"schema": {"type": "string", "maxLength": 0}}},
    }
}
_OPERATIONS: Final[dict[Name, dict[str, Any]]] = {
    "sessions": {
        "summary": "Opens a session; with an array: one finished offline session (older form).",
        "body": {"anyOf": [_component("SessionStart"), _component("OfflineSession")]},
        "success": _CREATED,
        "errors": (400, 408, 413, 503),
    },
    "downloaded": {
        "summary": "One finished offline session: an array of events, sessionStart first.",
        "body": _component("OfflineSession"),
        "success": _CREATED,
        "errors": (400, 408, 413, 503),
    },
    "events": {
        "summary": "One event of a session.",
        "body": _component("AnyEvent"),
        "success": {"204": {"description": "The log has the event."}},
        "errors": (400, 404, 408, 410, 413, 503),
    },
    "schema": {
        "summary": "JSON Schema of an event type's body.",
        "success": _json("The schema.", "application/schema+json"),
        "errors": (404,),
    },
    "openapi": {"summary": "This document.", "success": _json("The document."), "errors": ()},
    "healthz": {"summary": "Alive.", "success": _json("The process answers."), "errors": ()},
    "readyz": {
        "summary": "Able to publish and not draining.",
        "success": _json("Ready."),
        "errors": (503,),
    },
    "metrics": {
        "summary": "Metrics in Prometheus' text format.",
        "success": {
            "200": {
                "description": "All metrics of the process.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }
        },
        "errors": (),
    },
}
