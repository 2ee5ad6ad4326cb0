-- The worst events of the last seven days.
SELECT start_time, end_time, measure, direction, kind, severity, actual, expected,
       100 * (actual - expected) / nullif(expected, 0) AS change_percent, slices, series_count, state, group_id
FROM anomalies
WHERE "date" >= ${since_7_days}
ORDER BY severity DESC, start_time DESC
LIMIT 20
