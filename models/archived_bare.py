"""Reads rows of bare records out of an archive's block, many at once, without the Avro library.

Most archived records hold one online event without details, a ping mostly. Their bytes have one
shape, so one pattern finds a whole row of them, and the numbers of hundreds are worked out
together, as lanes of one long integer. So reading a file takes less than half of the library's time
(`tests/bench`), a third of a rebuild. Whatever has another shape is left to the library. A test
holds both to the same result. Imports nothing of the project but the event record.
"""

import re
from functools import cache
from itertools import chain, repeat
from struct import Struct
from typing import Final

from models.records import EVENT_TYPES, EventType

PING: Final = Struct("<4q")
"""A bare record's numbers: `ts`, `playhead_ms`, `received_at` (ms each), its offset in the log."""

# Avro enum symbols start with "unknown", so the codes of the known types are 1 to 20, zigzag.
_TYPES: Final[dict[bytes, EventType]] = {
    bytes((2 * code,)): name for code, name in enumerate(EVENT_TYPES, 1)
}
_PING_CODE: Final = next(code for code, name in _TYPES.items() if name == "ping")
_ROW: Final = re.compile(
    # The record's place: offset and received_at. All numbers are zigzag varints; the second is of
    # six bytes, as from 1970-07 to 2039-09.
    rb"([\x80-\xff]{0,7}+[\x00-\x7f][\x80-\xff]{5}+[\x00-\x7f])"
    rb"\x80\x01(.{64})"  # session_id, behind its length
    rb"\x00\x02"  # online; a block of one event
    # What it says: type, ts (of six bytes, too), playhead_ms.
    rb"([" + re.escape(b"".join(_TYPES)) + rb"][\x80-\xff]{5}+[\x00-\x7f]"
    rb"[\x80-\xff]{0,3}+[\x00-\x7f])"
    rb"\x00\x00\x00"  # no details; no more events; not undecodable
    rb"|.+",  # another record: all from there on, so that the next row is not sought behind it
    re.DOTALL,
)
_FIXED_BYTES: Final = 2 + 64 + 2 + 3
_INSTANT_BYTES: Final = 6
_OFFSET_BYTES_MAX: Final = 8
_NO_PING: Final = re.compile(b"[^" + re.escape(_PING_CODE) + b"]", re.DOTALL)
_HALF: Final = 16
"""Of a `PING`, and so what each part of a record is padded to: what it says, then its place."""
_TOGETHER: Final = 512
"""Records in one integer: so few that it and the masks stay near the processor."""


def _in_each_record(bits: int, at: int) -> int:
    """So many ones at the bit `at` of each record of an integer."""
    each = (1).to_bytes(PING.size, "little") * _TOGETHER
    return int.from_bytes(each, "little") * (((1 << bits) - 1) << at)


def _in_each_number(bits: int) -> int:
    each = (1).to_bytes(8, "little") * (4 * _TOGETHER)
    return int.from_bytes(each, "little") * bits


_TS: Final = _in_each_record(48, 0)
_PLAYHEAD: Final = _in_each_record(32, 64)
_RECEIVED_AT: Final = _in_each_record(48, 128)
_LOWEST: Final = _in_each_number(1)
_EVEN_7, _ODD_7 = _in_each_number(0x007F007F007F007F), _in_each_number(0x7F007F007F007F00)
_EVEN_14, _ODD_14 = _in_each_number(0x00003FFF00003FFF), _in_each_number(0x3FFF00003FFF0000)
_EVEN_28, _ODD_28 = _in_each_number(0x000000000FFFFFFF), _in_each_number(0x0FFFFFFF00000000)


class BareRecords:
    """The bare records of a block as they stand in it, gathered row by row."""

    def __init__(self) -> None:
        self.session_ids: list[bytes] = []
        self._places: list[bytes] = []
        self._said: list[bytes] = []

    def __len__(self) -> int:
        return len(self.session_ids)

    def take(self, data: bytes, at: int) -> int:
        """Gathers the row of bare records that begins at byte `at`; says where it ends."""
        row = _ROW.findall(data, at)
        if row and not row[-1][0]:
            row.pop()
        if not row:
            return at
        places, session_ids, said = zip(*row, strict=True)
        self._places += places
        self.session_ids += session_ids
        self._said += said
        # Each is short, so to join them is the quickest way to their length.
        return at + _FIXED_BYTES * len(row) + len(b"".join(places)) + len(b"".join(said))

    def numbers(self) -> tuple[list[bytes], dict[int, EventType]]:
        """Each record's numbers as a `PING`, and the types of those that are none, by their index.

        Errors: `ValueError` for a number below 0, and for a session id that is not ASCII.
        """
        if not b"".join(self.session_ids).isascii():
            raise ValueError("a session id is not ASCII")
        offset_bytes, places = _of_one_length(self._places)
        parts = chain.from_iterable(zip(self._said, places, strict=True))
        records = b"".join(map(bytes.ljust, parts, repeat(_HALF), repeat(b"\0")))
        packed = _packed(records, offset_bytes)
        others = _NO_PING.finditer(records[:: PING.size])
        return (
            [packed[at : at + PING.size] for at in range(0, len(packed), PING.size)],
            {found.start(): _TYPES[found[0]] for found in others},
        )


def _of_one_length(places: list[bytes]) -> tuple[int, list[bytes]]:
    """Places whose offsets have one length, and that length. In nearly every block they have."""
    lengths = set(map(len, places))
    if len(lengths) == 1:
        return lengths.pop() - _INSTANT_BYTES, places
    longest = _OFFSET_BYTES_MAX
    at = -_INSTANT_BYTES
    return longest, [place[:at].ljust(longest, b"\0") + place[at:] for place in places]


def _packed(records: bytes, offset_bytes: int) -> bytes:
    """Records, each what it says and its place, as their `PING`s, one after the other.

    Errors: `ValueError` for a number below 0.
    """
    size = PING.size * _TOGETHER
    parts = [
        _spread(int.from_bytes(records[at : at + size], "little"), offset_bytes)
        for at in range(0, len(records), size)
    ]
    return b"".join([part.to_bytes(size, "little") for part in parts])[: len(records)]


def _spread(came: int, offset_bytes: int) -> int:
    """Every number is a zigzag varint of up to eight bytes, not below 0. Each is moved to 64 bits
    that it has to itself; then seven bits a byte, the lowest first, are moved together to 14, 28
    and 56 bits in all of them at once."""
    lanes = came >> 8 & _TS | came << 8 & _PLAYHEAD
    lanes |= came >> 8 * offset_bytes & _RECEIVED_AT | came << 64 & _offset(offset_bytes)
    if lanes & _LOWEST:
        raise ValueError("a number is below 0")
    lanes = lanes & _EVEN_7 | (lanes & _ODD_7) >> 1
    lanes = lanes & _EVEN_14 | (lanes & _ODD_14) >> 2
    lanes = lanes & _EVEN_28 | (lanes & _ODD_28) >> 4
    return lanes >> 1


@cache
def _offset(offset_bytes: int) -> int:
    return _in_each_record(8 * offset_bytes, 192)
