"""The second reading gives the figures of every worked session exactly."""

import pytest

from tests.golden.loading import differences, golden_names, load_golden
from tests.reference.reading import read


def test_there_are_worked_sessions() -> None:
    assert len(golden_names()) >= 36


@pytest.mark.parametrize("name", golden_names())
def test_golden(name: str) -> None:
    golden = load_golden(name)
    assert golden.expected, "a worked session without figures proves nothing"
    reading = read(golden.steps, golden.policy)
    assert differences(reading, golden.expected) == {}


@pytest.mark.parametrize("name", golden_names())
def test_golden_conserves_time(name: str) -> None:
    golden = load_golden(name)
    reading = read(golden.steps, golden.policy)
    f = reading.figures
    buckets = (
        f.content_ms
        + f.ad_ms
        + f.pause_ms
        + f.buffer_ms
        + f.stall_ms
        + f.ad_gap_ms
        + f.startup_ms
        + f.untracked_ms
    )
    assert buckets + reading.ended_ms == reading.elapsed_ms
