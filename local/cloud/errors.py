"""An error as an AWS service answers it."""

from __future__ import annotations


class AwsError(Exception):
    """A refused call.

    Attributes
    ----------
    code
        The error's name on the wire, such as ``ValidationException``.
    status
        The HTTP status.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
