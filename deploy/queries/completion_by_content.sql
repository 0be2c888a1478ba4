-- How many of those who begin a content finish it, and how far do the others come?
--
-- sessions: that asked for it. dropped_percent: of these, closed before content started.
-- plays: content started. reached_25, reached_50, reached_75, reached_95: percent of the plays whose playhead came
-- so far (never for live content). completed_percent: percent of the plays with a sessionComplete.
SELECT content_id,
       count(*) AS sessions,
       round(100.0 * count(*) FILTER (WHERE dropped_before_start) / count(*), 1) AS dropped_percent,
       count(*) FILTER (WHERE content_started) AS plays,
       round(100.0 * count(*) FILTER (WHERE content_started AND progress_25)
             / nullif(count(*) FILTER (WHERE content_started), 0), 1) AS reached_25,
       round(100.0 * count(*) FILTER (WHERE content_started AND progress_50)
             / nullif(count(*) FILTER (WHERE content_started), 0), 1) AS reached_50,
       round(100.0 * count(*) FILTER (WHERE content_started AND progress_75)
             / nullif(count(*) FILTER (WHERE content_started), 0), 1) AS reached_75,
       round(100.0 * count(*) FILTER (WHERE content_started AND progress_95)
             / nullif(count(*) FILTER (WHERE content_started), 0), 1) AS reached_95,
       round(100.0 * count(*) FILTER (WHERE content_started AND completed)
             / nullif(count(*) FILTER (WHERE content_started), 0), 1) AS completed_percent
FROM sessions
WHERE started_at >= '2026-03-01' AND started_at < '2026-04-01'
GROUP BY content_id
ORDER BY sessions DESC, content_id;
