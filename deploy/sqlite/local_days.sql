-- Reports by the days of another time zone, for one connection to the embedded database:
--
--   TZ=Europe/Berlin sqlite3 -readonly -init deploy/sqlite/local_days.sql analytics.db
--
-- The zone is that of the process (TZ, else the machine's). Temporary views of the same names stand
-- before those of the file, and are gone with the connection. Written by
-- `python -m tests.reports.local_days`.

CREATE TEMPORARY VIEW content_daily AS
WITH RECURSIVE days_of_sessions_closed(day) AS 
(SELECT date(min(sessions_closed.started_at), 'localtime') AS day 
FROM sessions_closed 
WHERE sessions_closed.projection = (SELECT live_projection.projection 
FROM live_projection) UNION ALL SELECT (SELECT date(min(sessions_closed.started_at), 'localtime') AS anon_2 
FROM sessions_closed 
WHERE sessions_closed.projection = (SELECT live_projection.projection 
FROM live_projection) AND sessions_closed.started_at >= strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, '+1 day', 'utc')) AS anon_1 
FROM days_of_sessions_closed 
WHERE days_of_sessions_closed.day IS NOT NULL)
 SELECT sums.day, sums.content_id, sums.content_name, sums.channel, sums.player_name, sums.starts, sums.content_starts, sums.drops, sums.completes, sums.valid_plays, sums.complete_plays, sums.unique_visitors, sums.content_ms, sums.ad_ms, sums.unbookended_ad_ms, sums.pause_ms, sums.buffer_ms, sums.stall_ms, sums.watched_ms, sums.average_minute_audience, CAST(sums.drops AS DOUBLE) / CAST(nullif(sums.drops + sums.content_starts, 0) AS DOUBLE) AS drop_rate, CAST(sums.completes AS DOUBLE) / CAST(nullif(sums.content_starts, 0) AS DOUBLE) AS completion_rate, CAST(sums.pause_ms AS DOUBLE) / CAST(nullif(sums.content_ms, 0) AS DOUBLE) AS pause_ratio, CAST(sums.buffer_ms AS DOUBLE) / CAST(nullif(sums.watched_ms, 0) AS DOUBLE) AS buffering_share 
FROM (SELECT s.day AS day, s.content_id AS content_id, max(s.content_name) AS content_name, s.channel AS channel, s.player_name AS player_name, count(*) AS starts, count(*) FILTER (WHERE s.content_started) AS content_starts, count(*) FILTER (WHERE s.dropped_before_start) AS drops, count(*) FILTER (WHERE s.completed) AS completes, count(*) FILTER (WHERE s.valid_play) AS valid_plays, count(*) FILTER (WHERE s.complete_play) AS complete_plays, count(DISTINCT s.visitor_id) AS unique_visitors, CAST(coalesce(sum(s.content_ms), 0) AS BIGINT) AS content_ms, CAST(coalesce(sum(s.ad_ms), 0) AS BIGINT) AS ad_ms, CAST(coalesce(sum(s.unbookended_ad_ms), 0) AS BIGINT) AS unbookended_ad_ms, CAST(coalesce(sum(s.pause_ms), 0) AS BIGINT) AS pause_ms, CAST(coalesce(sum(s.buffer_ms), 0) AS BIGINT) AS buffer_ms, CAST(coalesce(sum(s.stall_ms), 0) AS BIGINT) AS stall_ms, CAST(coalesce(sum(s.watched_ms), 0) AS BIGINT) AS watched_ms, sum(s.average_minute_audience) AS average_minute_audience 
FROM (SELECT days_of_sessions_closed.day AS day, session_starts.content_id AS content_id, session_starts.content_name AS content_name, session_starts.content_length_s AS content_length_s, session_starts.channel AS channel, session_starts.player_name AS player_name, session_starts.visitor_id AS visitor_id, sessions_closed.content_started AS content_started, sessions_closed.dropped_before_start AS dropped_before_start, sessions_closed.completed AS completed, sessions_closed.valid_play AS valid_play, sessions_closed.complete_play AS complete_play, sessions_closed.content_ms AS content_ms, sessions_closed.ad_ms AS ad_ms, sessions_closed.unbookended_ad_ms AS unbookended_ad_ms, sessions_closed.pause_ms AS pause_ms, sessions_closed.buffer_ms AS buffer_ms, sessions_closed.stall_ms AS stall_ms, sessions_closed.watched_ms AS watched_ms, sessions_closed.average_minute_audience AS average_minute_audience 
FROM days_of_sessions_closed JOIN sessions_closed ON sessions_closed.started_at >= strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, 'utc') AND sessions_closed.started_at < strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, '+1 day', 'utc') AND sessions_closed.started_at >= strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, 'utc') AND sessions_closed.started_at < strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, '+1 day', 'utc') LEFT OUTER JOIN session_starts ON session_starts.projection = sessions_closed.projection AND session_starts.session_id = sessions_closed.session_id 
WHERE sessions_closed.projection = (SELECT live_projection.projection 
FROM live_projection) UNION ALL SELECT date(sessions_live.started_at, 'localtime') AS day, session_starts.content_id AS content_id, session_starts.content_name AS content_name, session_starts.content_length_s AS content_length_s, session_starts.channel AS channel, session_starts.player_name AS player_name, session_starts.visitor_id AS visitor_id, sessions_live.content_started AS content_started, sessions_live.dropped_before_start AS dropped_before_start, sessions_live.completed AS completed, sessions_live.valid_play AS valid_play, sessions_live.complete_play AS complete_play, sessions_live.content_ms AS content_ms, sessions_live.ad_ms AS ad_ms, sessions_live.unbookended_ad_ms AS unbookended_ad_ms, sessions_live.pause_ms AS pause_ms, sessions_live.buffer_ms AS buffer_ms, sessions_live.stall_ms AS stall_ms, sessions_live.watched_ms AS watched_ms, sessions_live.average_minute_audience AS average_minute_audience 
FROM sessions_live LEFT OUTER JOIN session_starts ON session_starts.projection = sessions_live.projection AND session_starts.session_id = sessions_live.session_id 
WHERE sessions_live.projection = (SELECT live_projection.projection 
FROM live_projection) AND sessions_live.started_at IS NOT NULL) AS s GROUP BY s.day, s.content_id, s.channel, s.player_name) AS sums;

