CREATE TABLE IF NOT EXISTS ecommerce (
    id BIGINT IDENTITY(1, 1),
    ts TIMESTAMP NOT NULL,
    platform INT NOT NULL,
    marketplace INT NOT NULL,
    views INT,
    revenue DECIMAL(9, 2),
    PRIMARY KEY (id)
)
DISTSTYLE AUTO
SORTKEY (ts)
