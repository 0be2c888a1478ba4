"""The fold gives the figures of every worked session exactly."""

import pytest

from tests.golden.loading import differences, golden_names, load_golden
from tests.production import fold_arrivals


@pytest.mark.parametrize("name", golden_names())
def test_golden(name: str) -> None:
    golden = load_golden(name)
    fold = fold_arrivals(golden.steps, golden.policy)
    assert differences(fold, golden.expected) == {}
