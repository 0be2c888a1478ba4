"""Sessions and their rows, projections, progress, dead letters, outbox of closes.

The schema as it was at this revision, whatever `models.tables` says by now. Only the column types
come from the models. The public views are not made here: `migrations.upgrade` makes them anew.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from models.tables_types import Instant, Json, Number, counting

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Type = type[sa.types.TypeEngine[Any]]
BIG = sa.BigInteger
# On PostgreSQL a projection's rows lie in partitions of their own (`models.partitions`).
BY_PROJECTION = "LIST (projection)"


def upgrade() -> None:
    """Makes every table. There is no way down: a database is rebuilt from the log."""
    _make_projections()
    _make_sessions()
    _make_session_starts()
    _make_ads()
    _make_other_rows()
    _make_dead_letters_and_closes()


def _key(kind: Type, *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind(), primary_key=True, autoincrement=False) for name in names]


def _must(kind: Type, *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind(), nullable=False) for name in names]


def _may(kind: Type, *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind(), nullable=True) for name in names]


def _make_projections() -> None:
    op.create_table(
        "projections",
        *_key(sa.Integer, "projection"),
        *_must(Json, "policy"),
        *_must(sa.Integer, "fold_version"),
        *_must(Instant, "created_at"),
        comment="One row a projection: the rules its rows were made by. Processors obey it.",
    )
    op.create_table(
        "live_projection",
        *_key(sa.Integer, "id"),
        *_must(sa.Integer, "projection"),
        sa.CheckConstraint("id = 1", name="live_projection_one_row"),
        comment="The projection that the public views show.",
    )
    op.create_table(
        "progress",
        *_key(sa.Integer, "projection"),
        *_key(BIG, "log_partition"),
        *_may(sa.Text, "owner"),
        *_must(BIG, "version", "next_offset"),
        *_may(BIG, "tick"),
        *_must(sa.Text, "log_id"),
        comment="How far a projection has read each partition, and who may write it"
        " (owner, version).",
    )


def _make_sessions() -> None:
    op.create_table(
        "sessions_live",
        *_session_columns(),
        *_must(BIG, "due_at"),
        *_must(sa.LargeBinary, "state"),
        postgresql_partition_by=BY_PROJECTION,
        comment="Sessions that can still change: figures, the fold's state, when a tick is due"
        " (ms).",
    )
    op.create_index("sessions_live_partition", "sessions_live", ["projection", "log_partition"])
    op.create_table(
        "sessions_closed",
        *_session_columns(),
        postgresql_partition_by=BY_PROJECTION,
        comment="Sessions that are closed for good; only what comes after close still touches"
        " a row.",
    )
    op.create_index("sessions_closed_started_at", "sessions_closed", ["projection", "started_at"])


def _session_columns() -> list[sa.Column[Any]]:
    return [
        *_key(sa.Integer, "projection"),
        *_key(sa.Text, "session_id"),
        *_must(BIG, "log_partition", "first_offset", "last_offset"),
        *_may(Instant, "started_at", "last_event_at", "closed_at"),
        *_must(sa.Text, "status"),
        *_may(sa.Text, "close_reason"),
        *_may(BIG, "seconds_since_last_event"),
        *_must(BIG, "event_count", "late_event_count", "duplicate_event_count"),
        *_must(BIG, "events_after_close_count", "finding_count"),
        *_must(BIG, "content_ms", "ad_ms", "media_ms", "unbookended_ad_ms", "pause_ms"),
        *_must(BIG, "buffer_ms", "stall_ms", "ad_gap_ms", "startup_ms"),
        *_may(BIG, "initial_startup_ms"),
        *_must(BIG, "untracked_ms", "watched_ms", "unique_content_ms"),
        *_must(sa.Boolean, "content_started", "dropped_before_start", "completed"),
        *_must(sa.Boolean, "progress_10", "progress_25", "progress_50", "progress_75"),
        *_must(sa.Boolean, "progress_95"),
        *_may(sa.Double, "max_playhead_s"),
        *_may(sa.Text, "content_segment"),
        *_must(sa.Text, "exit_stage"),
        *_must(sa.Boolean, "valid_play"),
        *_may(sa.Boolean, "complete_play"),
        *_may(sa.Double, "average_minute_audience"),
        *_must(BIG, "estimated_streams", "ad_break_count", "void_ad_break_count", "ad_count"),
        *_must(BIG, "ad_complete_count", "ad_skip_count", "unbookended_ad_count"),
        *_must(BIG, "chapter_count", "chapter_complete_count", "pause_count", "buffer_count"),
        *_must(BIG, "stall_count", "bitrate_change_count", "error_count"),
        *_may(BIG, "time_to_start_ms"),
        *_may(sa.Double, "average_bitrate"),
        *_may(BIG, "dropped_frames"),
        *_may(sa.Double, "frames_per_second"),
        *_must(Json, "player_error_ids", "external_error_ids"),
    ]


def _make_session_starts() -> None:
    op.create_table(
        "session_starts",
        *_key(sa.Integer, "projection"),
        *_key(sa.Text, "session_id"),
        *_may(sa.Text, "report_suite", "org_id", "visitor_id"),
        *_may(Json, "customer_ids"),
        *_may(sa.Boolean, "resumed", "downloaded"),
        *_may(sa.Text, "content_id", "content_name"),
        *_may(sa.Double, "content_length_s"),
        *_may(sa.Text, "content_type", "stream_type", "channel", "player_name", "app_version"),
        *_may(sa.Text, "show", "season", "episode", "asset_id", "genre", "first_air_date"),
        *_may(sa.Text, "first_digital_date", "rating", "originator", "network", "show_type"),
        *_may(sa.Text, "ad_load", "mvpd", "authorized", "day_part", "feed", "stream_format"),
        *_may(sa.Text, "artist", "album", "label", "author", "station", "publisher"),
        *_may(Json, "custom_metadata", "other_params"),
        postgresql_partition_by=BY_PROJECTION,
        comment="What the client said in sessionStart, written once.",
    )
    _make_content_index()


def _make_content_index() -> None:
    name, table = "session_starts_content_id", "session_starts"
    if op.get_context().dialect.name == "postgresql":
        # A B-tree there takes no value over 2.7 kB, and a content_id may be longer.
        op.create_index(name, table, ["content_id"], postgresql_using="hash")
    else:
        op.create_index(name, table, ["projection", "content_id"])


def _make_ads() -> None:
    op.create_table(
        "ad_break_rows",
        *_key(sa.Integer, "projection"),
        *_key(sa.Text, "session_id"),
        *_key(BIG, "break_number"),
        *_may(Number, "pod_index"),
        *_may(sa.Double, "pod_second"),
        *_may(sa.Text, "name"),
        *_must(Instant, "started_at"),
        *_may(Instant, "ended_at"),
        *_must(sa.Double, "playhead_s"),
        *_must(sa.Boolean, "tracked"),
        *_must(BIG, "ad_count", "ad_ms", "gap_ms"),
        *_may(sa.Double, "break_fill"),
        *_must(sa.Text, "position"),
        sqlite_with_rowid=False,
        postgresql_partition_by=BY_PROJECTION,
        comment="Ad breaks; `tracked` says that both bookends came.",
    )
    op.create_table(
        "ad_rows",
        *_key(sa.Integer, "projection"),
        *_key(sa.Text, "session_id"),
        *_key(BIG, "ad_number"),
        *_may(BIG, "break_number"),
        *_may(sa.Text, "ad_id", "name"),
        *_may(sa.Double, "length_s"),
        *_may(Number, "pod_position"),
        *_may(sa.Text, "player_name", "advertiser", "campaign_id", "creative_id", "site_id"),
        *_may(sa.Text, "creative_url", "placement_id"),
        *_may(Json, "custom_metadata"),
        *_must(Instant, "started_at"),
        *_may(Instant, "ended_at"),
        *_must(BIG, "playing_ms", "pause_ms", "buffer_ms"),
        *_must(sa.Boolean, "completed"),
        *_may(sa.Text, "ended_by"),
        *_may(sa.Boolean, "quartile_25", "quartile_50", "quartile_75", "quartile_100"),
        sqlite_with_rowid=False,
        postgresql_partition_by=BY_PROJECTION,
        comment="Ads; whether one is tracked follows from its break's row.",
    )


def _make_other_rows() -> None:
    op.create_table(
        "chapter_rows",
        *_key(sa.Integer, "projection"),
        *_key(sa.Text, "session_id"),
        *_key(BIG, "chapter_number"),
        *_may(Number, "chapter_index"),
        *_may(sa.Double, "offset_s", "length_s"),
        *_may(sa.Text, "name"),
        *_may(Json, "custom_metadata"),
        *_must(Instant, "started_at"),
        *_may(Instant, "ended_at"),
        *_must(BIG, "content_ms"),
        *_must(sa.Boolean, "completed"),
        sqlite_with_rowid=False,
        postgresql_partition_by=BY_PROJECTION,
        comment="Chapters.",
    )
    op.create_table(
        "player_state_rows",
        *_key(sa.Integer, "projection"),
        *_key(sa.Text, "session_id"),
        *_key(BIG, "state_number"),
        *_must(sa.Text, "name"),
        *_must(BIG, "count", "total_ms"),
        sqlite_with_rowid=False,
        postgresql_partition_by=BY_PROJECTION,
        comment="Player states, one row a name.",
    )
    op.create_table(
        "error_rows",
        *_key(sa.Integer, "projection"),
        *_key(sa.Text, "session_id"),
        *_key(BIG, "error_number"),
        *_must(Instant, "at"),
        *_may(sa.Text, "error_id", "source"),
        *_must(sa.Double, "playhead_s"),
        sqlite_with_rowid=False,
        postgresql_partition_by=BY_PROJECTION,
        comment="Error events.",
    )
    op.create_table(
        "finding_rows",
        *_key(sa.Integer, "projection"),
        *_key(sa.Text, "session_id", "code"),
        *_must(BIG, "count"),
        *_must(Instant, "first_ts"),
        *_must(sa.Text, "detail"),
        sqlite_with_rowid=False,
        postgresql_partition_by=BY_PROJECTION,
        comment="What the client did wrong, one row a code.",
    )
    op.create_index("finding_rows_code", "finding_rows", ["projection", "code"])


def _make_dead_letters_and_closes() -> None:
    op.create_table(
        "dead_letters",
        *_key(sa.Integer, "projection"),
        *_key(BIG, "log_partition", "offset"),
        *_must(sa.Text, "topic"),
        *_must(Instant, "received_at"),
        *_must(sa.Text, "reason"),
        *_must(sa.LargeBinary, "key", "value"),
        postgresql_partition_by=BY_PROJECTION,
        comment="Log records that break the contract, with the bytes as they were read.",
    )
    op.create_table(
        "closes_outbox",
        sa.Column("position", counting(), primary_key=True),
        *_must(sa.Integer, "projection"),
        *_must(BIG, "log_partition"),
        *_must(sa.Text, "session_id"),
        *_may(BIG, "closed_at"),
        sqlite_autoincrement=True,
        comment="Closes on their way to the log, in order; closed_at (ms) null: taken back.",
    )
