-- How many different people watched on each day, and how much?
--
-- day: on which sessions started, in UTC or the reader's time zone (docs/sql.md). visitors: different ones over all
-- contents, which no sum of a report's rows can tell. anonymous: sessions without a visitor's id;
-- content_min_per_visitor has their content time, too.
SELECT date(started_at) AS day,
       count(DISTINCT visitor_id) AS visitors,
       count(*) AS sessions,
       count(*) FILTER (WHERE visitor_id IS NULL) AS anonymous,
       round(sum(content_ms) / 60000.0 / nullif(count(DISTINCT visitor_id), 0), 1) AS content_min_per_visitor
FROM sessions
WHERE started_at >= '2026-03-01' AND started_at < '2026-04-01'
GROUP BY date(started_at)
ORDER BY day;