CREATE TEMPORARY VIEW ad_daily AS
WITH RECURSIVE days_of_ad_rows(day) AS 
(SELECT date(min(ad_rows.started_at), 'localtime') AS day 
FROM ad_rows 
WHERE ad_rows.projection = (SELECT live_projection.projection 
FROM live_projection) UNION ALL SELECT (SELECT date(min(ad_rows.started_at), 'localtime') AS anon_2 
FROM ad_rows 
WHERE ad_rows.projection = (SELECT live_projection.projection 
FROM live_projection) AND ad_rows.started_at >= strftime('%Y-%m-%d %H:%M:%f', days_of_ad_rows.day, '+1 day', 'utc')) AS anon_1 
FROM days_of_ad_rows 
WHERE days_of_ad_rows.day IS NOT NULL)
 SELECT sums.day, sums.ad_id, sums.ad_name, sums.campaign_id, sums.creative_id, sums.starts, sums.completes, sums.skips, sums.starts_with_length, sums.quartile_25s, sums.quartile_50s, sums.quartile_75s, sums.quartile_100s, sums.ad_ms, sums.unbookended_starts, sums.unbookended_ad_ms, CAST(sums.completes AS DOUBLE) / CAST(nullif(sums.starts, 0) AS DOUBLE) AS completion_rate, CAST(sums.skips AS DOUBLE) / CAST(nullif(sums.starts, 0) AS DOUBLE) AS skip_rate 
FROM (SELECT days_of_ad_rows.day AS day, ad_rows.ad_id AS ad_id, max(ad_rows.name) AS ad_name, ad_rows.campaign_id AS campaign_id, ad_rows.creative_id AS creative_id, count(*) FILTER (WHERE ad_break_rows.tracked) AS starts, count(*) FILTER (WHERE ad_break_rows.tracked = 1 AND ad_rows.completed = 1) AS completes, count(*) FILTER (WHERE ad_break_rows.tracked = 1 AND ad_rows.ended_by = 'adSkip') AS skips, count(*) FILTER (WHERE ad_break_rows.tracked = 1 AND ad_rows.length_s IS NOT NULL) AS starts_with_length, count(*) FILTER (WHERE ad_break_rows.tracked = 1 AND ad_rows.quartile_25 = 1) AS quartile_25s, count(*) FILTER (WHERE ad_break_rows.tracked = 1 AND ad_rows.quartile_50 = 1) AS quartile_50s, count(*) FILTER (WHERE ad_break_rows.tracked = 1 AND ad_rows.quartile_75 = 1) AS quartile_75s, count(*) FILTER (WHERE ad_break_rows.tracked = 1 AND ad_rows.quartile_100 = 1) AS quartile_100s, CAST(coalesce(sum(CASE WHEN ad_break_rows.tracked THEN ad_rows.playing_ms ELSE 0 END), 0) AS BIGINT) AS ad_ms, count(*) FILTER (WHERE coalesce(ad_break_rows.tracked, 0) = 0) AS unbookended_starts, CAST(coalesce(sum(CASE WHEN coalesce(ad_break_rows.tracked, 0) = 0 THEN ad_rows.playing_ms ELSE 0 END), 0) AS BIGINT) AS unbookended_ad_ms 
FROM days_of_ad_rows JOIN ad_rows ON ad_rows.started_at >= strftime('%Y-%m-%d %H:%M:%f', days_of_ad_rows.day, 'utc') AND ad_rows.started_at < strftime('%Y-%m-%d %H:%M:%f', days_of_ad_rows.day, '+1 day', 'utc') AND ad_rows.started_at >= strftime('%Y-%m-%d %H:%M:%f', days_of_ad_rows.day, 'utc') AND ad_rows.started_at < strftime('%Y-%m-%d %H:%M:%f', days_of_ad_rows.day, '+1 day', 'utc') LEFT OUTER JOIN ad_break_rows ON ad_break_rows.projection = ad_rows.projection AND ad_break_rows.session_id = ad_rows.session_id AND ad_break_rows.break_number = ad_rows.break_number 
WHERE ad_rows.projection = (SELECT live_projection.projection 
FROM live_projection) GROUP BY days_of_ad_rows.day, ad_rows.ad_id, ad_rows.campaign_id, ad_rows.creative_id) AS sums;

