"""Every bound of the event contract and of the session rules, in one place.

Sources: `docs/http.md` (body), `docs/rules.md` (sessions). No imports, no I/O.
"""

from typing import Final

# The body of a request (docs/http.md "Body").
BODY_BYTES_MAX: Final = 64 * 1024
OFFLINE_BODY_BYTES_MAX: Final = 8 * 1024 * 1024
RECORD_BYTES_MAX: Final = 9 * 1024 * 1024  # one log record (docs/architecture.md "The log record")
NESTING_MAX: Final = 8
TS_MS_MAX: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
PLAYHEAD_S_MAX: Final = 10**10
PLAYHEAD_MS_MAX: Final = PLAYHEAD_S_MAX * 1000
INTEGER_MAX: Final = 2**53 - 1
NUMBER_MAX: Final = 1e15
SESSION_ID_LENGTH: Final = 64

# The session rules (docs/rules.md), milliseconds and counts.
REORDER_WINDOW_MS: Final = 5_000
WAITING_MAX: Final = 1_000
REMEMBERED_HASHES: Final = 16
CLOCK_SET_BACK_MS: Final = 600_000
INACTIVE_MS: Final = 600_000
IDLE_MS: Final = 1_800_000
EXPIRED_MS: Final = 86_400_000
EVENTS_MAX: Final = 200_000
TICK_DELAY_MS: Final = 60_000  # a tick lies so far behind: more than clocks can differ
STALL_MIN_MS: Final = 2_000
STALL_MIN_EVENTS: Final = 3
PING_GAP_MS: Final = 25_000
INTERVALS_MAX: Final = 256
PLAYER_STATES_MAX: Final = 10
PERIODS_MAX: Final = 100  # of each player state
CHILD_ROWS_MAX: Final = 1_000
SPANS_MAX: Final = 10_000
ERROR_IDS_MAX: Final = 100
ERROR_ID_LENGTH_MAX: Final = 200
DETAIL_LENGTH_MAX: Final = 200
