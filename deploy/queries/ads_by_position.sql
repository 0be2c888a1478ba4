-- How heavy is the ad load before, in and after the content, and how well are the ads seen there?
--
-- breaks: with both bookends. ads_per_break. completed_percent: of the ads in them. ad_min: their playing time.
-- ad_min_per_content_hour: over the content time of all sessions, whether they had such a break or not.
SELECT b.position,
       count(DISTINCT b.session_id || '/' || b.break_number) AS breaks,
       round(1.0 * count(a.ad_number)
             / count(DISTINCT b.session_id || '/' || b.break_number), 2) AS ads_per_break,
       round(100.0 * count(*) FILTER (WHERE a.completed)
             / nullif(count(a.ad_number), 0), 1) AS completed_percent,
       round(coalesce(sum(a.playing_ms), 0) / 60000.0, 2) AS ad_min,
       round(60.0 * coalesce(sum(a.playing_ms), 0) / nullif((
           SELECT sum(content_ms) FROM sessions
           WHERE started_at >= '2026-03-01' AND started_at < '2026-04-01'), 0), 2)
           AS ad_min_per_content_hour
FROM sessions AS s
JOIN ad_breaks AS b ON b.session_id = s.session_id AND b.tracked
LEFT JOIN ads AS a ON a.session_id = b.session_id AND a.break_number = b.break_number
WHERE s.started_at >= '2026-03-01' AND s.started_at < '2026-04-01'
GROUP BY b.position
ORDER BY CASE b.position WHEN 'pre' THEN 1 WHEN 'mid' THEN 2 ELSE 3 END;