CREATE TEMPORARY VIEW quality_daily AS
WITH RECURSIVE days_of_sessions_closed(day) AS 
(SELECT date(min(sessions_closed.started_at), 'localtime') AS day 
FROM sessions_closed 
WHERE sessions_closed.projection = (SELECT live_projection.projection 
FROM live_projection) UNION ALL SELECT (SELECT date(min(sessions_closed.started_at), 'localtime') AS anon_2 
FROM sessions_closed 
WHERE sessions_closed.projection = (SELECT live_projection.projection 
FROM live_projection) AND sessions_closed.started_at >= strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, '+1 day', 'utc')) AS anon_1 
FROM days_of_sessions_closed 
WHERE days_of_sessions_closed.day IS NOT NULL)
 SELECT sums.day, sums.player_name, sums.app_version, sums.content_type, sums.sessions, sums.started_sessions, sums.exits_before_start, sums.start_failures, sums.initial_startup_ms, sums.stalls, sums.stalled_ms, sums.watched_ms, sums.media_ms, sums.bitrate_ms, sums.bitrate_changes, sums.dropped_frames, sums.errors, (2 * sums.initial_startup_ms + sums.started_sessions) / nullif(2 * sums.started_sessions, 0) AS average_initial_startup_ms, CAST(sums.stalls AS DOUBLE) / CAST(nullif(sums.sessions, 0) AS DOUBLE) AS stalls_per_session, CAST(sums.stalls * 3600000 AS DOUBLE) / CAST(nullif(sums.watched_ms, 0) AS DOUBLE) AS stalls_per_watched_hour, CAST(100 * sums.stalled_ms AS DOUBLE) / CAST(nullif(sums.watched_ms, 0) AS DOUBLE) AS stalled_time_percent, CAST(sums.bitrate_by_ms AS DOUBLE) / CAST(nullif(sums.bitrate_ms, 0) AS DOUBLE) AS average_playback_bitrate 
