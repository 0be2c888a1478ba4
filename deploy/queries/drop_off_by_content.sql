-- At which points of a content do most viewers leave it?
--
-- percent: the hundredth of the length in which they were last seen. left_here: plays that saw this hundredth
-- less those that saw the next. share_left: percent of all plays. The five worst points of each content.
WITH parts AS (
    SELECT content_id, percent, sum(sessions) AS sessions, sum(plays) AS plays
    FROM retention
    WHERE day >= '2026-03-01' AND day < '2026-04-01'
    GROUP BY content_id, percent
),
steps AS (
    SELECT content_id, percent, plays,
           sessions - lead(sessions) OVER (PARTITION BY content_id ORDER BY percent) AS left_here
    FROM parts
),
ranked AS (
    SELECT content_id, percent, left_here, round(100.0 * left_here / plays, 1) AS share_left,
           row_number() OVER (PARTITION BY content_id ORDER BY left_here DESC, percent) AS place
    FROM steps
    WHERE left_here > 0
)
SELECT content_id, percent, left_here, share_left
FROM ranked
WHERE place <= 5
ORDER BY content_id, place;
