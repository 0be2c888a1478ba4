"""Sessions that touch the bounds: too much of something (semantics.md §2, §7, architecture).

Slow to read, so few of them. Only for tests; imports no `processor`.
"""

from random import Random

from models import limits
from models.records import Event
from tests.reference.arrivals import Step
from tests.reference.plans import T0, one_by_one, start_params


def flood(seed: int) -> list[Step]:
    """More than 1,000 events within the reorder window, badly out of order."""
    rng = Random(seed)
    count = limits.WAITING_MAX + rng.randrange(1, 300)
    kinds = ["ping", "ping", "ping", "play", "pauseStart", "adStart", "adComplete", "error"]
    events = [Event("sessionStart", T0, 0, start_params(7200))]
    events += [
        Event(
            rng.choice(kinds),  # type: ignore[arg-type]  # all are event types
            T0 + i * 997,
            i * 1000,
        )
        for i in range(count)
    ]
    late = rng.choice([0, 30_000, 1_000_000])
    events.sort(key=lambda e: e.ts + rng.randrange(late + 1))
    arrived = [e._replace(received_at=T0 + i * 3) for i, e in enumerate(events)]
    return list(one_by_one(arrived))


def crowded(seed: int) -> list[Step]:
    """More breaks, ads, chapters and errors than their tables keep."""
    rng = Random(seed)
    now, events = T0, [Event("sessionStart", T0, 0, start_params(7200)), Event("play", T0, 0)]
    for i in range(limits.CHILD_ROWS_MAX + rng.randrange(40, 80)):
        about = {"media.errorId": f"E-{i % 130}", "media.errorSource": "player"}
        for kind in ("adBreakStart", "adStart", "adComplete", "adBreakComplete", "chapterStart"):
            if rng.random() < 0.99:
                events.append(Event(kind, now, (now - T0) // 2))
            now += rng.choice([0, 100])
        events.append(Event("error", now, (now - T0) // 2, about))
    return list(one_by_one(e._replace(received_at=e.ts) for e in events))


def fidgety(seed: int) -> list[Step]:
    """More periods of two player states than are kept, with gaps, a clock set back, late events."""
    rng = Random(seed)
    ts, events = T0, [Event("sessionStart", T0, 0, start_params()), Event("play", T0, 0)]
    for i in range(12 * limits.PERIODS_MAX):
        ts += rng.choice([0, 500, 1_000, 1_000, 2_000])
        if rng.random() < 0.05:
            ts += rng.choice([700_000, -620_000])
        sent = ts - rng.choice([0] * 9 + [3_000])
        kind, name = rng.choice(["stateStart", "stateEnd"]), rng.choice(["mute", "Full"])
        about = {"media.state.name": name}
        events.append(Event(kind, sent, i * 700, about))  # type: ignore[arg-type]  # as above
    arrived = [e._replace(received_at=T0 + i * 6_000) for i, e in enumerate(events)]
    return list(one_by_one(arrived))


def endless() -> list[Step]:
    """200,001 events: the 200,000th closes the session."""
    events = [Event("sessionStart", T0, 0, start_params()), Event("play", T0, 0)]
    events += [Event("ping", T0 + i * 400, i * 400) for i in range(2, limits.EVENTS_MAX + 1)]
    return list(one_by_one(e._replace(received_at=e.ts) for e in events))
