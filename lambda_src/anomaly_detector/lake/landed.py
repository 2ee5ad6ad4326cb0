"""Reads what UNLOAD landed: exactly the files that the manifests list, as one array."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from anomaly_detector.capacity import Size
from anomaly_detector.config import ROLLED_UP, Config
from anomaly_detector.errors import PermanentError
from anomaly_detector.lake import parquet
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.panel import Panel, second

_NULL = "(null)"


@dataclass(frozen=True)
class Source:
    """A landed window `[begin, end)` (UTC, on the grid); without a manifest it held no rows."""

    manifest: str | None
    begin: datetime
    end: datetime


@dataclass(frozen=True)
class Landed:
    """Landed rows.

    Attributes
    ----------
    rows : (T,) int64, rows of the user's query behind each interval (of the leaves; roll-ups hold
        them again).
    """

    panel: Panel
    rows: NDArray[np.int64]


class _Meta(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    record_count: int = 0


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    url: str
    meta: _Meta = _Meta()


class Manifest(BaseModel):
    """What MANIFEST VERBOSE writes, as far as it is read."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    entries: tuple[_Entry, ...] = ()
    meta: _Meta | None = None

    @property
    def rows(self) -> int:
        """Aggregated rows in all files."""
        if self.meta is not None:
            return self.meta.record_count
        return sum(entry.meta.record_count for entry in self.entries)


def read_manifest(store: ObjectStore, key: str) -> Manifest:
    """Read a manifest.

    Raises
    ------
    PermanentError
        Where it does not exist or is none.
    """
    try:
        return Manifest.model_validate_json(store.get(key))
    except ValidationError:
        raise PermanentError(f"s3://{store.bucket}/{key} is not a manifest of UNLOAD.") from None


def read_panel(
    store: ObjectStore,
    sources: Sequence[Source],
    config: Config,
    starts: Sequence[datetime],
    admit: Callable[[Size], None] = lambda _: None,
) -> Landed:
    """The landed values over consecutive intervals, of all shards.

    Parameters
    ----------
    sources : where two hold an interval, the later in this sequence is taken.
    starts : starts of all T intervals, UTC, ascending. Rows of other intervals are left out.
    admit : is told how much there is, before arrays of slices and intervals are made of it.

    Returns
    -------
    Panel with slices in ascending order; it has none where nothing landed.

    Raises
    ------
    PermanentError
        Where a file that is listed does not exist, lies in another bucket, lacks a column, or
        holds a time off the grid.
    """
    axis = np.array([second(start) for start in starts], dtype="datetime64[s]")
    owner = np.full(len(axis), -1, dtype=np.int64)
    for index, source in enumerate(sources):
        owner[(axis >= second(source.begin)) & (axis < second(source.end))] = index
    files: list[tuple[int, str]] = []
    for index, source in enumerate(sources):
        if source.manifest is not None and np.any(owner == index):
            manifest = read_manifest(store, source.manifest)
            keys = [_key_of(store, entry.url) for entry in manifest.entries]
            files.extend((index, key) for key in keys)
    tables = store.read_all([key for _, key in files], parquet.read)
    pieces: list[pa.Table] = []
    times: list[NDArray[np.int64]] = []
    for (index, key), table in zip(files, tables, strict=True):
        if table.num_rows:
            when = _when(table, axis, key)
            kept = (when >= 0) & (owner[when] == index)
            pieces.append(_columns(table, config, key).filter(pa.array(kept)))
            times.append(when[kept])
    if not pieces:
        return _empty(config, axis)
    return _panel(pa.concat_tables(pieces), np.concatenate(times), config, axis, admit)


def digests(panel: Panel) -> list[str]:
    """A digest of the landed values of each interval; equal rows give equal digests, in
    whichever order they came.

    Values are taken in single precision: parallel sums of the same rows differ in their last
    digits.
    """
    values = panel.values.astype(np.float32) + np.float32(0)  # -0.0 is 0.0
    values[np.isnan(panel.values)] = np.nan  # one kind of NaN
    counts = panel.counts.astype(np.int64)
    landed = (counts > 0) | ~np.isnan(panel.values)
    found = []
    for t in range(len(panel.starts)):
        present = np.flatnonzero(landed[t].any(axis=0))
        digest = hashlib.sha256()
        digest.update("\x1e".join("\x1f".join(panel.slices[k]) for k in present).encode())
        digest.update(np.ascontiguousarray(values[t][:, present].T).tobytes())
        digest.update(np.ascontiguousarray(counts[t][:, present].T).tobytes())
        found.append(digest.hexdigest()[:16])
    return found


