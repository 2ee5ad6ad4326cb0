"""The admin interface under ``/_local/``: warehouses, data, statements and faults."""

# ruff: noqa: ANN401 - JSON values may be anything

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import unquote

from local.cloud.errors import AwsError
from local.cloud.faults import Fault, FaultPlan
from local.cloud.identity import role_session
from local.cloud.redshift.errors import RedshiftError
from local.cloud.redshift.service import Redshift
from local.cloud.settings import Settings


class Admin:
    """Answers ``/_local/…``; loopback only, so it asks nobody for a password."""

    def __init__(
        self,
        settings: Settings,
        redshift: Redshift,
        plan: FaultPlan,
        role_calls: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._redshift = redshift
        self._plan = plan
        self._role_calls = role_calls

    def handle(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Return status and JSON value of one request."""
        parts = [unquote(each) for each in path.removeprefix("/_local/").strip("/").split("/")]
        try:
            given = json.loads(body or b"{}")
            return 200, self._answer(method, parts, given)
        except LookupError as error:
            return 404, {"error": str(error.args[0] if error.args else error)}
        except (AwsError, RedshiftError, ValueError, TypeError) as error:
            return 400, {"error": str(error)}

    def _answer(self, method: str, parts: list[str], given: Mapping[str, Any]) -> Any:
        match method, parts:
            case "GET", ["health"]:
                return {
                    "pid": os.getpid(),
                    "region": self._settings.region,
                    "role_calls": self._role_calls(),
                }
            case "GET", ["faults"]:
                return [asdict(each) for each in self._plan.all()]
            case "POST", ["faults"]:
                return asdict(self._plan.add(Fault(**given)))
            case "DELETE", ["faults"]:
                self._plan.remove()
                return {}
            case "DELETE", ["faults", fault]:
                self._plan.remove(fault)
                return {}
            case "POST", ["role-session"]:
                made = role_session(given["role_arn"], given.get("session", "test"))
                return {
                    "AccessKeyId": made.access_key,
                    "SecretAccessKey": made.secret_key,
                    "SessionToken": made.token,
                }
            case _, ["redshift", *rest]:
                return self._redshift_answer(method, rest, given)
        raise LookupError(f"there is no {method} /_local/{'/'.join(parts)}")

    def _redshift_answer(self, method: str, parts: list[str], given: Mapping[str, Any]) -> Any:
        match method, parts:
            case "GET", ["statements"]:
                return self._redshift.statements.summaries()
            case "PUT", ["timestamps"]:
                if given["encoding"] not in ("int64", "int96"):
                    raise ValueError("the encoding of timestamps is int64 or int96")
                self._redshift.statements.timestamps = given["encoding"]
                return {}
            case "GET", ["warehouses"]:
                return [each.describe() for each in self._redshift.warehouses.all()]
            case "POST", ["warehouses"]:
                return self._redshift.warehouses.create(**given).describe()
            case _, ["warehouses", name, *rest]:
                return self._warehouse(method, name, rest, given)
        raise LookupError(f"there is no {method} /_local/redshift/{'/'.join(parts)}")

    def _warehouse(self, method: str, name: str, rest: list[str], given: Mapping[str, Any]) -> Any:
        warehouse = self._redshift.warehouses.by_name(name)
        match method, rest:
            case "GET", []:
                return warehouse.describe()
            case "PATCH", []:
                warehouse.change(**given)
                return warehouse.describe()
            case "DELETE", []:
                self._redshift.warehouses.delete(name)
                return {}
            case "POST", ["load"]:
                database = warehouse.database(given.get("database"))
                return {"rows": database.load_parquet(given["table"], given["parquet"])}
            case "POST", ["sql"]:
                database = warehouse.database(given.get("database"))
                table = database.run_script(given["sql"])
                rows = [list(row.values()) for row in table.to_pylist()] if table else []
                return {"columns": table.column_names if table else [], "rows": rows}
        raise LookupError(f"there is no {method} for {'/'.join(rest) or 'a warehouse'}")
