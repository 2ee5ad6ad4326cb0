"""Adapter of HTTPS: posts a body once, and says what can be done if that fails."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from anomaly_detector.errors import PermanentError, RetryableError

# Seconds until it is connected, for each piece of the answer, and for all of it: a server that
# sends a byte now and then would hold back other targets for hours.
_CONNECT, _ANSWER, _WHOLE = 5.0, 10.0, 20.0
# Of an answer, which is an acknowledgement.
_MOST_BYTES: Final = 64 * 1024
# The server says that it has not taken the message.
_BUSY: Final = frozenset({408, 425, 429, 500, 502, 503})
# Attempts of one call, and pauses between them; longer ones are left to the next call.
_PAUSES: Final = (1.0, 3.0)
_LONGEST_PAUSE: Final = 10.0
_SHOWN: Final = 200


class UncertainError(Exception):
    """It is unknown whether the service accepted the message, so sending again might send twice."""


class BusyError(RetryableError):
    """The server refuses for now; `seconds` is how long it wants to be left alone, if it says so.

    The host alone is named: the rest of an address may be a secret.
    """

    def __init__(self, text: str, seconds: float = 0.0) -> None:
        super().__init__(text)
        self.seconds = seconds


@dataclass(frozen=True)
class Answer:
    """What a server answers."""

    status: int
    body: bytes


Connect = Callable[[str, int, float], http.client.HTTPConnection]


def connect(host: str, port: int, timeout: float) -> http.client.HTTPConnection:
    """A connection whose certificate is verified."""
    return http.client.HTTPSConnection(
        host, port, timeout=timeout, context=ssl.create_default_context()
    )


class Https:
    """Posts to addresses that begin with https://; follows no redirect.

    Parameters
    ----------
    connect : makes a connection to a host and port, with a time-out in seconds.
    sleep : waits for some seconds.
    """

    def __init__(
        self, connect: Connect = connect, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._connect = connect
        self._sleep = sleep

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, repeatable: bool = False
    ) -> Answer:
        """Post JSON; a refusal for now is tried again after a short pause.

        Parameters
        ----------
        repeatable : whether the server knows a message that it gets again.

        Raises
        ------
        BusyError
            If nothing was accepted, and the same call may succeed later.
        PermanentError
            If the server refuses the message, or there is no such server.
        UncertainError
            If the message may have been accepted.
        """
        for pause in _PAUSES:
            try:
                return self._post(url, body, headers, repeatable=repeatable)
            except BusyError as error:
                wait = max(pause, error.seconds)
                if wait > _LONGEST_PAUSE:
                    raise
                self._sleep(wait)
        return self._post(url, body, headers, repeatable=repeatable)

    def _post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, repeatable: bool
    ) -> Answer:
        host, port, path = _parts(url)
        connection = self._connect(host, port, _CONNECT)
        try:
            try:
                connection.connect()
            except (OSError, http.client.HTTPException) as error:
                raise BusyError(f"{host} cannot be reached: {error}") from error
            if connection.sock is not None:
                connection.sock.settimeout(_ANSWER)
            try:
                told = {"Content-Type": "application/json", "User-Agent": "anomaly-detector"}
                with _within(_WHOLE, connection.sock):
                    connection.request("POST", path, body, {**told, **headers})
                    answer = connection.getresponse()
                    found = Answer(answer.status, _read(answer))
            except (OSError, http.client.HTTPException) as error:
                kind = BusyError if repeatable else UncertainError
                text = f"{host} did not answer: {type(error).__name__} {error}".rstrip()
                raise kind(text) from error
        finally:
            connection.close()
        if 200 <= found.status < 300:
            return found
        shown = found.body[:_SHOWN].decode(errors="replace")
        text = f"{host} answered {found.status}: {shown}"
        if found.status in _BUSY:
            raise BusyError(text, _seconds(answer.headers.get("Retry-After")))
        if found.status >= 500 and not repeatable:
            raise UncertainError(text)
        if found.status >= 500:
            raise BusyError(text)
        raise PermanentError(text)


def _read(answer: http.client.HTTPResponse) -> bytes:
    """What there is of a body: once the status is told, a reset connection unsays nothing."""
    try:
        return answer.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException):
        return b""


@contextmanager
def _within(seconds: float, connected: socket.socket | None) -> Iterator[None]:
    """Ends a connection after some seconds, so that whoever reads from it finds its end."""

    def end() -> None:
        # Of TLS, too, the connection below: its state belongs to the thread that reads.
        with suppress(OSError):
            if connected is not None:
                socket.socket.shutdown(connected, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _parts(url: str) -> tuple[str, int, str]:
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        parts, host, port = urlsplit(""), None, 443
    if parts.scheme != "https" or not host or parts.username is not None:
        raise PermanentError("The address in the secret must begin with https:// and name a host.")
    path = parts.path or "/"
    if not path.isascii() or any(sign.isspace() for sign in path + parts.query):
        raise PermanentError("The address in the secret must be a URL without blanks.")
    return host, port, f"{path}?{parts.query}" if parts.query else path


def _seconds(text: str | None) -> float:
    """Of `Retry-After`; dates are not worth a parser: the next call tries again."""
    try:
        return max(0.0, min(float(text or 0), 86_400.0))
    except ValueError:
        return 0.0
