"""`backtest --from-warehouse`: the caller's warehouse, credentials and consent."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from anomaly_detector.config import Config, load
from anomaly_detector.errors import PermanentError
from anomaly_detector.local_file.aggregate import Aggregated
from anomaly_detector.local_file.engine import Engine
from anomaly_detector.local_file.progress import Progress
from anomaly_detector.local_file.text import read_text
from anomaly_detector.operate.commands import called, moment
from anomaly_detector.warehouse.query import validate

_PLACE: Final = {
    "cluster_identifier": "identifier of the cluster",
    "workgroup_name": "name of the Redshift Serverless workgroup",
    "database": "name of the database",
    "secret_arn": "ARN of a secret with username and password (default: sign in with IAM)",
    "db_user": "database user to request temporary credentials for; clusters only",
    "role_arn": "role to assume for a warehouse in another account",
    "external_id": "external ID that the role requires",
}


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of --from-warehouse."""
    group = command.add_argument_group(
        "options of --from-warehouse", "They replace the same keys of redshift in --config."
    )
    for key, what in _PLACE.items():
        group.add_argument(f"--{key.replace('_', '-')}", metavar="TEXT", help=what)
    group.add_argument(
        "--query", type=Path, metavar="FILE", help="the query (default: query in --config)"
    )
    group.add_argument(
        "--to",
        dest="end",
        type=moment,
        metavar="TIME",
        help="end of the history, ISO 8601 (default: now); history in --config says its length",
    )
    group.add_argument("--yes", action="store_true", help="run statements without a question")
    group.add_argument("--region", help="AWS region (default: that of your AWS settings)")
    group.add_argument("--profile", help="profile of your AWS settings")


def read(
    config: Config, engine: Engine, options: argparse.Namespace, progress: Progress
) -> Aggregated:
    """Run the query in the warehouse; see `local_file.warehouse.read`.

    Raises
    ------
    PermanentError
        One sentence that says what to change.
    """
    if importlib.util.find_spec("boto3") is None:
        raise PermanentError("--from-warehouse calls AWS, and boto3 is missing: pip install boto3.")
    from anomaly_detector.local_file import warehouse
    from anomaly_detector.operate.deployment import data_api

    config = _complete(config, options)
    assert config.redshift is not None
    with called(options):
        api = data_api(config.redshift, options.region, options.profile)

    def ask(what: str) -> None:
        progress.say(what)
        if options.yes:
            return
        if not sys.stdin.isatty():
            raise PermanentError("Stopped before that: give --yes to run it without a question.")
        sys.stderr.write("Run it? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise PermanentError("Stopped before that, as you answered.")

    end = options.end or datetime.now(UTC)
    found = warehouse.Warehouse(api, config.name)
    return warehouse.read(config, found, engine, end, ask, progress)


def _complete(config: Config, options: argparse.Namespace) -> Config:
    """The configuration with the options' warehouse and query."""
    given = {key: getattr(options, key) for key in _PLACE if getattr(options, key) is not None}
    kept = config.redshift.model_dump(mode="json", exclude_none=True) if config.redshift else {}
    for one, others in (
        ("cluster_identifier", ("workgroup_name",)),
        ("workgroup_name", ("cluster_identifier", "db_user")),
        ("secret_arn", ("db_user",)),
        ("db_user", ("secret_arn",)),
    ):
        if one in given:
            kept = {key: value for key, value in kept.items() if key not in others}
    place = kept | given
    if not {"cluster_identifier", "workgroup_name"} & set(place) or "database" not in place:
        raise PermanentError(
            "Give --database, and --cluster-identifier or --workgroup-name, or set redshift in the "
            "configuration."
        )
    document = config.model_dump(mode="json") | {"redshift": place}
    if options.query is not None:
        document["query"] = read_text(options.query)
    if not document["query"]:
        raise PermanentError(
            "There is no query: give --query with a file, or set query in the configuration."
        )
    completed = load(json.dumps(document))
    validate(document["query"], str(options.query or "query"))
    return completed
