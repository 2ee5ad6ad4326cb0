-- Events a week and measure, and how many an alert with a higher threshold would have sent; of the last 90 days.
SELECT date_trunc('week', start_time) AS week, measure, count(*) AS events,
       count(*) FILTER (WHERE severity >= 60) AS from_60,
       count(*) FILTER (WHERE severity >= 70) AS from_70,
       count(*) FILTER (WHERE severity >= 80) AS from_80,
       count(*) FILTER (WHERE severity >= 90) AS from_90
FROM anomalies
WHERE "date" >= ${since_90_days}
GROUP BY 1, 2
ORDER BY 1 DESC, 2
