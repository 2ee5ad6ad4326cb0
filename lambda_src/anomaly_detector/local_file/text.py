"""Files of text that a command is given."""

from __future__ import annotations

from pathlib import Path

from anomaly_detector.errors import PermanentError


def read_text(path: Path) -> str:
    """The file's text, in UTF-8 with or without a byte order mark.

    Raises
    ------
    PermanentError
        If it cannot be read; one sentence that says what to change.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise PermanentError(f"{path} cannot be read: {reason}.") from None
    except UnicodeDecodeError:
        raise PermanentError(f"{path} is not UTF-8 text: save it as UTF-8.") from None