def _panel(
    table: pa.Table,
    when: NDArray[np.int64],
    config: Config,
    axis: NDArray[np.datetime64],
    admit: Callable[[Size], None],
) -> Landed:
    slices, which = _slices(table, len(config.dimensions))
    text = sum(len(value.encode()) for value in slices.reshape(-1).tolist()) / len(slices)
    admit(Size(len(slices), len(axis), len(when), text))
    shape = (len(axis), len(config.measures), len(slices))
    values = np.full(shape, np.nan)
    counts = np.zeros(shape)
    for place in range(len(config.measures)):
        values[when, place, which] = _numbers(table[f"measure_{place}_value"], np.nan)
        counts[when, place, which] = _numbers(table[f"measure_{place}_count"], 0.0)
    leaf = np.all(slices != ROLLED_UP, axis=1)
    weights = np.where(leaf[which], _numbers(table["row_count"], 0.0), 0.0)
    rows = np.bincount(when, weights=weights, minlength=len(axis)).astype(np.int64)
    panel = Panel(axis, config.dimensions, slices, tuple(config.measures), values, counts)
    return Landed(panel, rows)


def _empty(config: Config, axis: NDArray[np.datetime64]) -> Landed:
    shape = (len(axis), len(config.measures), 0)
    slices = np.empty((0, len(config.dimensions)), dtype=object)
    measures = tuple(config.measures)
    panel = Panel(axis, config.dimensions, slices, measures, np.zeros(shape), np.zeros(shape))
    return Landed(panel, np.zeros(len(axis), dtype=np.int64))


def _when(table: pa.Table, axis: NDArray[np.datetime64], key: str) -> NDArray[np.int64]:
    """Place of each row's interval on the axis, -1 outside it."""
    column = table["interval_start"]
    zone = getattr(column.type, "tz", None)
    times = column.cast(pa.timestamp("us", tz=zone)).cast(pa.int64())
    if times.null_count:
        raise PermanentError(f"{key} holds a row without interval_start.")
    seconds = np.asarray(times.to_numpy()) // 1_000_000
    known = axis.astype(np.int64)
    place = np.minimum(np.searchsorted(known, seconds), len(known) - 1)
    matches = known[place] == seconds
    within = (seconds >= known[0]) & (seconds <= known[-1])
    if np.any(within & ~matches):
        raise PermanentError(f"{key} holds an interval_start that is not on the interval grid.")
    return np.where(matches, place, -1)


def _columns(table: pa.Table, config: Config, key: str) -> pa.Table:
    """The columns that are read, in one type each: parts of an UNLOAD may differ in theirs."""
    texts = [f"dimension_{place}" for place in range(len(config.dimensions))]
    numbers = ["row_count"]
    for place in range(len(config.measures)):
        numbers += [f"measure_{place}_value", f"measure_{place}_count"]
    lacking = sorted({*texts, *numbers} - set(table.column_names))
    if lacking:
        raise PermanentError(f"{key} lacks the column '{lacking[0]}'.")
    columns = {name: table[name].cast(pa.string()) for name in texts}
    columns |= {name: table[name].cast(pa.float64()) for name in numbers}
    return pa.table(columns)


def _slices(table: pa.Table, dimensions: int) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """The (K, D) distinct slices, ascending, and the slice of each row."""
    key = np.zeros(table.num_rows, dtype=np.int64)
    codes: list[NDArray[np.int64]] = []
    names: list[NDArray[np.object_]] = []
    for place in range(dimensions):
        # CHAR is padded with blanks; the warehouse compares without them. utf8_rtrim would need an
        # Arrow that is built with utf8proc, which a managed layer may lack.
        text = pc.ascii_rtrim(pc.fill_null(table[f"dimension_{place}"], _NULL), characters=" ")
        encoded = text.combine_chunks().dictionary_encode()
        values = np.array(encoded.dictionary.to_pylist(), dtype=object)
        order = np.argsort(values, kind="stable")
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        code = rank[np.asarray(encoded.indices.to_numpy())]
        names.append(values[order])
        codes.append(code)
        # Made dense after every dimension, so that the product of their sizes cannot overflow.
        _, key = np.unique(key * len(values) + code, return_inverse=True)
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    slices = np.empty((len(first), dimensions), dtype=object)
    for place in range(dimensions):
        slices[:, place] = names[place][codes[place][first]]
    return slices, which


def _numbers(column: pa.ChunkedArray, missing: float) -> NDArray[np.float64]:
    return np.asarray(pc.fill_null(column, missing).to_numpy(), dtype=np.float64)


def _key_of(store: ObjectStore, url: str) -> str:
    place = f"s3://{store.bucket}/"
    if not url.startswith(place):
        raise PermanentError(
            f"The manifest lists {url}, which is not in the bucket {store.bucket}."
        )
    return url.removeprefix(place)
