"""JSON Schema of the request bodies, out of the very models that validate them.

Beside the record's way: `ingest` serves these for players' developers. What a schema cannot say
(docs/http.md "Body": nesting, U+0000, keys that come twice) is checked all the same. Imports
nothing of the project but models.
"""

from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from models.records import EVENT_TYPES, EventType
from models.request_types import Profile, event_model

DIALECT: Final = GenerateJsonSchema.schema_dialect


class _PlainSchema(GenerateJsonSchema):
    """Without a title for each field: it would repeat the key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def event_schema(event_type: EventType, profile: Profile) -> dict[str, Any]:
    """The JSON Schema of one event type's body, complete in itself."""
    adapter = TypeAdapter[Any](event_model(event_type, profile))
    schema = adapter.json_schema(schema_generator=_PlainSchema)
    return {"$schema": DIALECT, **schema}


def component_schemas(
    profile: Profile, ref_template: str
) -> tuple[dict[EventType, dict[str, Any]], dict[str, Any]]:
    """The schemas of all event types for one document: a reference to each, and what they name."""
    inputs = [
        (event_type, "validation", TypeAdapter[Any](event_model(event_type, profile)))
        for event_type in EVENT_TYPES
    ]
    by_key, definitions = TypeAdapter.json_schemas(
        inputs,  # type: ignore[arg-type]  # a list of a Literal is no list of the wider Literal
        schema_generator=_PlainSchema,
        ref_template=ref_template,
    )
    references = {event_type: by_key[event_type, "validation"] for event_type in EVENT_TYPES}
    return references, definitions["$defs"]
