"""The three Redshift services behind one door: which call it is, and its answer on the wire."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from local.cloud import identity
from local.cloud.errors import AwsError
from local.cloud.faults import FaultPlan
from local.cloud.redshift import cluster_api, data_api, serverless_api
from local.cloud.redshift.statements import Statements
from local.cloud.redshift.warehouses import Warehouses
from local.cloud.settings import HOST, Settings

logger = logging.getLogger(__name__)
Answer = tuple[int, dict[str, str], bytes]
_JSON = {"content-type": "application/x-amz-json-1.1"}
_XML = {"content-type": "text/xml"}
_NAMESPACE = "http://redshift.amazonaws.com/doc/2012-12-01/"


class Redshift:
    """The stand-in's state and its three services."""

    def __init__(self, settings: Settings, port: int, plan: FaultPlan) -> None:
        self.warehouses = Warehouses(
            settings.state_dir / "redshift",
            settings.account,
            settings.region,
            settings.attach_seconds,
        )
        self.statements = Statements(
            plan,
            f"http://{HOST}:{port}",
            settings.status_seconds,
            on_end=data_api.send_event,
        )

    async def handle(
        self, service: str, scope: Mapping[str, Any], headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Answer one call."""
        try:
            caller = identity.identify(scope, body)
            if service == "redshift":
                fields = {key: each[0] for key, each in parse_qs(body.decode()).items()}
                action = fields.get("Action", "")
                content = cluster_api.call(self.warehouses, caller, action, fields)
                return 200, _XML, _xml_answer(action, content)
            operation = headers.get("x-amz-target", "").rpartition(".")[2]
            given = json.loads(body or b"{}")
            if service == "redshift-data":
                # In a thread, since reading a secret asks this very server's services.
                answer = await asyncio.to_thread(
                    data_api.call, self.warehouses, self.statements, caller, operation, given
                )
            else:
                answer = serverless_api.call(self.warehouses, caller, operation, given)
            return 200, _JSON, json.dumps(answer, default=str).encode()
        except AwsError as error:
            return error_answer(service, error)
        except Exception as error:
            logger.exception("the stand-in failed on %s", service)
            return error_answer(service, AwsError("InternalServerException", repr(error), 500))

    def close(self) -> None:
        self.statements.close()


def error_answer(service: str, error: AwsError) -> Answer:
    """Return an error in the protocol of one of the three services."""
    if service == "redshift":
        code = {"AccessDeniedException": "AccessDenied", "ThrottlingException": "Throttling"}.get(
            error.code, error.code
        )
        status = 403 if code == "AccessDenied" else error.status
        text = (
            f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>Sender</Type>'
            f"<Code>{escape(code)}</Code><Message>{escape(error.message)}</Message></Error>"
            "<RequestId>local</RequestId></ErrorResponse>"
        )
        return status, _XML, text.encode()
    content = {"__type": error.code, "message": error.message, "Message": error.message}
    return error.status, {**_JSON, "x-amzn-errortype": error.code}, json.dumps(content).encode()


def _xml_answer(action: str, content: str) -> bytes:
    return (
        f'<{action}Response xmlns="{_NAMESPACE}"><{action}Result>{content}</{action}Result>'
        "<ResponseMetadata><RequestId>local</RequestId></ResponseMetadata>"
        f"</{action}Response>"
    ).encode()
