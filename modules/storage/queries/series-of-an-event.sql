-- The series that were anomalous in an event (its group_id is the parameter), the worst first, from two days before it to a day after.
WITH event AS (
  SELECT measure, start_time, end_time
  FROM anomalies
  WHERE "date" >= ${since_90_days} AND group_id = ?
),
found AS (
  SELECT interval_start, measure${slice}, actual, expected, lower, upper, severity, anomalous,
         max(CASE WHEN anomalous
                   AND interval_start >= (SELECT start_time FROM event)
                   AND interval_start < (SELECT end_time FROM event) THEN severity END)
           OVER (PARTITION BY measure${slice}) AS worst
  FROM scores
  WHERE "date" >= ${since_90_days}
    AND measure = (SELECT measure FROM event)
    AND interval_start >= (SELECT start_time FROM event) - INTERVAL '2' DAY
    AND interval_start < (SELECT end_time FROM event) + INTERVAL '1' DAY
)
SELECT *
FROM found
WHERE worst IS NOT NULL
ORDER BY worst DESC${slice}, interval_start
