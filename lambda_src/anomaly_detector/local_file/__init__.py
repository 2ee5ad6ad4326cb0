"""Reads rows from local files, aggregates them as the warehouse would, proposes a configuration.

Knows no AWS.
"""
