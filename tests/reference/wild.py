"""Seeded generator of sessions: wild ones, and `realistic` ones of a good player.

Wild: silly orders, broken values, equal `ts`, reordering within and beyond the window, repeats,
lost bookends, clocks set back, gaps, ticks, offline lists. `wild(seed)` is always the same log.
Only for tests; imports no `processor`.
"""

from collections.abc import Callable
from random import Random

from models.records import EVENT_TYPES, Event, EventType, Record
from tests.reference.arrivals import Arrival, Step, Tick
from tests.reference.plans import (
    SESSION_ID,
    T0,
    AdPlan,
    Buffer,
    Chapter,
    Part,
    Pause,
    Play,
    Pod,
    Seek,
    Send,
    Wait,
    arriving,
    events_of_plan,
)
from tests.reference.wild_values import STATE_NAMES, wild_event

MINUTE_MS = 60_000
GAPS_MS: dict[str, list[int]] = {
    "quick": [0, 0, 1, 400, 999, 1000, 2000, 3000],
    "usual": [0, 0, 500, 1000, 4000, 9999, 10_000, 10_000],
    "slow": [0, 5000, 10_000, 25_000, 25_001, 40_000],
    "sparse": [0, 1000, 60_000, 300_000, 599_999, 600_000],
    "sleepy": [0, 1000, 10_000, 10_000, 600_001, 900_000, 2_000_000],
}
MOTIONS = ["follow", "follow", "still", "fast", "mixed", "mixed"]


def wild(seed: int) -> list[Step]:
    """A wild session, a log that nobody should send."""
    rng = Random(seed)
    broken = rng.choice([0.0, 0.05, 0.3])
    makers: list[Callable[[Random, float], list[Event]]] = [
        *[soup] * 8,
        *[spoilt_plan] * 8,
        *[ad_soup] * 4,
        standing,
        all_day,
        restless,
        many_states,
    ]
    events = rng.choice(makers)(rng, broken)
    if rng.random() < 0.12:
        events = with_clock_corrected(rng, events)
    if rng.random() < 0.1:
        return offline_steps(rng, events)
    return with_ticks(rng, online_steps(rng, events))


def realistic(seed: int) -> list[Step]:
    """A good player's session: pings, breaks with both bookends, pauses, buffers, chapters."""
    rng = Random(seed)
    parts = [*plan_parts(rng), Send("sessionComplete"), Send("sessionEnd")]
    return arriving(events_of_plan(parts), delay_ms=rng.randrange(300))


# --- what the player does --------------------------------------------------------------------
# `received_at` holds the true time of the event here; the network turns it into the arrival.


