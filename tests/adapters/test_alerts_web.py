"""Slack, Teams, PagerDuty and webhooks, played by a local server that fails in every way."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from anomaly_detector.alerts import https
from anomaly_detector.alerts.https import BusyError, Https, UncertainError
from anomaly_detector.alerts.secrets import Secrets
from anomaly_detector.alerts.targets import Targets
from anomaly_detector.errors import PermanentError, RetryableError
from moto import mock_aws

from tests.unit.alerts_samples import message

REGION = "eu-west-1"
MESSAGE = message()
Behaviour = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """What it got, and what it does next; the last is repeated."""

    port: int = 0
    got: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    does: list[Behaviour] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def connect(self, host: str, _port: int, timeout: float) -> http.client.HTTPConnection:
        """Instead of TLS to the host."""
        self.hosts.append(host)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    @property
    def web(self) -> Https:
        return Https(self.connect, self.slept.append)


def answers(status: int, body: object = "ok", **headers: str) -> Behaviour:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        text = (body if isinstance(body, str) else json.dumps(body)).encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    return answer


def hangs(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(0.6)
    handler.close_connection = True


def drips(handler: BaseHTTPRequestHandler, begun: bytes = b"") -> None:
    """Sends a byte before each time-out, for as long as somebody reads."""
    handler.wfile.write(begun)
    for sign in b"HTTP/1.1 200 OK\r\nX-Slow: " + 400 * b"x":
        handler.wfile.write(bytes([sign]))
        time.sleep(0.05)


def drips_in_the_body(handler: BaseHTTPRequestHandler) -> None:
    drips(handler, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")


def closes(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def closes_half_way(handler: BaseHTTPRequestHandler, begun: bytes = b"HTTP/1.1 2") -> None:
    handler.wfile.write(begun)
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


def closes_in_the_body(handler: BaseHTTPRequestHandler) -> None:
    closes_half_way(handler, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")


def resets_in_the_body(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    handler.wfile.flush()
    time.sleep(0.1)
    # Closed without waiting, a connection is reset.
    at_once = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    for one in (handler.rfile, handler.wfile, handler.connection):
        one.close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(https, "_ANSWER", 0.3)
    monkeypatch.setattr(https, "_WHOLE", 0.5)
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.got.append((self.path, dict(self.headers), json.loads(body)))
            does = state.does.pop(0) if len(state.does) > 1 else state.does[0]
            with suppress(OSError):
                does(self)

        def log_message(self, *_: object) -> None:
            pass

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = serving.server_address[1]
    state.does = [answers(200)]
    thread = threading.Thread(target=serving.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield state
    serving.shutdown()
    serving.server_close()


@pytest.fixture
def targets(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str | None]]:
    """Makes a target of a kind whose secret holds a text, and sends to it."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("secretsmanager", REGION)
        sending = Targets(lambda *_: client, Secrets(lambda *_: client), server.web, lambda: 1e9)

        def send(kind: str, secret: object, one: Any = MESSAGE) -> str | None:
            text = secret if isinstance(secret, str) else json.dumps(secret)
            name = hashlib.sha256(f"{kind}{text}".encode()).hexdigest()[:20]
            with suppress(client.exceptions.ResourceExistsException):
                client.create_secret(Name=name, SecretString=text)
            arn = client.describe_secret(SecretId=name)["ARN"]
            return sending.send(f"{kind}:{arn}", one)

        yield send


SECRETS = {
    "slack": "https://hooks.slack.test/services/T0/B0/secret",
    "teams": "https://teams.test/workflows/1?sig=secret",
    "pagerduty": "0" * 32,
    "webhook": {"url": "https://example.test/hook", "key": "secret"},
}


@pytest.mark.parametrize("kind", SECRETS)
def test_each_kind_gets_the_sentence(server: Server, targets: Any, kind: str) -> None:
    targets(kind, SECRETS[kind])
    ((_, headers, body),) = server.got
    assert MESSAGE.line in json.dumps(body, ensure_ascii=False)
    assert headers["Content-Type"] == "application/json"


