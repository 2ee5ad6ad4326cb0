-- Series that were anomalous most often in the last 30 days: candidates for a mute, a minimum change or a closer look.
SELECT measure${slice}, count(*) AS intervals, max(severity) AS worst, max(interval_start) AS latest
FROM scores
WHERE "date" >= ${since_30_days} AND ${leaf} AND anomalous
GROUP BY measure${slice}
ORDER BY count(*) DESC, max(severity) DESC
LIMIT 50
