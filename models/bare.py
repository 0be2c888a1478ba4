"""Reads and writes the one shape that 95 % of log records have, without the Avro library.

A record with a single online event and no details (a ping, mostly) has its numbers at known
places. Reading or writing them there takes a third of the time of `fastavro` (`tests/bench`), and
catching up with a log is mostly this. Anything else, and anything odd, is left to the library:
`None`. A test holds both to the same result. Imports nothing of the project but the event record.
"""

from struct import Struct
from typing import Final

from models.records import EVENT_TYPES, Event, EventType

_KEY_LENGTH: Final = b"\x80\x01"  # 64, as Avro writes the length of a string
_ONE_ONLINE_EVENT: Final = b"\x00\x02"  # offline = false; an array block of one item
_NO_DETAILS: Final = b"\x00\x00"  # null; end of the array
_PARTS: Final = Struct("<10s2s64s2sB6B4B")
"""Header, length of the key, key, one online event, its type, `ts`, playhead and what follows it.
In single bytes: Python has those ready, and is quickest with numbers of up to 30 bits."""
_SIZE_MIN: Final = _PARTS.size - 1  # with a playhead of one byte
_SIZE_MAX: Final = _PARTS.size + 2  # with one of four
_BEFORE_PLAYHEAD: Final = _PARTS.size - 4
# Avro enum symbols start with "unknown", so the codes of the known types are 1 to 20, zigzag.
_CODES: Final[dict[EventType, int]] = {name: 2 * (i + 1) for i, name in enumerate(EVENT_TYPES)}
_NAMES: Final = {code: name for name, code in _CODES.items()}
_TYPES: Final = tuple(_NAMES.get(code) for code in range(256))
_PLAYHEAD_ENDS: Final = {1: 0, 2: 0x80, 3: 0x8080, 4: 0x808080}
"""Length of a playhead in bytes to its continuation bits: every byte but the last has one."""
_BEFORE_TS: Final = {name: _ONE_ONLINE_EVENT + bytes((code,)) for name, code in _CODES.items()}
_SIX_BYTES: Final = range(2**34, 2**41)
"""The instants whose zigzag varint has six bytes: 1970-07 to 2039-09."""
_FOUR_BYTES_MAX: Final = 2**27


def read_bare(header: bytes, key: bytes, value: bytes) -> tuple[EventType, int, int] | None:
    """Type, `ts` and `playhead_ms` of a bare record of session `key`, or None to ask the library.

    `header` is the single-object header of the schema this reads.
    """
    size = len(value)
    if not _SIZE_MIN <= size <= _SIZE_MAX:
        return None
    head, length, stored, one, code, t1, t2, t3, t4, t5, t6, p1, p2, p3, p4 = _PARTS.unpack_from(
        value if size > _SIZE_MIN else value + b"\0"
    )
    kind = _TYPES[code]
    if (
        stored != key
        or head != header
        or length != _KEY_LENGTH
        or one != _ONE_ONLINE_EVENT
        or kind is None
        or value[-1]
        or value[-2]
        or t1 < 128
        or t2 < 128
        or t3 < 128
        or t4 < 128
        or t5 < 128
        or t6 > 127
        or (t1 | p1) & 1  # a negative number
    ):
        return None
    # Seven bits a byte, the lowest first; all but the last byte have 128 added.
    if p1 < 128:
        playhead, playhead_size = p1, 1
    elif p2 < 128:
        playhead, playhead_size = p2 * 128 + p1 - 0x80, 2
    elif p3 < 128:
        playhead, playhead_size = (p3 * 128 + p2) * 128 + p1 - 0x4080, 3
    elif p4 < 128:
        playhead, playhead_size = ((p4 * 128 + p3) * 128 + p2) * 128 + p1 - 0x20_4080, 4
    else:
        return None
    if size != _BEFORE_PLAYHEAD + playhead_size + 2:
        return None
    high = (t6 * 128 + t5) * 128 + t4 - 0x4080
    low = (t3 * 128 + t2) * 128 + t1 - 0x20_4080
    return kind, high * 0x10_0000 + (low >> 1), playhead >> 1


def write_bare(header: bytes, session_id: str, event: Event) -> bytes | None:
    """The bytes of a record with this one online event, or None to ask the library."""
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
            header,
            _KEY_LENGTH,
            key,
            _BEFORE_TS[kind],
            ts_bits.to_bytes(6, "little"),
            (bits | _PLAYHEAD_ENDS[length]).to_bytes(length, "little"),
            _NO_DETAILS,
        )
    )
