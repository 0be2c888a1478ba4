"""Reads rows of bare records out of an archive's block, many at once, without the Avro library.

Most archived records hold one online event without details, a ping mostly. Their bytes have one
shape, so one pattern finds a whole row of them, and the numbers of all of them are worked out
together, as lanes of one long integer. That takes a third of the library's time (`tests/bench`),
and a rebuild is mostly this. Whatever has another shape is left to the library. A test holds both
to the same result. Imports nothing of the project but the event record.
"""

import re
from collections.abc import Iterable
from itertools import chain, repeat
from struct import Struct
from typing import Final

from models.records import EVENT_TYPES, Event, EventType

PING: Final = Struct("<4q")
"""A bare record's numbers: `ts`, `playhead_ms`, `received_at` (ms each), its offset in the log."""

# Avro enum symbols start with "unknown", so the codes of the known types are 1 to 20, zigzag.
_TYPES: Final[dict[bytes, EventType]] = {
    bytes((2 * code,)): name for code, name in enumerate(EVENT_TYPES, 1)
}
_PING_CODE: Final = next(code for code, name in _TYPES.items() if name == "ping")
_ROW: Final = re.compile(
    rb"([\x80-\xff]{0,7}+[\x00-\x7f])"  # offset; all numbers are zigzag varints
    rb"([\x80-\xff]{5}[\x00-\x7f])"  # received_at: six bytes from 1970-07 to 2039-09
    rb"\x80\x01([0-9A-Za-z]{64})"  # session_id, behind its length
    rb"\x00\x02"  # online; a block of one event
    rb"([" + re.escape(b"".join(_TYPES)) + rb"])"
    rb"([\x80-\xff]{5}[\x00-\x7f])"  # ts
    rb"([\x80-\xff]{0,3}+[\x00-\x7f])"  # playhead_ms
    rb"\x00\x00\x00"  # no details; no more events; not undecodable
    rb"|.+",  # another record: all from there on, so that the next row is not sought behind it
    re.DOTALL,
)
_FIXED_BYTES: Final = 6 + 2 + 64 + 2 + 1 + 6 + 3
_LANE_BYTES: Final = 8
_ONE: Final = (1).to_bytes(_LANE_BYTES, "little")


class BareRecords:
    """The bare records of a block as they stand in it, gathered row by row."""

    def __init__(self) -> None:
        self.session_ids: list[bytes] = []
        self._codes: list[bytes] = []
        self._numbers: list[bytes] = []

    def __len__(self) -> int:
        return len(self.session_ids)

    def take(self, data: bytes, at: int) -> int:
        """Gathers the row of bare records that begins at byte `at`; says where it ends."""
        row = _ROW.findall(data, at)
        if row and not row[-1][0]:
            row.pop()
        if not row:
            return at
        offsets, received, session_ids, codes, ts, playheads = zip(*row, strict=True)
        self.session_ids += session_ids
        self._codes += codes
        self._numbers += chain.from_iterable(zip(ts, playheads, received, offsets, strict=True))
        # Each is short, so to join them is the quickest way to their length.
        return at + _FIXED_BYTES * len(row) + len(b"".join(offsets)) + len(b"".join(playheads))

    def packed(self) -> list[bytes]:
        """Each record's numbers as a `PING`. Errors: `ValueError` for a number below 0."""
        numbers = _packed(self._numbers, len(self._numbers))
        return [numbers[at : at + PING.size] for at in range(0, len(numbers), PING.size)]

    def other_events(self, packed: list[bytes]) -> dict[int, tuple[int, Event]]:
        """Offset and event of those that are no pings, by their place."""
        return {
            place: _event(_TYPES[code], *PING.unpack(packed[place]))
            for place, code in enumerate(self._codes)
            if code != _PING_CODE
        }


def _event(
    kind: EventType, ts: int, playhead_ms: int, received_at: int, offset: int
) -> tuple[int, Event]:
    return offset, Event(kind, ts, playhead_ms, received_at=received_at)


def _packed(varints: Iterable[bytes], count: int) -> bytes:
    """Zigzag varints of up to eight bytes, none of them below 0, as numbers of eight bytes.

    Each has 64 bits of one long integer to itself: seven bits a byte, the lowest first, are moved
    together to 14, 28 and 56 bits in all lanes at once.
    """
    padded = map(bytes.ljust, varints, repeat(_LANE_BYTES), repeat(b"\0"))
    lanes = int.from_bytes(b"".join(padded), "little")
    one = int.from_bytes(_ONE * count, "little")
    if lanes & one:
        raise ValueError("a number is below 0")
    lanes = lanes & one * 0x007F007F007F007F | (lanes & one * 0x7F007F007F007F00) >> 1
    lanes = lanes & one * 0x00003FFF00003FFF | (lanes & one * 0x3FFF00003FFF0000) >> 2
    lanes = lanes & one * 0x000000000FFFFFFF | (lanes & one * 0x0FFFFFFF00000000) >> 4
    return (lanes >> 1).to_bytes(_LANE_BYTES * count, "little")
