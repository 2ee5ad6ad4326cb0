"""A stand-in for Amazon Redshift: Data API, control calls and UNLOAD on DuckDB."""
