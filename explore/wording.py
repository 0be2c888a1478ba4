"""Figures and instants as people read them: with units, thousands separated, in UTC.

Beside the pages, whose templates call these. Imports `models`.
"""

from typing import Final

from models.tables_types import instant_text

NOTHING: Final = "–"
_HOUR_S: Final = 3600


def duration(ms: int | None) -> str:
    """`8.4 s`, `2 min 05 s`, `1,203 h 07 min`; a dash for none known."""
    if ms is None:
        return NOTHING
    if abs(ms) < 60_000:
        return f"{ms / 1000:,.3f}".rstrip("0").rstrip(".") + " s"
    seconds = round(ms / 1000)
    if seconds < _HOUR_S:
        return f"{seconds // 60} min {seconds % 60:02} s"
    return f"{seconds // _HOUR_S:,} h {seconds // 60 % 60:02} min"


def clock(ms: float) -> str:
    """A place on a time line: `2:05`, `1:02:05`; to the second."""
    seconds = round(ms / 1000)
    hours, minutes = seconds // _HOUR_S, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def number(value: float | None) -> str:
    """`1,234`, `0.25`; a dash for none known."""
    if value is None:
        return NOTHING
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}".rstrip("0").rstrip(".")


def instant(ms: int | None) -> str:
    """`2026-03-01 10:30:00`, UTC; a dash for none."""
    return NOTHING if ms is None else instant_text(ms)[:19]


def share(part: int, whole: int) -> str:
    """`12.5 %`; a dash where there is no whole."""
    return NOTHING if not whole else f"{100 * part / whole:.1f} %"


def percent(value: float | None) -> str:
    """`12.5 %`; a dash for none known."""
    return NOTHING if value is None else f"{value:.1f} %"
