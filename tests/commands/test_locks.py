"""One collector and one processor an embedded file."""

import os
from pathlib import Path

import pytest

from commands.errors import Failure
from commands.locks import sole


def test_a_second_one_is_told_who_holds_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with sole("collector", path):
        told = f"another collector .process {os.getpid()}. is already"
        with pytest.raises(Failure, match=told), sole("collector", path):
            raise AssertionError("both at once")
        with sole("processor", path):
            assert (tmp_path / "log.db.processor.lock").exists()
    with sole("collector", path):
        assert not path.exists()


def test_a_directory_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "log.db"
    with pytest.raises(Failure, match="a part of that path is a file"), sole("collector", path):
        raise AssertionError("locked nothing")
