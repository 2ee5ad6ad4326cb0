"""The server: one ASGI app that hands each request to Redshift's stand-in or to ministack."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from local.cloud.repeats import Message, Replies, Send
from local.cloud.settings import ACCESS_KEY, HOST, RunningCloud, Settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)
_REDSHIFT = ("redshift-data", "redshift", "redshift-serverless")
_REAP_SECONDS = 5.0


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; the state file exists while, and only while, it answers."""
    for folder in ("s3", "state", "tmp", "redshift"):
        (settings.state_dir / folder).mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, settings.port))
    port = int(listener.getsockname()[1])
    # Before anything of ministack is imported: it reads all of this once, at import.
    for name in [each for each in os.environ if each.startswith(("AWS_", "MINISTACK_"))]:
        del os.environ[name]
    os.environ.pop("PYTHONPATH", None)
    os.environ.update(settings.ministack_environment(port))
    logging.basicConfig(level=settings.log_level)
    try:
        asyncio.run(_serve(settings, listener, port))
    finally:
        settings.state_file.unlink(missing_ok=True)
        sys.stdout.flush()
        # ministack's threads are not all daemons, and none has anything left to do.
        os._exit(0)


async def _serve(settings: Settings, listener: socket.socket, port: int) -> None:
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config
    from ministack.core import hypercorn_compat

    hypercorn_compat.install()
    cloud = CloudApp(settings, port)
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    # Clients drop idle connections sooner, so none sends a call on one that is being closed. What
    # a client has closed is kept open here for as long, too.
    config.keep_alive_timeout = 300
    config.loglevel = settings.log_level
    config.graceful_timeout = 1.0
    config.shutdown_timeout = 3.0
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    RunningCloud(
        pid=os.getpid(),
        port=port,
        endpoint=f"http://{HOST}:{port}",
        region=settings.region,
        account=settings.account,
        state_dir=str(settings.state_dir),
    ).save(settings.state_file)
    serving: Any = hypercorn_serve
    reaper = asyncio.create_task(cloud.stop_idle_workers())
    try:
        await serving(cloud, config, shutdown_trigger=stop.wait)
    finally:
        reaper.cancel()
        cloud.close()


class CloudApp:
    """The ASGI app of one local cloud."""

    def __init__(self, settings: Settings, port: int) -> None:
        from ministack import app as ministack_app

        from local.cloud import execution_roles, executions, ministack_gaps
        from local.cloud.admin import Admin
        from local.cloud.faults import FaultPlan
        from local.cloud.redshift.service import Redshift

        self._settings = settings
        self._ministack: App = ministack_app.app
        self._gaps = ministack_gaps
        self.plan = FaultPlan()
        execution_roles.install(self.plan)
        ministack_gaps.install(self.plan)
        executions.install()
        self.redshift = Redshift(settings, port, self.plan)
        self._role_calls = 0
        self._replies = Replies()
        self.admin = Admin(settings, self.redshift, self.plan, lambda: self._role_calls)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._ministack(scope, receive, send)
            return
        if scope["path"].startswith("/_local/"):
            body = await _read(receive)
            status, answer = await asyncio.to_thread(
                self.admin.handle, scope["method"], scope["path"], body
            )
            content = json.dumps(answer, default=str).encode()
            await _answer(send, status, {"content-type": "application/json"}, content)
            return
        await self._route(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        from local.cloud.identity import headers_of, signed_by, signed_service

        headers = headers_of(scope)
        service = signed_service(headers)
        by_role = signed_by(headers) not in ("", ACCESS_KEY)
        self._role_calls += by_role
        if (answered := self._replies.to(headers)) is not None:
            await _read(receive)
            for message in answered:
                await send(message)
            return
        if not self.plan.all("call") and service not in _REDSHIFT:
            await self._ministack(scope, receive, self._replies.keeping(headers, send))
            return
        body = await _read(receive)
        operation = _operation(scope, headers, body)
        fault = self.plan.strike(
            "call",
            lambda each: (
                each.names(service, operation)
                and each.matches(body.decode("utf-8", "replace"))
                and (not each.function or (by_role and self._gaps.is_running(each.function)))
            ),
        )
        if fault is not None and fault.outcome == "refuse":
            status, kind, content = _error_body(
                service, fault.code, fault.error or fault.code, fault.status, headers
            )
            await _answer(send, status, kind, content)
            return
        if fault is not None:
            send = _losing(send, drop=fault.outcome in ("drop", "kill"))
        else:
            send = self._replies.keeping(headers, send)
        if service in _REDSHIFT:
            status, kind, content = await self.redshift.handle(service, scope, headers, body)
            await _answer(send, status, kind, content)
        else:
            await self._ministack(scope, _replay(body, receive), send)
        if fault is not None and fault.outcome == "kill":
            self._gaps.kill_running(fault.function)
        if fault is not None and fault.outcome in ("drop", "kill"):
            raise ConnectionAbortedError("the reply was lost on request")

    async def stop_idle_workers(self) -> None:
        """Stop idle Lambda processes every few seconds until cancelled."""
        while True:
            await asyncio.sleep(_REAP_SECONDS)
            with contextlib.suppress(Exception):
                await asyncio.to_thread(
                    self._gaps.stop_idle_workers,
                    self._settings.idle_workers,
                    self._settings.idle_seconds,
                )

    def close(self) -> None:
        """Stop Lambda workers and running statements."""
        self.redshift.close()
        self._gaps.stop_all_workers()


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives a body already read, then what really comes."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    sent = {**headers, "content-length": str(len(body))}
    sent.setdefault("x-amzn-requestid", f"local-{time.time_ns():x}")
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})


def _losing(send: Send, *, drop: bool) -> Send:
    """Return a ``send`` that swallows the reply and answers 500, or begins one that never ends."""
    started = False

    async def lost(_: Message) -> None:
        nonlocal started
        if started:
            return
        started = True
        if drop:
            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [(b"content-length", b"1048576")],
                }
            )
            await send({"type": "http.response.body", "body": b"{", "more_body": True})
            return
        body = b'{"__type": "InternalServerException", "message": "The reply was lost."}'
        await _answer(send, 500, {"content-type": "application/x-amz-json-1.1"}, body)

    return lost


def _operation(scope: Scope, headers: dict[str, str], body: bytes) -> str:
    """Return a request's operation, or ``METHOD /path`` where it carries no name."""
    if target := headers.get("x-amz-target"):
        return target.rpartition(".")[2]
    if "form-urlencoded" in headers.get("content-type", ""):
        action = parse_qs(body.decode("utf-8", "replace")).get("Action")
        if action:
            return action[0]
    return f"{scope['method']} {scope['path']}"


def _error_body(
    service: str, code: str, message: str, status: int, headers: dict[str, str]
) -> tuple[int, dict[str, str], bytes]:
    """Return an error in the protocol of a service."""
    if service in _REDSHIFT:
        from local.cloud.errors import AwsError
        from local.cloud.redshift.service import error_answer

        return error_answer(service, AwsError(code, message, status))
    from ministack.core.iam_actions import access_denied_response

    found: tuple[int, dict[str, str], bytes] = access_denied_response(
        service, "", "", "local", error_code=code, message=message, headers=headers
    )
    return status, found[1], found[2]
