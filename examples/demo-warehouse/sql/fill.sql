-- Hourly rows of each platform in each marketplace, around the hour of the load: a day, a week, growth, noise and incidents.
-- Numbers come from a cross join of digits, because generate_series runs on the leader node only; noise is a hash, so it needs no table.
INSERT INTO ecommerce (ts, platform, marketplace, views, revenue)
WITH digits AS (
    SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4
    UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9
),

hours AS (
    SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n - ${hours_past} AS n
    FROM digits AS a
    CROSS JOIN digits AS b
    CROSS JOIN digits AS c
    CROSS JOIN digits AS d
    CROSS JOIN digits AS e
    WHERE a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n < ${hours_past + hours_ahead}
),

platforms AS (
    SELECT 'pc_web' AS name, 0.30 AS share, 0.82 AS weekend, 0.62 AS euro
    UNION ALL SELECT 'mobile_web', 0.24, 1.05, 0.34
    UNION ALL SELECT 'mobile_app', 0.46, 1.16, 0.48
),

marketplaces AS (
    SELECT 'us' AS name, 0.34 AS share, -6 AS clock
    UNION ALL SELECT 'uk', 0.17, 0
    UNION ALL SELECT 'de', 0.16, 1
    UNION ALL SELECT 'fr', 0.11, 1
    UNION ALL SELECT 'es', 0.08, 1
    UNION ALL SELECT 'it', 0.06, 1
    UNION ALL SELECT 'jp', 0.08, 9
),

placed AS (
    SELECT
        hours.n,
        dateadd(hour, hours.n, date_trunc('hour', getdate())) AS ts,
        dateadd(hour, hours.n + marketplaces.clock, date_trunc('hour', getdate())) AS wall,
        platform.id AS platform,
        marketplace.id AS marketplace,
        platform.name AS platform_name,
        marketplace.name AS marketplace_name,
        platforms.share * marketplaces.share AS share,
        platforms.weekend,
        platforms.euro
    FROM hours
    CROSS JOIN (SELECT name, min(id) AS id FROM platform GROUP BY name) AS platform
    CROSS JOIN (SELECT name, min(id) AS id FROM marketplace GROUP BY name) AS marketplace
    INNER JOIN platforms ON platform.name = platforms.name
    INNER JOIN marketplaces ON marketplace.name = marketplaces.name
    WHERE NOT EXISTS (SELECT 1 FROM ecommerce)
),

noisy AS (
    SELECT
        placed.*,
        mod(abs(fnv_hash(platform_name || marketplace_name || CAST(n AS VARCHAR(12)))), 10000) / 10000.0
        + mod(abs(fnv_hash(CAST(n AS VARCHAR(12)) || marketplace_name || platform_name)), 10000) / 10000.0
        - 1 AS noise
    FROM placed
),

valued AS (
    SELECT
        noisy.*,
        42000 * share
        * (1 + 0.55 * sin((extract(hour FROM wall) - 9) * 0.2618))
        * CASE WHEN extract(dow FROM wall) IN (0, 6) THEN weekend ELSE 1 END
        * (1 + 0.25 * n / 8766.0)
        * (1 + 0.08 * noise) AS views
    FROM noisy
)

SELECT
    valued.ts,
    valued.platform,
    valued.marketplace,
    CAST(greatest(valued.views * coalesce(max(incident.factor), 1), 0) AS INT) AS views,
    CAST(greatest(valued.views * valued.euro * coalesce(max(incident.factor), 1), 0) AS DECIMAL(9, 2)) AS revenue
FROM valued
LEFT JOIN incident
    ON
        valued.n >= incident.begins
        AND valued.n < incident.begins + incident.hours
        AND (incident.platform IS NULL OR incident.platform = valued.platform_name)
        AND (incident.marketplace IS NULL OR incident.marketplace = valued.marketplace_name)
GROUP BY valued.ts, valued.platform, valued.marketplace, valued.views, valued.euro
ORDER BY valued.ts
