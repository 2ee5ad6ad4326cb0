"""`convert`: the module call that continues a detector of the Lookout for Metrics connector.

The keys of `params.json` are read by `modules/connector` at plan, so that there is one place that
knows them; this writes the call around it and converts the SQL, which Terraform cannot.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError

from anomaly_detector.convert.query import Converted, convert, same
from anomaly_detector.errors import PermanentError, places_of
from anomaly_detector.local_file.text import read_text

LEFT: Final = 1
# The module, as README names it.
_SOURCE: Final = "…/terraform-aws-redshift-anomaly-detector"
_EPILOG: Final = """\
examples:

  python -m anomaly_detector convert --params params.json --query query.sql > main.tf
  python -m anomaly_detector convert --params params.json --query live/query.sql \\
      --history-query historical/query.sql --cluster-identifier analytics --database prod > main.tf

Standard output is the module call; keep params.json beside it, which modules/connector reads.
Standard error says what was changed in the query, and what you have to change yourself. In that
case the exit status is 1; it is 2 if a file cannot be used at all. docs/from-lookout.md says what
becomes of each key.
"""


class _Column(BaseModel):
    ColumnName: str


class _Metric(BaseModel):
    MetricName: str


class _Params(BaseModel):
    """The keys of `params.json` that the query is compared with."""

    timestamp_column: _Column
    metrics_set: list[_Metric] = Field(min_length=1)
    dimension_list: list[str] | None = None
    secret_name: str | None = None

    @property
    def columns(self) -> list[str]:
        """Every column that the query has to return."""
        return [
            self.timestamp_column.ColumnName,
            *(metric.MetricName for metric in self.metrics_set),
            *(self.dimension_list or []),
        ]


def add_command(commands: Any) -> None:  # noqa: ANN401 argparse does not export the type
    """Add the command to the parser's."""
    command = commands.add_parser(
        "convert",
        help="write the module call for a detector of the Lookout for Metrics connector",
        description="Write the call of this module that continues a detector of the Lookout for "
        "Metrics connector, from its params.json and its query.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--params", type=Path, required=True, metavar="FILE", help="the connector's params.json"
    )
    command.add_argument(
        "--query",
        type=Path,
        required=True,
        metavar="FILE",
        help="query.sql of the continuous crawl (or the only one)",
    )
    command.add_argument(
        "--history-query",
        type=Path,
        metavar="FILE",
        help="query.sql of the historical crawl, if it differs by more than its window",
    )
    command.add_argument(
        "--source", default=_SOURCE, help="source of the module (default: %(default)s)"
    )
    warehouse = command.add_mutually_exclusive_group()
    warehouse.add_argument("--cluster-identifier", metavar="ID", help="identifier of the cluster")
    warehouse.add_argument("--workgroup-name", metavar="NAME", help="name of the workgroup")
    command.add_argument("--database", metavar="NAME", help="name of the database")


def run(options: argparse.Namespace) -> tuple[str, list[str], int]:
    """The module call, what to say about it, and the exit status.

    Raises
    ------
    PermanentError
        If a file cannot be used; one sentence that says what to change.
    """
    params = _params(options.params)
    timestamp = params.timestamp_column.ColumnName
    query = convert(read_text(options.query), timestamp, options.query.name)
    said = [*query.done]
    if query.ended:
        said.append(
            f"The old window ended at {query.ended}, not at the time of the run. If rows come that "
            "late, set schedule.offset_seconds to as many seconds."
        )
    left = [*query.left, *_lacking(params, query, options.query.name)]
    history = None
    if options.history_query is not None:
        history = convert(read_text(options.history_query), timestamp, options.history_query.name)
        said += [f"History: {each}" for each in history.done]
        left += [*history.left, *_lacking(params, history, options.history_query.name)]
        if same(query.text, history.text):
            history = None
            said.append("Both queries differ by their windows only, so one is enough.")
    if not (options.cluster_identifier or options.workgroup_name) or not options.database:
        said.append(
            "The secret names the warehouse and its database, which the call takes from variables: "
            "declare them, or give --cluster-identifier (or --workgroup-name) and --database."
        )
    said.append("terraform plan shows the keys of params.json without effect: ignored.")
    call = _call(options, params, query, history)
    return call, [*said, *(f"TO DO: {each}" for each in left)], LEFT if left else 0


