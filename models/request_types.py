"""The pydantic models of a request body, made from the table of keys: one union by `eventType`.

On the record's way: `requests` validates with `event_adapter`, `request_schemas` describes the same
models. Both profiles come from one table: `strict` makes more keys required and refuses unknown
ones. Imports nothing of the project but models.
"""

from functools import cache
from typing import Annotated, Any, Final, Literal, NamedTuple, NotRequired, Required, Union

from pydantic import (
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    TypeAdapter,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import TypedDict

from models.limits import INTEGER_MAX, NUMBER_MAX, PLAYHEAD_S_MAX, TS_MS_MAX
from models.records import EVENT_TYPES, EventType
from models.request_fields import PARAMS, STATE_NAME_KEY, STATES_KEYS, Key, Kind, Need

Profile = Literal["standard", "strict"]
PROFILES: Final[tuple[Profile, ...]] = ("standard", "strict")

STATE_NAME_PATTERN: Final = r"^[a-zA-Z0-9_.]{1,64}$"
CUSTOM_NAME_PATTERN: Final = r"^[a-zA-Z0-9_.]+$"

# A TypedDict made at run time has no static type.
_make_typed_dict: Any = TypedDict


class NumberRange(NamedTuple):
    """A JSON number: integers and fractions within bounds, no boolean, no numeric string.

    `whole`: a fraction is refused (60.0 is whole). `least`, `most` are inclusive; `most` of None
    stands for the bounds of every number.
    """

    least: int | None = None
    most: int | None = None
    whole: bool = False

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        least = -INTEGER_MAX if self.least is None else self.least
        most = INTEGER_MAX if self.most is None else self.most
        integer = core_schema.int_schema(strict=True, ge=least, le=most)
        number = core_schema.float_schema(
            strict=True,
            allow_inf_nan=False,
            ge=max(least, -NUMBER_MAX),
            le=min(most, NUMBER_MAX),
            multiple_of=1 if self.whole else None,
        )
        return core_schema.custom_error_schema(
            core_schema.union_schema([integer, number], mode="left_to_right"),
            custom_error_type="number",
            custom_error_message="must be a number",
            custom_error_context=self._asdict(),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described: JsonSchemaValue = {"type": "integer" if self.whole else "number"}
        described["minimum"] = -NUMBER_MAX if self.least is None else self.least
        described["maximum"] = NUMBER_MAX if self.most is None else self.most
        return described


class SomeStates:
    """Of `statesStart` and `statesEnd` at least one must be there."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_has_states, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = handler(schema)
        described["anyOf"] = [{"required": [key]} for key in STATES_KEYS]
        return described


def _has_states(params: dict[str, Any]) -> dict[str, Any]:
    if not any(key in params for key in STATES_KEYS):
        raise PydanticCustomError("no_states", 'must have "statesStart" or "statesEnd"')
    return params


class CustomNames:
    """Says in the JSON Schema what the names of `customMetadata` may be."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "type": "object",
            "propertyNames": {"pattern": CUSTOM_NAME_PATTERN},
            "additionalProperties": {"type": "string"},
        }


def _config(profile: Profile) -> ConfigDict:
    return ConfigDict(extra="forbid" if profile == "strict" else "allow", strict=True)


def _object(name: str, fields: dict[str, Any], profile: Profile, doc: str = "") -> Any:
    """A TypedDict: the validated body stays a plain dict with the values as they were sent."""
    made = _make_typed_dict(name, fields)
    made.__pydantic_config__ = _config(profile)
    made.__doc__ = doc or None
    return made


def _type_of(kind: Kind, profile: Profile) -> Any:
    match kind:
        case Kind.TEXT:
            return str
        case Kind.NUMBER:
            return Annotated[Any, NumberRange()]
        case Kind.INTEGER:
            return Annotated[Any, NumberRange(whole=profile == "strict")]
        case Kind.FLAG:
            return bool
        case Kind.STATE_NAME:
            return Annotated[str, StringConstraints(pattern=STATE_NAME_PATTERN)]
        case Kind.STATES:
            name = _type_of(Kind.STATE_NAME, profile)
            state: Any = _object("State", {STATE_NAME_KEY: Required[name]}, profile)
            return list[state]
        case Kind.CUSTOMER_IDS:
            customer_id: Any = _customer_id(profile)
            return dict[str, customer_id]
        case Kind.ERROR_SOURCE:
            return Literal["player", "external"]
        case Kind.ANYTHING:
            return Any


def _customer_id(profile: Profile) -> Any:
    needed: Any = Required if profile == "strict" else NotRequired
    fields = {
        "id": needed[str],
        "authState": NotRequired[Annotated[Any, NumberRange(0, 2, whole=profile == "strict")]],
    }
    return _object("CustomerId", fields, profile)


def _param(key: Key, profile: Profile) -> Any:
    required = key.need is Need.ALWAYS or (key.need is Need.STRICT and profile == "strict")
    described: Any = Annotated[_type_of(key.kind, profile), Field(description=key.says)]
    return Required[described] if required else NotRequired[described]


def needs_params(event_type: EventType) -> bool:
    """Whether an event of this type is refused without params."""
    return event_type == "statesUpdate" or any(
        key.need is Need.ALWAYS for key in PARAMS[event_type]
    )


def _params(event_type: EventType, profile: Profile) -> Any:
    fields = {key.name: _param(key, profile) for key in PARAMS[event_type]}
    name = event_type[0].upper() + event_type[1:] + "Params"
    made = _object(name, fields, profile)
    if event_type == "statesUpdate":
        made = Annotated[made, SomeStates()]
    return Required[made] if needs_params(event_type) else NotRequired[made | None]


def _player_time(profile: Profile) -> Any:
    playhead = Annotated[
        Any,
        NumberRange(0, PLAYHEAD_S_MAX),
        Field(description="Playhead: seconds into the content."),
    ]
    ts = Annotated[
        Any,
        NumberRange(0, TS_MS_MAX, whole=profile == "strict"),
        Field(description="The client's time of the event: ms since the epoch (UTC)."),
    ]
    return _object("PlayerTime", {"playhead": Required[playhead], "ts": Required[ts]}, profile)


def _envelope(profile: Profile, event_type: Any, params: Any) -> dict[str, Any]:
    name: Any = Annotated[str, StringConstraints(pattern=CUSTOM_NAME_PATTERN)]
    custom: Any = Annotated[dict[name, str], CustomNames()]
    return {
        "playerTime": Required[_player_time(profile)],
        "eventType": Required[event_type],
        "params": params,
        "qoeData": NotRequired[
            Annotated[dict[str, Any] | None, Field(description="Quality values; never refused.")]
        ],
        "customMetadata": NotRequired[
            Annotated[custom | None, Field(description="Metadata of your own.")]
        ],
    }


@cache
def event_model(event_type: EventType, profile: Profile) -> Any:
    """The model of one event type's body."""
    name = event_type[0].upper() + event_type[1:]
    params = _params(event_type, profile)
    fields = _envelope(profile, Literal[event_type], params)
    return _object(name, fields, profile, f"One `{event_type}` event.")


@cache
def event_adapter(profile: Profile) -> TypeAdapter[dict[str, Any]]:
    """Validates any event: the union of all event types, told apart by `eventType`."""
    models = tuple(event_model(event_type, profile) for event_type in EVENT_TYPES)
    union: Any = Annotated[Union[models], Field(discriminator="eventType")]  # noqa: UP007
    return TypeAdapter(union)


@cache
def envelope_adapter(profile: Profile) -> TypeAdapter[dict[str, Any]]:
    """Validates what all events share: for a body whose `eventType` is missing or unknown."""
    fields = _envelope(profile, Any, NotRequired[dict[str, Any] | None])
    return TypeAdapter(_object("Event", fields, profile))
