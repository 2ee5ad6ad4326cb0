"""The demo: deploy to a local cloud, detect injected incidents, print the results, destroy.

`make demo`, or `python -m local.demo [--keep] [--seed N]`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from anomaly_detector.intervals import parse_iso

from local import shop
from local.cloud import CloudError, LocalCloud
from local.harness import (
    Deployment,
    HarnessError,
    create_secret,
    hours,
    inventory,
    load_shop,
)
from local.shop_truth import Judgement, Plant, judge
from local.terraform import ROOT, TerraformError, find_terraform

WAREHOUSE = "shop"
# The scheduler's minute: an interval's end and the example's offset, rounded up.
_TICK = timedelta(minutes=1)
_LIVE_HOURS = 12


class Steps:
    """Prints progress, each line with the time since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def __call__(self, line: str) -> None:
        print(f"[{self.seconds:5.0f} s] {line}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local.demo", description=__doc__)
    parser.add_argument(
        "--keep", action="store_true", help="keep everything running at the end, even on failure"
    )
    parser.add_argument("--seed", type=int, default=7, help="seed of the sample shop (default: 7)")
    parser.add_argument(
        "--hours",
        type=int,
        default=_LIVE_HOURS,
        help=f"number of live hours to crawl (default: {_LIVE_HOURS})",
    )
    options = parser.parse_args(arguments)
    # SIGTERM cleans up like SIGINT.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    run_dir = ROOT / ".local" / "demo" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}"
    cloud = LocalCloud(run_dir / "cloud")
    steps = Steps()
    up = False
    try:
        find_terraform()
        _demo(cloud, run_dir, steps, options)
        up = options.keep
    except (TerraformError, CloudError, HarnessError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        print(f"See the log files in {run_dir}.", file=sys.stderr)
        up = options.keep and cloud.status() is not None
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; the local cloud has been stopped.", file=sys.stderr)
        return 130
    finally:
        if not up:
            cloud.stop()
    if not up:
        for folder in ("cloud", "terraform", "shop"):
            shutil.rmtree(run_dir / folder, ignore_errors=True)
    return 0


def _demo(cloud: LocalCloud, run_dir: Path, steps: Steps, options: argparse.Namespace) -> None:
    steps("starting the local cloud: AWS emulated by ministack, Redshift by a stand-in on DuckDB")
    cloud.start()
    steps(f"the local cloud listens at {cloud.endpoint}, on the loopback interface only")
    anchor = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    made = shop.build(anchor, options.seed, live_hours=max(48, options.hours + 2))
    cloud.create_cluster(WAREHOUSE)
    loaded = load_shop(cloud, WAREHOUSE, made, run_dir / "shop")
    steps(f"sample shop: loaded {loaded:,} rows, from a year ago to two days ahead")
    secret = create_secret(cloud, WAREHOUSE, "shop-warehouse")
    before = inventory(cloud)
    roles_before = _roles(cloud)

    deployment = Deployment(
        cloud,
        run_dir / "terraform",
        {"name": "shop", "cluster_identifier": WAREHOUSE, "secret_arn": secret},
        steps,
    )
    steps("running terraform init and apply for examples/local")
    outputs = deployment.apply()
    resources = deployment.terraform.resources()
    steps(f"{resources} resources deployed; the pipeline is running")
    pipeline = deployment.wait_for_pipeline()
    if not pipeline.succeeded:
        raise HarnessError(
            f"the pipeline ended {pipeline.status}: {pipeline.error} {pipeline.cause}"
        )
    active = deployment.detector()
    begin = deployment.watermark()
    steps(f"pipeline SUCCEEDED; the detector is {active['status']}, watermark {_utc(begin)}")

    for scheduled in hours(begin + timedelta(hours=1) + _TICK, options.hours):
        crawl = deployment.crawl(scheduled)
        if not crawl.succeeded:
            raise HarnessError(
                f"the crawl at {_utc(scheduled)} ended {crawl.status}: {crawl.cause}"
            )
        steps(f"crawl scheduled for {_utc(scheduled)}: {crawl.status}")
    end = deployment.watermark()
    groups = deployment.groups()
    # The queue is subscribed to the topic, so its messages were published and delivered.
    notifications = deployment.received("alerts")
    live = [each for each in groups if parse_iso(each["StartTime"]) >= begin]
    backtest = [each for each in groups if parse_iso(each["StartTime"]) < begin]
    tested = deployment.results("scores")["interval_start"].to_numpy().min()
    tested_from = datetime.fromisoformat(str(tested)).replace(tzinfo=UTC)

    results = run_dir / "results"
    copied = deployment.copy_results(results)
    shutil.copy2(run_dir / "shop" / "truth.json", results / "truth.json")
    page = _write_page(cloud, results / "report.html")
    _print_deployed(outputs, resources)
    _print_intervals(deployment, begin, end)
    judgement = judge(live, made.incidents, begin, end)
    _print_groups(live, judgement)
    _print_alert(notifications)
    _title("Comparison with the injected incidents")
    _print_judgement("live", judgement, live, (begin, end))
    judgement = judge(backtest, made.incidents, tested_from, begin)
    _print_judgement("backtest", judgement, backtest, (tested_from, begin))
    print(
        "  An incident counts once per measure that it affects. A group matches it if both overlap"
    )
    print("  in time and a slice of the group is the slice of the incident or part of it.")
    print(f"\nResults ({copied} files) and truth.json: {results}")
    print(f"The page of the detector, to open in a browser: {page}")
    if options.keep:
        _print_look_around(cloud, outputs, run_dir)
        return
    print()
    steps("terraform destroy")
    deployment.destroy()
    left = {kind: names - before[kind] for kind, names in inventory(cloud).items()}
    if any(left.values()) or _roles(cloud) != roles_before:
        raise HarnessError(f"not destroyed: {left}, roles of the warehouse {_roles(cloud)}")
    steps("destroyed: no resource remains, and the warehouse has its original roles")


def _write_page(cloud: LocalCloud, page: Path) -> Path:
    """Write the page of the detector, by the command that its owner would use."""
    command = [sys.executable, "-m", "anomaly_detector", "report", "--name", "shop"]
    done = subprocess.run(
        [*command, "--out", str(page)],
        env={**os.environ, **cloud.environment(), "PYTHONPATH": str(ROOT / "lambda_src")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise HarnessError(f"the page was not written: {done.stderr.strip()}")
    return page


def _roles(cloud: LocalCloud) -> set[str]:
    return set(cloud.admin("GET", f"redshift/warehouses/{WAREHOUSE}")["roles"])


def _print_deployed(outputs: Mapping[str, Any], resources: int) -> None:
    _title(f"Deployed: {resources} resources")
    print(f"  bucket     {outputs['bucket_name']}")
    print(f"  table      {outputs['table_name']}")
    print(f"  functions  {', '.join(sorted(outputs['function_names']))}")
    for key in ("pipeline_arn", "statement_arn", "crawl_arn"):
        print(f"  machine    {str(outputs[key]).rsplit(':', 1)[-1]}")
    print(f"  schedule   {outputs['schedule_name']}")
    print(f"  catalogue  {outputs['glue_database_name']}: scores, anomalies, contributions")


def _print_intervals(deployment: Deployment, begin: datetime, end: datetime) -> None:
    chunks = deployment.items("CHUNK#")
    intervals = [each for each in deployment.items("INTERVAL#") if each.get("rows") is not None]
    unloads = deployment.unloads()
    _title("Intervals and rows")
    print(
        f"  history    {len(chunks)} chunks up to {_utc(begin)},"
        f" {sum(int(each['rows']) for each in chunks):,} aggregated rows"
    )
    live = [each for each in intervals if begin <= parse_iso(each["start"]) < end]
    rows = sum(int(each["rows"]) for each in live)
    print(f"  live       {len(live)} intervals, {_utc(begin)} to {_utc(end)}, {rows:,} rows")
    print(f"  warehouse  {len(unloads)} UNLOADs")


def _print_groups(groups: Sequence[Mapping[str, Any]], judgement: Judgement) -> None:
    _title(f"Anomaly groups in the new intervals: {len(groups)}")
    right = {group: plant for plant, found in judgement.found for group in found}
    for group in groups:
        plant = right.get(str(group["AnomalyGroupId"]))
        # A mean without data has no value.
        actual, expected = float(group["Actual"] or 0), float(group["Expected"])
        change = f" ({(actual / expected - 1) * 100:+.0f} %)" if expected else ""
        begin, end = parse_iso(group["StartTime"]), parse_iso(group["EndTime"])
        print(
            f"\n  {begin:%a %d %b %H:%M}-{end:%H:%M}  {group['PrimaryMetricName']:<8}"
            f" severity {float(group['AnomalyGroupScore']):.0f}"
            f"   actual {actual:,.0f}, expected {expected:,.0f}{change}"
        )
        print(f"    slices   {'; '.join(_slice(each) for each in group['Slices'])}")
        impact = group["MetricLevelImpactList"][0]
        for each in impact["ContributionMatrix"]["DimensionContributionList"]:
            shares = [
                f"{one['DimensionValue']} {float(one['ContributionScore']):.0f} %"
                for one in each["DimensionValueContributionList"][:4]
            ]
            print(f"    {each['DimensionName']:<12} {', '.join(shares)}")
        print(f"    injected {_plant(plant) if plant else 'no: false alarm'}")


def _print_alert(notifications: Sequence[Mapping[str, Any]]) -> None:
    _title(f"Alerts received by the subscribed queue: {len(notifications)}")
    for notification in notifications:
        alert = notification["Message"]
        print(
            f"  {alert['timestamp']}  {alert['impactedMetric']['metricName']:<8}"
            f" score {float(alert['anomalyScore']):.0f}  {alert['alertName']}"
            f"  group {alert['anomalyGroupId']}"
        )


def _print_judgement(
    name: str,
    judgement: Judgement,
    groups: Sequence[Mapping[str, Any]],
    window: tuple[datetime, datetime],
) -> None:
    planted = len(judgement.found) + len(judgement.missed)
    print(
        f"  {name:<10} precision {judgement.precision:.2f}"
        f" ({len(groups) - len(judgement.false)} of {len(groups)} groups),"
        f" recall {judgement.recall:.2f} ({len(judgement.found)} of {planted} incidents),"
        f" {_utc(window[0])} to {_utc(window[1])}"
    )
    for plant in judgement.missed:
        print(f"  {'':<10} missed: {_plant(plant)}")


def _print_look_around(cloud: LocalCloud, outputs: Mapping[str, Any], run_dir: Path) -> None:
    _title("The local cloud is still running. To explore it")
    for name, value in cloud.environment().items():
        print(f"  export {name}={value}")
    bucket, table = outputs["bucket_name"], outputs["table_name"]
    print(f"  aws s3 ls --recursive s3://{bucket}/results/")
    print(f"  aws dynamodb scan --table-name {table}")
    print(f"  aws stepfunctions list-executions --state-machine-arn {outputs['crawl_arn']}")
    print(f"  aws sqs receive-message --queue-url {outputs['received_queue_urls']['operations']}")
    print("\n  To stop it:")
    print(f"  {sys.executable} -m local.cloud stop --state-dir {run_dir / 'cloud'}")


def _title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def _slice(values: Mapping[str, str]) -> str:
    return " and ".join(f"{name} {value}" for name, value in values.items()) or "the whole shop"


def _plant(plant: Plant) -> str:
    incident = plant.incident
    return (
        f"{plant.measure} x {incident.factor:.2f} on {_slice(incident.slice)},"
        f" {incident.start:%H:%M}-{incident.end:%H:%M}"
    )


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


if __name__ == "__main__":
    raise SystemExit(main())
