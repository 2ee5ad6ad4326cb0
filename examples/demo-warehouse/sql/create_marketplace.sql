CREATE TABLE IF NOT EXISTS marketplace (
    id BIGINT IDENTITY(1, 1),
    name VARCHAR(30),
    PRIMARY KEY (id)
)
