"""QoE values of a session (docs/rules.md "Quality"). Part of the pure core."""

from models.records import Event
from processor.fields import read_quality
from processor.state import SessionState
from processor.things import Quality


def take_quality(state: SessionState, event: Event) -> None:
    """Takes over the QoE values that an event carries; a new bitrate weighs from here on."""
    values = read_quality(state, event)
    if not values:
        return
    if state.quality is None:
        state.quality = Quality()
    quality = state.quality
    bitrate = values.get("bitrate")
    if bitrate is not None:
        _weigh(quality, state.weight_clock)
        quality.bitrate = bitrate
    if "droppedFrames" in values:
        quality.dropped_frames = round(values["droppedFrames"])
    if "timeToStart" in values:
        quality.time_to_start_ms = round(values["timeToStart"])
    if "framesPerSecond" in values:
        quality.frames_per_second = float(values["framesPerSecond"])


def _weigh(quality: Quality, weight_clock: int) -> None:
    if quality.bitrate is not None:
        weight_ms = weight_clock - quality.since
        quality.weight_ms += weight_ms
        quality.weighted += quality.bitrate * weight_ms
    quality.since = weight_clock


def average_bitrate(state: SessionState) -> float | None:
    """Bitrate weighted by content, ad and stall time since a value is known; null without any."""
    quality = state.quality
    if quality is None or quality.bitrate is None:
        return None
    last_ms = state.weight_clock - quality.since
    weight_ms = quality.weight_ms + last_ms
    if weight_ms == 0:
        return None
    return (quality.weighted + quality.bitrate * last_ms) / weight_ms
