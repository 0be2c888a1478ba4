"""Charts as tables: what `plots.js` draws, and what those read who see no chart.

Pure: rows in, tables out. Beside the pages, whose template `plot.html` writes them. Imports its
neighbours and `models`.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple

from explore.reports import SUMS_AND_COUNTS, Unit
from explore.retention import Curve
from explore.viewers import Viewers
from explore.wording import duration, number, percent
from models.time_line import Row

Value = int | float | None
_PARTS_MAX: Final = 1_500
_STEPS_S: Final[dict[Unit, int]] = {"hour": 3_600, "day": 86_400, "month": 31 * 86_400}
_FORMATS: Final[dict[Unit, str]] = {"hour": "%Y-%m-%d %H", "day": "%Y-%m-%d", "month": "%Y-%m"}
_SHOWN: Final[dict[Unit, str]] = {"hour": "%Y-%m-%d %H:%M", "day": "%Y-%m-%d", "month": "%Y-%m"}
_CLOSER: Final = "Point for figures; drag over a time, or press Enter on it, to look closer."
_POINT: Final = "Point for figures."


class Column(NamedTuple):
    """One series. `colour`: a name of the style sheet's, empty for figures that are not drawn."""

    name: str
    colour: str
    kind: Literal["bars", "line", "area", "marks", ""]
    words: Callable[[Value], str]


class Cell(NamedTuple):
    """A figure, exactly and as people read it; None where there is none."""

    value: Value
    text: str


class Line(NamedTuple):
    """A row of the table. `x`: its place, seconds since the epoch if that is a time."""

    x: int
    name: str
    cells: tuple[Cell, ...]


class Plot(NamedTuple):
    """`unit`: of the axis. `step`: the part of `x` that a row stands for."""

    id: str
    title: str
    unit: Literal["ms", "count", "share"]
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    step: int
    first: str = "Time (UTC)"
    x: Literal["time", "share"] = "time"
    is_stacked: bool = False
    hint: str = _CLOSER


def _time(value: Value) -> str:
    return duration(None if value is None else round(value))


