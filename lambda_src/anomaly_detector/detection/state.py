"""What is remembered of every series: a fixed, small set of arrays, and its form on disk."""

from __future__ import annotations

import io
import json
import math
import zipfile
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection import surprise
from anomaly_detector.detection.settings import DetectorSettings
from anomaly_detector.errors import PermanentError

VERSION = 3
EXPERTS = 4
_NEVER = np.datetime64("NaT", "s")

WINDOWS = (1, 2, 3, 6, 12, 24, 48)
"""Lengths, in intervals, of the windows over which evidence is added up."""
LONGEST = WINDOWS[-1]

# Array name -> leading axes before the axes M, K; "P" is a slot of the day, "W" of the week, "E" an
# expert.
_LAYOUT: dict[str, str] = {
    "seen": "",  # values learnt
    "level": "",  # decayed mean of the value
    "magnitude": "",  # decayed mean of |value| where it is not zero
    "rows": "",  # decayed mean of the number of rows behind a value
    "presence": "",  # decayed share of intervals that had a row
    "nonzero": "",  # decayed share of values that are not zero
    "offset": "E",  # decayed mean error of each expert; a factor for the last
    "error": "E",  # decayed mean absolute error of each expert
    "day": "P",  # profile of the day
    "day_seen": "P",
    "week": "W",  # what a weekday's hour adds to the profile of the day
    "week_seen": "W",
    "month": "D",  # what a day of the month adds to a daily series, as a share of the level
    "month_seen": "D",
    "month_error": "N",  # decayed mean absolute error without and with it
    "spread": "P",  # decayed mean absolute residual by slot of the day
    "spread_all": "",  # the same over all slots
    "volatility": "",  # decayed mean of residuals relative to their usual size
    # What `surprise` knows: "U" is a distance, "C" a channel, "T" a level of its tail.
    "usual": "U",  # decayed mean of each distance, clipped
    "last_residual": "",  # newest residual of the slow forecast
    "long_level": "",  # decayed mean of the clipped value
    "range": "Q",  # four quantiles of the distance from it
    "tail_share": "CT",  # decayed share of distances over each level
    "leaps": "C",  # decayed number of distances over the last level
    "leap_excess": "C",  # and the sum of how far, in logarithms
    "leapt": "C",  # 1 where the newest distance was over it
    "memory": "",  # decayed mean surprise
    "run": "",  # intervals in a row on one side of the forecast, signed
    "run_length": "",  # intervals behind the next two sums
    "run_actual": "",
    "run_expected": "",
    "fractional": "",  # 1 once a value was not whole
    "signed": "",  # 1 once a value was negative
    "ring_change": "R",  # newest residuals, by the clock modulo their number
    "ring_base": "R",  # what they are measured against: expectation, or 1 for a mean
    "ring_fill": "",  # intervals in them since they were last emptied
    "dispersion": "V",  # decayed mean of change^2 / base per window
    "dispersion_seen": "",
    "same": "",  # intervals in a row with the value of the one before
    "same_share": "",  # decayed share of values that equal the one before
    "last": "",  # newest value
}
# Profiles and rings are most of the state: seven digits are enough for them, and counts stop early.
_NARROW: dict[str, type[np.generic]] = {
    "day": np.float32,
    "week": np.float32,
    "spread": np.float32,
    "ring_change": np.float32,
    "ring_base": np.float32,
    "day_seen": np.uint8,
    "week_seen": np.uint8,
    "month": np.float32,
    "month_seen": np.uint8,
}
_INITIAL: dict[str, float] = {
    "same_share": 0.02,
    "presence": 1.0,
    "volatility": 1.0,
    "leaps": surprise.PRIOR_HILL,
    "leap_excess": surprise.PRIOR_HILL * surprise.PRIOR_EXCESS,
}


@dataclass
class Event:
    """An event of one measure as the detector follows it; measures and times as in `State`.

    Attributes
    ----------
    opened : seconds since 1970 of the interval that opened it, `first` the slice then.
    slices : the slice that shows it best so far, or several; side 1 above the expectation, -1
        below.
    evidence : largest R so far, in powers of ten beyond chance; severity likewise, 0-100.
    change, base : residuals and expectations of the slice, summed over the intervals that show it.
    doubt : nats that speak against its going on.
    age : intervals since it opened; quiet : of them without it, in a row; closed : since its end.
    """

    measure: str
    opened: int
    first: tuple[str, ...]
    slices: tuple[tuple[str, ...], ...]
    side: int
    evidence: float = -math.inf
    severity: float = 0.0
    change: float = 0.0
    base: float = 0.0
    age: int = 0
    quiet: int = 0
    doubt: float = 0.0
    closed: int = 0