def _params(path: Path) -> _Params:
    try:
        return _Params.model_validate_json(read_text(path))
    except ValidationError as error:
        raise PermanentError(
            f"{path} is not the connector's params.json: it must hold timestamp_column with "
            "ColumnName, metrics_set with MetricName, and names in dimension_list; wrong or "
            f"missing: {places_of(error)}."
        ) from None


def _lacking(params: _Params, query: Converted, name: str) -> list[str]:
    """Columns of the settings that the query does not return."""
    if query.columns is None:
        return []
    lacking = [column for column in params.columns if column.lower() not in query.columns]
    return [f"{name} returns no column {', '.join(lacking)}: rename or add it."] if lacking else []


def _call(
    options: argparse.Namespace,
    params: _Params,
    query: Converted,
    history: Converted | None,
) -> str:
    """The configuration, as `terraform fmt` leaves it."""
    secret = bool(params.secret_name)
    blocks = [
        [
            'module "connector" {',
            f"  source = {_quoted(_connector(options.source))}",
            "",
            '  params_json = file("${path.module}/params.json")',
            "}",
        ]
    ]
    if secret:
        blocks.append(
            [
                'data "aws_secretsmanager_secret" "redshift" {',
                "  name = module.connector.secret_name",
                "}",
            ]
        )
    detector = [
        'module "detector" {',
        f"  source = {_quoted(options.source)}",
        "",
        *_aligned(
            {
                "name": "module.connector.name",
                "description": "module.connector.description",
                "redshift": _redshift(options, secret=secret),
                "timestamp_column": _timestamp_column(query),
                "measures": "module.connector.measures",
                "dimensions": "module.connector.dimensions",
                "interval": "module.connector.interval",
                "schedule": "{ offset_seconds = module.connector.offset_seconds }",
                "alerts": "module.connector.alerts",
            }
        ),
        "",
        *_heredoc("query", query.text, "  "),
    ]
    if history is not None:
        detector += ["", "  history = {", *_heredoc("query", history.text, "    "), "  }"]
    blocks.append([*detector, "}"])
    blocks.append(
        [
            'output "ignored" {',
            '  description = "Keys of params.json that have no effect, each with the reason."',
            "  value       = module.connector.ignored",
            "}",
        ]
    )
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _connector(source: str) -> str:
    """Source of modules/connector, beside the root module."""
    if source.startswith((".", "/")):
        return f"{source}/modules/connector"
    place, mark, version = source.partition("?")
    return f"{place}//modules/connector{mark}{version}"


def _redshift(options: argparse.Namespace, *, secret: bool) -> str:
    if options.workgroup_name:
        place = f"workgroup_name = {_quoted(options.workgroup_name)}"
    else:
        named = options.cluster_identifier
        place = f"cluster_identifier = {_quoted(named) if named else 'var.cluster_identifier'}"
    database = _quoted(options.database) if options.database else "var.database"
    sign_in = ", secret_arn = data.aws_secretsmanager_secret.redshift.arn" if secret else ""
    return f"{{ {place}, database = {database}{sign_in} }}"


def _timestamp_column(query: Converted) -> str:
    own = "module.connector.timestamp_column"
    return f"merge({own}, {{ timezone = {_quoted(query.timezone)} }})" if query.timezone else own


def _aligned(arguments: dict[str, str]) -> list[str]:
    width = max(map(len, arguments))
    return [f"  {name:<{width}} = {value}" for name, value in arguments.items()]


def _heredoc(name: str, text: str, indent: str) -> list[str]:
    lines = _escaped(text).splitlines()
    marker = "SQL"
    while any(line.strip() == marker for line in lines):
        marker += "_"
    inner = [f"{indent}  {line}".rstrip() if line.strip() else "" for line in lines]
    return [f"{indent}{name} = <<-{marker}", *inner, f"{indent}{marker}"]


def _quoted(text: str) -> str:
    return _escaped(json.dumps(text, ensure_ascii=False))


def _escaped(text: str) -> str:
    """The text without what Terraform would take for a template."""
    return text.replace("${", "$${").replace("%{", "%%{")
