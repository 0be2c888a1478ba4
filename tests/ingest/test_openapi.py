"""OpenAPI and JSON Schemas: what they say is what the collector does (generated requests)."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ingest.openapi import openapi
from tests.ingest.servers import Running

LISTS = "/api/v1/downloaded"
SID = re.compile("[0-9a-f]{64}")
CHECKS = (
    negative_data_rejection,
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
BOUNDS = ("U+0000", "finite number", "2^53", "surrogate", "nested too deep", "too large")


def generator(*modes: GenerationMode) -> Any:
    """Requests as the document describes them, and (negative) as it forbids them."""
    made = schemathesis.openapi.from_dict(openapi("standard", "0"))
    made.config.generation.update(modes=list(modes))
    return made


# By fixtures: requests are made up when the test runs, and not by each worker that collects it.
@pytest.fixture
def both(request: pytest.FixtureRequest) -> Any:
    named(request.node)
    return generator(GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@pytest.fixture
def valid(request: pytest.FixtureRequest) -> Any:
    named(request.node)
    return generator(GenerationMode.POSITIVE)


def named(test: Any) -> None:
    """Schemathesis 4.32 looks for a test's name where pytest kept it before 9.2."""
    test._nodeid = test.nodeid


BOTH = schemathesis.pytest.from_fixture("both").exclude(path=LISTS)
# The generator cannot negate an array with a first element of its own.
VALID_LISTS = schemathesis.pytest.from_fixture("valid").include(path=LISTS)


@pytest.fixture(scope="module")
def client() -> Iterator[requests.Session]:
    with requests.Session() as made:
        yield made


@BOTH.parametrize()
@settings(max_examples=40, derandomize=True)
def test_generated_requests_are_answered_as_documented(
    case: Any, shared: Running, client: requests.Session
) -> None:
    if case.path.endswith("/events") and SID.fullmatch(_sid(case)):
        case.path_parameters["sid"] = shared.open().rsplit("/", 1)[1]
    is_answered_as_documented(case, shared, client)


@VALID_LISTS.parametrize()
@settings(max_examples=40, derandomize=True)
def test_generated_lists_are_answered_as_documented(
    case: Any, shared: Running, client: requests.Session
) -> None:
    is_answered_as_documented(case, shared, client)


def is_answered_as_documented(case: Any, shared: Running, client: requests.Session) -> None:
    response = case.call(base_url=f"http://{shared.host}:{shared.port}", session=client)
    case.validate_response(response, checks=CHECKS)
    if response.status_code == 400 and case.meta.generation.mode is GenerationMode.POSITIVE:
        # What a schema cannot say (docs/http.md "Body"), and nothing else.
        messages = [error["message"] for error in response.json()["errors"]]
        assert all(any(part in message for part in BOUNDS) for message in messages), messages


def _sid(case: Any) -> str:
    """The generated id; those of the right form become a real one."""
    return str((case.path_parameters or {}).get("sid", ""))
