"""Reads landed files, exactly those that the manifests of UNLOAD list.

Files are read one after the other by row group, and only the requested columns and intervals are
kept. Memory therefore does not depend on the amount of landed data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from anomaly_detector.config import ROLLED_UP, Config
from anomaly_detector.errors import PermanentError
from anomaly_detector.lake import layout
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.panel import Panel, second

_NULL = "(null)"
# Up to this number of slices a lookup table is used, which is faster than sorting the rows.
_LOOKED_UP = 2**24


@dataclass(frozen=True)
class Source:
    """A landed window `[begin, end)` (UTC, on the grid).

    Attributes
    ----------
    manifest : its key, None if the window has no rows.
    rows, intervals : their numbers.
    """

    manifest: str | None
    begin: datetime
    end: datetime
    rows: int = 0
    intervals: int = 1


@dataclass(frozen=True)
class Landed:
    """N landed rows of T consecutive intervals, K slices and M measures.

    Attributes
    ----------
    starts : (T,) datetime64[s], UTC, ascending.
    slices : (K, D) object array of str, ascending; slices with at least one row.
    when, which : (N,) int32, interval and slice of each row.
    values : M arrays (N,) float64, NaN if missing.
    counts : M arrays (N,) float64, number of non-null values aggregated.
    norms : as in `Panel`: by measure, (N,) float32, NaN in files that do not have them.
    rows : (T,) int64, rows of the query in each interval, counted in the leaves.
    files, ends : the files that the rows come from, and the number of rows up to the end of each.
    """

    starts: NDArray[np.datetime64]
    dimensions: tuple[str, ...]
    slices: NDArray[np.object_]
    measures: tuple[str, ...]
    when: NDArray[np.int32]
    which: NDArray[np.int32]
    values: tuple[NDArray[np.float64], ...]
    counts: tuple[NDArray[np.float64], ...]
    norms: dict[int, NDArray[np.float32]]
    rows: NDArray[np.int64]
    files: tuple[str, ...]
    ends: NDArray[np.int64]

    @property
    def panel(self) -> Panel:
        """A panel of all intervals."""
        (whole,) = self.panels(len(self.starts))
        return whole

    def panels(self, intervals: int) -> Iterator[Panel]:
        """Consecutive panels of this number of intervals each; the last may be shorter.

        Raises
        ------
        PermanentError
            If a slice has two rows in one interval.
        """
        size = len(self.starts)
        if intervals >= size:
            yield self._panel(0, size, slice(None))
            return
        order = np.argsort(self.when, kind="stable")
        edges = np.searchsorted(self.when[order], np.arange(0, size + intervals, intervals))
        for number, low in enumerate(range(0, size, intervals)):
            rows = order[edges[number] : edges[number + 1]]
            yield self._panel(low, min(low + intervals, size), rows)

    def _panel(self, low: int, high: int, rows: NDArray[np.int64] | slice) -> Panel:
        shape = (high - low, len(self.measures), len(self.slices))
        values, counts = np.full(shape, np.nan), np.zeros(shape)
        when, which = self.when[rows] - low, self.which[rows]
        self._refuse_second_rows(rows, when.astype(np.int64) * shape[2] + which)
        for place in range(len(self.measures)):
            values[when, place, which] = self.values[place][rows]
            counts[when, place, which] = self.counts[place][rows]
        norms = np.full(shape, np.nan, dtype=np.float32) if self.norms else None
        for place, norm in self.norms.items():
            assert norms is not None
            norms[when, place, which] = norm[rows]
        return Panel(
            self.starts[low:high],
            self.dimensions,
            self.slices,
            self.measures,
            values,
            counts,
            norms,
        )

    def _refuse_second_rows(
        self, rows: NDArray[np.int64] | slice, cells: NDArray[np.int64]
    ) -> None:
        seen = np.zeros(int(cells.max(initial=-1)) + 1, dtype=np.bool_)
        seen[cells] = True
        if np.count_nonzero(seen) == len(cells):
            return
        order = np.argsort(cells, kind="stable")
        again = order[1:][np.diff(cells[order]) == 0].min()
        row = int(np.arange(len(self.when))[rows][again])
        file = self.files[int(np.searchsorted(self.ends, row, side="right"))]
        start = np.datetime_as_string(self.starts[self.when[row]])
        raise PermanentError(
            f"{file} contains a second row of a slice in the interval of {start}Z; "
            f"{_unload_again(file)}."
        )


class _Meta(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    record_count: int | None = None
    content_length: int = 0


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    url: str
    meta: _Meta = _Meta()


class Manifest(BaseModel):
    """The used part of a manifest of UNLOAD (MANIFEST VERBOSE)."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    entries: tuple[_Entry, ...]
    meta: _Meta | None = None

    @property
    def rows(self) -> int:
        """Number of aggregated rows in all files."""
        if self.meta is not None and self.meta.record_count is not None:
            return self.meta.record_count
        return sum(entry.meta.record_count or 0 for entry in self.entries)

    def fault(self) -> str | None:
        """What contradicts itself in the manifest, or None."""
        urls = [entry.url for entry in self.entries]
        doubled = next((url for url in urls if urls.count(url) > 1), None)
        if doubled is not None:
            return f"lists {doubled} twice"
        if not urls and self.rows:
            return f"lists no file, but {self.rows} rows"
        counted = [entry.meta.record_count for entry in self.entries]
        total = sum(count or 0 for count in counted)
        if None not in counted and total != self.rows:
            return f"lists files of {total} rows, but {self.rows} rows in total"
        return None

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(entry.meta.content_length for entry in self.entries)


