"""`backtest --from-warehouse` against the stand-in: the files of a local file's rows, the caller's
rights and consent, and what is said when something fails.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from anomaly_detector.cli import main

from local.cloud import LocalCloud
from local.cloud.testing import REGION, Scene, allow, eventually
from tests.shown import Shown, commands, of_help
from tests.unit.cli_files import (
    DAYS,
    DOCUMENT,
    HEADER,
    MONDAY,
    backtest,
    scores,
    shop,
    write_csv,
)

END = (MONDAY + timedelta(days=DAYS)).isoformat()
QUERY = "select * from orders where ts >= {{ window_start }} and ts < {{ window_end }}"
OWNER = {"StringEquals": {"redshift-data:statement-owner-iam-userid": "${aws:userid}"}}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def of_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the same rows give as a file."""
    return backtest(DOCUMENT, write_csv(tmp_path_factory.mktemp("file") / "rows.csv", shop()))


@pytest.fixture(scope="module")
def workgroup(cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Serverless workgroup that holds the rows."""
    name = Scene(cloud).workgroup()
    columns = dict(zip(HEADER, map(list, zip(*shop(), strict=True)), strict=True))
    path = tmp_path_factory.mktemp("rows") / "orders.parquet"
    pq.write_table(pa.table(columns), path)
    cloud.load_table(name, "texts", path)
    cloud.execute(
        name,
        "create table orders as select cast(ts as timestamp) as ts, platform, market, "
        "cast(amount as decimal(12, 2)) as amount, latency from texts",
    )
    return name


@pytest.fixture
def run(
    cloud: LocalCloud,
    scene: Scene,
    workgroup: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """The command as a role that may do what --help says it needs, and nothing else."""
    found = cloud.client("redshift-serverless").get_workgroup(workgroupName=workgroup)
    arn = found["workgroup"]["workgroupArn"]
    role = scene.role(
        allow(["redshift-data:ExecuteStatement", "redshift-serverless:GetCredentials"], arn),
        allow(
            [
                f"redshift-data:{call}Statement{what}"
                for call, what in (("Describe", ""), ("Get", "Result"), ("Cancel", ""))
            ],
            Condition=OWNER,
        ),
    )
    user = f"IAMR:{role.rpartition('/')[2]}"
    cloud.execute(workgroup, f'create user "{user}" password disable')
    cloud.execute(workgroup, f'grant select on orders to "{user}"')
    session = cloud.role_credentials(role)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", session["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", session["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", session["SessionToken"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.endpoint)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", REGION)

    def command(*options: str, answers: str | None = None, **changed: Any) -> tuple[int, str, str]:
        document = DOCUMENT | {"query": QUERY, "history": {"length": f"P{DAYS}D", "chunk": "P10D"}}
        place = ["--workgroup-name", workgroup, "--database", "dev", "--to", END]
        path = tmp_path / "detector.json"
        path.write_text(json.dumps(document | changed), encoding="utf-8")
        stdin = io.StringIO(answers or "")
        stdin.isatty = lambda: answers is not None  # type: ignore[method-assign]
        monkeypatch.setattr("sys.stdin", stdin)
        out = ["--out", str(tmp_path / "out")]
        status = main(
            ["backtest", "--config", str(path), "--from-warehouse", *place, *out, *options]
        )
        said = capsys.readouterr()
        return status, said.out, said.err

    return command


def statements(cloud: LocalCloud, workgroup: str) -> list[dict[str, Any]]:
    """What the warehouse has been sent."""
    sent = cloud.admin("GET", "redshift/statements")
    return [each for each in sent if each["warehouse"] == workgroup]


def test_the_files_are_those_of_the_same_rows_in_a_file(
    run: Run, of_file: Path, tmp_path: Path
) -> None:
    status, out, err = run("--yes", offset_seconds=0)

    assert status == 0, err
    for name in ("groups.json", "preview.json", "training.json"):
        assert (tmp_path / "out" / name).read_text() == (of_file / name).read_text(), name
    own, other = (scores(each) for each in (tmp_path / "out", of_file))
    # A warehouse adds floating-point numbers in any order.
    assert own == [
        {
            key: pytest.approx(value) if isinstance(value, float) else value
            for key, value in row.items()
        }
        for row in other
    ]
    assert "840 intervals of PT1H" in out
    assert "Reading from workgroup" in err


@pytest.mark.parametrize(
    "shown",
    [each for each in [*commands(), *of_help()] if " --from-warehouse " in each.line],
    ids=lambda each: each.document,
)
@pytest.mark.usefixtures("run")
def test_the_commands_that_are_shown_run(
    shown: Shown, workgroup: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("query.sql").write_text(QUERY)
    Path("detector.json").write_text(
        json.dumps(DOCUMENT | {"query": QUERY, "history": {"length": f"P{DAYS}D"}})
    )
    own = {"analytics": workgroup, "prod": "dev"}

    words = [own.get(word, word) for word in shlex.split(shown.arguments or "")]

    assert main([*words, "--to", END, "--yes"]) == 0
    assert json.loads(Path("results/groups.json").read_text())["groups"]


def test_what_it_costs_is_said_and_asked_before_anything_runs(
    run: Run, cloud: LocalCloud, workgroup: str, tmp_path: Path
) -> None:
    before = len(statements(cloud, workgroup))

    status, _, err = run(answers="n\n")
    assert status == 2
    assert "two statements in workgroup" in err
    assert "which cost at least $0.10 at $3 an hour (budget.dollars_per_hour)" in err
    assert "Stopped before that, as you answered." in err
    status, _, err = run()
    assert status == 2
    assert "give --yes to run it without a question" in err
    assert len(statements(cloud, workgroup)) == before

    status, _, err = run(answers="y\n\n")
    assert status == 2
    assert len(statements(cloud, workgroup)) == before + 2
    told = re.search(r"read by (\d+) statements that return about ([\d,]+) rows", err)
    assert told
    assert int(told[1]) == 5
    assert 7_000 < int(told[2].replace(",", "")) < 9_000
    assert "which cost about $0.25" in err
    assert not list((tmp_path / "out").iterdir())

    status, _, _ = run(answers="y\nYES\n", budget={"dollars_per_hour": 6})
    assert status == 0
    assert len(statements(cloud, workgroup)) == before + 4 + 5


def test_a_query_that_does_not_fit_is_refused_by_the_checks(run: Run) -> None:
    status, _, err = run("--yes", dimensions=["platform", "country"])

    assert status == 2
    assert "Column 'country' (dimension) is not returned by the query" in err


def test_what_the_warehouse_says_is_said_with_advice(run: Run, tmp_path: Path) -> None:
    (tmp_path / "query.sql").write_text(QUERY.replace("orders", "nowhere"))

    status, _, err = run("--yes", "--query", str(tmp_path / "query.sql"))

    assert status == 2
    assert "The query check failed in workgroup" in err
    assert 'relation "nowhere" does not exist' in err


def test_a_fault_that_passes_is_waited_for(
    run: Run, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anomaly_detector.local_file.warehouse._PAUSES", (0.01,) * 4)
    monkeypatch.setattr("anomaly_detector.local_file.warehouse._CALLS", (0.01,) * 3)
    cloud.redshift_faults.fail(
        "row_count", error="ERROR: could not open relation with OID 12345", count=2
    )
    cloud.redshift_faults.lose_reply("ExecuteStatement", count=2)
    cloud.redshift_faults.throttle("GetStatementResult", count=2)

    status, _, err = run("--yes")

    assert status == 0, err


def test_a_statement_is_cancelled_when_the_caller_stops(
    run: Run, cloud: LocalCloud, workgroup: str
) -> None:
    cloud.redshift_faults.stall("row_count")

    def stop() -> None:
        eventually(
            lambda: any(
                each["status"] == "STARTED" and "row_count" in each["sql"]
                for each in statements(cloud, workgroup)
            )
        )
        os.kill(os.getpid(), signal.SIGINT)

    stopping = threading.Thread(target=stop)
    stopping.start()
    status, _, _ = run("--yes")
    stopping.join()

    assert status == 130
    states = [each["status"] for each in statements(cloud, workgroup)]
    assert states[-3:] == ["FINISHED", "FINISHED", "ABORTED"]


# --- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "changed", "said"),
    [
        (["--database", "dev"], {}, "Give --database, and --cluster-identifier or"),
        (["--cluster-identifier", "c"], {}, "Give --database, and --cluster-identifier or"),
        (["--cluster-identifier", "c", "--database", "dev"], {}, "There is no query: give --query"),
        (
            ["--workgroup-name", "own"],
            {"redshift": {"cluster_identifier": "c", "database": "dev", "db_user": "me"}},
            "There is no query",
        ),
        (
            ["--db-user", "me"],
            {"redshift": {"workgroup_name": "own", "database": "dev"}, "query": QUERY},
            "db_user must not be set with a workgroup",
        ),
        (["--infer"], {}, "Give --data with --infer"),
        (["--data", "rows.csv"], {}, "not allowed with argument"),
        (["--to", "yesterday"], {}, "'yesterday' is not a time such as"),
        (["--query", "none.sql", "--cluster-identifier", "c", "--database", "d"], {}, "none.sql"),
        (
            ["--cluster-identifier", "c", "--database", "d"],
            {"query": "select 1 where ts > getdate() - 1"},
            "query must contain both {{ window_start }} and {{ window_end }}",
        ),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(
    options: list[str],
    changed: dict[str, Any],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "detector.json"
    path.write_text(json.dumps(DOCUMENT | changed), encoding="utf-8")
    out = ["--out", str(tmp_path / "out")]

    try:
        status = main(["backtest", "--config", str(path), "--from-warehouse", *out, *options])
    except SystemExit as ended:
        status = int(str(ended.code))

    assert status == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_without_credentials_nothing_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    path = tmp_path / "detector.json"
    path.write_text(json.dumps(DOCUMENT | {"query": QUERY}), encoding="utf-8")
    place = ["--cluster-identifier", "c", "--database", "dev", "--region", "eu-west-1"]

    status = main(
        ["backtest", "--config", str(path), "--from-warehouse", *place, "--out", str(tmp_path)]
    )

    assert status == 2
    assert "Unable to locate credentials" in capsys.readouterr().err