def test_slack_gets_blocks_at_the_address_of_the_secret(server: Server, targets: Any) -> None:
    assert targets("slack", {"url": SECRETS["slack"]}) is None
    ((path, _, body),) = server.got
    assert server.hosts == ["hooks.slack.test"]
    assert path == "/services/T0/B0/secret"
    assert [one["type"] for one in body["blocks"]] == ["header", "section", "actions", "context"]


def test_slack_with_a_token_makes_a_thread_of_what_follows(server: Server, targets: Any) -> None:
    secret = {"token": "xoxb-1", "channel": "C1"}
    server.does = [answers(200, {"ok": True, "ts": "17.1"})]
    thread = targets("slack", secret)
    assert thread == "17.1"
    targets("slack", secret, replace(MESSAGE, state="RESOLVED", thread=thread))
    (_, headers, first), (path, _, second) = server.got
    assert server.hosts == ["slack.com"] * 2
    assert path == "/api/chat.postMessage"
    assert headers["Authorization"] == "Bearer xoxb-1"
    assert (first["channel"], "thread_ts" in first) == ("C1", False)
    assert second["thread_ts"] == "17.1"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"ok": False, "error": "ratelimited"}, RetryableError),
        ({"ok": False, "error": "channel_not_found"}, PermanentError),
        ("<html>", UncertainError),
    ],
)
def test_what_slack_says_in_its_answer_counts(
    server: Server, targets: Any, answer: object, expected: type[Exception]
) -> None:
    server.does = [answers(200, answer)]
    with pytest.raises(expected):
        targets("slack", {"token": "xoxb-1", "channel": "C1"})


def test_pagerduty_gets_one_incident_for_an_event(server: Server, targets: Any) -> None:
    targets("pagerduty", SECRETS["pagerduty"])
    targets("pagerduty", SECRETS["pagerduty"], replace(MESSAGE, id="x", state="RESOLVED"))
    (_, _, first), (_, _, second) = server.got
    assert server.hosts == ["events.pagerduty.com"] * 2
    assert (first["event_action"], second["event_action"]) == ("trigger", "resolve")
    assert first["dedup_key"] == second["dedup_key"]
    assert first["routing_key"] == "0" * 32


def test_a_webhook_knows_the_sender_by_the_signature(server: Server, targets: Any) -> None:
    targets("webhook", SECRETS["webhook"])
    ((_, headers, body),) = server.got
    signed = b"1000000000." + json.dumps(body, ensure_ascii=False).encode()
    expected = hmac.new(b"secret", signed, hashlib.sha256).hexdigest()
    assert headers["X-Anomaly-Signature"] == f"sha256={expected}"
    assert headers["X-Anomaly-Timestamp"] == "1000000000"
    assert re_64(headers["X-Anomaly-Id"])
    assert (body["state"], body["severityClass"]) == ("OPEN", "medium")


def re_64(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_a_refusal_for_now_is_tried_again(
    server: Server, targets: Any, kind: str, status: int
) -> None:
    server.does = [answers(status), answers(status), answers(202)]
    targets(kind, SECRETS[kind])
    assert len(server.got) == 3
    assert server.slept == [1.0, 3.0]


def test_a_server_that_keeps_refusing_is_left_to_the_next_run(server: Server, targets: Any) -> None:
    server.does = [answers(503)]
    with pytest.raises(BusyError, match=r"hooks\.slack\.test answered 503"):
        targets("slack", SECRETS["slack"])
    assert len(server.got) == 3


def test_a_short_wish_to_wait_is_obeyed(server: Server, targets: Any) -> None:
    server.does = [answers(429, Retry_After="7"), answers(200)]
    targets("slack", SECRETS["slack"])
    assert server.slept == [7.0]


def test_a_long_wish_to_wait_ends_the_call(server: Server, targets: Any) -> None:
    server.does = [answers(429, Retry_After="120")]
    with pytest.raises(BusyError) as caught:
        targets("slack", SECRETS["slack"])
    assert caught.value.seconds == 120
    assert len(server.got) == 1
    assert server.slept == []


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 404, 410, 413])
def test_a_refusal_for_good_is_permanent(server: Server, targets: Any, status: int) -> None:
    server.does = [answers(status, Location="https://elsewhere.test/")]
    with pytest.raises(PermanentError, match=str(status)):
        targets("teams", SECRETS["teams"])
    assert server.hosts == ["teams.test"], "no redirect is followed"


