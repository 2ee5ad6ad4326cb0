-- Events that last, the longest first.
SELECT start_time, measure, direction, kind, severity, actual, expected, slices, series_count, group_id
FROM anomalies
WHERE "date" >= ${since_90_days} AND state = 'OPEN'
ORDER BY start_time, group_id
