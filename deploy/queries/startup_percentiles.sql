-- How long do viewers wait until something starts, and how long do the unluckiest wait?
--
-- started: sessions in which anything started, content or ad. p50_ms: half of them waited no longer than this;
-- p90_ms, p95_ms and p99_ms likewise. Each is the wait of a real session (a discrete percentile).
WITH waits AS (
    SELECT player_name, app_version, initial_startup_ms AS ms,
           cume_dist() OVER (
               PARTITION BY player_name, app_version ORDER BY initial_startup_ms) AS share
    FROM sessions
    WHERE initial_startup_ms IS NOT NULL
      AND started_at >= '2026-03-01' AND started_at < '2026-04-01'
)
SELECT player_name, app_version,
       count(*) AS started,
       min(ms) FILTER (WHERE share >= 0.50) AS p50_ms,
       min(ms) FILTER (WHERE share >= 0.90) AS p90_ms,
       min(ms) FILTER (WHERE share >= 0.95) AS p95_ms,
       min(ms) FILTER (WHERE share >= 0.99) AS p99_ms
FROM waits
GROUP BY player_name, app_version
ORDER BY player_name, app_version;