@pytest.mark.parametrize("kind", ["slack", "teams", "webhook"])
@pytest.mark.parametrize("does", [hangs, drips, closes, closes_half_way, answers(504)])
def test_what_may_have_arrived_is_not_sent_again(
    server: Server, targets: Any, kind: str, does: Behaviour
) -> None:
    server.does = [does]
    with pytest.raises(UncertainError):
        targets(kind, SECRETS[kind])
    assert len(server.got) == 1


@pytest.mark.parametrize("does", [closes_in_the_body, drips_in_the_body, resets_in_the_body])
def test_an_answer_that_is_cut_after_its_status_counts_unless_it_has_to_be_read(
    server: Server, targets: Any, does: Behaviour
) -> None:
    server.does = [does]
    targets("webhook", SECRETS["webhook"])
    with pytest.raises(UncertainError):
        targets("slack", {"token": "xoxb-1", "channel": "C1"})
    assert len(server.got) == 2


@pytest.mark.parametrize("does", [hangs, drips, closes, closes_half_way, answers(504)])
def test_pagerduty_which_knows_its_keys_is_sent_the_same_again(
    server: Server, targets: Any, does: Behaviour
) -> None:
    server.does = [does, answers(202)]
    targets("pagerduty", SECRETS["pagerduty"])
    (_, _, first), (_, _, second) = server.got
    assert first == second


def test_a_server_that_is_not_there_is_tried_later(server: Server, targets: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server.port = free.getsockname()[1]
    with pytest.raises(BusyError, match="cannot be reached"):
        targets("webhook", SECRETS["webhook"])
    assert server.got == []


@pytest.mark.parametrize(
    "url",
    ["http://example.test/", "https:///x", "ftp://x", "https://u:p@example.test", "https://x/a b"],
)
def test_an_address_that_is_none_is_permanent_and_not_told(targets: Any, url: str) -> None:
    with pytest.raises(PermanentError) as caught:
        targets("teams", url)
    assert url not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "secret", "said"),
    [
        ("webhook", {"url": "https://x.test"}, "must hold 'key'"),
        ("webhook", "https://x.test", "must hold 'key'"),
        ("slack", {"token": "x"}, "must hold 'channel'"),
        ("pagerduty", {"url": "https://x.test"}, "must hold 'routing_key'"),
        ("slack", "{broken", "one text, or a JSON object of texts"),
        ("slack", {"url": 1}, "one text, or a JSON object of texts"),
        ("slack", " ", "is empty"),
    ],
)
def test_a_secret_that_lacks_something_says_what(
    targets: Any, kind: str, secret: object, said: str
) -> None:
    with pytest.raises(PermanentError, match=said):
        targets(kind, secret)


def test_an_address_is_told_by_its_host_alone(server: Server, targets: Any) -> None:
    server.does = [answers(404)]
    with pytest.raises(PermanentError) as caught:
        targets("slack", SECRETS["slack"])
    assert "secret" not in str(caught.value)


def test_a_secret_is_kept_for_a_while_and_read_again() -> None:
    calls, now = [], [0.0]

    class Client:
        def get_secret_value(self, **given: Any) -> dict[str, str]:
            calls.append(given)
            return {"SecretString": "https://x.test"}

    secrets = Secrets(lambda *_: Client(), lambda: now[0])
    arn = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:x"
    for moment in (0.0, 299.0, 300.0):
        now[0] = moment
        assert secrets.read(arn, "url") == {"url": "https://x.test"}
    assert len(calls) == 2


def test_a_secret_that_is_gone_is_permanent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("secretsmanager", REGION)
        secrets = Secrets(lambda *_: client)
        with pytest.raises(PermanentError, match="ResourceNotFound"):
            secrets.read(f"arn:aws:secretsmanager:{REGION}:123456789012:secret:gone", "url")


def test_the_real_connection_verifies_the_certificate(server: Server) -> None:
    connection = https.connect("127.0.0.1", server.port, 0.3)
    assert isinstance(connection, http.client.HTTPSConnection)
    with pytest.raises(OSError):  # noqa: PT011 a server without TLS cannot prove who it is
        connection.connect()
