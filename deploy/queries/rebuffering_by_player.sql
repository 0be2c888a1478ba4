-- On which player builds do viewers wait most?
--
-- watched_min: watched time of CTA-2066, waiting included. waiting_percent: stalled and buffering time of it (stalled time %).
-- stalls_per_hour: of watched time. failed: sessions that ended before anything started, with an error.
SELECT player_name, app_version,
       sum(sessions) AS sessions,
       round(sum(watched_ms) / 60000.0, 1) AS watched_min,
       round(100.0 * sum(stalled_ms) / nullif(sum(watched_ms), 0), 2) AS waiting_percent,
       round(3600000.0 * sum(stalls) / nullif(sum(watched_ms), 0), 1) AS stalls_per_hour,
       sum(start_failures) AS failed
FROM quality_daily
WHERE day >= '2026-03-01' AND day < '2026-04-01'
GROUP BY player_name, app_version
ORDER BY waiting_percent DESC, player_name, app_version;
