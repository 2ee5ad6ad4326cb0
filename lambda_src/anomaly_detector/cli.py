"""`python -m anomaly_detector`: the detector on a local file, without AWS (backtest), the way from
the Lookout for Metrics connector (convert), and commands for a deployed detector (operate).
"""

from __future__ import annotations

import argparse
import codecs
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from anomaly_detector import backtest
from anomaly_detector.alerts.words import plain, sentence
from anomaly_detector.config import Config, load
from anomaly_detector.convert import command as convert
from anomaly_detector.detection import THRESHOLD_SEVERITY, DetectorSettings
from anomaly_detector.detection.report import Report
from anomaly_detector.errors import PermanentError
from anomaly_detector.events.group import Group
from anomaly_detector.intervals import Grid, iso
from anomaly_detector.lake import parquet
from anomaly_detector.local_file.aggregate import Aggregated, aggregate
from anomaly_detector.local_file.engine import Engine
from anomaly_detector.local_file.files import Files, open_files
from anomaly_detector.local_file.infer import infer
from anomaly_detector.local_file.progress import Progress
from anomaly_detector.lookout.group import groups_json
from anomaly_detector.operate import commands as operate
from anomaly_detector.operate import warehouse
from anomaly_detector.panel import second
from anomaly_detector.report.charts import Span, many
from anomaly_detector.report.content import Content, Quality, empty_spans
from anomaly_detector.report.events import lead
from anomaly_detector.report.page import advised, page
from anomaly_detector.report.stored import Stored

SCORES, GROUPS, PREVIEW, RECOMMENDATION, TRAINING, REPORT, CONFIGURATION = (
    "scores.parquet",
    "groups.json",
    "preview.json",
    "recommendation.json",
    "training.json",
    "report.html",
    "detector.json",
)
_FAULT = 2
_INTERRUPTED = 130
_CLASSES = 20
_EXAMPLES = """\
minimal configuration; every other key defaults to the default of the Terraform variable:

  {"interval": "PT1H",
   "timestamp_column": {"name": "ordered_at"},
   "measures": {"amount": {"aggregation": "SUM"}},
   "dimensions": ["country", "channel"]}

interval: PT5M, PT10M, PT15M, PT30M, PT1H, P1D, P1W (from Monday) or P1M (calendar months).
aggregation of a measure: SUM, AVG, MIN, MAX, COUNT, COUNT_DISTINCT, P50, P90, P95, P99, or RATIO
with the columns "numerator" and "denominator". "min" and "max" of a measure are static bounds: a
value beyond them is an event of severity 100.

examples:

  python -m anomaly_detector backtest --infer --data rows.csv
      print a configuration for the file
  python -m anomaly_detector backtest --infer --data rows.csv --config detector.json
      write the configuration to a new file
  python -m anomaly_detector backtest --config detector.json --data rows.csv.gz --out results
      detect events in the newest 30 % of the file
  python -m anomaly_detector backtest --config detector.json --data 'parts/*.parquet' --out results
      the same for a glob pattern (or a folder) of part files, as UNLOAD and Spark write them
  python -m anomaly_detector backtest --config detector.json --from-warehouse --out results \\
      --workgroup-name analytics --database prod
      the same for the "query" of the configuration, run in the warehouse: first the query check of
      a deployed detector, then its history ("history": {"length": "P90D"}). What it costs is said
      before, and asked for (--yes answers). No bucket or role is needed.
      Needs: redshift-data:ExecuteStatement on the cluster or workgroup; DescribeStatement,
      GetStatementResult and CancelStatement of redshift-data; and to sign in, by choice,
      secretsmanager:GetSecretValue (--secret-arn), redshift:GetClusterCredentials (--db-user),
      redshift:GetClusterCredentialsWithIAM (cluster) or redshift-serverless:GetCredentials.

supported files, detected by content rather than by extension: CSV with a header (any common
delimiter and encoding), JSON Lines or a JSON array, Parquet; plain or compressed with gzip, zstd or
bzip2. Save Excel workbooks as CSV first.

files in --out:

  scores.parquet   per interval, measure and slice: actual, expected, severity, and the bounds
                   (lower, upper) between which 99 % of normal values lie ("band" in the
                   configuration sets another share)
  groups.json      the events, with the slices that explain them
  preview.json     events per week at each alert threshold
  recommendation.json
                   the threshold that gives the messages a week that "messages_per_week" wishes for
                   in the configuration (1 by default), and the ten strongest events
  training.json    what was learned per series class: seasons, spread, missing and sparse series
  report.html      all of this as a page with charts; open it in a browser

The exit status is 0, or 2 if a file or the configuration is invalid; the message on standard error
says what to change.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    status = 0
    try:
        if options.command in operate.COMMANDS:
            said = operate.run(options)
        elif options.command == "convert":
            said, remarks, status = convert.run(options)
            sys.stderr.writelines(f"{remark}\n" for remark in remarks)
        else:
            with Progress(sys.stderr) as progress:
                said = _run(options, progress)
    except PermanentError as error:
        print(f"anomaly_detector: {error}", file=sys.stderr)  # noqa: T201 this is a command
        return _FAULT
    except KeyboardInterrupt:
        return _INTERRUPTED
    sys.stdout.write(said)
    return status


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Report one sentence, as for every other error."""
        self.exit(_FAULT, f"anomaly_detector: {message}; see --help.\n")


