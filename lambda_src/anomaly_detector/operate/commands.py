"""`python -m anomaly_detector status` and the other commands for a deployed detector."""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from anomaly_detector.errors import PermanentError

if TYPE_CHECKING:
    from anomaly_detector.operate.deployment import Deployment

Facts = dict[str, Any]
Commands = Any  # argparse does not export the type of what add_subparsers returns

# What the function `respond` does.
_OF_PEOPLE: Final = ("mute", "unmute", "mutes", "feedback", "undo", "answers")
COMMANDS: Final = (
    *("status", "intervals", "replay", "retrain", "pause", "resume"),
    *_OF_PEOPLE,
    "report",
)
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
    "mute": """\
examples:

  python -m anomaly_detector mute --name shop --for 3d --reason "price test" \\
      --measure revenue --value platform=mobile_web
  python -m anomaly_detector mute --name shop --to 2026-01-07T06:00 --reason "moving house"
      all alerts
  python -m anomaly_detector mute --name shop --from 2026-02-01 --to 2026-02-03 --reason "sale"

Events are found, recorded and learned as usual; alerts are held back on those whose newest interval
overlaps the mute, and of which all slices lie within its values. An event that outlasts the mute is
alerted on then. When the mute ends, the operations topic tells what it has held back.

needs: lambda:InvokeFunction on the function <name>-respond.
""",
    "unmute": """\
examples:

  python -m anomaly_detector unmute --name shop --id 20260105T120000-1a2b3c

needs: lambda:InvokeFunction on the function <name>-respond.
""",
    "mutes": """\
examples:

  python -m anomaly_detector mutes --name shop
  python -m anomaly_detector mutes --name shop --ended
      also those that have ended, of the last 400 days

needs: lambda:InvokeFunction on the function <name>-respond.
""",
    "report": """\
examples:

  python -m anomaly_detector report --name shop --open
      write report.html, and open it in the browser
  python -m anomaly_detector report --name shop --days 90 --out shop.html
  python -m anomaly_detector report --bucket shop-123456789012-eu-west-1
      the detector whose results this bucket holds

needs: lambda:GetFunctionConfiguration on the function <name>-deliver (not with --bucket),
dynamodb:GetItem and dynamodb:Query on the table <name>-state, s3:ListBucket on the bucket, and
s3:GetObject on its objects below config/, reports/ and results/.
""",
    "feedback": """\
examples:

  python -m anomaly_detector feedback --name shop --event 5b2f…e1 --no
      similar events are told only if they are stronger
  python -m anomaly_detector feedback --name shop --event 5b2f…e1 --yes
      its intervals teach nothing
  python -m anomaly_detector feedback --name shop --event 5b2f…e1 --no --value platform=mobile_app
      of one series of the event

The event is the anomalyGroupId of an alert. Another answer to the same event replaces the one
before. What it changes, and how much, is printed; nothing that has been scored changes.

needs: lambda:InvokeFunction on the function <name>-respond.
""",
    "undo": """\
examples:

  python -m anomaly_detector undo --name shop --id 20260105T120000-1a2b3c

needs: lambda:InvokeFunction on the function <name>-respond.
""",
    "answers": """\
examples:

  python -m anomaly_detector answers --name shop
  python -m anomaly_detector answers --name shop --ended

needs: lambda:InvokeFunction on the function <name>-respond.
""",
}
_HELP: Final = {
    "status": "show the state of a deployed detector",
    "intervals": "list intervals with their status, rows and cost",
    "replay": "unload a time of the history again, and train and score with it",
    "retrain": "train a new model on the history",
    "pause": "stop scheduled crawls",
    "resume": "start scheduled crawls again",
    "mute": "hold back alerts for a while",
    "unmute": "end a mute now",
    "mutes": "list mutes, and what they have held back",
    "report": "write a page with the events, series and state of a deployed detector",
    "feedback": "say whether an event was an anomaly",
    "undo": "end an answer that was given with feedback",
    "answers": "list the answers that were given with feedback",
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
        if name == "report":
            _add_report(command)
        else:
            command.add_argument("--name", required=True, type=_name, help="name of the detector")
        command.add_argument("--region", help="AWS region (default: that of your AWS settings)")
        command.add_argument("--profile", help="profile of your AWS settings")
        command.add_argument("--json", action="store_true", help="print JSON for programs")
        if name in ("intervals", "replay"):
            required = name == "replay"
            command.add_argument(
                "--from",
                dest="begin",
                type=moment,
                required=required,
                metavar="TIME",
                help="first start of an interval, ISO 8601",
            )
            command.add_argument(
                "--to", dest="end", type=moment, required=required, metavar="TIME", help="end"
            )
        if name == "intervals":
            command.add_argument(
                "--last",
                type=_count,
                default=24,
                metavar="N",
                help="number of intervals, without --from (default: %(default)s)",
            )
        _add_answers(name, command)
        if name == "resume":
            command.add_argument(
                "--parked", action="store_true", help="try parked deliveries again"
            )


def _add_report(command: Any) -> None:  # noqa: ANN401 argparse does not export the type
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--name", type=_name, help="name of the detector")
    which.add_argument("--bucket", help="bucket that holds the results of the detector")
    command.add_argument(
        "--days",
        type=_count,
        default=30,
        metavar="N",
        help="newest days that the page shows (default: %(default)s)",
    )
    command.add_argument(
        "--out",
        type=Path,
        default=Path("report.html"),
        metavar="FILE",
        help="file to write (default: %(default)s)",
    )
    command.add_argument("--open", action="store_true", help="open the page in the browser")


def _add_answers(name: str, command: Any) -> None:  # noqa: ANN401 argparse does not export the type
    if name == "mute":
        command.add_argument(
            "--measure", action="append", default=[], metavar="NAME", help="only this measure"
        )
        command.add_argument(
            "--value",
            action="append",
            default=[],
            type=_value,
            metavar="DIMENSION=VALUE",
            help="only events within this value; of a dimension given twice, within either",
        )
        command.add_argument(
            "--from", dest="begin", type=moment, metavar="TIME", help="start (default: now)"
        )
        end = command.add_mutually_exclusive_group(required=True)
        end.add_argument("--to", dest="end", type=moment, metavar="TIME", help="end")
        end.add_argument(
            "--for",
            dest="length",
            type=_length,
            metavar="TIME",
            help="length from the start, such as 90m, 12h, 3d or 2w",
        )
        command.add_argument("--reason", required=True, help="why, for those who wonder")
    if name in ("unmute", "undo"):
        command.add_argument("--id", required=True, help="ID of the mute, or of the answer")
    if name == "feedback":
        command.add_argument("--event", required=True, metavar="ID", help="ID of the event")
        answer = command.add_mutually_exclusive_group(required=True)
        answer.add_argument("--yes", action="store_true", help="it was an anomaly")
        answer.add_argument("--no", action="store_true", help="it was none")
        command.add_argument(
            "--value",
            action="append",
            default=[],
            type=_value,
            metavar="DIMENSION=VALUE",
            help="only the series of the event with this value",
        )
    if name in ("mutes", "answers"):
        command.add_argument("--ended", action="store_true", help="also those that have ended")


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
    from anomaly_detector.operate.deployment import deployment

    bucket = options.bucket if options.command == "report" else None
    with called(options):
        return _run(options, deployment(options.name, options.region, options.profile, bucket))


@contextmanager
def called(options: argparse.Namespace) -> Iterator[None]:
    """Errors of AWS as one sentence that says what to change.

    Raises
    ------
    PermanentError
    """
    from botocore.exceptions import BotoCoreError, ClientError

    from anomaly_detector import aws_faults

    place = options.region or "your AWS settings"
    try:
        yield
    except ClientError as error:
        if aws_faults.is_gone(error):
            named = options.name or f"of the bucket {options.bucket}"
            raise PermanentError(
                f"There is no detector '{named}' in the region of {place}: check --name, "
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
    if name in _OF_PEOPLE:
        facts, said = _answered(options, detector, now)
    elif name == "status":
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
    elif name == "report":
        days, out = timedelta(days=options.days), options.out
        facts, said = actions.report(detector, days, out, now, show=options.open), words.reported
    else:
        facts, said = actions.resume(detector, parked=options.parked), words.resumed
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n" if options.json else said(facts)


def _answered(
    options: argparse.Namespace, detector: Deployment, now: datetime
) -> tuple[Facts, Callable[[Facts], str]]:
    """What the function `respond` answers, and how to say it."""
    from anomaly_detector.operate import actions, words

    name = options.command
    if name == "mute":
        return _mute(options, detector, now), words.muted
    if name == "unmute":
        return actions.unmute(detector, options.id), words.unmuted
    if name == "mutes":
        return actions.mutes(detector, ended=options.ended), words.mutes
    if name == "feedback":
        series = dict(options.value)
        facts = actions.feedback(detector, options.event, is_anomaly=options.yes, series=series)
        return facts, words.answered
    if name == "undo":
        return actions.undo(detector, options.id), words.answered
    return actions.answers(detector, ended=options.ended), words.answers


def _mute(options: argparse.Namespace, detector: Deployment, now: datetime) -> Facts:
    from anomaly_detector.operate import actions

    values: dict[str, list[str]] = {}
    for name, value in options.value:
        values.setdefault(name, []).append(value)
    end = options.end or (options.begin or now) + options.length
    return actions.mute(detector, options.measure, values, options.begin, end, options.reason)


def _value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"'{text}' is not DIMENSION=VALUE")
    return name, value


def _length(text: str) -> timedelta:
    found = re.fullmatch(r"([1-9]\d{0,5})([mhdw])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time such as 90m, 12h, 3d or 2w")
    unit = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}[found.group(2)]
    return timedelta(**{unit: int(found.group(1))})


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"'{text}' is not the name of a detector: 3-32 lowercase letters, digits and hyphens"
        )
    return text


def moment(text: str) -> datetime:
    """A time of an option: aware, UTC without an offset."""
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
