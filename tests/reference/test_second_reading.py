"""The production fold agrees with the second reading, row for row, on thousands of wild sessions.

More seeds: `WILD_SEEDS=100000 .venv/bin/pytest tests/reference/test_second_reading.py`.
"""

import os
from collections.abc import Iterable
from itertools import product
from typing import Literal

import pytest

from models.policy import DEFAULT_POLICY, Policy
from tests.golden.loading import golden_names, load_golden
from tests.production import Live, fold_arrivals, fold_prefixes
from tests.reference.arrivals import Step
from tests.reference.compare import Differences, differences
from tests.reference.crowds import crowded, endless, fidgety, flood
from tests.reference.reading import read, read_prefixes
from tests.reference.wild import realistic, wild

SEED_COUNT = int(os.environ.get("WILD_SEEDS", "4000"))
BATCHES = 20
UNCLOSED: tuple[Literal["content", "ad"], ...] = ("content", "ad")
GAPS: tuple[Literal["excluded", "content"], ...] = ("excluded", "content")
STALLS: tuple[Literal["on", "off"], ...] = ("on", "off")
POLICIES = [
    Policy(unclosed, gap, stalls, valid_play_ms=5_000)
    for unclosed, gap, stalls in product(UNCLOSED, GAPS, STALLS)
]
POLICIES += [Policy(inactive_ms=60_000, idle_ms=120_000, expired_ms=3_600_000)]


def fold_differs(steps: list[Step], policy: Policy = DEFAULT_POLICY) -> Differences:
    return differences(read(steps, policy), fold_arrivals(steps, policy))


def agree(seeds: Iterable[int], policy: Policy = DEFAULT_POLICY) -> None:
    for seed in seeds:
        found = fold_differs(wild(seed), policy)
        assert not found, f"wild({seed}) under {policy}: (reading, fold) differ in {found}"


@pytest.mark.parametrize("batch", range(BATCHES))
def test_wild_sessions(batch: int) -> None:
    agree(range(batch, SEED_COUNT, BATCHES))


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_wild_sessions_under_every_policy(policy: Policy) -> None:
    agree(range(150), policy)


@pytest.mark.parametrize("seed", range(100))
def test_realistic_sessions(seed: int) -> None:
    assert fold_differs(realistic(seed)) == {}


@pytest.mark.parametrize("name", golden_names())
def test_worked_sessions_on_every_prefix(name: str) -> None:
    golden = load_golden(name)
    prefixes_agree(golden.steps, Live(golden.policy))


PREFIXES_MAX = 60
"""Each step costs a reading of all before it."""


@pytest.mark.parametrize("seed", range(0, 160, 2))
def test_every_prefix(seed: int) -> None:
    """A summary is right after every step, whatever an earlier one said of what waited."""
    prefixes_agree(wild(seed)[:PREFIXES_MAX], Live())


@pytest.mark.parametrize("seed", range(1, 160, 2))
def test_every_prefix_as_the_processor_goes_through_it(seed: int) -> None:
    """States through their bytes at every step, ticks only when due, closed sessions retired."""
    prefixes_agree(wild(seed)[:PREFIXES_MAX], Live(lazy_ticks=True, reload=True, retire=True))


def prefixes_agree(steps: list[Step], live: Live) -> None:
    pairs = zip(read_prefixes(steps, live.policy), fold_prefixes(steps, live), strict=True)
    for i, (mine, theirs) in enumerate(pairs):
        found = differences(mine, theirs)
        assert not found, f"after step {i}: (reading, fold) differ in {found}"


@pytest.mark.parametrize("seed", range(4))
def test_more_waiting_than_may_wait(seed: int) -> None:
    assert fold_differs(flood(seed)) == {}


def test_more_rows_than_are_kept() -> None:
    assert fold_differs(crowded(1)) == {}


@pytest.mark.parametrize("seed", range(3))
def test_more_periods_than_are_kept(seed: int) -> None:
    assert fold_differs(fidgety(seed)) == {}


def test_more_events_than_a_session_has() -> None:
    assert fold_differs(endless()) == {}
