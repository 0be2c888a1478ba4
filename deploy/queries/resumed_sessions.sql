-- How often is a content taken up again where it was left, and is it finished then?
--
-- resumed_percent: of the sessions, those whose player said that an earlier one goes on. completed_of_resumed,
-- completed_of_fresh: percent of each kind's plays (content started) with a sessionComplete.
SELECT content_id,
       count(*) AS sessions,
       count(*) FILTER (WHERE resumed) AS resumed,
       round(100.0 * count(*) FILTER (WHERE resumed) / count(*), 1) AS resumed_percent,
       round(100.0 * count(*) FILTER (WHERE resumed AND completed)
             / nullif(count(*) FILTER (WHERE resumed AND content_started), 0), 1) AS completed_of_resumed,
       round(100.0 * count(*) FILTER (WHERE NOT coalesce(resumed, false) AND completed)
             / nullif(count(*) FILTER (WHERE NOT coalesce(resumed, false) AND content_started), 0), 1)
           AS completed_of_fresh
FROM sessions
WHERE started_at >= '2026-03-01' AND started_at < '2026-04-01'
GROUP BY content_id
ORDER BY resumed DESC, content_id;
