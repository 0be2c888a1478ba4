"""No figure of a worked session changes without a new `FOLD_VERSION`."""

from pathlib import Path

import pytest

from models.policy import FOLD_VERSION
from tests.golden.digests import Digests, digests_now, fault, read, write

KEPT = Digests(2, {"a": "1", "b": "2"})


def test_the_fold_gives_what_its_version_gave() -> None:
    assert fault(read(), digests_now()) == ""


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (Digests(2, {"a": "1", "b": "3"}), "rows of b are not what version 2"),
        (Digests(2, {"a": "1"}), "rows of b are not what version 2"),
        (Digests(3, {"a": "1", "b": "3"}), "no digests of version 3"),
        (Digests(3, {"a": "1", "b": "2"}), "no digests of version 3"),
        (Digests(2, {"a": "1", "b": "2", "c": "3"}), "lacks a session"),
    ],
)
def test_what_does_not_fit_is_told(now: Digests, said: str) -> None:
    assert said in fault(KEPT, now)


def test_another_rule_changes_a_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest sees a change of a rule that the worked sessions show."""
    monkeypatch.setattr("processor.session.REORDER_WINDOW_MS", 0)
    now = digests_now()
    assert now.fold_version == FOLD_VERSION
    assert "reordered" in fault(read(), now)


def test_digests_are_written_for_a_new_version_only(tmp_path: Path) -> None:
    path = tmp_path / "digests.lock"
    assert write(KEPT, path) == ""
    assert "raise FOLD_VERSION" in write(Digests(2, {"a": "1", "b": "3"}), path)
    assert read(path) == KEPT
    raised = Digests(3, {"a": "1", "b": "3"})
    assert write(raised, path) == ""
    assert read(path) == raised
    more = Digests(3, {**raised.sessions, "c": "4"})
    assert write(more, path) == ""
    assert read(path) == more
