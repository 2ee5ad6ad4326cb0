CREATE TABLE IF NOT EXISTS incident (
    begins INT,
    hours INT,
    platform VARCHAR(30),
    marketplace VARCHAR(30),
    factor DECIMAL(5, 2)
)
