"""What a body is refused for: shared by the tests of request bodies."""

from typing import Any, Final

import pytest

from models.requests import InvalidBody, RequestReader
from tests.ingest.bodies import dumps

STANDARD: Final = RequestReader("standard")
STRICT: Final = RequestReader("strict")


def errors(body: Any, reader: RequestReader = STANDARD, read: str = "read_event") -> dict[str, str]:
    """What a body is refused for, by path."""
    with pytest.raises(InvalidBody) as caught:
        getattr(reader, read)(body if isinstance(body, bytes) else dumps(body))
    return {found.path: found.message for found in caught.value.errors}


def nested(levels: int) -> Any:
    """Objects and arrays in each other."""
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value
