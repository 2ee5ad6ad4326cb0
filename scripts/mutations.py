"""Break the code on purpose, one way at a time, and see that a test notices.

`python -m scripts.mutations [--only name,…] [--list]` copies the repository to a temporary folder,
makes one change there, and runs the test that is to catch it, which must pass without the change.
A mutation whose text is no longer in the code is an error: it has to be written anew.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CODE = "lambda_src/anomaly_detector/"
CALLS = "tests/simulation/test_every_call.py"
# Seconds: a change can make a run endless, which a gate of `make test` stops as well.
_LIMIT = 1500
_COPIED = ("lambda_src", "local", "modules", "scripts", "tests")
_FILES = ("main.tf", "pyproject.toml")


@dataclass(frozen=True)
class Mutation:
    """A change, and what notices it.

    Attributes
    ----------
    path : file below the repository. old : text that is there once. new : what it becomes.
    by : arguments of Python: a module to run, or pytest and a test.
    """

    name: str
    path: str
    old: str
    new: str
    by: str


def _simulation(arguments: str) -> str:
    return f"-m tests.simulation --no-shrinking {arguments}"


def _test(path: str, named: str) -> str:
    return f"-m pytest -q -x -p no:cacheprovider {path} -k {named}"


def _each(fault: str) -> str:
    return _test(CALLS, fault)


# States of the crawl's machine.
_COMMIT = (
    '{\n      "Type": "Task",\n      "Resource": "${functions.commit}",\n'
    '      "Parameters": {"plan.$": "$.plan", "landed.$": "$.landed.result", '
    '"parts.$": "$.parts"},\n'
    '      "ResultPath": "$.committed",\n      "TimeoutSeconds": 930,\n'
    '      "Retry": ${retry.function},\n'
    '      "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", '
    '"Next": "IsCauseGiven"}],\n'
)
_DELIVER = (
    '{"Type": "Task", "Resource": "${functions.deliver}", "InputPath": null, "ResultPath": null, '
    '"TimeoutSeconds": 930, "Retry": ${retry.function}, "Next": "Commit"},\n'
)

MUTATIONS: tuple[Mutation, ...] = (
    # The issue's.
    Mutation(
        "commit split in two",
        f"{CODE}ledger/ledger.py",
        "        return self._table.transact(\n            [\n"
        "                _detector_write(commit.before, commit.after),\n",
        "        if not self._table.transact([_detector_write(commit.before, commit.after)]):\n"
        "            return False\n        return self._table.transact(\n            [\n",
        _each("crash-before"),
    ),
    Mutation(
        "the pointer moves before what it points to is written",
        f"{CODE}services/crawling.py",
        "    store.put(layout.model(version, part), to_bytes(before or snapshot))\n",
        "    ledger._table.update('DETECTOR', {'model': version})\n"
        "    store.put(layout.model(version, part), to_bytes(before or snapshot))\n",
        _each("crash-before"),
    ),
    Mutation(
        "delivered before it is committed",
        "modules/crawler/crawl.asl.json",
        f'"Next": "Commit"\n    }},\n    "Commit": {_COMMIT}      "Next": "Deliver"\n',
        f'"Next": "First"\n    }},\n    "First": {_DELIVER}    "Commit": {_COMMIT}'
        '      "Next": "IsMoreDue"\n',
        _each("crash-before"),
    ),
    Mutation(
        "scores of series that are not known yet",
        f"{CODE}lake/results.py",
        "    said = ~(np.isnan(scores.actual) & np.isnan(scores.expected))\n",
        "    said = np.ones_like(scores.anomalous)\n",
        _simulation("--only missed --seeds 0-11 --intervals 20"),
    ),
    Mutation(
        "a token of its own for each call",
        f"{CODE}services/statement.py",
        "    name = cancelling.statement_name(config.name, request.purpose, execution, attempt)\n",
        "    name = cancelling.statement_name(config.name, request.purpose, execution, attempt)\n"
        "    token = hashlib.sha256(f'{token}{now}'.encode()).hexdigest()\n",
        _each("crash-after"),
    ),
    Mutation(
        "all files below the prefix are read, whatever the manifest lists",
        f"{CODE}lake/landed.py",
        "                (index, _key_of(store, entry.url), entry.meta.record_count)\n"
        "                for entry in manifest.entries\n",
        "                (index, key, None)\n"
        "                for key in store.keys(source.manifest[: -len('manifest')] + 'shard=')\n"
        "                if manifest\n",
        _test("tests/adapters/test_lake_landed.py", "only_what_the_manifest_lists"),
    ),
    Mutation(
        "locks are ignored",
        f"{CODE}ledger/lease.py",
        '            if held["holder"] != holder and parse_iso(held["until"]) > now:\n',
        '            if held["holder"] != holder and parse_iso(held["until"]) < now:\n',
        _simulation("--only doubled,concurrent --seeds 0-5 --intervals 8"),
    ),
    Mutation(
        "sent before it is claimed",
        f"{CODE}services/outbox.py",
        "            if not self._ledger.claim_alert(one.item, claimed, now):\n"
        "                raise overtaken()\n            one.item = claimed\n",
        "",
        _each("crash-after"),
    ),
    Mutation(
        "the look-back is one interval short",
        f"{CODE}services/crawling.py",
        "next_base=max(base, grid.shift(end, -config.lookback_intervals)),",
        "next_base=max(base, grid.shift(end, min(0, 1 - config.lookback_intervals))),",
        _simulation("--only late,changed,deleted --seeds 2-5 --intervals 16"),
    ),
    Mutation(
        "the detector's revision is no condition",
        f"{CODE}ledger/ledger.py",
        '    return Write(DETECTOR, values, {"revision": known})\n',
        "    return Write(DETECTOR, values, {} if known else {})\n",
        _test("tests/adapters/test_ledger_table.py", "revision"),
    ),
    Mutation(
        "old models are deleted first",
        f"{CODE}services/committing.py",
        "    if not ledger.commit(Commit(detector, after, intervals, delivery)):\n",
        "    models.forget(store, standing=(after.model,), replaced=(detector.model,), now=now)\n"
        "    if not ledger.commit(Commit(detector, after, intervals, delivery)):\n",
        _test("tests/unit/test_services_pipeline.py", "loses"),
    ),
    # Others.
    Mutation(
        "a commit whose reply was lost deletes its model",
        f"{CODE}services/committing.py",
        "    if version in (detector.model, detector.old_model):\n",
        "    if not version:\n",
        _each("lost"),
    ),
    Mutation(
        "published is marked before it is done",
        f"{CODE}services/delivery.py",
        "            self._run.keep_lease()\n            detector = self._ledger.detector()\n",
        "            self._ledger.mark_published(self.delivery)\n"
        "            detector = self._ledger.detector()\n",
        _each("crash-before"),
    ),
    Mutation(
        "a delivery is deleted before its alerts are sent",
        f"{CODE}services/delivery.py",
        "        if self._outbox.send():\n",
        "        self._ledger.delete_delivery(self.delivery)\n        if self._outbox.send():\n",
        _each("crash-before"),
    ),
    Mutation(
        "an alert that may have been sent is sent again",
        f"{CODE}alerts/targets.py",
        '            raise UncertainError(f"{target}: {error}") from error\n',
        '            raise RetryableError(f"{target}: {error}") from error\n',
        _each("lost"),
    ),
    Mutation(
        "an alert that its target may have taken is sent again",
        f"{CODE}alerts/targets.py",
        "return UncertainError(text) if aws_faults.is_uncertain(error)",
        "return RetryableError(text) if aws_faults.is_uncertain(error)",
        _test("tests/adapters/test_alerts_targets.py", "whether_to_send_again"),
    ),
    Mutation(
        "groups that late rows have undone are kept",
        f"{CODE}services/delivery.py",
        " <= item.start < end and item.group_id not in standing\n",
        " <= item.start < end and not item.group_id\n",
        _simulation("--only changed,deleted --seeds 0-11 --intervals 20"),
    ),
    Mutation(
        "committed intervals are marked again",
        f"{CODE}ledger/ledger.py",
        'self._table.update(interval_key(start), values, {"status": before})',
        "self._table.update(interval_key(start), values)",
        _test("tests/adapters/test_ledger_table.py", "not_marked_again"),
    ),
    Mutation(
        "a further attempt unloads to the place of the first",
        f"{CODE}lake/layout.py",
        'return name if attempt is None else f"{name}-{attempt}"',
        "return name",
        _test("tests/unit/test_services_statement.py", "another_attempt"),
    ),
    Mutation(
        "the lease of a crawl that waits is not renewed",
        f"{CODE}services/statement.py",
        "    if request.crawl is not None and not ledger.renew_crawl(request.crawl, now):\n",
        "    if request.crawl is not None and not ledger.is_crawling(request.crawl):\n",
        _test("tests/unit/test_services_statement.py", "keeps_its_lease"),
    ),
    Mutation(
        "a crawl that has nothing to do keeps the lease",
        f"{CODE}services/crawling.py",
        "    if not plan.due and held_by is None:\n        ledger.end_crawl(execution)\n",
        "",
        _test("tests/unit/test_services_pipeline.py", "without_work"),
    ),
    Mutation(
        "all but the oldest of the due intervals are skipped",
        f"{CODE}services/crawling.py",
        "        due_start=watermark,\n",
        "        due_start=grid.shift(end, -1),\n",
        _test("tests/unit/test_due_plans.py", "every_interval"),
    ),
    Mutation(
        "a crashed function is not tried again",
        "main.tf",
        '"Sandbox.Timedout", "States.Timeout"], MaxAttempts = 2',
        '"Sandbox.Timedout", "States.Timeout"], MaxAttempts = 0',
        _each("crash-before"),
    ),
)


def copied(folder: Path) -> Path:
    """The repository's files that tests need, in a folder."""
    for name in _COPIED:
        ignored = shutil.ignore_patterns("__pycache__", ".terraform", "*.zip")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in _FILES:
        shutil.copy(ROOT / name, folder / name)
    return folder


