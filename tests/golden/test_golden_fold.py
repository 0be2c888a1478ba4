"""The fold gives the figures of every worked session exactly."""

import pytest

from tests.golden.loading import Rows, differences, golden_names, load_golden
from tests.production import fold_arrivals


@pytest.mark.parametrize("name", golden_names())
def test_golden(name: str) -> None:
    golden = load_golden(name)
    fold = fold_arrivals(golden.steps, golden.policy)
    rows = Rows(fold.figures, fold.breaks, fold.ads, fold.chapters, fold.player_states)
    assert differences(rows, golden.expected) == {}
