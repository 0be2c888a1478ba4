"""Which path is which route, and what each may be asked: the table of docs/http.md "Routes".

On the record's way: the first thing `app` looks at. Imports nothing of the project.
"""

import re
from typing import Final, Literal, NamedTuple

Name = Literal[
    "events", "sessions", "downloaded", "schema", "openapi", "healthz", "readyz", "metrics"
]
Method = Literal["GET", "POST"]


class Route(NamedTuple):
    """A path with at most one variable part, and its one method (besides OPTIONS)."""

    name: Name
    method: Method
    path: str
    is_api: bool = True
    """Whether the configured prefix may stand in front of it."""

    @property
    def allow(self) -> tuple[str, ...]:
        return (self.method, "OPTIONS")


API: Final = "/api/v1"
# The first one is asked for most.
ROUTES: Final = (
    Route("events", "POST", API + "/sessions/{sid}/events"),
    Route("sessions", "POST", API + "/sessions"),
    Route("downloaded", "POST", API + "/downloaded"),
    Route("schema", "GET", API + "/schemas/{eventType}"),
    Route("openapi", "GET", "/openapi.json", is_api=False),
    Route("healthz", "GET", "/healthz", is_api=False),
    Route("readyz", "GET", "/readyz", is_api=False),
    Route("metrics", "GET", "/metrics", is_api=False),
)


class Router:
    """Finds routes. `prefix` (`/collect`) is accepted in front of the API's paths."""

    def __init__(self, prefix: str) -> None:
        self._patterns = [(route, re.compile(_pattern(route, prefix))) for route in ROUTES]

    def find(self, path: str) -> tuple[Route, str] | None:
        """The route of a path, and its variable part (empty if it has none)."""
        for route, pattern in self._patterns:
            match = pattern.fullmatch(path)
            if match is not None:
                return route, match[1]
        return None


def _pattern(route: Route, prefix: str) -> str:
    literal, _, rest = route.path.partition("{")
    rest = rest.partition("}")[2]
    variable = "([^/]+)" if "{" in route.path else "()"
    in_front = f"(?:{re.escape(prefix)})?" if prefix and route.is_api else ""
    return f"{in_front}{re.escape(literal)}{variable}{re.escape(rest)}/?"