def apply(mutation: Mutation, folder: Path) -> None:
    """Make the change.

    Raises
    ------
    ValueError
        If the text to change is not there once.
    """
    path = folder / mutation.path
    text = path.read_text(encoding="utf-8")
    if text.count(mutation.old) != 1:
        raise ValueError(f"its text is in {mutation.path} {text.count(mutation.old)} times")
    path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")


def passes(mutation: Mutation, folder: Path) -> tuple[bool, str]:
    """Whether the mutation's test passes, and the last of what it says."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder / 'lambda_src'}{os.pathsep}{folder}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    try:
        done = subprocess.run(
            [sys.executable, *mutation.by.split()],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_LIMIT,
        )
    except subprocess.TimeoutExpired:
        return False, f"did not end within {_LIMIT} s"
    lines = (done.stdout + done.stderr).strip().splitlines()
    said = [line.strip() for line in lines if "FAILED" in line or "Error" in line] or lines
    return done.returncode == 0, said[0][:150] if said else ""


def main() -> int:
    """Exit status 1 if a mutation is not caught."""
    parser = argparse.ArgumentParser(prog="python -m scripts.mutations", description=__doc__)
    parser.add_argument("--only", help="parts of names, separated by commas")
    parser.add_argument("--list", action="store_true", help="name the mutations, and run nothing")
    parser.add_argument(
        "--check", action="store_true", help="run the tests without the changes as well"
    )
    chosen = parser.parse_args()
    parts = chosen.only.split(",") if chosen.only else [""]
    wanted = [one for one in MUTATIONS if any(part in one.name for part in parts)]
    survived = 0
    for one in wanted:
        if chosen.list:
            print(f"{one.name}: {one.path}; python {one.by}")
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as name:
            folder = copied(Path(name))
            if chosen.check and not passes(one, folder)[0]:
                print(f"FAILED    {one.name}: its test fails without the change: python {one.by}")
                survived += 1
                continue
            try:
                apply(one, folder)
            except ValueError as error:
                print(f"FAILED    {one.name}: {error}")
                survived += 1
                continue
            passed, said = passes(one, folder)
        survived += passed
        word = "SURVIVED" if passed else "caught  "
        print(f"{word}  {one.name} ({time.monotonic() - began:.0f} s, python {one.by}): {said}")
        sys.stdout.flush()
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