def read_manifest(store: ObjectStore, key: str) -> Manifest:
    """Read a manifest.

    Raises
    ------
    PermanentError
        If it does not exist, is invalid or contradicts itself.
    """
    place = f"s3://{store.bucket}/{key}"
    try:
        manifest = Manifest.model_validate_json(store.get(key))
    except ValidationError:
        raise PermanentError(
            f"{place} is not a manifest of UNLOAD; {_unload_again(key)}."
        ) from None
    fault = manifest.fault()
    if fault is not None:
        raise PermanentError(f"The manifest {place} {fault}; {_unload_again(key)}.")
    return manifest


def read_landed(
    store: ObjectStore,
    sources: Sequence[Source],
    config: Config,
    starts: Sequence[datetime],
    measures: Sequence[str] | None = None,
) -> Landed:
    """The landed rows of consecutive intervals, from all shards.

    Parameters
    ----------
    sources : if several contain an interval, the last of them is used.
    starts : starts of all T intervals, UTC, ascending. Rows of other intervals are ignored.
    measures : measures to read; None for all.

    Raises
    ------
    PermanentError
        Names the file that does not exist, is in another bucket, cannot be read, has another number
        of rows than the manifest says, lacks a column, or contains a time that is not on the grid.
    """
    axis = np.array([second(start) for start in starts], dtype="datetime64[s]")
    owner = owners_of(sources, axis)
    files: list[tuple[int, str, int | None]] = []
    for index, source in enumerate(sources):
        if source.manifest is not None and np.any(owner == index):
            manifest = read_manifest(store, source.manifest)
            files.extend(
                (index, _key_of(store, entry.url), entry.meta.record_count)
                for entry in manifest.entries
            )
    found = _Rows(config, axis, tuple(config.measures if measures is None else measures))
    bodies = store.bodies([key for _, key, _ in files])
    for (index, key, rows), body in zip(files, bodies, strict=True):
        found.add(f"s3://{store.bucket}/{key}", body, rows, owner == index)
    return found.landed()


