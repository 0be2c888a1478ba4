-- How much of our content time is really ads whose bookends are missing, and which player builds do it?
--
-- content_min: content time. unbookended_min: the part of it that was ads, without_break_min of them with no
-- opening bookend, not_completed_min with no closing one. percent: of the content time. affected: sessions.
WITH moved AS (
    SELECT session_id,
           sum(playing_ms) FILTER (WHERE untracked_reason = 'ad_without_break') AS without_break_ms,
           sum(playing_ms) FILTER (WHERE untracked_reason = 'break_not_completed') AS not_completed_ms
    FROM ads
    WHERE NOT tracked
    GROUP BY session_id
)
SELECT s.player_name, s.app_version,
       count(*) AS sessions,
       count(*) FILTER (WHERE s.unbookended_ad_ms > 0) AS affected,
       round(sum(s.content_ms) / 60000.0, 2) AS content_min,
       round(sum(s.unbookended_ad_ms) / 60000.0, 2) AS unbookended_min,
       round(100.0 * sum(s.unbookended_ad_ms) / nullif(sum(s.content_ms), 0), 1) AS percent,
       round(coalesce(sum(m.without_break_ms), 0) / 60000.0, 2) AS without_break_min,
       round(coalesce(sum(m.not_completed_ms), 0) / 60000.0, 2) AS not_completed_min
FROM sessions AS s
LEFT JOIN moved AS m ON m.session_id = s.session_id AND s.unbookended_ad_ms > 0
WHERE s.started_at >= '2026-03-01' AND s.started_at < '2026-04-01'
GROUP BY s.player_name, s.app_version
ORDER BY unbookended_min DESC, s.player_name, s.app_version;
