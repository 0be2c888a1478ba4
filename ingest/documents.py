"""What the collector shows of itself: schemas, OpenAPI, health, readiness, metrics.

Beside the record's way: `app` dispatches GET requests here. Imports `models` and its neighbours
only.
"""

from collections.abc import Callable
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from ingest.openapi import openapi
from ingest.problems import NotReady, UnknownSchema
from ingest.responses import Response, ok, ok_json
from models.records import EVENT_TYPES
from models.request_schemas import event_schema
from models.requests import Profile

_SCHEMA_TYPE: Final = b"application/schema+json"


class Documents:
    """Answers to GET. Schemas are made when they are first asked for, and kept."""

    def __init__(
        self,
        profile: Profile,
        version: str,
        registry: CollectorRegistry,
        reason_not_ready: Callable[[], str],
    ) -> None:
        self._profile: Profile = profile
        self._version = version
        self._registry = registry
        self._reason_not_ready = reason_not_ready
        self._schemas: dict[str, Response] = {}
        self._openapi: Response | None = None

    def schema(self, event_type: str) -> Response:
        """The JSON Schema of an event type's body. Raises `UnknownSchema`."""
        if event_type not in self._schemas:
            known = next((name for name in EVENT_TYPES if name == event_type), None)
            if known is None:
                raise UnknownSchema(EVENT_TYPES)
            self._schemas[known] = ok_json(event_schema(known, self._profile), _SCHEMA_TYPE)
        return self._schemas[event_type]

    def openapi(self, _: str) -> Response:
        """The OpenAPI document."""
        if self._openapi is None:
            self._openapi = ok_json(openapi(self._profile, self._version))
        return self._openapi

    def health(self, _: str) -> Response:
        """That the process answers."""
        return ok_json({"status": "alive"})

    def readiness(self, _: str) -> Response:
        """Whether it should get traffic. Raises `NotReady`."""
        reason = self._reason_not_ready()
        if reason:
            raise NotReady(reason)
        return ok_json({"status": "ready"})

    def metrics(self, _: str) -> Response:
        """All metrics of the process, in Prometheus' text format."""
        return ok(generate_latest(self._registry), CONTENT_TYPE_LATEST.encode())
