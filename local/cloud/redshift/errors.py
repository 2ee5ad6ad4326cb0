"""An error of a statement, with Redshift's text."""

from __future__ import annotations


class RedshiftError(Exception):
    """A statement failed; the text is what ``DescribeStatement`` gives as ``Error``."""

    def __init__(self, message: str) -> None:
        super().__init__(message if message.startswith("ERROR:") else f"ERROR: {message}")
