"""The JSON Schemas say what the models do."""

import json
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator, meta

from models.records import EVENT_TYPES, EventType
from models.request_fields import PARAMS, Kind, Need
from models.request_schemas import component_schemas, event_schema
from models.requests import PROFILES, InvalidBody, Profile, RequestReader
from tests.ingest.bodies import dumps, event, valid
from tests.models.test_requests import WRONG


def validator(event_type: EventType, profile: Profile) -> Draft202012Validator:
    return Draft202012Validator(event_schema(event_type, profile))


def is_accepted(body: Any, profile: Profile) -> bool:
    try:
        RequestReader(profile).read_event(dumps(body))
    except InvalidBody:
        return False
    return True


def bodies(event_type: EventType) -> list[Any]:
    """Valid ones, and each spoiled in one way."""
    made = [valid(event_type), {**valid(event_type), "extra": 1}]
    made += [{**valid(event_type), key: None} for key in ("params", "qoeData", "customMetadata")]
    made += [event(event_type, ts=-1), event(event_type, playhead=10**11), event("nope")]
    made += [{**valid(event_type), "customMetadata": {name: "x"}} for name in ("a b", "a.b")]
    made += [{**valid(event_type), "customMetadata": {"a": 1}}]
    for key in PARAMS[event_type]:
        without = valid(event_type)
        without["params"] = dict(without.get("params") or {})
        without["params"].pop(key.name, None)
        made.append(without)
        for wrong in (*WRONG[key.kind], 1.5):
            made.append({**without, "params": {**without["params"], key.name: wrong}})
    return made


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_schema_and_models_agree(event_type: EventType, profile: Profile) -> None:
    schema = validator(event_type, profile)
    for body in bodies(event_type):
        assert schema.is_valid(body) == is_accepted(body, profile), body


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_schemas_are_valid_and_say_what_is_required(
    event_type: EventType, profile: Profile
) -> None:
    schema = event_schema(event_type, profile)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    meta.validate(schema)
    params = schema["$defs"].get(f"{event_type[0].upper()}{event_type[1:]}Params")
    needs = {Need.ALWAYS, Need.STRICT} if profile == "strict" else {Need.ALWAYS}
    required = {key.name for key in PARAMS[event_type] if key.need in needs}
    assert set(params.get("required", ())) == required
    assert set(params["properties"]) == {key.name for key in PARAMS[event_type]}
    assert all(described.get("description") for described in params["properties"].values())


@pytest.mark.parametrize("profile", PROFILES)
def test_components_refer_to_each_other_only(profile: Profile) -> None:
    references, definitions = component_schemas(profile, "#/components/schemas/{model}")
    assert list(references) == list(EVENT_TYPES)
    text = json.dumps([references, definitions])
    found = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert found == set(definitions)


def test_every_kind_is_used() -> None:
    used = {key.kind for keys in PARAMS.values() for key in keys}
    assert used == set(Kind)
