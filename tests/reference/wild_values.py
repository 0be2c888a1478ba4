"""Values of wild events: params as clients send them, and as they should not (for `wild`)."""

from random import Random
from typing import Any

from models.records import Event, EventType, SchemaFinding

STATE_NAMES = [
    "fullScreen",
    "fullscreen",
    "mute",
    "closedCaptioning",
    "pictureInPicture",
    "inFocus",
    "custom.1",
    "custom.2",
    "custom.3",
    "custom.4",
    "custom.5",
    "custom.6",
    "custom.7",
    "N/A",
]
ODD: list[Any] = ["N/A", "", "12.5", 7, -2, 0, True, [], {}, "x", None, 1.5]
LENGTHS: list[Any] = [600, 600, 600, 60.3333333333333, 30, 7200, 0.5, 0, -1, "600", None]
SESSION_TEXTS = [
    "media.id",
    "media.name",
    "media.playerName",
    "media.channel",
    "analytics.reportSuite",
    "visitor.marketingCloudUserId",
    "analytics.visitorId",
    "analytics.aid",
    "appInstallationId",
    "media.show",
    "media.pass.auth",
    "media.sdkVersion",
    "media.libraryVersion",
    "analytics.trackingServer",
]
AD_TEXTS = ["name", "playerName", "advertiser", "creativeURL", "podFriendlyName"]
QOE_KEYS = ["bitrate", "droppedFrames", "timeToStart", "framesPerSecond"]
QOE_ODD: list[Any] = ["1500", "12.5", "abc", "", "N/A", -5, True, None, [1], "nan", "1e999", 0]


def sane_or_odd(rng: Random, good: Any, broken: float) -> Any:
    return rng.choice(ODD) if rng.random() < broken else good


def session_params(rng: Random, broken: float) -> dict[str, Any] | None:
    params: dict[str, Any] = {}
    for key in SESSION_TEXTS:
        if rng.random() < 0.6:
            params[key] = sane_or_odd(rng, f"{key}-{rng.randrange(3)}", broken)
    if rng.random() < 0.9:
        params["media.length"] = rng.choice(LENGTHS[: 5 if broken == 0 else None])
    if rng.random() < 0.9:
        params["media.contentType"] = rng.choice(["VOD", "VOD", "Live", "linear", "podcast"])
    for key in ("media.resume", "media.downloaded", "analytics.enableSSL"):
        if rng.random() < 0.2:
            params[key] = sane_or_odd(rng, rng.random() < 0.5, broken)
    if rng.random() < 0.2:
        customers = {"crm": {"id": "c-1", "authState": 1}}
        params["visitor.customerIDs"] = sane_or_odd(rng, customers, broken)
    if rng.random() < 0.2:
        params["visitor.aamLocationHint"] = sane_or_odd(rng, 9, broken)
    if rng.random() < 0.2:
        params["my.key"] = rng.choice(ODD)
    return params or None


def break_params(rng: Random, broken: float) -> dict[str, Any] | None:
    if rng.random() < 0.1:
        return None
    return {
        "media.ad.podIndex": sane_or_odd(rng, rng.randrange(4), broken),
        "media.ad.podSecond": sane_or_odd(rng, rng.choice([0, 15, 20.5]), broken),
        "media.ad.podFriendlyName": sane_or_odd(rng, "pod", broken),
    }


def ad_params(rng: Random, broken: float) -> dict[str, Any] | None:
    if rng.random() < 0.1:
        return None
    params = {
        "media.ad.id": sane_or_odd(rng, f"ad-{rng.randrange(5)}", broken),
        "media.ad.length": sane_or_odd(rng, rng.choice([5, 15, 7.5, 0]), broken),
        "media.ad.podPosition": sane_or_odd(rng, rng.randrange(1, 4), broken),
    }
    for key in AD_TEXTS:
        if rng.random() < 0.3:
            params[f"media.ad.{key}"] = sane_or_odd(rng, key, broken)
    return params


def chapter_params(rng: Random, broken: float) -> dict[str, Any] | None:
    if rng.random() < 0.1:
        return None
    return {
        "media.chapter.index": sane_or_odd(rng, rng.randrange(1, 9), broken),
        "media.chapter.offset": sane_or_odd(rng, rng.randrange(500), broken),
        "media.chapter.length": sane_or_odd(rng, 60, broken),
        "media.chapter.friendlyName": sane_or_odd(rng, "Chapter", broken),
    }


def state_params(rng: Random, broken: float) -> dict[str, Any] | None:
    if rng.random() < broken:
        return rng.choice([None, {"media.state.name": 5}, {"other": "x"}])
    return {"media.state.name": rng.choice(STATE_NAMES)}


def states_params(rng: Random, broken: float) -> dict[str, Any] | None:
    params: dict[str, Any] = {}
    for key in ("statesStart", "statesEnd"):
        if rng.random() < 0.7:
            names = [{"media.state.name": rng.choice(STATE_NAMES)} for _ in range(rng.randrange(4))]
            params[key] = sane_or_odd(rng, names, broken)
            if rng.random() < broken:
                params[key] = [*names, rng.choice(["x", {}, None, {"media.state.name": 3}])]
    return params or None


def error_params(rng: Random, broken: float) -> dict[str, Any] | None:
    params: dict[str, Any] = {}
    if rng.random() < 0.6:
        params["media.errorId"] = sane_or_odd(rng, f"E-{rng.randrange(6)}", broken)
    if rng.random() < 0.6:
        params["media.errorSource"] = sane_or_odd(rng, rng.choice(["player", "external"]), broken)
    return params or None


def qoe_of(rng: Random, kind: EventType, broken: float) -> dict[str, Any] | None:
    """`qoeData`: now and then, with and without the prefix, right and wrong."""
    qoe: dict[str, Any] = {}
    for key in QOE_KEYS:
        for prefix in ("media.qoe.", ""):
            if rng.random() < 0.3:
                good = rng.choice([0, 12, 24, 29.97, 800, 1500, 3000])
                qoe[prefix + key] = rng.choice(QOE_ODD) if rng.random() < broken else good
    if kind == "error" and rng.random() < 0.7:
        prefix = rng.choice(["media.qoe.", ""])
        qoe[prefix + "errorID"] = sane_or_odd(rng, f"Q-{rng.randrange(6)}", broken)
        qoe[prefix + "errorSource"] = sane_or_odd(rng, rng.choice(["player", "external"]), broken)
    return qoe or None


PARAMS = {
    "sessionStart": session_params,
    "adBreakStart": break_params,
    "adStart": ad_params,
    "chapterStart": chapter_params,
    "stateStart": state_params,
    "stateEnd": state_params,
    "statesUpdate": states_params,
    "error": error_params,
}


def wild_event(rng: Random, kind: EventType, ts: int, playhead_ms: int, broken: float) -> Event:
    """One event of this type, its values broken with this probability."""
    make = PARAMS.get(kind)
    params = make(rng, broken) if make else None
    if rng.random() < 0.05:
        params = {**(params or {}), "bitrate": rng.choice([900, "900", "no"])}
    with_qoe = kind in ("bitrateChange", "error") or rng.random() < 0.1
    custom = {"campaign": "c"} if rng.random() < 0.1 else None
    findings = None
    if rng.random() < broken / 4:
        code = rng.choice(["unknown_param", "missing_param"])
        findings = (SchemaFinding("unknown_param" if code[0] == "u" else "missing_param", "key"),)
    qoe = qoe_of(rng, kind, broken) if with_qoe else None
    return Event(kind, ts, max(0, playhead_ms), params, qoe, custom, findings)
