"""Landed files come back as one array, whatever the warehouse made of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from anomaly_detector.config import load
from anomaly_detector.errors import PermanentError
from anomaly_detector.lake.landed import Source, digests, read_landed
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from tests.unit.services_world import World, document

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
AXIS = [START + DAY * number for number in range(3)]
CONFIG = load(document(measures={"revenue": {}}))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield World([])


def rows(days: list[int], platforms: list[str | None], values: Any, **types: Any) -> pa.Table:
    starts = [(START + DAY * day).replace(tzinfo=None) for day in days]
    return pa.table(
        {
            "interval_start": pa.array(starts, types.get("time", pa.timestamp("us"))),
            "dimension_0": pa.array(platforms, pa.string()),
            "measure_0_value": pa.array(values, types.get("value", pa.float64())),
            "measure_0_count": pa.array([2] * len(days), pa.int64()),
            "row_count": pa.array([3] * len(days), pa.int64()),
        }
    )


def land(world: World, table: pa.Table, shard: int = 0, name: str = "one", **options: Any) -> str:
    key = f"live/{name}/shard={shard}/0000_part_00.parquet"
    world.put_parquet(key, table, **options)
    manifest = f"live/{name}/manifest"
    world.store.put_json(manifest, world.manifest({key: table.num_rows}))
    return manifest


def source(manifest: str | None, begin: datetime = START, days: int = 3) -> Source:
    return Source(manifest, begin, begin + DAY * days)


def test_values_stand_at_their_slice_and_interval(world: World) -> None:
    manifest = land(world, rows([0, 2, 2], ["web", "web", "*"], [1.0, 2.0, 3.0]))

    landed = read_landed(world.store, [source(manifest)], CONFIG, AXIS)

    assert landed.panel.slices.tolist() == [["*"], ["web"]]
    np.testing.assert_array_equal(
        landed.panel.values[:, 0].T, [[np.nan, np.nan, 3.0], [1.0, np.nan, 2.0]]
    )
    np.testing.assert_array_equal(landed.panel.counts[:, 0].T, [[0, 0, 2], [2, 0, 2]])
    assert landed.rows.tolist() == [3, 0, 3]  # roll-ups are not counted again


@pytest.mark.parametrize(
    ("types", "options", "values"),
    [
        ({"value": pa.decimal128(9, 2)}, {}, [Decimal("1.25")]),
        ({"time": pa.timestamp("ms")}, {}, [1.25]),
        ({"time": pa.timestamp("ns")}, {"use_deprecated_int96_timestamps": True}, [1.25]),
        ({"time": pa.timestamp("us", tz="UTC")}, {}, [1.25]),
        ({"value": pa.float32()}, {}, [1.25]),
    ],
    ids=["decimal", "int64 ms", "int96", "timestamptz", "real"],
)
def test_every_type_that_redshift_writes_is_read(
    world: World, types: dict[str, Any], options: dict[str, Any], values: list[Any]
) -> None:
    manifest = land(world, rows([1], ["web"], values, **types), **options)

    landed = read_landed(world.store, [source(manifest)], CONFIG, AXIS)

    assert landed.panel.values[:, 0, 0].tolist()[1] == 1.25


def test_trailing_blanks_and_nulls_of_a_dimension(world: World) -> None:
    manifest = land(world, rows([0, 1, 2], ["web   ", "web", None], [1.0, 2.0, 3.0]))

    landed = read_landed(world.store, [source(manifest)], CONFIG, AXIS)

    assert landed.panel.slices.tolist() == [["(null)"], ["web"]]
    assert landed.panel.values[:2, 0, 1].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("shards", [1, 4, 64])
def test_chunks_are_read_whole_however_many_shards_each_was_landed_in(
    world: World, shards: int
) -> None:
    # given one chunk of 2 shards and one of 5, both landed before `shards` was changed
    config = CONFIG.model_copy(update={"shards": shards})
    sources = []
    for chunk, (day, count) in enumerate([(0, 2), (1, 5)]):
        files = {}
        for shard in range(count):
            key = f"history/run=x/chunk={chunk}/shard={shard}/0000_part_00.parquet"
            world.put_parquet(key, rows([day], [f"p{shard}"], [float(shard)]))
            files[key] = 1
        world.store.put_json(f"history/run=x/chunk={chunk}/manifest", world.manifest(files))
        begin = START + DAY * day
        sources.append(source(f"history/run=x/chunk={chunk}/manifest", begin, 1))
    # when
    landed = read_landed(world.store, sources, config, AXIS)
    # then
    assert landed.panel.slices[:, 0].tolist() == [f"p{n}" for n in range(5)]
    assert landed.rows.tolist() == [2 * 3, 5 * 3, 0]


def test_a_null_value_is_missing(world: World) -> None:
    manifest = land(world, rows([0], ["web"], [None]))

    landed = read_landed(world.store, [source(manifest)], CONFIG, AXIS)

    assert np.isnan(landed.panel.values).all()


@pytest.mark.parametrize("how", ["no manifest", "no entries", "a file without rows"])
def test_empty_results(world: World, how: str) -> None:
    manifest: str | None = None
    if how == "no entries":
        manifest = "live/none/manifest"
        world.store.put_json(manifest, {"entries": []})
    elif how == "a file without rows":
        manifest = land(world, rows([], [], []))

    landed = read_landed(world.store, [source(manifest)], CONFIG, AXIS)

    assert landed.panel.values.shape == (3, 1, 0)
    assert landed.rows.tolist() == [0, 0, 0]


def test_only_what_the_manifest_lists_is_read(world: World) -> None:
    manifest = land(world, rows([0], ["web"], [1.0]))
    world.put_parquet("live/one/shard=0/0001_part_00.parquet", rows([1], ["web"], [9.0]))

    landed = read_landed(world.store, [source(manifest)], CONFIG, AXIS)

    assert np.nansum(landed.panel.values) == 1.0


def test_where_two_chunks_overlap_the_later_one_counts(world: World) -> None:
    early = land(world, rows([0, 1], ["web", "web"], [1.0, 2.0]), name="early")
    late = land(world, rows([1, 2], ["web", "web"], [5.0, 6.0]), name="late")

    landed = read_landed(
        world.store, [source(early, days=2), source(late, START + DAY, 2)], CONFIG, AXIS
    )

    assert landed.panel.values[:, 0, 0].tolist() == [1.0, 5.0, 6.0]


FILE = "s3://shop-bucket/live/one/shard=0/0000_part_00.parquet"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("off the grid", f"{FILE} contains an interval_start that is not on the interval grid"),
        ("no column", f"{FILE} lacks the column 'measure_0_count'"),
        ("another bucket", "lists s3://else/x.parquet, which is not in the bucket shop-bucket"),
        ("no file", f"{FILE} does not exist"),
        ("no manifest", "s3://shop-bucket/live/one/manifest does not exist"),
        ("no entries", "s3://shop-bucket/live/one/manifest is not a manifest of UNLOAD"),
        ("no listed file", "s3://shop-bucket/live/one/manifest lists no file, but 2 rows"),
        ("a file twice", f"s3://shop-bucket/live/one/manifest lists {FILE} twice"),
        ("another total", "lists files of 2 rows, but 3 rows in total"),
        ("another count", f"{FILE} has 2 rows, but its manifest says 5"),
        (
            "a slice twice",
            f"{FILE} contains a second row of a slice in the interval of 2026-01-05T",
        ),
        ("empty", f"{FILE} cannot be read: it is empty, incomplete or damaged"),
        ("cut", f"{FILE} cannot be read: it is empty, incomplete or damaged"),
        ("damaged", f"{FILE} cannot be read: it is empty, incomplete or damaged"),
        ("another type", f"{FILE} cannot be read: it is empty, incomplete or damaged"),
    ],
)
def test_faults_are_one_sentence_that_names_the_file(
    world: World, fault: str, message: str
) -> None:
    # given
    store, key = world.store, FILE.removeprefix("s3://shop-bucket/")
    table = rows([0, 1], ["web", "web"], [1.0, 2.0])
    if fault == "off the grid":
        moved = [datetime(2026, 1, 5, 1), datetime(2026, 1, 6)]  # noqa: DTZ001
        table = table.set_column(0, "interval_start", pa.array(moved, pa.timestamp("us")))
    elif fault == "no column":
        table = table.drop_columns(["measure_0_count"])
    elif fault == "a slice twice":
        table = rows([0, 0], ["web", "web "], [1.0, 2.0])
    elif fault == "another type":
        table = table.set_column(2, "measure_0_value", pa.array(["jane@example.com", "1"]))
    manifest = land(world, table)
    body, entry = store.get(key), world.manifest({key: 2})["entries"][0]
    if fault in ("no file", "no manifest"):
        store.delete([key if fault == "no file" else manifest])
    bodies = {"empty": b"", "cut": body[: len(body) // 2], "damaged": body[:20] + bytes(40)}
    bodies["damaged"] += body[len(bodies["damaged"]) :]
    if fault in bodies:
        store.put(key, bodies[fault])
    manifests: dict[str, Any] = {
        "another bucket": {"entries": [{"url": "s3://else/x.parquet"}]},
        "no entries": {"meta": {"record_count": 0}},
        "no listed file": {"entries": [], "meta": {"record_count": 2}},
        "a file twice": {"entries": [entry, entry]},
        "another total": {"entries": [entry], "meta": {"record_count": 3}},
        "another count": world.manifest({key: 5}),
    }
    if fault in manifests:
        store.put_json(manifest, manifests[fault])
    # when
    with pytest.raises(PermanentError) as caught:
        _ = read_landed(store, [source(manifest)], CONFIG, AXIS).panel
    # then
    told = str(caught.value)
    assert message in told
    assert (told.count(". "), told[-1]) == (0, ".")
    assert "jane" not in told


def test_the_file_of_a_slice_that_comes_twice_is_named(world: World) -> None:
    # given three files, the last of which repeats a row of the first
    tables = [rows([0], ["a"], [1.0]), rows([1], ["a"], [2.0]), rows([2, 0], ["a", "a"], [3, 4])]
    keys = {f"history/run=x/chunk=1/{n}.parquet": one.num_rows for n, one in enumerate(tables)}
    for key, one in zip(keys, tables, strict=True):
        world.put_parquet(key, one)
    world.store.put_json("history/run=x/chunk=1/manifest", world.manifest(keys))
    landed = read_landed(world.store, [source("history/run=x/chunk=1/manifest")], CONFIG, AXIS)
    # when
    said = r"/2\.parquet contains a second row .* start the pipeline again"
    with pytest.raises(PermanentError, match=said):
        list(landed.panels(2))


def test_digests_tell_a_changed_value_and_nothing_else(world: World) -> None:
    first = land(world, rows([0, 1], ["web", "app"], [1.0, 2.0]), name="first")
    turned = land(world, rows([1, 0], ["app", "web"], [2.0 + 1e-12, 1.0]), name="turned")
    other = land(world, rows([0, 1], ["web", "app"], [1.0, 2.5]), name="other")

    found = [
        digests(read_landed(world.store, [source(key)], CONFIG, AXIS).panel)
        for key in (first, turned, other)
    ]

    assert found[0] == found[1]
    assert found[0][0] == found[2][0]
    assert found[0][1] != found[2][1]


def test_norms_of_sums_are_read_and_unknown_in_files_of_earlier_versions(world: World) -> None:
    # given a file without and one with them, of a sum and a number
    config = load(document(measures={"views": {"aggregation": "COUNT"}, "revenue": {}}))

    def table(days: list[int]) -> pa.Table:
        one = rows(days, ["web"] * len(days), [3.0] * len(days))
        other = pa.array([7.0] * len(days), pa.float64())
        number = pa.array([2] * len(days), pa.int64())
        return one.append_column("measure_1_value", other).append_column("measure_1_count", number)

    early = land(world, table([0, 1]), name="early")
    norm = pa.array([5.0, None], pa.float64())
    late = land(world, table([1, 2]).append_column("measure_1_norm", norm), name="late")
    sources = [source(early, days=2), source(late, START + DAY, 2)]
    # when they are read
    whole = read_landed(world.store, sources, config, AXIS)
    part = read_landed(world.store, sources, config, AXIS, ["views"])
    # then
    found = [panel.norms for panel in whole.panels(1)]
    np.testing.assert_array_equal(
        np.concatenate([one for one in found if one is not None])[:, :, 0],
        np.array([[np.nan, np.nan], [np.nan, 5.0], [np.nan, np.nan]], dtype=np.float32),
    )
    assert part.panel.norms is None


def test_a_part_is_read_without_the_others(world: World) -> None:
    # given an interval of which the part's own measure has nothing, and one without any value
    config = load(document(measures={"revenue": {}, "views": {}}))
    table = rows([0, 1, 2], ["web", "web", "web"], [1.0, None, None])
    views = pa.array([None, 5.0, None], pa.float64())
    table = table.append_column("measure_1_value", views).append_column(
        "measure_1_count", pa.array([0, 2, 0], pa.int64())
    )
    manifest = land(world, table)
    # when
    part = read_landed(world.store, [source(manifest)], config, AXIS, ["revenue"])
    whole = read_landed(world.store, [source(manifest)], config, AXIS)
    # then
    assert part.measures == ("revenue",)
    np.testing.assert_array_equal(part.panel.values, whole.panel.values[:, :1])
    np.testing.assert_array_equal(part.panel.counts, whole.panel.counts[:, :1])
    assert part.rows.tolist() == whole.rows.tolist() == [3, 3, 3]


@given(
    seed=st.integers(0, 10**6),
    size=st.integers(1, 40),
    days=st.integers(1, 9),
    files=st.integers(1, 4),
    group=st.integers(1, 7),
    dimensions=st.integers(0, 4),
)
@settings(max_examples=12, deadline=None)
def test_files_of_any_cut_come_back_as_what_was_written(
    seed: int, size: int, days: int, files: int, group: int, dimensions: int
) -> None:
    # given rows of random slices and intervals, spread over files and row groups
    random = np.random.default_rng(seed)
    names = [f"d{place}" for place in range(dimensions)]
    config = load(document(measures={"revenue": {}, "views": {}}, dimensions=names))
    axis = [START + DAY * number for number in range(days)]
    wanted: dict[tuple[int, tuple[str, ...]], tuple[float, float]] = {}
    for _ in range(size):
        key = tuple(str(random.choice(["*", "a", "b", "é", "Z"])) for _ in names)
        wanted[int(random.integers(days)), key] = (random.random(), random.random())
    every = list(wanted)
    random.shuffle(every)
    with mock_aws():
        world = World([])
        entries = {}
        for number, some in enumerate(np.array_split(np.arange(len(every)), files)):
            part = [every[place] for place in some]
            when = [(START + DAY * day).replace(tzinfo=None) for day, _ in part]
            columns: dict[str, Any] = {"interval_start": pa.array(when, pa.timestamp("us"))}
            for place in range(dimensions):
                texts = [slice_[place] for _, slice_ in part]
                columns[f"dimension_{place}"] = pa.array(texts, pa.string())
            for place in range(2):
                values = [wanted[one][place] for one in part]
                columns[f"measure_{place}_value"] = pa.array(values, pa.float64())
                columns[f"measure_{place}_count"] = pa.array([1] * len(part), pa.int64())
            columns["row_count"] = pa.array([1] * len(part), pa.int64())
            key_of_file = f"live/x/shard=0/{number}.parquet"
            world.put_parquet(key_of_file, pa.table(columns), row_group_size=group)
            entries[key_of_file] = len(part)
        world.store.put_json("live/x/manifest", world.manifest(entries))
        # when
        landed = read_landed(world.store, [source("live/x/manifest", START, days)], config, axis)
    # then
    slices = [tuple(one) for one in landed.panel.slices.tolist()]
    assert slices == sorted({key for _, key in every})
    for length in (1, 2, days):
        panels = list(landed.panels(length))
        joined = np.concatenate([panel.values for panel in panels])
        assert [len(panel.starts) for panel in panels[:-1]] == [length] * (len(panels) - 1)
        assert np.isfinite(joined).sum() == 2 * len(wanted)
        for (day, key), pair in wanted.items():
            assert tuple(joined[day, :, slices.index(key)]) == pair