FROM (SELECT s.day AS day, s.player_name AS player_name, s.app_version AS app_version, s.content_type AS content_type, count(*) AS sessions, count(*) FILTER (WHERE s.initial_startup_ms IS NOT NULL) AS started_sessions, count(*) FILTER (WHERE s.exit_stage = 'before_start' AND s.status != 'live' AND s.error_count = 0) AS exits_before_start, count(*) FILTER (WHERE s.exit_stage = 'before_start' AND s.status != 'live' AND s.error_count > 0) AS start_failures, CAST(coalesce(sum(s.initial_startup_ms), 0) AS BIGINT) AS initial_startup_ms, CAST(coalesce(sum(s.stall_count + s.buffer_count), 0) AS BIGINT) AS stalls, CAST(coalesce(sum(s.stall_ms + s.buffer_ms), 0) AS BIGINT) AS stalled_ms, CAST(coalesce(sum(s.watched_ms), 0) AS BIGINT) AS watched_ms, CAST(coalesce(sum(s.media_ms), 0) AS BIGINT) AS media_ms, sum(s.average_bitrate * s.media_ms) AS bitrate_by_ms, CAST(coalesce(sum(CASE WHEN (s.average_bitrate IS NOT NULL) THEN s.media_ms ELSE 0 END), 0) AS BIGINT) AS bitrate_ms, CAST(coalesce(sum(s.bitrate_change_count), 0) AS BIGINT) AS bitrate_changes, CAST(coalesce(sum(s.dropped_frames), 0) AS BIGINT) AS dropped_frames, CAST(coalesce(sum(s.error_count), 0) AS BIGINT) AS errors 
FROM (SELECT days_of_sessions_closed.day AS day, session_starts.player_name AS player_name, session_starts.app_version AS app_version, session_starts.content_type AS content_type, sessions_closed.status AS status, sessions_closed.exit_stage AS exit_stage, sessions_closed.error_count AS error_count, sessions_closed.initial_startup_ms AS initial_startup_ms, sessions_closed.stall_count AS stall_count, sessions_closed.buffer_count AS buffer_count, sessions_closed.stall_ms AS stall_ms, sessions_closed.buffer_ms AS buffer_ms, sessions_closed.watched_ms AS watched_ms, sessions_closed.media_ms AS media_ms, sessions_closed.average_bitrate AS average_bitrate, sessions_closed.dropped_frames AS dropped_frames, sessions_closed.bitrate_change_count AS bitrate_change_count 
FROM days_of_sessions_closed JOIN sessions_closed ON sessions_closed.started_at >= strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, 'utc') AND sessions_closed.started_at < strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, '+1 day', 'utc') AND sessions_closed.started_at >= strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, 'utc') AND sessions_closed.started_at < strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, '+1 day', 'utc') LEFT OUTER JOIN session_starts ON session_starts.projection = sessions_closed.projection AND session_starts.session_id = sessions_closed.session_id 
WHERE sessions_closed.projection = (SELECT live_projection.projection 
FROM live_projection) UNION ALL SELECT date(sessions_live.started_at, 'localtime') AS day, session_starts.player_name AS player_name, session_starts.app_version AS app_version, session_starts.content_type AS content_type, sessions_live.status AS status, sessions_live.exit_stage AS exit_stage, sessions_live.error_count AS error_count, sessions_live.initial_startup_ms AS initial_startup_ms, sessions_live.stall_count AS stall_count, sessions_live.buffer_count AS buffer_count, sessions_live.stall_ms AS stall_ms, sessions_live.buffer_ms AS buffer_ms, sessions_live.watched_ms AS watched_ms, sessions_live.media_ms AS media_ms, sessions_live.average_bitrate AS average_bitrate, sessions_live.dropped_frames AS dropped_frames, sessions_live.bitrate_change_count AS bitrate_change_count 
FROM sessions_live LEFT OUTER JOIN session_starts ON session_starts.projection = sessions_live.projection AND session_starts.session_id = sessions_live.session_id 
WHERE sessions_live.projection = (SELECT live_projection.projection 
FROM live_projection) AND sessions_live.started_at IS NOT NULL) AS s GROUP BY s.day, s.player_name, s.app_version, s.content_type) AS sums;

CREATE TEMPORARY VIEW findings_daily AS
WITH RECURSIVE days_of_sessions_closed(day) AS 
(SELECT date(min(sessions_closed.started_at), 'localtime') AS day 
FROM sessions_closed 
WHERE sessions_closed.projection = (SELECT live_projection.projection 
FROM live_projection) UNION ALL SELECT (SELECT date(min(sessions_closed.started_at), 'localtime') AS anon_2 
FROM sessions_closed 
WHERE sessions_closed.projection = (SELECT live_projection.projection 
FROM live_projection) AND sessions_closed.started_at >= strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, '+1 day', 'utc')) AS anon_1 
FROM days_of_sessions_closed 
WHERE days_of_sessions_closed.day IS NOT NULL)
 SELECT b.day, b.player_name, b.app_version, b.code, b.sessions, b.of_sessions, CAST(b.sessions AS DOUBLE) / CAST(nullif(b.of_sessions, 0) AS DOUBLE) AS session_share, b.times, b.moved_ms 
