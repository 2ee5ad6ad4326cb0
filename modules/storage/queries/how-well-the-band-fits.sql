-- The share of values between their bounds, and the mean error as a share of the mean value; of the last 30 days, by measure.
SELECT measure, count(*) AS scored_values,
       100.0 * count(*) FILTER (WHERE actual BETWEEN lower AND upper) / count(*) AS inside_percent,
       100.0 * avg(abs(actual - expected)) / nullif(avg(abs(actual)), 0) AS error_percent
FROM scores
WHERE "date" >= ${since_30_days} AND ${leaf} AND actual IS NOT NULL AND lower IS NOT NULL AND upper IS NOT NULL
GROUP BY measure
ORDER BY measure
