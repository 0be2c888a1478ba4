-- How many ads did each campaign really get, how many were seen to the end, and what was lost?
--
-- starts: ads in breaks with both bookends, the only ones that count. completed_percent, skipped_percent: of
-- these. ad_min: their playing time. share_of_ad_time: percent of all campaigns' playing time.
-- unbookended: ads that do not count, because a bookend of their break is missing.
SELECT campaign_id,
       sum(starts) AS starts,
       round(100.0 * sum(completes) / nullif(sum(starts), 0), 1) AS completed_percent,
       round(100.0 * sum(skips) / nullif(sum(starts), 0), 1) AS skipped_percent,
       round(sum(ad_ms) / 60000.0, 2) AS ad_min,
       round(100.0 * sum(ad_ms) / nullif(sum(sum(ad_ms)) OVER (), 0), 1) AS share_of_ad_time,
       sum(unbookended_starts) AS unbookended
FROM ad_daily
WHERE day >= '2026-03-01' AND day < '2026-04-01'
GROUP BY campaign_id
ORDER BY starts DESC, campaign_id;
