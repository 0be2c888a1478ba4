"""docs/analysis.md as a reader would follow it: commands in a shell, then one notebook."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.processes import environment
from tests.documents import read

DOCUMENT = read("docs/analysis.md")
DONE_WITHIN_S = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which `bookended` is this checkout's."""
    made = tmp_path_factory.mktemp("notebook")
    program = made / "bin" / "bookended"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bookended "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return made


def test_the_page_does_what_it_says(folder: Path) -> None:
    shell = "set -eu\n" + "\n".join(DOCUMENT.code_blocks("sh"))
    done = run(["bash", "-c", shell], folder)
    shown = [line for text in DOCUMENT.code_blocks("text") for line in text.splitlines()]
    assert shown
    assert set(shown) <= set(done.stdout.splitlines())
    notebook = "\n".join(DOCUMENT.code_blocks("python"))
    assert notebook.count("assert ") == 3
    printed = run([sys.executable, "-c", notebook], folder).stdout
    assert "Night Train" in printed
    assert "channel tracked" in " ".join(printed.split())


def run(words: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        words,
        cwd=folder,
        env=environment(PATH=f"{folder / 'bin'}:{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        timeout=DONE_WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done