def _parser() -> argparse.ArgumentParser:
    # As it was called: the script, or the module.
    script = Path(sys.argv[0]).stem
    prog = script if script == "anomaly-detector" else "python -m anomaly_detector"
    parser = _Parser(prog=prog, description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser(
        "backtest",
        help="train on the older part of a file, score the newer part, and list the events",
        description="Train on the older part of a file, score the newer part as if it were live, "
        "and list the events, as the deployed detector does with its history. The file contains "
        "the rows that the query would return (timestamp, dimensions, measures), unaggregated, in "
        "any order. With --from-warehouse, the query itself runs in your warehouse, which returns "
        "aggregated rows.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="input rows: a CSV, JSON Lines or Parquet file, a folder of them, or a glob pattern",
    )
    source.add_argument(
        "--from-warehouse",
        action="store_true",
        help="run the configuration's query in its warehouse, with your own AWS credentials",
    )
    command.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration document; with --infer, a new file to write the proposal to",
    )
    command.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for the results; created if missing"
    )
    command.add_argument(
        "--train-fraction",
        type=_fraction,
        default=1 - backtest.SCORED_SHARE,
        metavar="SHARE",
        help="fraction of the intervals, oldest first, to train on (default: %(default)s)",
    )
    command.add_argument(
        "--decimal",
        choices=(".", ","),
        help="decimal separator of the numbers in CSV (default: detected per column)",
    )
    command.add_argument(
        "--encoding",
        type=_encoding,
        metavar="NAME",
        help="encoding of CSV or JSON, such as shift_jis (default: UTF-8, UTF-16, UTF-32 or "
        "Windows-1252, whichever fits)",
    )
    command.add_argument(
        "--infer",
        action="store_true",
        help="propose a configuration from the file; print it, or write it to --config; "
        "with --out, run with it",
    )
    warehouse.add_options(command)
    convert.add_command(commands)
    operate.add_commands(commands)
    return parser


