-- Does an ad further back in its break fare worse?
--
-- place: 1 for the first ad of its break, by the order in which ads really started (what players send as
-- podPosition is often wrong). starts: ads in breaks with both bookends. completed_percent, skipped_percent:
-- of these. seconds: how long one plays on average.
WITH placed AS (
    SELECT a.completed, a.ended_by, a.playing_ms,
           row_number() OVER (PARTITION BY a.session_id, a.break_number ORDER BY a.ad_number) AS place
    FROM sessions AS s
    JOIN ads AS a ON a.session_id = s.session_id
    WHERE a.tracked AND s.started_at >= '2026-03-01' AND s.started_at < '2026-04-01'
)
SELECT place,
       count(*) AS starts,
       round(100.0 * count(*) FILTER (WHERE completed) / count(*), 1) AS completed_percent,
       round(100.0 * count(*) FILTER (WHERE ended_by = 'adSkip') / count(*), 1) AS skipped_percent,
       round(sum(playing_ms) / 1000.0 / count(*), 1) AS seconds
FROM placed
GROUP BY place
ORDER BY place;
