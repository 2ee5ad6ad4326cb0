-- How much was scored: intervals, series and values a day (UTC) and measure, and the share of expected values that arrived; 30 days.
SELECT "date", measure, count(DISTINCT interval_start) AS intervals, count(*) AS expected_values, count(actual) AS values_arrived,
       100.0 * count(actual) / count(*) AS arrived_percent
FROM scores
WHERE "date" >= ${since_30_days} AND ${leaf}
GROUP BY 1, 2
ORDER BY 1 DESC, 2