@dataclass(frozen=True)
class State:
    """All that is remembered of K slices and M measures.

    Attributes
    ----------
    until : datetime64[s], UTC start of the newest interval learnt; NaT before the first.
    slices : (K, D) object array of str, ascending; only slices that have had a value.
    arrays : arrays of shape (…, M, K), see `_LAYOUT` and `_NARROW`.
    clock : intervals learnt.
    events : events that are open, or closed so recently that they may go on.
    """

    until: np.datetime64
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    slices: NDArray[np.object_]
    arrays: dict[str, NDArray[Any]]
    clock: int = 0
    events: tuple[Event, ...] = ()


def initial_state(settings: DetectorSettings) -> State:
    """State before the first interval: no slice is known."""
    measures = tuple(measure.name for measure in settings.measures)
    slices = np.empty((0, len(settings.dimensions)), dtype=object)
    return State(_NEVER, settings.dimensions, measures, slices, fresh(settings, 0))


def fresh(settings: DetectorSettings, slices: int) -> dict[str, NDArray[Any]]:
    """Arrays of `slices` series per measure that have seen nothing."""
    sizes = {"P": settings.slots_a_day, "W": 7 * settings.slots_a_weekday, "E": EXPERTS}
    sizes |= {"D": settings.slots_a_month, "N": 2 if settings.slots_a_month else 0}
    sizes |= {"R": LONGEST, "V": len(WINDOWS), "U": surprise.CHANNELS - 1}
    sizes |= {"Q": len(surprise.QUANTILES), "C": surprise.CHANNELS, "T": surprise.LEVELS}
    shape = (len(settings.measures), slices)
    arrays: dict[str, NDArray[Any]] = {
        name: np.full(
            tuple(sizes[axis] for axis in axes) + shape,
            _INITIAL.get(name, 0.0),
            dtype=_NARROW.get(name, np.float64),
        )
        for name, axes in _LAYOUT.items()
    }
    arrays["offset"][-1] = 1.0
    arrays["tail_share"][:] = surprise.PRIOR_SHARE
    return arrays


def to_bytes(state: State) -> bytes:
    """The state as an npz file; equal states give equal bytes."""
    head: dict[str, NDArray[np.generic]] = {
        "version": np.array(VERSION),
        "until": np.array(state.until.astype("datetime64[s]").astype(np.int64)),
        "dimensions": np.array(state.dimensions, dtype=np.str_),
        "measures": np.array(state.measures, dtype=np.str_),
        "slices": state.slices.astype(np.str_),
        "clock": np.array(state.clock),
        "events": np.array(json.dumps([asdict(event) for event in state.events])),
    }
    target = io.BytesIO()
    # np.savez stamps the clock into the archive; equal states shall be equal files.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in {**head, **state.arrays}.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy"), member.getvalue(), zipfile.ZIP_DEFLATED, 1
            )
    return target.getvalue()


def from_bytes(content: bytes) -> State:
    """Read what `to_bytes` wrote.

    Raises
    ------
    PermanentError
        Where the content is no model, or one of another version: it has to be trained again.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            version = int(archive["version"].item())
            if version != VERSION:
                raise PermanentError(
                    f"The stored model has version {version}, this package reads {VERSION}: "
                    "start the pipeline again, which trains a new one from history."
                )
            return State(
                until=np.datetime64(int(archive["until"].item()), "s"),
                dimensions=tuple(str(name) for name in archive["dimensions"]),
                measures=tuple(str(name) for name in archive["measures"]),
                slices=archive["slices"].astype(object),
                arrays={name: archive[name] for name in _LAYOUT},
                clock=int(archive["clock"].item()),
                events=tuple(
                    Event(
                        **{
                            **one,
                            "first": tuple(one["first"]),
                            "slices": tuple(tuple(key) for key in one["slices"]),
                        }
                    )
                    for one in json.loads(str(archive["events"].item()))
                ),
            )
    except (TypeError, ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise PermanentError(
            f"The stored model cannot be read ({error}): "
            "start the pipeline again, which trains a new one from history."
        ) from error
