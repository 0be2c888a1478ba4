"""Every key that a request body may have, by event type: the table of docs/http.md "Body" as data.

On the record's way: `request_types` makes the pydantic models of both profiles out of it, the
schemas and OpenAPI with them. Imports nothing of the project but the list of event types.
"""

from enum import Enum
from typing import Final, NamedTuple

from models.records import EVENT_TYPES, EventType


class Kind(Enum):
    """What a value must be. `request_types` says what that means in each profile."""

    TEXT = "a string"
    NUMBER = "a number"
    INTEGER = "an integer"
    FLAG = "true or false"
    STATE_NAME = "a state name: 1 to 64 letters, digits, underscores or dots"
    STATES = 'an array of objects, each with "media.state.name"'
    CUSTOMER_IDS = 'an object of objects, each with "id" and "authState"'
    ERROR_SOURCE = '"player" or "external"'
    ANYTHING = "any value"


class Need(Enum):
    """Whether an event must have the key: in both profiles, in `strict` only, or in none."""

    ALWAYS = "always"
    STRICT = "strict"
    NEVER = "never"


class Key(NamedTuple):
    """One known key of an event type's `params`."""

    name: str
    kind: Kind
    need: Need
    says: str


def _keys(kind: Kind, need: Need, names: dict[str, str]) -> tuple[Key, ...]:
    return tuple(Key(name, kind, need, says) for name, says in names.items())


_SESSION_START: Final = (
    *_keys(
        Kind.TEXT,
        Need.ALWAYS,
        {
            "media.id": "Id of the content.",
            "media.contentType": "VOD, live, linear, podcast, audiobook, or a name of your own.",
            "media.playerName": "Name of the player.",
            "media.channel": "Channel or distribution station.",
        },
    ),
    *_keys(Kind.NUMBER, Need.ALWAYS, {"media.length": "Length of the content, seconds."}),
    *_keys(
        Kind.TEXT,
        Need.STRICT,
        {
            "analytics.trackingServer": "Host of the tracking server; kept, not used.",
            "analytics.reportSuite": "Id of the report suite.",
            "visitor.marketingCloudOrgId": "Id of the organisation.",
        },
    ),
    *_keys(
        Kind.TEXT,
        Need.NEVER,
        {
            "media.name": "Readable name of the content.",
            "media.streamType": "audio or video.",
            "media.sdkVersion": "Version of the app.",
            "media.libraryVersion": "Version of the tracking library.",
            "analytics.visitorId": "Visitor id of your own.",
            "analytics.aid": "Legacy visitor id.",
            "visitor.marketingCloudUserId": "Visitor id (ECID).",
            "appInstallationId": "Id of the app's installation.",
            "media.show": "Show.",
            "media.season": "Season.",
            "media.episode": "Episode.",
            "media.assetId": "Asset id, for example an EIDR.",
            "media.genre": "Genres, separated by commas.",
            "media.firstAirDate": "Date of the first broadcast.",
            "media.firstDigitalDate": "Date of the first digital release.",
            "media.rating": "Rating.",
            "media.originator": "Creator of the content.",
            "media.network": "Network.",
            "media.showType": "Kind of show: full episode, clip, trailer ...",
            "media.adLoad": "Ad load.",
            "media.pass.mvpd": "Distributor that signed the viewer in.",
            "media.pass.auth": "Whether the viewer was signed in.",
            "media.dayPart": "Part of the day.",
            "media.feed": "Feed, for example East-HD.",
            "media.streamFormat": "Format of the stream, for example HD.",
            "media.artist": "Artist.",
            "media.album": "Album.",
            "media.label": "Record label.",
            "media.author": "Author of an audiobook.",
            "media.station": "Radio station.",
            "media.publisher": "Publisher.",
        },
    ),
    *_keys(
        Kind.FLAG,
        Need.NEVER,
        {
            "media.resume": "The viewer goes on with content that an earlier session had.",
            "media.downloaded": "The content was downloaded and played offline.",
            "analytics.enableSSL": "Kept, not used.",
            "analytics.optOutServerSideForwarding": "Kept, not used.",
            "analytics.optOutShare": "Kept, not used.",
        },
    ),
    *_keys(Kind.INTEGER, Need.NEVER, {"visitor.aamLocationHint": "Kept, not used."}),
    *_keys(
        Kind.CUSTOMER_IDS,
        Need.NEVER,
        {"visitor.customerIDs": 'Customer ids by name: {"name": {"id": "...", "authState": 0}}.'},
    ),
)

