-- The share of each dimension value in an event's change, in percent; its group_id is the parameter.
SELECT dimension, value, contribution
FROM contributions
WHERE "date" >= ${since_90_days} AND group_id = ?
ORDER BY dimension, contribution DESC, value
