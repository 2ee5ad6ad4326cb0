"""The next attempt of a call gets the reply that an earlier attempt was sent.

The AWS SDK for Go, which Terraform's provider is made with, sometimes throws away a reply that
comes within a millisecond of its request, and sends the call again: by then the role is there
already, and the apply fails. No reply of AWS is that fast.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

_KEPT = 500
# Replies to calls that change something are short; documents and files are read anew instead.
_LONGEST = 64 * 1024
_ATTEMPT = re.compile(r"attempt=(\d+)")


class Replies:
    """The last replies that were sent whole, by the identity that SDKs give each call."""

    def __init__(self) -> None:
        self._sent: OrderedDict[str, list[Message]] = OrderedDict()

    def to(self, headers: Mapping[str, str]) -> list[Message] | None:
        """Return what an earlier attempt of this call was answered, if that is known."""
        found = _ATTEMPT.search(headers.get("amz-sdk-request", ""))
        if found is None or int(found[1]) < 2:
            return None
        return self._sent.get(headers.get("amz-sdk-invocation-id", ""))

    def keeping(self, headers: Mapping[str, str], send: Send) -> Send:
        """Return a ``send`` that remembers a reply of success once all of it is sent."""
        call = headers.get("amz-sdk-invocation-id", "")
        reply: list[Message] = []

        async def kept(message: Message) -> None:
            await send(message)
            reply.append(message)
            if message["type"] != "http.response.body" or message.get("more_body"):
                return
            if reply[0]["status"] < 300 and sum(len(each.get("body", b"")) for each in reply) < (
                _LONGEST
            ):
                self._sent[call] = list(reply)
                while len(self._sent) > _KEPT:
                    self._sent.popitem(last=False)

        return kept if call else send
