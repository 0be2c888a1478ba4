"""Reads and writes the one shape that 95 % of log records have, without the Avro library.

A record with a single online event and no details (a ping, mostly) has its numbers at known
places. Reading or writing them there takes a third of the time of `fastavro` (`tests/bench`), and
catching up with a log is mostly this. Anything else, and anything odd, is left to the library:
`None`. A test holds both to the same result. Imports nothing of the project but the event record.
"""

from struct import Struct
from typing import Final

from models.records import EVENT_TYPES, Event, EventType

KEY_LENGTH: Final = b"\x80\x01"
"""64, as Avro writes the length of a string: with the header before it, how each record starts."""
_ONE_ONLINE_EVENT: Final = b"\x00\x02"  # offline = false; an array block of one item
_NO_DETAILS: Final = b"\x00\x00"  # null; end of the array
# Avro enum symbols start with "unknown", so the codes of the known types are 1 to 20, zigzag.
_BEFORE_TS: Final[dict[EventType, bytes]] = {
    name: _ONE_ONLINE_EVENT + bytes((2 * (i + 1),)) for i, name in enumerate(EVENT_TYPES)
}
_TYPES: Final = {before_ts: name for name, before_ts in _BEFORE_TS.items()}
_PLAYHEAD_ENDS: Final = {1: 0, 2: 0x80, 3: 0x8080, 4: 0x808080}
"""Length of a playhead in bytes to its continuation bits: every byte but the last has one."""
_SIX_BYTES: Final = range(2**34, 2**41)
"""The instants whose zigzag varint has six bytes: 1970-07 to 2039-09."""
_FOUR_BYTES_MAX: Final = 2**27
_new: Final = tuple.__new__  # what a NamedTuple does, without its Python frame


def _parts(playhead_bytes: int) -> Struct:
    """How the record starts, key, type of the one online event, `ts`, playhead, no details."""
    return Struct(f"<12s64s3s6B{playhead_bytes}BH")


_SIZE_1, _SIZE_2, _SIZE_3, _SIZE_4 = (_parts(n).size for n in (1, 2, 3, 4))
_read_1, _read_2, _read_3, _read_4 = (_parts(n).unpack for n in (1, 2, 3, 4))

# A varint has seven bits a byte, the lowest first; all but the last byte have 128 added. A byte's
# share is looked up by its place. What a number from 0 on cannot have there makes it negative.
_WRONG: Final = -(2**60)


def _more(shift: int) -> tuple[int, ...]:
    """Shares of a byte that others follow, `shift` bits up."""
    return tuple([_WRONG if byte < 128 else byte - 128 << shift for byte in range(256)])


def _last(shift: int) -> tuple[int, ...]:
    return tuple([_WRONG if byte > 127 else byte << shift for byte in range(256)])


def _halved(shares: tuple[int, ...]) -> tuple[int, ...]:
    """Shares of the lowest byte: its lowest bit is the sign (zigzag)."""
    return tuple([_WRONG if share & 1 else share >> 1 for share in shares])


_ONLY, _LAST_2, _LAST_3, _LAST_4, _LAST_6 = (_halved(_last(0)), *map(_last, (6, 13, 20, 34)))
_FIRST, _2ND, _3RD, _4TH, _5TH = (_halved(_more(0)), *map(_more, (6, 13, 20, 27)))


def read_bare(start: bytes, received_at: int, key: bytes, value: bytes) -> Event | None:
    """The event of a bare record of session `key`, or None to ask the library.

    `start`: the single-object header of the schema this reads, and `KEY_LENGTH`.
    """
    size = len(value)
    if size == _SIZE_3:
        begin, stored, kind, t1, t2, t3, t4, t5, t6, p1, p2, p3, end = _read_3(value)
        playhead_ms = _FIRST[p1] + _2ND[p2] + _LAST_3[p3]
    elif size == _SIZE_4:
        begin, stored, kind, t1, t2, t3, t4, t5, t6, p1, p2, p3, p4, end = _read_4(value)
        playhead_ms = _FIRST[p1] + _2ND[p2] + _3RD[p3] + _LAST_4[p4]
    elif size == _SIZE_2:
        begin, stored, kind, t1, t2, t3, t4, t5, t6, p1, p2, end = _read_2(value)
        playhead_ms = _FIRST[p1] + _LAST_2[p2]
    elif size == _SIZE_1:
        begin, stored, kind, t1, t2, t3, t4, t5, t6, p1, end = _read_1(value)
        playhead_ms = _ONLY[p1]
    else:
        return None
    ts = _FIRST[t1] + _2ND[t2] + _3RD[t3] + _4TH[t4] + _5TH[t5] + _LAST_6[t6]
    name = _TYPES.get(kind)
    if (
        stored != key
        or begin != start
        or name is None
        or ts < 0
        or playhead_ms < 0
        or end
        or not key.isalnum()
    ):
        return None
    return _new(Event, (name, ts, playhead_ms, None, None, None, None, received_at))


def write_bare(start: bytes, session_id: str, event: Event) -> bytes | None:
    """The bytes of a record with this one online event, or None to ask the library.

    `start`: as `read_bare` has it.
    """
    kind, ts, playhead_ms, params, qoe, custom, findings, _ = event
    if params or qoe or custom or findings:
        return None
    key = session_id.encode()
    if ts not in _SIX_BYTES or not 0 <= playhead_ms < _FOUR_BYTES_MAX or len(key) != 64:
        return None
    ts <<= 1  # zigzag
    ts_bits = (
        ts & 0x7F
        | (ts & 0x3F80) << 1
        | (ts & 0x1F_C000) << 2
        | (ts & 0xFE0_0000) << 3
        | (ts & 0x7_F000_0000) << 4
        | (ts & 0x3F8_0000_0000) << 5
        | 0x0080_8080_8080
    )
    playhead_ms <<= 1
    bits = (
        playhead_ms & 0x7F
        | (playhead_ms & 0x3F80) << 1
        | (playhead_ms & 0x1F_C000) << 2
        | (playhead_ms & 0xFE0_0000) << 3
    )
    length = (bits.bit_length() + 7) // 8 or 1
    return b"".join(
        (
            start,
            key,
            _BEFORE_TS[kind],
            ts_bits.to_bytes(6, "little"),
            (bits | _PLAYHEAD_ENDS[length]).to_bytes(length, "little"),
            _NO_DETAILS,
        )
    )
