"""Everything that touches Amazon Redshift: SQL as pure functions, and the adapters for its APIs."""
