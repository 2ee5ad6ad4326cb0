"""A detector's state at a point in time, in one file: series, events and numbers of rows."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.settings import DetectorSettings
from anomaly_detector.detection.state import State, initial_state, parts_of
from anomaly_detector.errors import PermanentError
from anomaly_detector.events.event import Event, Sums
from anomaly_detector.events.few_rows import RowCounts
from anomaly_detector.events.store import events_from_bytes, events_to_bytes
from anomaly_detector.model_format import FORMAT

_AGAIN = "start the pipeline again, which trains a new one from history"
# Arrays of the events' sums, (events, slices), beside those of the state.
_SUMS = {one.name: f"events.{one.name}" for one in fields(Sums)}
_ROWS = "rows."


@dataclass(frozen=True)
class Snapshot:
    """State and events; a replay does not change it.

    Attributes
    ----------
    events : open events, and events closed so recently that they may continue.
    rows : numbers of rows that are usual.
    """

    state: State
    events: tuple[Event, ...]
    rows: RowCounts

    @classmethod
    def initial(cls, settings: DetectorSettings) -> Self:
        """The snapshot before the first interval."""
        return cls(initial_state(settings), (), RowCounts.fresh(settings))


def to_bytes(snapshot: Snapshot) -> bytes:
    """The snapshot as an npz file, not compressed; equal snapshots give equal bytes."""
    state = snapshot.state
    head: dict[str, NDArray[Any]] = {
        "format": np.array(FORMAT),
        "until": np.array(state.until.astype("datetime64[s]").astype(np.int64)),
        "dimensions": np.array(state.dimensions, dtype=np.str_),
        "measures": np.array(state.measures, dtype=np.str_),
        "slices": state.slices.astype(np.str_),
        "clock": np.array(state.clock),
        "events": np.frombuffer(events_to_bytes(snapshot.events), dtype=np.uint8),
    }
    sums = _stacked([event.sums for event in snapshot.events], len(state.slices))
    target = io.BytesIO()
    # np.savez writes the current time into the archive; equal snapshots must give equal files.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        rows = {_ROWS + name: array for name, array in snapshot.rows.named().items()}
        for name, array in {**head, **sums, **rows, **state.named()}.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    return target.getvalue()


def from_bytes(content: bytes) -> Snapshot:
    """Read what `to_bytes` wrote.

    Raises
    ------
    PermanentError
        If the content is not a snapshot, or has another format.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            found = int(archive["format"].item())
            if found != FORMAT:
                raise PermanentError(
                    f"The stored model has format {found}, this package reads {FORMAT}: {_AGAIN}."
                )
            state = State(
                until=np.datetime64(int(archive["until"].item()), "s"),
                dimensions=tuple(str(name) for name in archive["dimensions"]),
                measures=tuple(str(name) for name in archive["measures"]),
                slices=archive["slices"].astype(object),
                clock=int(archive["clock"].item()),
                **parts_of(archive),
            )
            stacked = [archive[name] for name in _SUMS.values()]
            sums = [Sums(*rows) for rows in zip(*stacked, strict=True)]
            events = events_from_bytes(archive["events"].tobytes(), sums)
            rows = RowCounts(**{one.name: archive[_ROWS + one.name] for one in fields(RowCounts)})
            return Snapshot(state, events, rows)
    except (TypeError, ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise PermanentError(f"The stored model cannot be read ({error}): {_AGAIN}.") from error


def _stacked(sums: Sequence[Sums], slices: int) -> dict[str, NDArray[Any]]:
    """Each kind of sums as one array (events, slices)."""
    none = Sums.none(slices)
    return {
        stored: np.array([getattr(one, name) for one in sums], getattr(none, name).dtype).reshape(
            len(sums), slices
        )
        for name, stored in _SUMS.items()
    }
