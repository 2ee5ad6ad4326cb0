-- The total of each measure and what was expected, for the last seven days. Needs the roll-up total, unless there are no dimensions.
SELECT interval_start, measure, actual, expected, lower, upper, severity, anomalous
FROM scores
WHERE "date" >= ${since_7_days} AND ${total}
ORDER BY measure, interval_start
