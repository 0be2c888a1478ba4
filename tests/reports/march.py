"""Six sessions of March 2026, written by hand: what the sample results in docs/queries.md are of.

Only for tests. Small enough to work out each figure by eye.
"""

from typing import Any, Final

from tests.reports.rows import Rows

_FILM: Final[dict[str, Any]] = {"content_id": "film", "content_length_s": 1_200.0}
_NEWS: Final[dict[str, Any]] = {"content_id": "news"}
_CLIP: Final[dict[str, Any]] = {"content_id": "clip", "content_length_s": 240.0}
_TV: Final[dict[str, Any]] = {"player_name": "tv app", "app_version": "2.0"}
_WEB: Final[dict[str, Any]] = {"player_name": "web player", "app_version": "4.1"}
_PLAYED: Final[dict[str, Any]] = {"content_started": True, "valid_play": True}


def write_march(rows: Rows) -> None:
    """Writes the six sessions with their breaks, ads, findings and spans."""
    _ann_sees_the_film(rows)
    _bob_leaves_the_film(rows)
    _ann_takes_the_film_up_again(rows)
    _cleo_sees_the_news(rows)
    _one_fails_to_see_the_news(rows)
    _bob_sees_the_clip(rows)


def _reached(*percents: int) -> dict[str, bool]:
    return {f"progress_{percent}": True for percent in percents}


def _ann_sees_the_film(rows: Rows) -> None:
    """All of it, with two whole breaks of two ads; one ad is skipped."""
    rows.session(
        "a-ann-film", "10:00", **_FILM, **_TV, **_PLAYED, **_reached(10, 25, 50, 75, 95),
        visitor_id="ann", completed=True, complete_play=True, content_ms=1_200_000, ad_ms=55_000,
        media_ms=1_255_000, watched_ms=1_255_800, startup_ms=800, initial_startup_ms=800,
        average_minute_audience=1.0,
    )  # fmt: skip
    rows.ad_break("a-ann-film", 1, "10:00:01", tracked=True, position="pre", ad_count=2)
    rows.ad_break("a-ann-film", 2, "10:10:30", tracked=True, ad_count=2)
    done: dict[str, Any] = {"completed": True, "ended_by": "adComplete"}
    car: dict[str, Any] = {"ad_id": "car", "campaign_id": "spring"}
    tea: dict[str, Any] = {"ad_id": "tea", "campaign_id": "tea time"}
    rows.ad("a-ann-film", 1, "10:00:01", break_number=1, playing_ms=15_000, **car, **done)
    rows.ad("a-ann-film", 2, "10:00:16", break_number=1, playing_ms=15_000, **tea, **done)
    rows.ad("a-ann-film", 3, "10:10:30", break_number=2, playing_ms=20_000, **car, **done)
    rows.ad("a-ann-film", 4, "10:10:50", break_number=2, playing_ms=5_000, **tea, ended_by="adSkip")
    rows.span("a-ann-film", 1, "10:00:31", "10:10:30", playhead_from_s=0.0, playhead_to_s=600.0)
    rows.span("a-ann-film", 2, "10:10:30", "10:10:55", activity="ad")
    rows.span("a-ann-film", 3, "10:10:55", "10:20:55", playhead_from_s=600.0, playhead_to_s=1_200.0)


def _bob_leaves_the_film(rows: Rows) -> None:
    """Half of it; his player forgets the closing bookend of one break, and both of another."""
    rows.session(
        "b-bob-film", "10:05", **_FILM, **_WEB, **_PLAYED, **_reached(10, 25, 50),
        visitor_id="bob", content_ms=640_000, unbookended_ad_ms=40_000, media_ms=640_000,
        watched_ms=653_500, startup_ms=1_500, initial_startup_ms=1_500, buffer_ms=12_000,
        buffer_count=2, finding_count=2, average_minute_audience=0.53,
    )  # fmt: skip
    rows.ad_break("b-bob-film", 1, "10:05:02", position="pre", ad_count=1)
    tea: dict[str, Any] = {"ad_id": "tea", "campaign_id": "tea time", "completed": True}
    rows.ad("b-bob-film", 1, "10:05:02", break_number=1, playing_ms=25_000, **tea)
    rows.ad("b-bob-film", 2, "10:10:27", playing_ms=15_000, **tea)
    rows.finding("b-bob-film", "break_not_completed")
    rows.finding("b-bob-film", "ad_without_break")
    rows.span("b-bob-film", 1, "10:05:27", "10:15:27", playhead_from_s=0.0, playhead_to_s=600.0)


def _ann_takes_the_film_up_again(rows: Rows) -> None:
    """The last quarter."""
    rows.session(
        "c-ann-film", "10:18", **_FILM, **_TV, **_PLAYED, **_reached(10, 25, 50, 75, 95),
        visitor_id="ann", resumed=True, completed=True, content_ms=300_000, media_ms=300_000,
        watched_ms=300_400, startup_ms=400, initial_startup_ms=400, average_minute_audience=0.25,
    )  # fmt: skip
    rows.span("c-ann-film", 1, "10:18", "10:23", playhead_from_s=900.0, playhead_to_s=1_200.0)


def _cleo_sees_the_news(rows: Rows) -> None:
    """Five minutes, with a stall, and a phone that sleeps for a quarter of an hour."""
    rows.session(
        "d-cleo-news", "2026-03-02 20:00", **_NEWS, **_PLAYED, player_name="phone",
        app_version="9.7", visitor_id="cleo", content_ms=300_000, media_ms=300_000,
        watched_ms=307_000, startup_ms=1_000, initial_startup_ms=1_000, stall_ms=6_000,
        stall_count=1, untracked_ms=900_000, finding_count=1,
    )  # fmt: skip
    rows.finding("d-cleo-news", "ping_gap", 3)
    rows.span("d-cleo-news", 1, "2026-03-02 20:00", "2026-03-02 20:05:06")


def _one_fails_to_see_the_news(rows: Rows) -> None:
    rows.session(
        "e-news", "2026-03-02 20:01", **_NEWS, **_WEB, dropped_before_start=True, error_count=1,
        exit_stage="before_start", watched_ms=2_000, startup_ms=2_000,
    )  # fmt: skip


def _bob_sees_the_clip(rows: Rows) -> None:
    """All of it, and an ad at its end."""
    rows.session(
        "f-bob-clip", "2026-03-02 20:02", **_CLIP, **_WEB, **_PLAYED,
        **_reached(10, 25, 50, 75, 95), visitor_id="bob", completed=True, complete_play=True,
        content_ms=240_000, ad_ms=30_000, media_ms=270_000, watched_ms=270_900, startup_ms=900,
        initial_startup_ms=900, average_minute_audience=1.0,
    )  # fmt: skip
    rows.ad_break("f-bob-clip", 1, "2026-03-02 20:06", tracked=True, position="post", ad_count=1)
    rows.ad(
        "f-bob-clip", 1, "2026-03-02 20:06", break_number=1, playing_ms=30_000, ad_id="car",
        campaign_id="spring", completed=True, ended_by="adComplete",
    )  # fmt: skip
    rows.span(
        "f-bob-clip", 1, "2026-03-02 20:02", "2026-03-02 20:06",
        playhead_from_s=0.0, playhead_to_s=240.0,
    )  # fmt: skip
