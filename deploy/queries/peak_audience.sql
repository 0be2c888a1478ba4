-- When did most viewers watch at once, on each day, and how many were they?
--
-- peak_minute: the first of the minutes with the most sessions, over all contents. sessions: that watched in it.
-- contents: that they watched.
WITH minutes AS (
    SELECT day, minute, sum(sessions) AS sessions, count(*) AS contents
    FROM audience_minute
    WHERE day >= '2026-03-01' AND day < '2026-04-01'
    GROUP BY day, minute
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY day ORDER BY sessions DESC, minute) AS place
    FROM minutes
)
SELECT day, minute AS peak_minute, sessions, contents
FROM ranked
WHERE place = 1
ORDER BY day;
