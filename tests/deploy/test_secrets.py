"""deploy/compose/make_secrets.py and deploy/postgres/passwords.sql: made once, renewed, set."""

import os
import subprocess
from pathlib import Path

import psycopg
import pytest

from deploy.compose import make_secrets
from deploy.local.installations import find_postgres
from ingest.sids import load_key_file
from tests.postgres import plain
from tests.servers import PostgresServer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for copies in make_secrets.SECRETS.values():
        for copy in copies:
            (tmp_path / copy.place).parent.mkdir(exist_ok=True)
    return tmp_path


@pytest.fixture(autouse=True)
def owners(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The users that files were given to: only root may really do so."""
    found: set[int] = set()

    def give(_handle: int, user: int, group: int) -> None:
        assert user == group
        found.add(user)

    monkeypatch.setattr(os, "fchown", give)
    return found


def contents(root: Path) -> dict[str, str]:
    return {p.relative_to(root).as_posix(): p.read_text() for p in root.rglob("*") if p.is_file()}


def test_each_is_made_once(root: Path, owners: set[int]) -> None:
    make_secrets.main(root, None)
    made = contents(root)
    assert made.keys() == {c.place for copies in make_secrets.SECRETS.values() for c in copies}
    assert made["postgres/owner"] == made["migrate/password"] != made["postgres/processor"]
    assert len(set(made.values())) == len(make_secrets.SECRETS)
    assert min(len(text) for text in made.values()) > 40
    assert {path.stat().st_mode & 0o777 for path in root.rglob("*") if path.is_file()} == {0o400}
    assert owners == {999, 472, 10001}
    make_secrets.main(root, None)
    assert contents(root) == made


def test_a_start_that_was_cut_off_is_finished(root: Path) -> None:
    make_secrets.main(root, None)
    made = contents(root)
    (root / "processor/password").unlink()
    (root / "processor/.password").write_text("half", encoding="ascii")
    make_secrets.main(root, None)
    assert contents(root) == made


def test_a_renewed_password_is_the_only_change(root: Path) -> None:
    make_secrets.main(root, None)
    before = contents(root)
    make_secrets.main(root, "processor")
    after = contents(root)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"postgres/processor", "processor/password"}
    assert after["postgres/processor"] == after["processor/password"]


def test_a_new_key_stands_before_the_old_ones(root: Path) -> None:
    make_secrets.main(root, None)
    path = root / "collector/sid.keys"
    for _ in range(4):
        before = load_key_file(path)
        make_secrets.main(root, "sid-keys")
        after = load_key_file(path)
        assert after[1:] == before[: make_secrets.KEYS_KEPT - 1]
        assert after[0] not in before


def test_an_unknown_name_is_told(root: Path) -> None:
    with pytest.raises(SystemExit, match="no secret processr; there are superuser, owner"):
        make_secrets.main(root, "processr")
    assert contents(root) == {}


def test_the_passwords_are_set_from_the_files(
    root: Path, tmp_path: Path, postgres: PostgresServer
) -> None:
    url = postgres.database(f"passwords_{os.getpid()}")
    folder = Path(__file__).resolve().parents[2] / "deploy" / "postgres"
    psql = find_postgres(tmp_path / "none").programs / "psql"
    for renewed in (None, "processor"):
        make_secrets.main(root, renewed)
        files = (f"--file={folder / name}" for name in ("roles.sql", "passwords.sql"))
        done = subprocess.run(
            [psql, "-X", "-q", f"--set=secrets={root}/postgres", *files, plain(url)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        password = (root / "processor/password").read_text(encoding="ascii").strip()
        place = plain(url).partition("@")[2]
        address = f"postgresql://bookended_processor@{place}"
        with psycopg.connect(address, password=password) as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("bookended_processor",)