FROM (SELECT counted.day AS day, counted.player_name AS player_name, counted.app_version AS app_version, counted.code AS code, counted.sessions AS sessions, counted.times AS times, counted.moved_ms AS moved_ms, CAST(sum(CASE WHEN (counted.code = '') THEN counted.sessions ELSE 0 END) OVER (PARTITION BY counted.day, counted.player_name, counted.app_version) AS BIGINT) AS of_sessions 
FROM (SELECT f.day AS day, f.player_name AS player_name, f.app_version AS app_version, f.code AS code, count(*) AS sessions, CAST(coalesce(sum(f.times), 0) AS BIGINT) AS times, CAST(sum(f.moved_ms) AS BIGINT) AS moved_ms 
FROM (SELECT days_of_sessions_closed.day AS day, sessions_closed.session_id AS session_id, session_starts.player_name AS player_name, session_starts.app_version AS app_version, '' AS code, 0 AS times, CAST(NULL AS BIGINT) AS moved_ms 
FROM days_of_sessions_closed JOIN sessions_closed ON sessions_closed.started_at >= strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, 'utc') AND sessions_closed.started_at < strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, '+1 day', 'utc') AND sessions_closed.started_at >= strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, 'utc') AND sessions_closed.started_at < strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, '+1 day', 'utc') LEFT OUTER JOIN session_starts ON session_starts.projection = sessions_closed.projection AND session_starts.session_id = sessions_closed.session_id 
WHERE sessions_closed.projection = (SELECT live_projection.projection 
FROM live_projection) UNION ALL SELECT days_of_sessions_closed.day AS day, sessions_closed.session_id AS session_id, session_starts.player_name AS player_name, session_starts.app_version AS app_version, finding_rows.code AS code, finding_rows.count AS times, CASE WHEN (finding_rows.code IN ('ad_without_break', 'break_not_completed')) THEN (SELECT CAST(coalesce(sum(ad_rows.playing_ms), 0) AS BIGINT) AS coalesce_1 
FROM ad_rows LEFT OUTER JOIN ad_break_rows ON ad_break_rows.projection = ad_rows.projection AND ad_break_rows.session_id = ad_rows.session_id AND ad_break_rows.break_number = ad_rows.break_number 
WHERE ad_rows.projection = finding_rows.projection AND ad_rows.session_id = finding_rows.session_id AND (finding_rows.code = 'ad_without_break' AND ad_rows.break_number IS NULL OR finding_rows.code = 'break_not_completed' AND ad_break_rows.tracked = 0)) ELSE NULL END AS moved_ms 
FROM days_of_sessions_closed JOIN sessions_closed ON sessions_closed.started_at >= strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, 'utc') AND sessions_closed.started_at < strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, '+1 day', 'utc') AND sessions_closed.started_at >= strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, 'utc') AND sessions_closed.started_at < strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, '+1 day', 'utc') LEFT OUTER JOIN session_starts ON session_starts.projection = sessions_closed.projection AND session_starts.session_id = sessions_closed.session_id, finding_rows 
WHERE sessions_closed.projection = (SELECT live_projection.projection 
FROM live_projection) AND sessions_closed.finding_count > 0 AND finding_rows.projection = sessions_closed.projection AND finding_rows.session_id = sessions_closed.session_id UNION ALL SELECT date(sessions_live.started_at, 'localtime') AS day, sessions_live.session_id AS session_id, session_starts.player_name AS player_name, session_starts.app_version AS app_version, '' AS code, 0 AS times, CAST(NULL AS BIGINT) AS moved_ms 
FROM sessions_live LEFT OUTER JOIN session_starts ON session_starts.projection = sessions_live.projection AND session_starts.session_id = sessions_live.session_id 
WHERE sessions_live.projection = (SELECT live_projection.projection 
FROM live_projection) AND sessions_live.started_at IS NOT NULL UNION ALL SELECT date(sessions_live.started_at, 'localtime') AS day, sessions_live.session_id AS session_id, session_starts.player_name AS player_name, session_starts.app_version AS app_version, finding_rows.code AS code, finding_rows.count AS times, CASE WHEN (finding_rows.code IN ('ad_without_break', 'break_not_completed')) THEN (SELECT CAST(coalesce(sum(ad_rows.playing_ms), 0) AS BIGINT) AS coalesce_2 
FROM ad_rows LEFT OUTER JOIN ad_break_rows ON ad_break_rows.projection = ad_rows.projection AND ad_break_rows.session_id = ad_rows.session_id AND ad_break_rows.break_number = ad_rows.break_number 
WHERE ad_rows.projection = finding_rows.projection AND ad_rows.session_id = finding_rows.session_id AND (finding_rows.code = 'ad_without_break' AND ad_rows.break_number IS NULL OR finding_rows.code = 'break_not_completed' AND ad_break_rows.tracked = 0)) ELSE NULL END AS moved_ms 
FROM sessions_live LEFT OUTER JOIN session_starts ON session_starts.projection = sessions_live.projection AND session_starts.session_id = sessions_live.session_id, finding_rows 
WHERE sessions_live.projection = (SELECT live_projection.projection 
FROM live_projection) AND sessions_live.started_at IS NOT NULL AND sessions_live.finding_count > 0 AND finding_rows.projection = sessions_live.projection AND finding_rows.session_id = sessions_live.session_id) AS f GROUP BY f.day, f.player_name, f.app_version, f.code) AS counted) AS b 
WHERE b.code != '';

