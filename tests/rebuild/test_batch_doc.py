"""docs/batch.md, run as it stands over an archive of the demo's log."""

import doctest
from pathlib import Path

import pytest

from tests.documents import ROOT
from tests.rebuild.test_commands import run


def test_the_document_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(tmp_path, "demo", "--data", "bookended-data").returncode == 0
    assert run(tmp_path, "archive", "--to", "archive").returncode == 0
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testfile(str(ROOT / "docs/batch.md"), module_relative=False)
    assert (failed, tried > 10) == (0, True)