def owners_of(sources: Sequence[Source], axis: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """(T,) index of the source of each interval, -1 if there is none."""
    owners = np.full(len(axis), -1, dtype=np.int64)
    for number, source in enumerate(sources):
        owners[(axis >= second(source.begin)) & (axis < second(source.end))] = number
    return owners


def digests(panel: Panel) -> list[str]:
    """A digest of the landed values of each interval, independent of the order of rows.

    Values are rounded to single precision, as parallel sums of the same rows differ in the last
    digits.
    """
    names = ["\x1f".join(names) for names in panel.slices.tolist()]
    found = []
    for t in range(len(panel.starts)):
        values = panel.values[t].astype(np.float32) + np.float32(0)  # -0.0 is 0.0
        values[np.isnan(values)] = np.nan  # one kind of NaN
        counts = panel.counts[t].astype(np.int64)
        present = np.flatnonzero(((counts > 0) | ~np.isnan(values)).any(axis=0))
        digest = hashlib.sha256()
        digest.update("\x1e".join(names[k] for k in present.tolist()).encode())
        digest.update(np.ascontiguousarray(values[:, present].T).tobytes())
        digest.update(np.ascontiguousarray(counts[:, present].T).tobytes())
        found.append(digest.hexdigest()[:16])
    return found


class _Rows:
    """Collects the rows of files.

    Dimension values are numbered in order of appearance; rows are stored as numbers.
    """

    def __init__(
        self, config: Config, axis: NDArray[np.datetime64], measures: tuple[str, ...]
    ) -> None:
        self._config, self._axis, self._measures = config, axis, measures
        self._names: list[dict[str, int]] = [{} for _ in config.dimensions]
        own = [list(config.measures).index(name) for name in measures]
        self._texts = [f"dimension_{place}" for place in range(len(config.dimensions))]
        self._values = [f"measure_{place}_value" for place in own]
        self._counts = [f"measure_{place}_count" for place in own]
        normed = {n: f"measure_{at}_norm" for n, at in enumerate(own)}
        rules = config.measures
        self._norms = {n: name for n, name in normed.items() if rules[measures[n]].normed}
        self._kept: dict[str, list[NDArray[np.floating]]] = {
            name: [] for name in (*self._values, *self._counts, *self._norms.values())
        }
        self._when: list[NDArray[np.int32]] = []
        self._codes: list[list[NDArray[np.int32]]] = [[] for _ in config.dimensions]
        self._weights = np.zeros(len(axis))
        self._files: list[str] = []
        self._ends: list[int] = []
        self._size = 0

    def add(self, file: str, body: bytes, rows: int | None, wanted: NDArray[np.bool_]) -> None:
        """Add the rows of the `wanted` (T,) intervals of a file, which has `rows` rows in all."""
        try:
            self._add(file, body, rows, wanted)
        except MemoryError:
            raise
        # Arrow raises OSError for files that are damaged, and its own errors for others.
        except (pa.ArrowException, OSError) as error:
            # Arrow's texts quote values, so only the function's log may have them.
            raise PermanentError(
                f"{file} cannot be read: it is empty, incomplete or damaged, or a column has "
                f"another type than UNLOAD writes; {_unload_again(file)}."
            ) from error
        self._files.append(file)
        self._ends.append(self._size)

    def _add(self, file: str, body: bytes, rows: int | None, wanted: NDArray[np.bool_]) -> None:
        # INT96 timestamps are read as microseconds, as nanoseconds end in 2262.
        parquet = pq.ParquetFile(
            pa.BufferReader(body), read_dictionary=self._texts, coerce_int96_timestamp_unit="us"
        )
        found = parquet.metadata.num_rows
        if rows is not None and found != rows:
            raise PermanentError(
                f"{file} has {found} rows, but its manifest says {rows}; {_unload_again(file)}."
            )
        columns = ["interval_start", *self._texts, *self._values, *self._counts, "row_count"]
        given = set(parquet.schema_arrow.names)
        lacking = sorted(set(columns) - given)
        if lacking:
            raise PermanentError(f"{file} lacks the column '{lacking[0]}'; {_unload_again(file)}.")
        # Files of earlier versions have no norms.
        columns += [name for name in self._norms.values() if name in given]
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group, columns, use_threads=False)
            if not table.num_rows:
                continue
            when = _when(table, self._axis, file)
            kept = (when >= 0) & wanted[when]
            if not kept.any():
                continue
            some: NDArray[np.bool_] | slice = slice(None) if kept.all() else kept
            self._take(table, some, when[some])

    def _take(
        self, table: pa.Table, rows: NDArray[np.bool_] | slice, when: NDArray[np.int32]
    ) -> None:
        """Store the rows."""
        self._size += len(when)
        leaf = np.ones(len(when), dtype=np.bool_)
        for place, name in enumerate(self._texts):
            codes = self._numbered(place, table[name])[rows]
            leaf &= codes != self._names[place].get(ROLLED_UP, -1)
            self._codes[place].append(codes)
        weights = np.where(leaf, _numbers(table["row_count"], 0.0)[rows], 0.0)
        self._weights += np.bincount(when, weights=weights, minlength=len(self._axis))
        self._when.append(when)
        for name in self._values:
            self._kept[name].append(_numbers(table[name], np.nan)[rows])
        for name in self._counts:
            self._kept[name].append(_numbers(table[name], 0.0)[rows])
        for name in self._norms.values():
            if name in table.column_names:
                norm = _numbers(table[name], np.nan)[rows].astype(np.float32)
            else:
                norm = np.full(len(when), np.nan, dtype=np.float32)
            self._kept[name].append(norm)

    def _numbered(self, place: int, column: pa.ChunkedArray) -> NDArray[np.int32]:
        """The number of each row's value."""
        names, parts = self._names[place], []
        for chunk in column.chunks:
            if not pa.types.is_dictionary(chunk.type):
                chunk = chunk.cast(pa.string()).dictionary_encode()
            # CHAR is padded with blanks; the warehouse compares without them.
            texts = [
                _NULL if one is None else one.rstrip(" ") for one in chunk.dictionary.to_pylist()
            ]
            known = np.array(
                [names.setdefault(one, len(names)) for one in (*texts, _NULL)]
                if chunk.null_count
                else [names.setdefault(one, len(names)) for one in texts],
                dtype=np.int32,
            )
            indices = chunk.indices
            if chunk.null_count:
                indices = indices.fill_null(len(texts))
            parts.append(known[np.asarray(indices.to_numpy())])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def landed(self) -> Landed:
        """All stored rows."""
        if not self._when:
            self._when.append(np.zeros(0, dtype=np.int32))
        when = np.concatenate(self._when)
        slices, which = self._slices(len(when))
        measures = [self._joined(name) for name in (*self._values, *self._counts)]
        norms = {place: self._joined(name) for place, name in self._norms.items()}
        size = len(self._measures)
        return Landed(
            starts=self._axis,
            dimensions=self._config.dimensions,
            slices=slices,
            measures=self._measures,
            when=when,
            which=which,
            values=tuple(measures[:size]),
            counts=tuple(measures[size:]),
            norms={n: norm.astype(np.float32) for n, norm in norms.items()},
            rows=self._weights.astype(np.int64),
            files=tuple(self._files),
            ends=np.array(self._ends, dtype=np.int64),
        )

    def _joined(self, name: str) -> NDArray[np.float64]:
        parts = self._kept.pop(name)
        return np.concatenate(parts) if parts else np.zeros(0)

    def _slices(self, rows: int) -> tuple[NDArray[np.object_], NDArray[np.int32]]:
        """The (K, D) distinct slices, ascending, and the slice of each row."""
        ranks, names = [], []
        key, size = np.zeros(rows, dtype=np.int64), 1
        for known, parts in zip(self._names, self._codes, strict=True):
            values = np.array(list(known), dtype=object)
            order = np.argsort(values, kind="stable")
            rank = np.empty(len(order), dtype=np.int64)
            rank[order] = np.arange(len(order))
            names.append(values[order])
            ranks.append(rank[np.concatenate(parts)] if parts else np.zeros(0, dtype=np.int64))
            if size * len(values) > _LOOKED_UP:
                found, key = _distinct(key, size)
                size = len(found)
            key = key * len(values) + ranks[-1]
            size *= max(1, len(values))
        found, which = _distinct(key, size)
        some = np.zeros(len(found), dtype=np.int64)  # index of a row of each slice
        some[which] = np.arange(rows)
        slices = np.empty((len(found), len(names)), dtype=object)
        for place, values in enumerate(names):
            slices[:, place] = values[ranks[place][some]]
        return slices, which.astype(np.int32)