def moved(rng: Random, motion: str, dt: int) -> int:
    """How far the playhead goes in `dt`."""
    if motion == "mixed":
        motion = rng.choice(["follow", "follow", "still", "still", "fast", "jump", "back"])
    steps = {
        "follow": dt,
        "still": 0,
        "fast": rng.choice([2 * dt, 4 * dt, 4 * dt + 1000, 4 * dt + 1001, dt * 3 // 2 + 1000]),
        "jump": rng.randrange(1, 300_000),
        "back": -rng.randrange(1, 30_000),
    }
    return steps[motion]


def soup(rng: Random, broken: float) -> list[Event]:
    """Events of all types in any order."""
    kinds: list[EventType] = [*EVENT_TYPES, "ping", "ping", "ping", "ping", "play", "play"]
    kinds = [k for k in kinds if k not in ("sessionStart", "sessionEnd", "sessionComplete")]
    if rng.random() < 0.4:
        kinds.append("sessionComplete")
    body = [rng.choice(kinds) for _ in range(rng.randrange(1, 60))]
    return timed(rng, with_frame(rng, body), broken)


def ad_soup(rng: Random, broken: float) -> list[Event]:
    """Ads, breaks and little else: bookends lost, doubled and swapped."""
    kinds: list[EventType] = ["adBreakStart", "adBreakComplete", "adStart", "adComplete", "adSkip"]
    kinds += [*kinds, "ping", "ping", "play", "play", "pauseStart", "bufferStart"]
    kinds += ["sessionComplete"] if rng.random() < 0.5 else []
    body = [rng.choice(kinds) for _ in range(rng.randrange(1, 40))]
    return timed(rng, with_frame(rng, body), broken)


def with_frame(rng: Random, body: list[EventType]) -> list[EventType]:
    """`sessionStart` first, later, twice or never; `sessionEnd` last, inside or never."""
    dice = rng.random()
    if dice < 0.85:
        body.insert(0, "sessionStart")
    elif dice < 0.93:
        body.insert(rng.randrange(len(body)), "sessionStart")
    if rng.random() < 0.1:
        body.insert(rng.randrange(len(body)), "sessionStart")
    if rng.random() < 0.5:
        body.append("sessionEnd")
    if rng.random() < 0.1:
        close: list[EventType] = ["sessionEnd", "sessionComplete"]
        body.insert(rng.randrange(len(body)), rng.choice(close))
    return body


def timed(rng: Random, kinds: list[EventType], broken: float) -> list[Event]:
    """Gives each event its time and playhead."""
    gaps = GAPS_MS[rng.choice(list(GAPS_MS))]
    motion = rng.choice(MOTIONS)
    now, playhead = T0, rng.choice([0, 0, 0, 29_000, 100_000, 599_000])
    events = []
    for kind in kinds:
        events.append(wild_event(rng, kind, now, playhead, broken)._replace(received_at=now))
        if rng.random() < 0.7:
            dt = rng.choice(gaps)
            now += dt
            playhead = max(0, playhead + moved(rng, motion, dt))
    return events


def spoilt_plan(rng: Random, broken: float) -> list[Event]:
    """A good player's session that loses, swaps and grows some events on the way."""
    parts = plan_parts(rng)
    if rng.random() < 0.4:
        parts.append(Send("sessionComplete"))
        parts.append(Pod((AdPlan(9_000), AdPlan(5_000))))
    if rng.random() < 0.6:
        parts += [Wait(rng.choice([0, 7000])), Send("sessionEnd")]
    events = events_of_plan(parts, ping_ms=rng.choice([1000, 5000, 10_000, 40_000]))[:120]
    lost = rng.choice([0.0, 0.02, 0.15])
    kept = [e for e in events if rng.random() >= lost]
    for _ in range(rng.choice([0, 0, 1, 4])):
        place = rng.choice(events)
        kind = rng.choice(EVENT_TYPES[1:-1])
        kept.append(wild_event(rng, kind, place.ts, place.playhead_ms, broken))
    kept.sort(key=lambda e: e.ts)
    if rng.random() < 0.2:
        i = rng.randrange(len(kept)) if kept else 0
        kept[i : i + 2] = reversed(kept[i : i + 2])
    return [e._replace(received_at=e.ts) for e in kept or events]


def plan_parts(rng: Random) -> list[Part]:
    """What happens on screen: a pre-roll perhaps, then content with all that interrupts it."""
    parts: list[Part] = [Wait(rng.choice([0, 0, 1500]))]
    if rng.random() < 0.5:
        parts.append(pod(rng))
    for _ in range(rng.randrange(1, 7)):
        parts.append(Play(rng.choice([3000, 17_000, 30_000, 61_500]), rng.choice([1000, 1500])))
        parts.append(interruption(rng))
    parts.append(Play(12_000))
    return parts


def pod(rng: Random) -> Pod:
    ends: list[EventType | None] = ["adComplete", "adComplete", "adSkip", None]
    ads = [
        AdPlan(rng.choice([5000, 15_000]), rng.choice([0, 0, 4000]), rng.choice(ends))
        for _ in range(rng.randrange(4))
    ]
    return Pod(tuple(ads), rng.choice([0, 0, 0, 700]))


def interruption(rng: Random) -> Part:
    parts: list[Part] = [
        Pause(rng.choice([2000, 45_000])),
        Buffer(rng.choice([300, 8000])),
        pod(rng),
        pod(rng),
        Chapter(rng.choice(["chapterComplete", "chapterSkip", None])),
        Seek(rng.randrange(0, 500_000)),
        Wait(rng.choice([3000, 30_000])),
        Send("bitrateChange", None, {"media.qoe.bitrate": rng.choice([800, 2400])}),
        Send("error", {"media.errorId": "E-1", "media.errorSource": "player"}),
        Send("stateStart", {"media.state.name": rng.choice(STATE_NAMES)}),
        Send("stateEnd", {"media.state.name": rng.choice(STATE_NAMES)}),
    ]
    return rng.choice(parts)


def standing(rng: Random, broken: float) -> list[Event]:
    """The playhead stands for half an hour and more."""
    kinds: list[EventType] = ["ping", "ping", "ping", "pauseStart", "play", "bufferStart"]
    first: list[EventType] = ["sessionStart", "play", "ping"]
    times = [T0, T0, T0 + 10_000]
    gap = rng.choice([60_000, 290_000, 600_000])
    while times[-1] < T0 + rng.choice([31, 40]) * MINUTE_MS:
        times.append(times[-1] + gap)
    rest = [rng.choice(kinds) for _ in times[3:]]
    where = [0, 0, *[10_000 for _ in times[2:]]]
    if rng.random() < 0.4:
        moves_at = rng.randrange(3, len(times))
        where[moves_at:] = [20_000] * (len(times) - moves_at)
    made = zip([*first, *rest], times, where, strict=True)
    return [wild_event(rng, k, t, p, broken)._replace(received_at=t) for k, t, p in made]


def all_day(rng: Random, broken: float) -> list[Event]:
    """More than 24 h, with an event at least every 10 min."""
    gap = rng.choice([540_000, 599_000, 600_000])
    count = 24 * 60 * MINUTE_MS // gap + rng.randrange(-3, 4)
    first: list[EventType] = ["sessionStart", "play"]
    events = []
    for i in range(count + 2):
        kind = first[i] if i < 2 else "ping"
        event = wild_event(rng, kind, T0 + i * gap, i * 1000, broken)
        events.append(event._replace(received_at=event.ts))
    return events


def restless(rng: Random, broken: float) -> list[Event]:
    """A viewer who jumps about: more played intervals than are kept."""
    events = [wild_event(rng, "sessionStart", T0, 0, broken), Event("play", T0, 0)]
    now = T0
    for _ in range(rng.choice([100, 300])):
        place = rng.randrange(0, 6_000) * 700
        events.append(Event("play", now, place))
        now += rng.choice([500, 1000])
        events.append(Event("pauseStart", now, place + 700))
    return [e._replace(received_at=e.ts) for e in events]


def many_states(rng: Random, broken: float) -> list[Event]:
    kinds: list[EventType] = ["stateStart", "stateStart", "stateEnd", "statesUpdate", "ping"]
    body = [rng.choice(kinds) for _ in range(rng.randrange(10, 60))]
    return timed(rng, with_frame(rng, body), broken)


def with_clock_corrected(rng: Random, events: list[Event]) -> list[Event]:
    """From some event on, and perhaps once more, the device's clock is another."""
    out, shift = list(events), 0
    for _ in range(rng.choice([1, 1, 2])):
        shift += rng.choice([-3_600_000, -700_000, -600_001, -600_000, -30_000, 3_600_000])
        for i in range(rng.randrange(len(out)), len(out)):
            out[i] = out[i]._replace(ts=events[i].ts + shift)
    return out


# --- the way to the log ----------------------------------------------------------------------


def delayed(rng: Random, manner: str, event: Event) -> Event:
    """The arrival time of an event that happened at `received_at`."""
    true = event.received_at
    if manner == "instant":
        return event._replace(received_at=T0 + 30 * 24 * 60 * MINUTE_MS)
    if manner == "squeezed":
        return event._replace(received_at=T0 + (true - T0) // 20)
    delays = {
        "live": [0, 20, 150],
        "jitter": [0, 100, 2500, 4900, 5000],
        "slow": [0, 0, 0, 100, 4000, 5001, 9000, 20_000, 60_000],
        "awful": [0, 0, 0, 30_000, 400_000, 900_000],
    }
    return event._replace(received_at=true + rng.choice(delays[manner]))


def online_steps(rng: Random, events: list[Event]) -> list[Step]:
    """Records in log order, with repeats; now and then several events in one record."""
    manner = rng.choice(["live", "live", "jitter", "jitter", "slow", "slow", "awful", "instant"])
    if rng.random() < 0.2:
        manner = "squeezed"
    repeats = rng.choice([0.0, 0.03, 0.2])
    sent = []
    for event in events:
        sent.append(delayed(rng, manner, event))
        if rng.random() < repeats:
            again = sent[-1].received_at + rng.choice([0, 200, 5000, 20_000, 100_000])
            sent.append(sent[-1]._replace(received_at=again))
    sent.sort(key=lambda e: e.received_at)
    bundle = rng.choice([1, 1, 1, 3])
    steps: list[Step] = []
    while sent:
        size = rng.randrange(1, bundle + 1)
        group, sent = sent[:size], sent[size:]
        at = group[-1].received_at
        record = Record(SESSION_ID, False, tuple(e._replace(received_at=at) for e in group))
        steps.append(Arrival(record))
    return steps


def with_ticks(rng: Random, steps: list[Step]) -> list[Step]:
    """Ticks that come after all arrivals before them and before all after them."""
    often = rng.choice([0.0, 0.1, 0.5])
    out: list[Step] = []
    arrivals = [s for s in steps if isinstance(s, Arrival)]
    times = [s.record.events[0].received_at for s in arrivals]
    for i, step in enumerate(arrivals):
        out.append(step)
        last = i + 1 == len(arrivals)
        if rng.random() < often and not last:
            out.append(Tick(rng.choice([times[i], (times[i] + times[i + 1]) // 2, times[i + 1]])))
    if rng.random() < 0.4:
        later = [0, 5000, 5001, 60_000, 600_000, 600_001, 660_000, 25 * 60 * MINUTE_MS]
        out.append(Tick(times[-1] + rng.choice(later)))
    return out


def offline_steps(rng: Random, events: list[Event]) -> list[Step]:
    """The session as one offline list; now and then posted twice, or mixed with online records."""
    at = T0 + rng.choice([0, 24 * 60 * MINUTE_MS])
    whole = tuple(e._replace(received_at=at) for e in events)
    cut = rng.randrange(len(whole)) if rng.random() < 0.2 else 0
    before = [e._replace(received_at=at - rng.choice([0, 10_000])) for e in whole[:cut]]
    before.sort(key=lambda e: e.received_at)
    steps: list[Step] = [Arrival(Record(SESSION_ID, False, (e,))) for e in before]
    steps.append(Arrival(Record(SESSION_ID, True, whole[cut:])))
    if rng.random() < 0.2:
        steps.append(Arrival(Record(SESSION_ID, True, whole[cut:])))
    if rng.random() < 0.2:
        steps.append(Arrival(Record(SESSION_ID, False, (whole[-1]._replace(ts=T0),))))
    if rng.random() < 0.3:
        steps.append(Tick(at + rng.choice([0, 700_000])))
    return steps
