-- What the detector's statements took in the warehouse, by day (UTC) and purpose; billed is a minute at least, as for a workgroup that would sleep.
SELECT "date", purpose, count(*) AS statements, sum(milliseconds) / 1000.0 AS seconds,
       sum(greatest(milliseconds, 60000)) / 1000.0 AS billed_seconds, sum(row_count) AS rows_unloaded, sum(byte_count) / 1e6 AS megabytes
FROM statements
WHERE "date" >= ${since_30_days}
GROUP BY 1, 2
ORDER BY 1 DESC, 2
