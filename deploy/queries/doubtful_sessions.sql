-- Which sessions have figures that one should look at before trusting them, and how much is at stake?
--
-- doubts: kinds of findings that can move time (docs/rules.md "Findings"). at_stake_s: content time that was ads,
-- and gaps without events. share_at_stake: percent of content, ad and gap time.
SELECT s.session_id, s.player_name, s.app_version,
       count(f.code) AS doubts,
       round((s.unbookended_ad_ms + s.untracked_ms) / 1000.0, 1) AS at_stake_s,
       round(100.0 * (s.unbookended_ad_ms + s.untracked_ms)
             / nullif(s.media_ms + s.untracked_ms, 0), 1) AS share_at_stake
FROM sessions AS s
JOIN findings AS f ON f.session_id = s.session_id
WHERE f.code IN ('ad_without_break', 'break_not_completed', 'break_without_start', 'playhead_moved_in_ad',
                 'ping_gap', 'inferred_play', 'late_event', 'clock_set_back', 'no_session_start',
                 'too_many_rows')
  AND s.started_at >= '2026-03-01' AND s.started_at < '2026-04-01'
GROUP BY s.session_id, s.player_name, s.app_version, s.unbookended_ad_ms, s.untracked_ms, s.media_ms
ORDER BY at_stake_s DESC, doubts DESC, s.session_id
LIMIT 100;