def _fraction(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a share between 0 and 1, such as 0.7")
    return share


def _encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise argparse.ArgumentTypeError(
            f"'{name}' is not the name of an encoding, such as shift_jis"
        ) from None


def _run(options: argparse.Namespace, progress: Progress) -> str:
    """Run the command; returns the text for standard output."""
    if not options.infer and options.config is None:
        raise PermanentError(
            "Give --config with the configuration document, or --infer to propose a configuration."
        )
    if not options.infer and options.out is None:
        raise PermanentError("Give --out with a folder for the results.")
    if options.infer and options.from_warehouse:
        raise PermanentError(
            "Give --data with --infer: a configuration is proposed from a file, such as the result "
            "of the query for a few weeks."
        )
    if options.infer and options.config is not None and options.config.exists():
        raise PermanentError(_exists(options.config))
    config = None if options.infer else _load(options.config)
    if options.out is not None:
        _check_writable(options.out)
    with tempfile.TemporaryDirectory(prefix="anomaly_detector-") as folder:
        engine = Engine(Path(folder), progress)
        if options.from_warehouse:
            assert config is not None
            rows = warehouse.read(config, engine, options, progress)
            return _backtest(rows, options, progress)
        files = open_files(options.data, engine, options.encoding)
        if config is not None:
            return _backtest_files(config, files, engine, options, progress)
        proposed = _infer(files, engine, options, progress)
        if options.out is None:
            return "" if options.config else proposed
        if options.config is None:
            _write(options.out / CONFIGURATION, proposed.encode())
        return _backtest_files(load(proposed), files, engine, options, progress)


def _load(path: Path) -> Config:
    try:
        body = path.read_bytes()
    except OSError as error:
        raise PermanentError(f"{path} cannot be read: {_reason(error)}.") from None
    try:
        json.loads(body)
    except ValueError as error:
        raise PermanentError(f"{path} is not JSON: {error}.") from None
    # One replay holds all series, whatever the number of shards.
    return load(body).model_copy(update={"shards": 1})


def _exists(path: Path) -> str:
    return f"{path} already exists; give another file for the proposal, or omit --infer to use it."


def _infer(files: Files, engine: Engine, options: argparse.Namespace, progress: Progress) -> str:
    progress.start(f"Inspecting {files.name}")
    found = infer(files, options.data.name.split(".")[0], engine, options.decimal)
    document = json.dumps(found.document, ensure_ascii=False, indent=2) + "\n"
    load(document)
    if options.config is not None:
        try:
            with options.config.open("x", encoding="utf-8") as file:
                file.write(document)
        except FileExistsError:
            raise PermanentError(_exists(options.config)) from None
        except OSError as error:
            raise PermanentError(f"{options.config} cannot be written: {_reason(error)}.") from None
    for reason in found.reasons:
        progress.say(reason)
    if options.config is not None and options.out is None:
        progress.say(f"written to {options.config}; edit it as needed, then run without --infer")
    return document


def _backtest_files(
    config: Config,
    files: Files,
    engine: Engine,
    options: argparse.Namespace,
    progress: Progress,
) -> str:
    progress.start(f"Reading {files.name}")
    rows = aggregate(config, files, engine, options.decimal)
    return _backtest(rows, options, progress)


def _backtest(rows: Aggregated, options: argparse.Namespace, progress: Progress) -> str:
    config = rows.config
    grid = Grid.of(config)
    begin = backtest.scored_from(grid, rows.begin, rows.end, 1 - options.train_fraction)
    progress.start(f"Replaying {len(rows.panel.starts):,} intervals")
    scored = backtest.score(config, rows.panel, score_from=second(begin), progress=progress)
    groups = scored.groups
    said = groups_json(groups, threshold=THRESHOLD_SEVERITY, scored_from=begin, scored_to=rows.end)
    preview = json.dumps(backtest.preview(groups, begin, rows.end), indent=1)
    wished = backtest.recommend(
        groups, begin, rows.end, config.messages_per_week, grid.seconds, config.alerts.values()
    )
    advice = wished.to_dict(lambda one: sentence(config, one))
    learnt = backtest.training(DetectorSettings.of(config, grid), scored.after)
    progress.start("Drawing the page")
    written = {
        SCORES: parquet.write(scored.table),
        GROUPS: said.encode(),
        PREVIEW: preview.encode(),
        RECOMMENDATION: json.dumps(advice, ensure_ascii=False, indent=1).encode(),
        TRAINING: json.dumps(learnt.to_dict(), allow_nan=False, indent=1).encode(),
        REPORT: _page(rows, begin, scored, learnt, advice).encode(),
    }
    for name, body in written.items():
        _write(options.out / name, body)
    return _summary(config, rows, begin, groups, learnt, options.out)


def _page(
    rows: Aggregated,
    begin: datetime,
    scored: backtest.Scored,
    learnt: Report,
    advice: Mapping[str, Any],
) -> str:
    """The page of a backtest, over the part that was scored."""
    config, grid = rows.config, Grid.of(rows.config)
    starts = grid.starts(begin, rows.end)
    held = rows.held[-len(starts) :]
    low, high = np.searchsorted(rows.panel.starts, [second(begin - lead(config)), second(begin)])
    stored = Stored.of(config, scored.table, begin, rows.end)
    notes = [f"{line[0].upper()}{line[1:]}." for line in rows.said]
    if rows.undated:
        notes.append(f"{many(rows.undated, 'row')} without a timestamp ignored.")
    if rows.filtered:
        notes.append(f"{many(rows.filtered, 'row')} left out by dimension_filters.")
    content = Content(
        config=config,
        watched=Span(begin, rows.end),
        asof=rows.end,
        stored=stored.after(rows.panel.cut(int(low), int(high))),
        groups=scored.groups,
        preview=backtest.preview(scored.groups, begin, rows.end),
        training=learnt.to_dict(),
        advice=advice if scored.groups else None,
        quality=Quality(
            due=len(starts),
            scored=len(starts),
            empty=empty_spans(starts, rows.end, held > 0),
            rows=int(held.sum()),
            notes=notes,
        ),
    )
    return page(content)


def _check_writable(folder: Path) -> None:
    """Fail before the work, not after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PermanentError(f"The folder {folder} cannot be written: {_reason(error)}.") from None


def _write(path: Path, body: bytes) -> None:
    try:
        path.write_bytes(body)
    except OSError as error:
        raise PermanentError(f"{path} cannot be written: {_reason(error)}.") from None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _summary(
    config: Config,
    rows: Aggregated,
    begin: datetime,
    groups: Sequence[Group],
    learnt: Report,
    out: Path,
) -> str:
    grid = Grid.of(config)
    scored = grid.count(begin, rows.end)
    total, measures, slices = rows.panel.values.shape
    read = (
        f"{rows.rows:,} rows from {iso(rows.begin)} to {iso(rows.end)}: {total:,} intervals of "
        f"{config.interval}, {slices * measures:,} series ({many(slices, 'slice')}, "
        f"{many(measures, 'measure')})."
    )
    lines = [read]
    if rows.undated:
        lines.append(f"{many(rows.undated, 'row')} without a timestamp ignored.")
    if rows.filtered:
        lines.append(f"{many(rows.filtered, 'row')} left out by dimension_filters.")
    lines += [f"{line[0].upper()}{line[1:]}." for line in rows.said]
    lines += _emptiness(rows, scored)
    of_rows = int(rows.held[-scored:].sum()) / max(1, int(rows.held.sum()))
    lines.append(
        f"Trained on {many(total - scored, 'interval')}, then scored {scored:,} from "
        f"{iso(begin)}: {scored / total:.0%} of the intervals, with {of_rows:.0%} of the rows."
    )
    settings = DetectorSettings.of(config, grid)
    warm_up = settings.open_after
    if total <= warm_up and not any(rule.bounded for rule in settings.measures):
        lines.append(
            f"A series opens events only after {warm_up} values, so no event could be detected: "
            "give a longer history."
        )
    lines += _table(learnt)
    weeks = (rows.end - begin).total_seconds() / 604_800
    each = f", {len(groups) / weeks:.1f} per week" if groups else ""
    lines.append(
        f"Found {many(len(groups), 'event')}{each}, at severity {THRESHOLD_SEVERITY:g} or more "
        f"(budget of false events per week: {config.false_events_per_week:g})."
    )
    wished = backtest.recommend(
        groups, begin, rows.end, config.messages_per_week, grid.seconds, config.alerts.values()
    )
    if len(groups) > len(wished.strongest):
        lines.append("The strongest:")
    lines += [f"  {_line(config, one)}" for one in wished.strongest]
    if groups:
        lines.append(advised(wished.to_dict(lambda one: sentence(config, one))))
    names = (SCORES, GROUPS, PREVIEW, RECOMMENDATION, TRAINING, REPORT)
    lines.append(f"Written to {out}: {', '.join(names)}.")
    lines.append(f"Open {out / REPORT} in a browser to see them.")
    return "\n".join(lines) + "\n"


def _emptiness(rows: Aggregated, scored: int) -> list[str]:
    """Notes on empty intervals, and on few rows in the scored part."""
    lines = []
    total, empty = len(rows.held), int((rows.held == 0).sum())
    if empty:
        lines.append(f"{empty:,} of {total:,} intervals have no row.")
    newest = int(rows.held[-scored:].sum())
    if newest < rows.held.sum() * scored / total / 4:
        lines.append(
            f"The scored part contains only {newest:,} of {many(int(rows.held.sum()), 'row')}: "
            "check the timestamps."
        )
    return lines


def _table(learnt: Report) -> list[str]:
    """What was learned, one line per series class."""
    found = [one for one in learnt.classes if one.series]
    if not found:
        return []
    rows = [
        ("series class", "series", "learning", "seasons", "spread", "missing", "sparse", "constant")
    ]
    rows += [
        (
            f"{plain(one.measure)} {_by(one.dimensions)}",
            f"{one.series:,}",
            f"{one.learning:,}",
            " and ".join(one.seasons) or "none",
            _share(one.spread),
            _share(one.share_missing),
            f"{one.sparse:,}",
            f"{one.constant:,}",
        )
        for one in found[:_CLASSES]
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            # Text is left-aligned, numbers are right-aligned.
            cell.ljust(width) if place in (0, 3) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    if len(found) > _CLASSES:
        lines.append(f"and {len(found) - _CLASSES:,} more in {TRAINING}")
    if any(one.sparse for one in found):
        lines.append(
            f"sparse series: absent rows are zero in {sum(one.absent_is_zero for one in found):,}, "
            f"{sum(one.windows_only for one in found):,} are scored over longer windows only, "
            f"{sum(one.left_to_rollup for one in found):,} of these are left to their roll-up"
        )
    return ["Learned, over all intervals:", *(f"  {line}" for line in lines)]


def _by(dimensions: Sequence[str]) -> str:
    return "by " + " and ".join(map(plain, dimensions)) if dimensions else "in total"


def _share(value: float | None) -> str:
    # An exact zero is told apart from a small share.
    return "-" if value is None else f"{100 * value:.1f} %" if value else "0 %"


def _line(config: Config, group: Group) -> str:
    return f"{group.severity:3.0f}  {sentence(config, group)}"