def _distinct(key: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct keys of 0 … size - 1, ascending, and the index of each key among them."""
    if size > _LOOKED_UP:
        found, place = np.unique(key, return_inverse=True)
        return found, place
    seen = np.zeros(size, dtype=np.bool_)
    seen[key] = True
    return np.flatnonzero(seen), (np.cumsum(seen) - 1)[key]


def _when(table: pa.Table, axis: NDArray[np.datetime64], file: str) -> NDArray[np.int32]:
    """Index of each row's interval on the axis, -1 outside it."""
    column = table["interval_start"]
    zone = getattr(column.type, "tz", None)
    times = column.cast(pa.timestamp("us", tz=zone)).cast(pa.int64())
    if times.null_count:
        raise PermanentError(f"{file} contains a row without interval_start.")
    seconds = np.asarray(times.to_numpy()) // 1_000_000
    known = axis.astype(np.int64)
    place = np.minimum(np.searchsorted(known, seconds), len(known) - 1)
    matches = known[place] == seconds
    within = (seconds >= known[0]) & (seconds <= known[-1])
    if np.any(within & ~matches):
        raise PermanentError(f"{file} contains an interval_start that is not on the interval grid.")
    return np.where(matches, place, -1).astype(np.int32)


def _numbers(column: pa.ChunkedArray, missing: float) -> NDArray[np.float64]:
    # Files of one UNLOAD may differ in the type of a column.
    return np.asarray(column.cast(pa.float64()).fill_null(missing).to_numpy(), dtype=np.float64)


def _unload_again(place: str) -> str:
    """What brings the rows of a file or manifest back: they are all in the warehouse."""
    if f"/{layout.HISTORY}" in f"/{place}":
        return (
            "delete the manifest of this chunk and start the pipeline again, which unloads the "
            "chunk again"
        )
    return "the next crawl unloads these intervals again"


def _key_of(store: ObjectStore, url: str) -> str:
    place = f"s3://{store.bucket}/"
    if not url.startswith(place):
        raise PermanentError(
            f"The manifest lists {url}, which is not in the bucket {store.bucket}."
        )
    return url.removeprefix(place)
