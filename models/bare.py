"""Reads and writes the one shape that 95 % of log records have, without the Avro library.

A record with a single online event and no details (a ping, mostly) has its numbers at known
places. Reading or writing them there takes a third of the time of `fastavro` (`tests/bench`), and
catching up with a log is mostly this. Anything else, and anything odd, is left to the library:
`None`. A test holds both to the same result. Imports nothing of the project but the event record.
"""

from typing import Final

from models.records import EVENT_TYPES, Event, EventType

_KEY_LENGTH: Final = b"\x80\x01"  # 64, as Avro writes the length of a string
_ONE_ONLINE_EVENT: Final = b"\x00\x02"  # offline = false; an array block of one item
_NO_DETAILS: Final = b"\x00\x00"  # null; end of the array
_LENGTH_AT: Final = 10
_KEY_AT: Final = 12
_OFFLINE_AT: Final = 12 + 64
_TYPE_AT: Final = 12 + 64 + 2
_LOW_AT: Final = _TYPE_AT + 1
_HIGH_AT: Final = _LOW_AT + 3
_PLAYHEAD_AT: Final = _HIGH_AT + 3
# Avro enum symbols start with "unknown", so the codes of the known types are 1 to 20, zigzag.
_TYPES: Final[dict[int, EventType]] = {2 * (i + 1): name for i, name in enumerate(EVENT_TYPES)}
_PLAYHEAD_ENDS: Final = {1: 0, 2: 0x80, 3: 0x8080, 4: 0x808080}
"""Length of a playhead in bytes to its continuation bits: every byte but the last has one."""
_BEFORE_TS: Final = {name: _ONE_ONLINE_EVENT + bytes((code,)) for code, name in _TYPES.items()}
_SIX_BYTES: Final = range(2**34, 2**41)
"""The instants whose zigzag varint has six bytes: 1970-07 to 2039-09."""
_FOUR_BYTES_MAX: Final = 2**27


def read_bare(header: bytes, key: bytes, value: bytes) -> tuple[EventType, int, int] | None:
    """Type, `ts` and `playhead_ms` of a bare record of session `key`, or None to ask the library.

    `header` is the single-object header of the schema this reads.
    """
    if not (
        value.startswith(header)
        and value.startswith(key, _KEY_AT)
        and value.startswith(_KEY_LENGTH, _LENGTH_AT)
        and value.startswith(_ONE_ONLINE_EVENT, _OFFLINE_AT)
        and value.endswith(_NO_DETAILS)
    ):
        return None
    kind = _TYPES.get(value[_TYPE_AT])
    # In two halves: Python is quickest with numbers of up to 30 bits.
    low = int.from_bytes(value[_LOW_AT:_HIGH_AT], "little")
    high = int.from_bytes(value[_HIGH_AT:_PLAYHEAD_AT], "little")
    playhead = value[_PLAYHEAD_AT:-2]
    bits = int.from_bytes(playhead, "little")
    if (
        kind is None
        or low & 0x80_8081 != 0x80_8080  # goes on, and is not negative
        or high & 0x80_8080 != 0x00_8080  # ends with the sixth byte
        or bits & 0x8080_8081 != _PLAYHEAD_ENDS.get(len(playhead))
    ):
        return None
    low = low & 0x7F | low >> 1 & 0x3F80 | low >> 2 & 0x1F_C000
    high = high & 0x7F | high >> 1 & 0x3F80 | high >> 2 & 0x1F_C000
    playhead_ms = bits & 0x7F | bits >> 1 & 0x3F80 | bits >> 2 & 0x1F_C000 | bits >> 3 & 0xFE0_0000
    return kind, (high << 21 | low) >> 1, playhead_ms >> 1


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
