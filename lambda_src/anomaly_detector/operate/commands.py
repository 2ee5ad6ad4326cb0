"""`python -m anomaly_detector status` and the other commands for a deployed detector."""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from anomaly_detector.errors import PermanentError

if TYPE_CHECKING:
    from anomaly_detector.operate.deployment import Deployment

Facts = dict[str, Any]
Commands = Any  # argparse does not export the type of what add_subparsers returns

COMMANDS: Final = ("status", "intervals", "replay", "retrain", "pause", "resume")
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{1,30}[a-z0-9]")
_RIGHTS: Final = """
The command uses your own AWS credentials and region (environment, profile or instance), as the AWS
CLI does. It finds the resources by the detector's name. Times without a UTC offset are UTC.
"""
_EPILOGS: Final = {
    "status": """\
examples:

  python -m anomaly_detector status --name shop
  python -m anomaly_detector status --name shop --json | jq -r .status

needs: dynamodb:GetItem and dynamodb:Query on the table <name>-state, scheduler:GetSchedule on the
schedule <name>/<name>-crawl.
""",
    "intervals": """\
examples:

  python -m anomaly_detector intervals --name shop
      the last 24 intervals
  python -m anomaly_detector intervals --name shop --last 100
  python -m anomaly_detector intervals --name shop --from 2026-01-05 --to 2026-01-06T12:00

statuses: DUE (to be crawled), LANDED (unloaded), SCORED, REVISED (scored again because late rows
changed it), MISSING (no row), FAILED (the next crawl tries again).

needs: dynamodb:Query on the table <name>-state.
""",
    "replay": """\
examples:

  python -m anomaly_detector replay --name shop --from 2026-01-05 --to 2026-01-07

Use it after rows were loaded or corrected later than the look-back. The pipeline unloads the chunks
of the history that contain this time again, trains a new model and scores the newest 30 % of the
history anew; crawls go on meanwhile. No alert is sent twice; events that were not known before are
sent, marked late.

needs: states:StartExecution and states:ListExecutions on the state machine <name>-pipeline,
dynamodb:GetItem on the table <name>-state.
""",
    "retrain": """\
examples:

  python -m anomaly_detector retrain --name shop

The pipeline unloads what is missing of the history and trains a new model on it; crawls go on with
the model in force meanwhile.

needs: states:StartExecution and states:ListExecutions on the state machine <name>-pipeline,
dynamodb:GetItem on the table <name>-state.
""",
    "pause": """\
examples:

  python -m anomaly_detector pause --name shop

Disables the schedule. A crawl that is running ends as usual; nothing is lost, because due intervals
are crawled after `resume`. The alarms that watch for silence go off while a detector is paused.

needs: scheduler:GetSchedule and scheduler:UpdateSchedule on the schedule <name>/<name>-crawl,
iam:PassRole on the role <name>-schedule.
""",
    "resume": """\
examples:

  python -m anomaly_detector resume --name shop
  python -m anomaly_detector resume --name shop --parked
      also try again to deliver results that could not be read, after a new version of the module

needs: as pause; with --parked also dynamodb:Query, PutItem and DeleteItem on the table
<name>-state.
""",
}
_HELP: Final = {
    "status": "show the state of a deployed detector",
    "intervals": "list intervals with their status, rows and cost",
    "replay": "unload a time of the history again, and train and score with it",
    "retrain": "train a new model on the history",
    "pause": "stop scheduled crawls",
    "resume": "start scheduled crawls again",
}


def add_commands(commands: Commands) -> None:
    """Add the commands to the parser's."""
    for name in COMMANDS:
        command = commands.add_parser(
            name,
            help=_HELP[name],
            description=f"{_HELP[name].capitalize()}.{_RIGHTS}",
            epilog=_EPILOGS[name],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument("--name", required=True, type=_name, help="name of the detector")
        command.add_argument("--region", help="AWS region (default: that of your AWS settings)")
        command.add_argument("--profile", help="profile of your AWS settings")
        command.add_argument("--json", action="store_true", help="print JSON for programs")
        if name in ("intervals", "replay"):
            required = name == "replay"
            command.add_argument(
                "--from",
                dest="begin",
                type=_moment,
                required=required,
                metavar="TIME",
                help="first start of an interval, ISO 8601",
            )
            command.add_argument(
                "--to", dest="end", type=_moment, required=required, metavar="TIME", help="end"
            )
        if name == "intervals":
            command.add_argument(
                "--last",
                type=_count,
                default=24,
                metavar="N",
                help="number of intervals, without --from (default: %(default)s)",
            )
        if name == "resume":
            command.add_argument(
                "--parked", action="store_true", help="try parked deliveries again"
            )


def run(options: argparse.Namespace) -> str:
    """Run a command; returns the text for standard output.

    Raises
    ------
    PermanentError
        One sentence that says what to change.
    """
    if importlib.util.find_spec("boto3") is None:
        raise PermanentError(
            f"The command {options.command} calls AWS, and boto3 cannot be imported: run "
            "pip install boto3."
        )
    from botocore.exceptions import BotoCoreError, ClientError

    from anomaly_detector import aws_faults
    from anomaly_detector.operate.deployment import deployment

    place = options.region or "your AWS settings"
    try:
        return _run(options, deployment(options.name, options.region, options.profile))
    except ClientError as error:
        if aws_faults.is_gone(error):
            raise PermanentError(
                f"There is no detector '{options.name}' in the region of {place}: check --name, "
                f"--region and --profile ({aws_faults.message(error)})."
            ) from error
        hint = (
            "see --help for the permissions that are needed"
            if aws_faults.is_denied(error)
            else "try again"
        )
        raise PermanentError(f"AWS refused the call: {error}; {hint}.") from error
    except BotoCoreError as error:
        text = str(error).rstrip(".")
        raise PermanentError(
            f"AWS could not be called: {text}; check your credentials, --region and --profile."
        ) from error


def _run(options: argparse.Namespace, detector: Deployment) -> str:
    from anomaly_detector.operate import actions, words

    now = datetime.now(UTC)
    name = options.command
    if name == "status":
        facts, said = actions.status(detector, now), words.status
    elif name == "intervals":
        facts = actions.intervals(detector, options.begin, options.end, options.last, now)
        said = words.intervals
    elif name == "replay":
        facts, said = actions.replay(detector, options.begin, options.end, now), words.started
    elif name == "retrain":
        facts, said = actions.retrain(detector, now), words.started
    elif name == "pause":
        facts, said = actions.pause(detector), words.paused
    else:
        facts, said = actions.resume(detector, parked=options.parked), words.resumed
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n" if options.json else said(facts)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"'{text}' is not the name of a detector: 3-32 lowercase letters, digits and hyphens"
        )
    return text


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a time such as 2026-01-05 or 2026-01-05T12:00:00Z"
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1")
    return int(text)
