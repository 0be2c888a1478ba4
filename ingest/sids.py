"""Session ids: made, derived and verified with a key, so that no look-up is needed.

On the record's way: `app` makes one for each opened session and verifies it on each event. An id is
64 hex characters, 32 bytes: creation time in ms (6), random (10), and a keyed MAC of both (16).
Clients take it as opaque. The time stands in it in the clear, because the partition of a session
follows from when its id was made, also for those who hold no key. Imports nothing of the project.
"""

import hashlib
import os
import re
import secrets
from collections.abc import Callable, Sequence
from hmac import compare_digest
from pathlib import Path
from typing import Final

SID_AGE_MS_MAX: Final = 48 * 3_600_000
"""A session ends after 24 h at most; an id twice as old belongs to a client that has gone wrong."""

_VERIFIED_MAX: Final = 50_000
_HEAD_LENGTH: Final = 32
_TIME_LENGTH: Final = 12
_RANDOM_BYTES: Final = 10
_MAC_BYTES: Final = 16
_TIME_MS_MAX: Final = 2 ** (8 * 6) - 1
_PERSON: Final = b"bookended sid"
_PERSON_OFFLINE: Final = b"bookended list"

_KEY_BYTES: Final = 32
_KEY_TEXT: Final = re.compile(r"[0-9a-fA-F]{32,128}")
_KEYS_MAX: Final = 16
_HOW_TO_MAKE: Final = "make one with: openssl rand -hex 32"
_FILE_BYTES_MAX: Final = 64 * 1024


class UnknownSid(Exception):
    """No id that this collector, or one with the same keys, has made."""


class ExpiredSid(Exception):
    """A genuine id that is too old. `created_ms` is when it was made."""

    def __init__(self, created_ms: int) -> None:
        super().__init__(created_ms)
        self.created_ms = created_ms


class KeyFault(Exception):
    """Keys that cannot be used. `what` names the file or setting, `reason` and the next step."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what, reason)
        self.what = what
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}"


class Sids:
    """Makes and verifies session ids. The first key signs; all of them verify (rotation)."""

    def __init__(self, keys: Sequence[bytes], clock: Callable[[], int]) -> None:
        """`clock` gives the wall clock in ms since the epoch."""
        if not keys:
            raise KeyFault("session id keys", "at least one is needed")
        self._keys = tuple(keys)
        self._clock = clock
        self._verified: dict[str, int] = {}

    def make(self) -> str:
        """A new id, unguessable."""
        return self._signed(self._clock(), secrets.token_bytes(_RANDOM_BYTES))

    def derive(self, body: bytes, time_ms: int) -> str:
        """The id of an offline list: the same for the same body and key. `time_ms` is the list's.

        Whoever has the body but not the key cannot work it out.
        """
        random = hashlib.blake2b(
            body, digest_size=_RANDOM_BYTES, key=self._keys[0], person=_PERSON_OFFLINE
        ).digest()
        return self._signed(time_ms, random)

    def _signed(self, time_ms: int, random: bytes) -> str:
        time_bytes = min(max(time_ms, 0), _TIME_MS_MAX).to_bytes(6)
        head = time_bytes.hex() + random.hex()
        return head + _mac(head, self._keys[0])

    def verify(self, sid: str) -> int:
        """When a genuine id was made, ms. Raises `UnknownSid`, `ExpiredSid`."""
        created_ms = self._verified.get(sid)
        if created_ms is None:
            created_ms = self._verify_mac(sid)
            # A session sends hundreds of events: its MAC is worked out once. All are forgotten at
            # once when there are too many, which costs less than keeping track of the oldest.
            if len(self._verified) >= _VERIFIED_MAX:
                self._verified.clear()
            self._verified[sid] = created_ms
        if self._clock() - created_ms > SID_AGE_MS_MAX:
            raise ExpiredSid(created_ms)
        return created_ms

    def _verify_mac(self, sid: str) -> int:
        if not sid.isascii():
            raise UnknownSid
        head, mac = sid[:_HEAD_LENGTH], sid[_HEAD_LENGTH:]
        # The MAC covers the text itself, so that there is one spelling only.
        if not any(compare_digest(_mac(head, key), mac) for key in self._keys):
            raise UnknownSid
        return int(head[:_TIME_LENGTH], 16)


def _mac(head: str, key: bytes) -> str:
    return hashlib.blake2b(
        head.encode(), digest_size=_MAC_BYTES, key=key, person=_PERSON
    ).hexdigest()


def parse_keys(text: str, what: str) -> tuple[bytes, ...]:
    """The keys in a text: hex, 32 to 128 characters each, by line, comma or space; newest first.

    `what` names where the text is from, for the errors. Raises `KeyFault`, never with a key in it.
    """
    words = re.sub(r"#.*", "", text).replace(",", " ").split()
    if not words:
        raise KeyFault(what, f"holds no key; {_HOW_TO_MAKE}")
    if len(words) > _KEYS_MAX:
        raise KeyFault(what, f"holds {len(words)} keys, more than {_KEYS_MAX}; remove old ones")
    for number, word in enumerate(words, start=1):
        if not _KEY_TEXT.fullmatch(word) or len(word) % 2:
            raise KeyFault(what, f"key {number} is not 32 to 128 hex characters; {_HOW_TO_MAKE}")
    if len(set(words)) < len(words):
        raise KeyFault(what, "holds a key twice; remove one of the two")
    return tuple(bytes.fromhex(word) for word in words)


def load_key_file(path: Path) -> tuple[bytes, ...]:
    """The keys in a file. Raises `KeyFault`: unreadable, readable by others, no keys."""
    what = f"session id key file {path}"
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise KeyFault(what, f"cannot be read ({error.strerror}); check path and owner") from error
    if mode & 0o007:
        raise KeyFault(what, f"can be read by every user; run: chmod 600 {path}")
    if len(content) > _FILE_BYTES_MAX:
        raise KeyFault(what, "is no key file: it is too large")
    try:
        return parse_keys(content.decode("ascii"), what)
    except UnicodeDecodeError as error:
        raise KeyFault(what, "is no key file: it holds more than ASCII text") from error


def load_or_create_key_file(path: Path) -> tuple[bytes, ...]:
    """The keys in a file, which is made with one new key, mode 0600, if there is none.

    Raises `KeyFault`. The file appears whole or not at all; of two that make it at once, one wins.
    """
    if not path.exists():
        _create_key_file(path)
    return load_key_file(path)


def _create_key_file(path: Path) -> None:
    made = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES).hex().encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(made, path)
        finally:
            made.unlink()
    except FileExistsError:
        return
    except OSError as error:
        raise KeyFault(
            f"session id key file {path}",
            f"cannot be made ({error.strerror}); make its directory writable for this user",
        ) from error
