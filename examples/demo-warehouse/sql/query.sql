SELECT
    ecommerce.ts AS "timestamp",
    ecommerce.views,
    ecommerce.revenue,
    platform.name AS platform,
    marketplace.name AS marketplace
FROM ecommerce
INNER JOIN platform ON ecommerce.platform = platform.id
INNER JOIN marketplace ON ecommerce.marketplace = marketplace.id
WHERE
    ecommerce.ts >= {{ window_start }}
    AND ecommerce.ts < {{ window_end }}