def viewers_plot(found: Viewers) -> Plot:
    """Who watches at each instant."""
    columns = (Column("Viewers", "--content", "area", number),)
    lines = (
        Line(at_ms // 1000, _when(at_ms), (Cell(viewers, number(viewers)),))
        for at_ms, viewers in found.points
    )
    return Plot("viewers", "Viewers", "count", columns, tuple(lines), found.step_ms // 1000)


def part_plots(parts: Sequence[Row], unit: Unit) -> list[Plot]:
    """The charts whose rows are the hours, days or months in which sessions began."""
    whole = _whole(parts, unit)
    return [
        _time_plot(whole, unit),
        _starts_plot(whole, unit),
        _rebuffering_plot(whole, unit),
    ]


class _Part(NamedTuple):
    x: int
    name: str
    row: Row


def _time_plot(parts: Sequence[_Part], unit: Unit) -> Plot:
    def figures(row: Row) -> tuple[Value, ...]:
        moved = row["unbookended_ad_ms"]
        return row["content_ms"] - moved, moved, row["ad_ms"], row["content_ms"]

    columns = (
        Column("Content", "--content", "bars", _time),
        Column("Unbookended ads, counted as content", "--stall", "bars", _time),
        Column("Ads", "--ad", "bars", _time),
        Column("Content with unbookended ads", "", "", _time),
    )
    title = f"Content, ad and unbookended time by {unit}"
    return _of_parts("time", title, "ms", columns, parts, unit, figures)._replace(is_stacked=True)


def _starts_plot(parts: Sequence[_Part], unit: Unit) -> Plot:
    def figures(row: Row) -> tuple[Value, ...]:
        starts, drops = row["content_starts"], row["drops"]
        return (
            row["sessions"], starts, row["completes"], drops,
            _share(drops, drops + starts), _share(row["completes"], starts),
        )  # fmt: skip

    columns = (
        Column("Sessions", "--quiet", "line", number),
        Column("Content starts", "--content", "line", number),
        Column("Completions", "--good", "line", number),
        Column("Left before the start", "--stall", "line", number),
        Column("Drop rate", "", "", percent),
        Column("Completion rate", "", "", percent),
    )
    title = f"Starts, completions and drop-off by {unit}"
    return _of_parts("starts", title, "count", columns, parts, unit, figures)


def _rebuffering_plot(parts: Sequence[_Part], unit: Unit) -> Plot:
    def figures(row: Row) -> tuple[Value, ...]:
        lost = row["buffer_ms"] + row["stall_ms"]
        return (
            _share(row["buffer_ms"], row["watched_ms"]), _share(row["stall_ms"], row["watched_ms"]),
            _share(lost, row["watched_ms"]), lost,
        )  # fmt: skip

    columns = (
        Column("Buffering", "--buffer", "bars", percent),
        Column("Stalls", "--stall", "bars", percent),
        Column("Together", "", "", percent),
        Column("Time lost", "", "", _time),
    )
    title = f"Rebuffering, share of watched time by {unit}"
    plot = _of_parts("rebuffering", title, "share", columns, parts, unit, figures)
    return plot._replace(is_stacked=True)


def _of_parts(
    name: str,
    title: str,
    axis: Literal["ms", "count", "share"],
    columns: tuple[Column, ...],
    parts: Sequence[_Part],
    unit: Unit,
    figures: Callable[[Row], tuple[Value, ...]],
) -> Plot:
    lines = tuple(Line(part.x, part.name, _cells(columns, figures(part.row))) for part in parts)
    return Plot(name, title, axis, columns, lines, _STEPS_S[unit], "Began (UTC)")


def _cells(columns: Sequence[Column], values: Sequence[Value]) -> tuple[Cell, ...]:
    """The figures of a row, each said as its column says it."""
    return tuple(
        Cell(value, column.words(value)) for column, value in zip(columns, values, strict=True)
    )


def _share(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 3) if whole else None


def _whole(parts: Sequence[Row], unit: Unit) -> list[_Part]:
    """All units of time from the first to the last; those in which nothing began have zeros."""
    nothing = dict.fromkeys(SUMS_AND_COUNTS, 0)
    by_name = {row["part"]: row for row in parts}
    names = _names(parts[0]["part"], parts[-1]["part"], unit) if parts else []
    if len(names) > _PARTS_MAX:
        names = list(by_name)
    return [_part(name, by_name.get(name, nothing), unit) for name in names]


def _part(name: str, row: Row, unit: Unit) -> _Part:
    at = datetime.strptime(name, _FORMATS[unit]).replace(tzinfo=UTC)
    return _Part(int(at.timestamp()), at.strftime(_SHOWN[unit]), row)


def _names(first: str, last: str, unit: Unit) -> list[str]:
    at, end = (datetime.strptime(text, _FORMATS[unit]) for text in (first, last))  # noqa: DTZ007
    names: list[str] = []
    while at <= end and len(names) <= _PARTS_MAX:
        names.append(at.strftime(_FORMATS[unit]))
        if unit == "month":
            at = (at + timedelta(days=31)).replace(day=1)
        else:
            at += timedelta(hours=1) if unit == "hour" else timedelta(days=1)
    return names


def _when(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def retention_plot(curve: Curve) -> Plot:
    """The share of the plays that played each hundredth of the content; drops marked."""
    columns = (
        Column("Share that played it", "--content", "area", percent),
        Column("Before a steep drop", "--warn", "marks", percent),
        Column("Plays", "", "", number),
    )
    lines = []
    for point in curve.points:
        share = _share(point.sessions, curve.plays)
        values = (share, share if point.is_drop else None, point.sessions)
        lines.append(Line(point.percent, f"{point.percent} %", _cells(columns, values)))
    return Plot(
        "curve", "Share of plays by percent of the content", "share", columns, tuple(lines), 1,
        first="Percent", x="share", hint=_POINT,
    )  # fmt: skip
