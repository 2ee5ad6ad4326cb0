"""Progress on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self, TextIO

_WIDTH = 30


class Progress:
    """Shows the current step and its progress.

    Use as a context manager: the bar is removed on exit, also after an error.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._label = ""
        self._began = 0.0
        self._shown = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._terminal:
            self._write("\r\x1b[K")

    def start(self, label: str) -> None:
        """Begin a step."""
        self._label, self._began, self._shown = label, time.monotonic(), 0
        self._write(f"\r\x1b[K{label} …" if self._terminal else f"{label} …\n")

    def say(self, line: str) -> None:
        """Write a line that stays on screen."""
        self._write(f"\r\x1b[K{line}\n" if self._terminal else f"{line}\n")

    def __call__(self, share: float) -> None:
        """Report the share of the step that is done, 0 to 1."""
        if self._terminal:
            full = int(share * _WIDTH)
            bar = "█" * full + "░" * (_WIDTH - full)
            self._write(f"\r\x1b[K{self._label} {bar} {share:4.0%}{self._left(share)}")
            return
        quarter = int(share * 4)
        if quarter > self._shown:
            self._shown = quarter
            self._write(f"{self._label}: {quarter * 25} %\n")

    def _left(self, share: float) -> str:
        passed = time.monotonic() - self._began
        if share <= 0 or passed < 1:
            return ""
        return f", {passed * (1 - share) / share:.0f} s left"

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