CREATE TEMPORARY VIEW audience_minute AS
WITH RECURSIVE days_of_span_rows(day) AS 
(SELECT date(min(span_rows.started_at), 'localtime') AS day 
FROM span_rows 
WHERE span_rows.projection = (SELECT live_projection.projection 
FROM live_projection) UNION ALL SELECT (SELECT date(min(span_rows.started_at), 'localtime') AS anon_2 
FROM span_rows 
WHERE span_rows.projection = (SELECT live_projection.projection 
FROM live_projection) AND span_rows.started_at >= strftime('%Y-%m-%d %H:%M:%f', days_of_span_rows.day, '+1 day', 'utc')) AS anon_1 
FROM days_of_span_rows 
WHERE days_of_span_rows.day IS NOT NULL)
 SELECT counted.day, strftime('%Y-%m-%d %H:%M:%f', counted.minute * 60, 'unixepoch') AS minute, counted.content_id, counted.sessions, counted.visitors 
FROM (SELECT visitor_first_of.day AS day, visitor_first_of.first + "key"."key" AS minute, visitor_first_of.content_id AS content_id, count(*) AS sessions, count(*) FILTER (WHERE visitor_first_of.visitor_id IS NOT NULL AND visitor_first_of.first + "key"."key" >= visitor_first_of.visitor_first) AS visitors 
FROM (SELECT named.day AS day, named.session_id AS session_id, named.last AS last, named.first AS first, named.content_id AS content_id, named.visitor_id AS visitor_id, max(coalesce(max(named.last) OVER (PARTITION BY named.day, named.content_id, named.visitor_id ORDER BY named.first, named.last ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) + 1, 0), named.first) AS visitor_first 
FROM (SELECT first_of.day AS day, first_of.session_id AS session_id, first_of.last AS last, first_of.first AS first, session_starts.content_id AS content_id, session_starts.visitor_id AS visitor_id 
FROM (SELECT minutes.day AS day, minutes.session_id AS session_id, minutes.last AS last, max(coalesce(max(minutes.last) OVER (PARTITION BY minutes.day, minutes.session_id ORDER BY minutes.first, minutes.last ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) + 1, 0), minutes.first) AS first 
FROM (SELECT spans_of_day.day AS day, spans_of_day.session_id AS session_id, max((CAST(strftime('%s', spans_of_day.started_at) AS INTEGER) * 1000 + CAST(substr(spans_of_day.started_at, 21, 3) AS INTEGER)), (CAST(strftime('%s', strftime('%Y-%m-%d %H:%M:%f', spans_of_day.day, 'utc')) AS INTEGER) * 1000 + CAST(substr(strftime('%Y-%m-%d %H:%M:%f', spans_of_day.day, 'utc'), 21, 3) AS INTEGER))) / 60000 AS first, (min((CAST(strftime('%s', spans_of_day.ended_at) AS INTEGER) * 1000 + CAST(substr(spans_of_day.ended_at, 21, 3) AS INTEGER)), (CAST(strftime('%s', strftime('%Y-%m-%d %H:%M:%f', spans_of_day.day, '+1 day', 'utc')) AS INTEGER) * 1000 + CAST(substr(strftime('%Y-%m-%d %H:%M:%f', spans_of_day.day, '+1 day', 'utc'), 21, 3) AS INTEGER))) - 1) / 60000 AS last 
FROM (SELECT days.day AS day, span_rows.session_id AS session_id, span_rows.started_at AS started_at, span_rows.ended_at AS ended_at 
FROM (SELECT days_of_span_rows.day AS day 
FROM days_of_span_rows 
WHERE days_of_span_rows.day IS NOT NULL UNION SELECT date(days_of_span_rows.day, '+1 day') AS anon_3 
FROM days_of_span_rows 
WHERE days_of_span_rows.day IS NOT NULL) AS days JOIN span_rows ON span_rows.started_at >= strftime('%Y-%m-%d %H:%M:%f', date(days.day, '-1 day'), 'utc') AND span_rows.started_at < strftime('%Y-%m-%d %H:%M:%f', days.day, '+1 day', 'utc') AND span_rows.started_at >= strftime('%Y-%m-%d %H:%M:%f', date(days.day, '-1 day'), 'utc') AND span_rows.started_at < strftime('%Y-%m-%d %H:%M:%f', days.day, '+1 day', 'utc') 
WHERE span_rows.projection = (SELECT live_projection.projection 
FROM live_projection) AND span_rows.ended_at > strftime('%Y-%m-%d %H:%M:%f', days.day, 'utc') AND (span_rows.activity NOT IN ('pause', 'ended', 'untracked')) UNION ALL SELECT date(sessions_live.span_started_at, 'localtime') AS day, sessions_live.session_id AS session_id, sessions_live.span_started_at AS span_started_at, sessions_live.last_event_at AS last_event_at 
FROM sessions_live 
WHERE sessions_live.projection = (SELECT live_projection.projection 
FROM live_projection) AND sessions_live.last_event_at > strftime('%Y-%m-%d %H:%M:%f', date(sessions_live.span_started_at, 'localtime'), 'utc') AND (sessions_live.span_activity NOT IN ('pause', 'ended', 'untracked')) UNION ALL SELECT date(date(sessions_live.span_started_at, 'localtime'), '+1 day') AS day, sessions_live.session_id AS session_id, sessions_live.span_started_at AS span_started_at, sessions_live.last_event_at AS last_event_at 
FROM sessions_live 
WHERE sessions_live.projection = (SELECT live_projection.projection 
FROM live_projection) AND sessions_live.last_event_at > strftime('%Y-%m-%d %H:%M:%f', date(date(sessions_live.span_started_at, 'localtime'), '+1 day'), 'utc') AND (sessions_live.span_activity NOT IN ('pause', 'ended', 'untracked'))) AS spans_of_day) AS minutes) AS first_of LEFT OUTER JOIN session_starts ON session_starts.projection = (SELECT live_projection.projection 
FROM live_projection) AND session_starts.session_id = first_of.session_id 
WHERE first_of.first <= first_of.last) AS named) AS visitor_first_of JOIN json_each('[0' || replace(hex(zeroblob(visitor_first_of.last - visitor_first_of.first)), '00', ',0') || ']') AS "key" ON 1 = 1 GROUP BY visitor_first_of.day, minute, visitor_first_of.content_id) AS counted;

