"""Session ids: form, MAC, rotation, age; keys and the file they are in."""

import re
import stat
from pathlib import Path

import pytest

from ingest import sids as sids_module
from ingest.sids import (
    SID_AGE_MS_MAX,
    ExpiredSid,
    KeyFault,
    Sids,
    UnknownSid,
    load_key_file,
    load_or_create_key_file,
    parse_keys,
)
from tests.ingest.bodies import TS, downloaded, dumps
from tests.ingest.servers import Clock, running

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
HEX = "ab" * 32


def sids(*keys: bytes, clock: Clock | None = None) -> Sids:
    return Sids(keys, clock or Clock())


def test_an_id_is_64_hex_characters_and_verifies() -> None:
    made = sids(OLD)
    found = {made.make() for _ in range(1_000)}
    assert len(found) == 1_000
    assert all(re.fullmatch(r"[0-9a-f]{64}", sid) for sid in found)
    assert {made.verify(sid) for sid in found} == {TS}


def test_no_character_can_be_changed() -> None:
    made = sids(OLD)
    sid = made.make()
    for place, digit in enumerate(sid):
        for other in "0f" if digit not in "0f" else "12":
            with pytest.raises(UnknownSid):
                made.verify(sid[:place] + other + sid[place + 1 :])


@pytest.mark.parametrize("change", [str.upper, lambda s: s[:-1], lambda s: s + "0", lambda s: "é"])
def test_there_is_one_spelling(change: object) -> None:
    made = sids(OLD)
    with pytest.raises(UnknownSid):
        made.verify(change(made.make()))  # type: ignore[operator]


def test_the_first_key_signs_and_all_verify() -> None:
    old, both, new = sids(OLD), sids(NEW, OLD), sids(NEW)
    assert both.verify(old.make()) == TS
    new.verify(both.make())
    for verifier, sid in ((old, both.make()), (new, old.make()), (sids(OTHER), old.make())):
        with pytest.raises(UnknownSid):
            verifier.verify(sid)


def test_old_ids_expire_also_when_they_are_known() -> None:
    clock = Clock()
    made = sids(OLD, clock=clock)
    sid = made.make()
    clock.now_ms += SID_AGE_MS_MAX
    assert made.verify(sid) == TS
    clock.now_ms += 1
    for verifier in (made, sids(OLD, clock=clock)):
        with pytest.raises(ExpiredSid) as caught:
            verifier.verify(sid)
        assert caught.value.created_ms == TS


def test_an_id_from_a_collector_whose_clock_is_ahead_verifies() -> None:
    clock = Clock()
    sid = sids(OLD, clock=clock).make()
    clock.now_ms -= 3_600_000
    assert sids(OLD, clock=clock).verify(sid) == TS


def test_the_ids_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sids_module, "_VERIFIED_MAX", 10)
    made = sids(OLD)
    for sid in [made.make() for _ in range(25)]:
        made.verify(sid)
        assert made.verify(sid) == TS
        assert len(made._verified) <= 10


def test_the_id_of_a_list_follows_from_body_and_key() -> None:
    made = sids(OLD)
    sid = made.derive(b"[1]", TS)
    assert sid == made.derive(b"[1]", TS) == sids(OLD, NEW).derive(b"[1]", TS)
    others = {made.derive(b"[2]", TS), made.derive(b"[1]", TS + 1), sids(NEW).derive(b"[1]", TS)}
    assert len(others | {sid}) == 4
    # Nor can it be told from the rest of the id which body it stands for.
    assert sids(NEW).derive(b"[1]", TS)[:32] != sid[:32]
    assert made.verify(sid) == TS
    assert sids(NEW, OLD).verify(sid) == TS
    with pytest.raises(UnknownSid):
        sids(NEW).verify(sid)


@pytest.mark.parametrize("time_ms", [0, 253_402_300_799_999, 2**60, -5])
def test_the_id_of_a_list_takes_any_time(time_ms: int) -> None:
    sid = sids(OLD).derive(b"[]", time_ms)
    assert re.fullmatch(r"[0-9a-f]{64}", sid)


def test_rotation_over_http() -> None:
    with running(keys=(OLD,)) as old:
        location = old.open()
        offline = old.post("/api/v1/downloaded", dumps(downloaded())).headers["location"]
    with running(keys=(NEW, OLD)) as both:
        assert both.send(location).status == 204
        assert both.send(offline).status == 204
        newer = both.open()
    with running(keys=(NEW,)) as new:
        assert new.send(newer).status == 204
        assert new.send(location).status == 404


def test_no_keys_no_ids() -> None:
    with pytest.raises(KeyFault):
        sids()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (HEX, 1),
        (f"{HEX}\n", 1),
        (f"# newest\n{HEX}\n{HEX[:62]}cd # old\n\n", 2),
        (f"{HEX},{'12' * 16}", 2),
    ],
)
def test_keys_are_parsed(text: str, count: int) -> None:
    keys = parse_keys(text, "the setting")
    assert len(keys) == count
    assert keys[0] == bytes.fromhex(HEX)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing",
        "secret",
        HEX[:30],
        HEX + "a",
        HEX * 3,
        f"{HEX} {HEX}",
        " ".join(f"{n:064x}" for n in range(17)),
    ],
)
def test_bad_keys_are_named_without_showing_them(text: str) -> None:
    with pytest.raises(KeyFault) as caught:
        parse_keys(text, "the setting")
    message = str(caught.value)
    assert message.startswith("the setting: ")
    assert HEX[:8] not in message
    assert "secret" not in message


def test_a_key_file_is_made_once_for_this_user_only(tmp_path: Path) -> None:
    path = tmp_path / "sid.key"
    keys = load_or_create_key_file(path)
    assert [len(key) for key in keys] == [32]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_key_file(path) == keys
    assert list(tmp_path.iterdir()) == [path]
    assert load_or_create_key_file(tmp_path / "other.key") != keys


def test_a_key_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sid.key"
    faults = []
    for content, mode in (
        (HEX.encode(), 0o604),
        (b"\xff", 0o600),
        (b"", 0o600),
        (b"0" * 70_000, 0o600),
    ):
        path.write_bytes(content)
        path.chmod(mode)
        with pytest.raises(KeyFault) as caught:
            load_or_create_key_file(path)
        faults.append(str(caught.value))
    assert all(str(path) in fault for fault in faults)
    assert "chmod 600" in faults[0]
    for missing in (tmp_path / "none.key", tmp_path):
        with pytest.raises(KeyFault) as caught:
            load_key_file(missing)
        assert str(missing) in str(caught.value)


def test_a_key_file_in_no_directory_cannot_be_made(tmp_path: Path) -> None:
    path = tmp_path / "none" / "sid.key"
    with pytest.raises(KeyFault) as caught:
        load_or_create_key_file(path)
    assert "make its directory writable" in str(caught.value)


def test_of_two_that_make_the_file_one_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sid.key"
    keys = load_or_create_key_file(path)
    monkeypatch.setattr(Path, "exists", lambda self: False)
    assert load_or_create_key_file(path) == keys
    assert list(tmp_path.iterdir()) == [path]