_AD_BREAK_START: Final = (
    *_keys(Kind.INTEGER, Need.ALWAYS, {"media.ad.podIndex": "Number of the ad break."}),
    *_keys(
        Kind.NUMBER,
        Need.ALWAYS,
        {"media.ad.podSecond": "Where in the content the break is, seconds."},
    ),
    *_keys(Kind.TEXT, Need.NEVER, {"media.ad.podFriendlyName": "Readable name of the break."}),
)

_AD_START: Final = (
    *_keys(Kind.TEXT, Need.ALWAYS, {"media.ad.id": "Id of the ad."}),
    *_keys(Kind.NUMBER, Need.ALWAYS, {"media.ad.length": "Length of the ad, seconds."}),
    *_keys(
        Kind.INTEGER,
        Need.ALWAYS,
        {"media.ad.podPosition": "Number of the ad within its break."},
    ),
    *_keys(
        Kind.TEXT, Need.STRICT, {"media.ad.playerName": "Name of the player that plays the ad."}
    ),
    *_keys(
        Kind.TEXT,
        Need.NEVER,
        {
            "media.ad.name": "Readable name of the ad.",
            "media.ad.advertiser": "Advertiser.",
            "media.ad.campaignId": "Id of the campaign.",
            "media.ad.creativeId": "Id of the creative.",
            "media.ad.siteId": "Id of the ad site.",
            "media.ad.creativeURL": "URL of the creative.",
            "media.ad.placementId": "Id of the placement.",
            "media.ad.podFriendlyName": "Readable name of the break.",
        },
    ),
)

_CHAPTER_START: Final = (
    *_keys(Kind.INTEGER, Need.ALWAYS, {"media.chapter.index": "Number of the chapter."}),
    *_keys(
        Kind.NUMBER,
        Need.ALWAYS,
        {
            "media.chapter.offset": "Where in the content the chapter begins, seconds.",
            "media.chapter.length": "Length of the chapter, seconds.",
        },
    ),
    *_keys(Kind.TEXT, Need.NEVER, {"media.chapter.friendlyName": "Readable name of the chapter."}),
)

STATE_NAME_KEY: Final = "media.state.name"
_STATE: Final = _keys(
    Kind.STATE_NAME, Need.ALWAYS, {STATE_NAME_KEY: "Name of the player state, for example mute."}
)
STATES_KEYS: Final = ("statesStart", "statesEnd")
_STATES_UPDATE: Final = _keys(
    Kind.STATES,
    Need.NEVER,
    {"statesStart": "Player states that begin.", "statesEnd": "Player states that end."},
)

_ERROR: Final = (
    *_keys(Kind.TEXT, Need.NEVER, {"media.errorId": "Id of the error."}),
    *_keys(Kind.ERROR_SOURCE, Need.NEVER, {"media.errorSource": "Where the error arose."}),
)

# Quality values may come with any event, in qoeData and in params, with the prefix or without
# (docs/rules.md "Chapters, player states, quality, errors"). Nothing in them is refused.
_QOE_PREFIX: Final = "media.qoe."
_QOE_NAMES: Final = (
    "bitrate",
    "droppedFrames",
    "framesPerSecond",
    "timeToStart",
    "errorID",
    "errorSource",
)
QOE_KEYS: Final = frozenset(prefix + name for name in _QOE_NAMES for prefix in (_QOE_PREFIX, ""))
_QOE_PARAMS: Final = _keys(
    Kind.ANYTHING,
    Need.NEVER,
    {_QOE_PREFIX + name: "As in qoeData." for name in _QOE_NAMES[:4]},
)

_OWN_KEYS: Final[dict[EventType, tuple[Key, ...]]] = {
    "sessionStart": _SESSION_START,
    "adBreakStart": _AD_BREAK_START,
    "adStart": _AD_START,
    "chapterStart": _CHAPTER_START,
    "stateStart": _STATE,
    "stateEnd": _STATE,
    "statesUpdate": _STATES_UPDATE,
    "error": _ERROR,
}
PARAMS: Final[dict[EventType, tuple[Key, ...]]] = {
    event_type: _OWN_KEYS.get(event_type, ()) + _QOE_PARAMS for event_type in EVENT_TYPES
}
"""The known keys of each event type's `params`, in the order of the documentation."""

TOP_KEYS: Final = frozenset(("playerTime", "eventType", "params", "qoeData", "customMetadata"))
PLAYER_TIME_KEYS: Final = frozenset(("playhead", "ts"))
