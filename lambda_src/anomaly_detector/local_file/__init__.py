"""A user's rows in a file: read, aggregated as the warehouse would, and a configuration for them.

Knows no AWS.
"""