CREATE TEMPORARY VIEW retention AS
WITH RECURSIVE days_of_sessions_closed(day) AS 
(SELECT date(min(sessions_closed.started_at), 'localtime') AS day 
FROM sessions_closed 
WHERE sessions_closed.projection = (SELECT live_projection.projection 
FROM live_projection) UNION ALL SELECT (SELECT date(min(sessions_closed.started_at), 'localtime') AS anon_2 
FROM sessions_closed 
WHERE sessions_closed.projection = (SELECT live_projection.projection 
FROM live_projection) AND sessions_closed.started_at >= strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, '+1 day', 'utc')) AS anon_1 
FROM days_of_sessions_closed 
WHERE days_of_sessions_closed.day IS NOT NULL)
 SELECT steps.day, steps.content_id, CAST(steps.percent + "key"."key" AS BIGINT) AS percent, steps.sessions, steps.plays, CAST(steps.sessions AS DOUBLE) / CAST(nullif(steps.plays, 0) AS DOUBLE) AS share 
FROM (SELECT summed.day AS day, summed.content_id AS content_id, summed.percent AS percent, lead(summed.percent, 1, 100) OVER (PARTITION BY summed.day, summed.content_id ORDER BY summed.percent) AS next_percent, CAST(sum(summed.change) OVER (PARTITION BY summed.day, summed.content_id ORDER BY summed.percent) AS BIGINT) AS sessions, CAST(sum(summed.plays) OVER (PARTITION BY summed.day, summed.content_id) AS BIGINT) AS plays 
FROM (SELECT changes.day AS day, changes.content_id AS content_id, changes.percent AS percent, CAST(coalesce(sum(changes.change), 0) AS BIGINT) AS change, CAST(coalesce(sum(changes.plays), 0) AS BIGINT) AS plays 
FROM (SELECT first_of.day AS day, first_of.content_id AS content_id, CASE WHEN ("key"."key" = 0) THEN 0 WHEN ("key"."key" = 1) THEN first_of.first ELSE first_of.last + 1 END AS percent, CASE WHEN ("key"."key" = 0) THEN 0 WHEN ("key"."key" = 1) THEN 1 ELSE -1 END AS change, CASE WHEN ("key"."key" = 0 AND first_of.nth = 1) THEN 1 ELSE 0 END AS plays 
FROM (SELECT ranges.day AS day, ranges.content_id AS content_id, ranges.session_id AS session_id, ranges.last AS last, ranges.nth AS nth, max(coalesce(max(ranges.last) OVER (PARTITION BY ranges.day, ranges.content_id, ranges.session_id ORDER BY ranges.first, ranges.last ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) + 1, 0), ranges.first) AS first 
FROM (SELECT hundredths.day AS day, hundredths.content_id AS content_id, hundredths.session_id AS session_id, hundredths.first AS first, hundredths.last AS last, row_number() OVER (PARTITION BY hundredths.day, hundredths.content_id, hundredths.session_id ORDER BY hundredths.first, hundredths.last) AS nth 
FROM (SELECT plays.day AS day, plays.content_id AS content_id, plays.session_id AS session_id, CASE WHEN ((plays.playhead_from_s * 100) / (plays.content_length_s + 0.0) > 0) THEN CAST((plays.playhead_from_s * 100) / (plays.content_length_s + 0.0) AS INTEGER) WHEN ((plays.playhead_from_s * 100) / (plays.content_length_s + 0.0) <= 0) THEN 0 END AS first, CASE WHEN (plays.playhead_to_s >= plays.content_length_s) THEN 99 ELSE CAST((plays.playhead_to_s * 100) / (plays.content_length_s + 0.0) AS INTEGER) - CASE WHEN ((plays.playhead_to_s * 100) / (plays.content_length_s + 0.0) = CAST((plays.playhead_to_s * 100) / (plays.content_length_s + 0.0) AS INTEGER)) THEN 1 ELSE 0 END END AS last 
FROM (SELECT days_of_sessions_closed.day AS day, sessions_closed.session_id AS session_id, session_starts.content_id AS content_id, session_starts.content_length_s AS content_length_s, sessions_closed.content_started AS content_started, span_rows.playhead_from_s AS playhead_from_s, span_rows.playhead_to_s AS playhead_to_s 
FROM days_of_sessions_closed JOIN sessions_closed ON sessions_closed.started_at >= strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, 'utc') AND sessions_closed.started_at < strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, '+1 day', 'utc') AND sessions_closed.started_at >= strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, 'utc') AND sessions_closed.started_at < strftime('%Y-%m-%d %H:%M:%f', days_of_sessions_closed.day, '+1 day', 'utc') LEFT OUTER JOIN session_starts ON session_starts.projection = sessions_closed.projection AND session_starts.session_id = sessions_closed.session_id LEFT OUTER JOIN span_rows ON span_rows.projection = sessions_closed.projection AND span_rows.session_id = sessions_closed.session_id AND span_rows.activity = 'content' AND span_rows.playhead_to_s > span_rows.playhead_from_s AND span_rows.playhead_from_s < session_starts.content_length_s AND span_rows.playhead_to_s > 0 
WHERE sessions_closed.projection = (SELECT live_projection.projection 
FROM live_projection) AND session_starts.content_length_s > 0 AND sessions_closed.content_started = 1 UNION ALL SELECT date(sessions_live.started_at, 'localtime') AS day, sessions_live.session_id AS session_id, session_starts.content_id AS content_id, session_starts.content_length_s AS content_length_s, sessions_live.content_started AS content_started, span_rows.playhead_from_s AS playhead_from_s, span_rows.playhead_to_s AS playhead_to_s 
FROM sessions_live LEFT OUTER JOIN session_starts ON session_starts.projection = sessions_live.projection AND session_starts.session_id = sessions_live.session_id LEFT OUTER JOIN span_rows ON span_rows.projection = sessions_live.projection AND span_rows.session_id = sessions_live.session_id AND span_rows.activity = 'content' AND span_rows.playhead_to_s > span_rows.playhead_from_s AND span_rows.playhead_from_s < session_starts.content_length_s AND span_rows.playhead_to_s > 0 
WHERE sessions_live.projection = (SELECT live_projection.projection 
FROM live_projection) AND sessions_live.started_at IS NOT NULL AND session_starts.content_length_s > 0 AND sessions_live.content_started = 1 UNION ALL SELECT date(sessions_live.started_at, 'localtime') AS day, sessions_live.session_id AS session_id, session_starts.content_id AS content_id, session_starts.content_length_s AS content_length_s, sessions_live.content_started AS content_started, sessions_live.span_playhead_from_s AS span_playhead_from_s, sessions_live.span_playhead_to_s AS span_playhead_to_s 
FROM sessions_live LEFT OUTER JOIN session_starts ON session_starts.projection = sessions_live.projection AND session_starts.session_id = sessions_live.session_id 
WHERE sessions_live.projection = (SELECT live_projection.projection 
FROM live_projection) AND sessions_live.started_at IS NOT NULL AND session_starts.content_length_s > 0 AND sessions_live.content_started = 1 AND sessions_live.span_activity = 'content' AND sessions_live.span_playhead_to_s > sessions_live.span_playhead_from_s AND sessions_live.span_playhead_from_s < session_starts.content_length_s AND sessions_live.span_playhead_to_s > 0) AS plays) AS hundredths) AS ranges) AS first_of JOIN json_each('[0' || replace(hex(zeroblob(2)), '00', ',0') || ']') AS "key" ON 1 = 1 
WHERE first_of.first <= first_of.last OR "key"."key" = 0) AS changes GROUP BY changes.day, changes.content_id, changes.percent) AS summed) AS steps JOIN json_each('[0' || replace(hex(zeroblob((steps.next_percent - steps.percent) - 1)), '00', ',0') || ']') AS "key" ON 1 = 1 
WHERE steps.percent < 100;
