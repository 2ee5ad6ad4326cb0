"""Replays landed intervals in order: what training, live scoring and the look-back all do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.follow import follow, still
from anomaly_detector.detection.scan import learn_dispersion, scan
from anomaly_detector.detection.settings import DetectorSettings
from anomaly_detector.detection.slots import day_slots, month_slots, shown_twice
from anomaly_detector.detection.state import Event, State, fresh
from anomaly_detector.detection.step import Judged, Rules, Slots, judge, learn
from anomaly_detector.lattice import Lattice
from anomaly_detector.panel import Mark, Panel, Scores

# Intervals that are turned from series-first to interval-first at once: bounds the extra memory.
_BLOCK = 128
_JUDGED = tuple(field.name for field in fields(Judged))


@dataclass(frozen=True)
class Replay:
    """Scores of the intervals, the state after them, and the state before `snapshot_at`."""

    scores: Scores
    state: State
    snapshot: State | None


def replay(
    settings: DetectorSettings,
    state: State,
    panel: Panel,
    snapshot_at: np.datetime64 | None = None,
    score_from: np.datetime64 | None = None,
) -> Replay:
    """Score and learn the panel's intervals one after the other; `state` is left as it is.

    Parameters
    ----------
    state : has learnt nothing of the panel's intervals.
    panel : its slices may come in any order; those that the state knows and the panel lacks count
        as absent rows.
    snapshot_at : UTC; the snapshot has learnt every interval that starts before it.
    score_from : UTC; scores are kept from this interval on. All are kept where None.

    Returns
    -------
    Scores have the slices of state and panel, ascending. A replay in pieces gives what one in full
    gives, bit for bit.

    Raises
    ------
    ValueError
        Where the panel's measures, dimensions or times do not go with settings and state.
    """
    _check(settings, state, panel, snapshot_at)
    starts = panel.starts.astype("datetime64[s]")
    lattice, from_state, from_panel = _union(state, panel)
    slices = lattice.slices
    arrays = _grown(settings, state, len(slices), from_state)

    rules = Rules.of(settings)
    of_day, weekdays = day_slots(settings.grid, starts)
    hours = of_day * settings.slots_a_weekday // settings.slots_a_day
    week_slots = weekdays * settings.slots_a_weekday + hours
    of_month = month_slots(settings.grid, starts) if settings.slots_a_month else None
    # Known beforehand, and no anomaly: the rows of two intervals lie in one of them.
    unclear = shown_twice(settings.grid, starts, settings.clock)
    skipped = (
        0
        if score_from is None
        else int(np.searchsorted(starts, score_from.astype("datetime64[s]")))
    )
    kept = _Kept(len(slices), len(settings.measures), len(starts) - skipped)
    snapshot: State | None = None
    clock, events = state.clock, state.events
    marks: list[Mark] = []
    seconds = starts.astype(np.int64)
    for t, value, count in _intervals(settings, panel, len(slices), from_panel):
        if snapshot is None and snapshot_at is not None and starts[t] >= snapshot_at:
            snapshot = _state(state, starts[:t], slices, arrays, clock, events, copied=True)
        if unclear[t]:
            value, count = np.full_like(value, np.nan), np.zeros_like(count)
        slots = Slots(
            int(of_day[t]),
            int(week_slots[t]),
            None if of_month is None else int(of_month[t]),
        )
        judged, seen = judge(rules, arrays, value, count, slots)
        clock += 1
        if seen.present:
            evidence = scan(rules, arrays, seen, lattice, clock)
            events, marked, frozen = follow(
                rules,
                arrays,
                lattice,
                state.measures,
                events,
                evidence,
                int(seconds[t]),
                settings.accept_after,
            )
            learn_dispersion(rules, arrays, evidence, frozen)
            learn(rules, arrays, seen, frozen)
        else:
            marked = still(events, int(seconds[t]))
        if t >= skipped:
            kept.add(t - skipped, judged)
            marks.extend(marked)
    learnt = _state(state, starts, slices, arrays, clock, events, copied=False)
    if snapshot is None and snapshot_at is not None:
        snapshot = learnt
    scores = kept.scores(starts[skipped:], panel.dimensions, slices, state.measures, marks)
    return Replay(scores, learnt, snapshot)


class _Kept:
    """Collects judged intervals; series come first, as in `Scores`."""

    def __init__(self, slices: int, measures: int, intervals: int) -> None:
        shape = (intervals, measures, slices)
        kinds = {"direction": np.int8, "anomalous": np.bool_}
        self._arrays: dict[str, NDArray[Any]] = {
            name: np.empty(shape, dtype=kinds.get(name, np.float64)) for name in _JUDGED
        }

    def add(self, t: int, judged: Judged) -> None:
        for name, array in self._arrays.items():
            array[t] = getattr(judged, name)

    def scores(
        self,
        starts: NDArray[np.datetime64],
        dimensions: tuple[str, ...],
        slices: NDArray[np.object_],
        measures: tuple[str, ...],
        marks: list[Mark],
    ) -> Scores:
        turned = {name: array.transpose(2, 1, 0) for name, array in self._arrays.items()}
        return Scores(
            starts=starts,
            dimensions=dimensions,
            slices=slices,
            measures=measures,
            marks=tuple(marks),
            **turned,
        )


def _check(
    settings: DetectorSettings, state: State, panel: Panel, snapshot_at: np.datetime64 | None
) -> None:
    if set(panel.measures) != set(state.measures) or panel.dimensions != state.dimensions:
        raise ValueError(
            f"the panel has {panel.measures} by {panel.dimensions}, "
            f"the state {state.measures} by {state.dimensions}"
        )
    if state.measures != tuple(rule.name for rule in settings.measures):
        raise ValueError("the state belongs to other measures than the settings")
    starts = panel.starts.astype("datetime64[s]")
    if not np.all(starts[1:] > starts[:-1]):
        raise ValueError("the panel's intervals do not ascend")
    if len(starts) and not np.isnat(state.until) and starts[0] <= state.until:
        raise ValueError(
            f"the state has learnt {state.until} already, and the panel begins at {starts[0]}"
        )
    if snapshot_at is not None and not np.isnat(state.until) and snapshot_at <= state.until:
        raise ValueError(
            f"the state has learnt {state.until} already: no snapshot before {snapshot_at} is left"
        )


def _union(
    state: State, panel: Panel
) -> tuple[Lattice, NDArray[np.int64] | None, NDArray[np.int64]]:
    """Slices of both, ascending, and where those of either stand among them.

    None stands for the state's slices where they are all.
    """
    lattice = Lattice.of(state.slices)
    new = [tuple(row) for row in panel.slices.tolist()]
    places = np.array([lattice.index.get(key, -1) for key in new], dtype=np.int64)
    if len(set(new)) < len(new):
        raise ValueError("the panel holds a slice twice")
    if (places >= 0).all():
        return lattice, None, places
    ordered = sorted({*lattice.names, *new})
    slices = np.empty((len(ordered), len(panel.dimensions)), dtype=object)
    slices[:] = ordered
    whole = Lattice.of(slices)
    return (
        whole,
        np.array([whole.index[key] for key in lattice.names], dtype=np.int64),
        np.array([whole.index[key] for key in new], dtype=np.int64),
    )


def _grown(
    settings: DetectorSettings, state: State, slices: int, from_state: NDArray[np.int64] | None
) -> dict[str, NDArray[Any]]:
    """A copy of the state's arrays with room for all slices."""
    if from_state is None:
        return {name: array.copy() for name, array in state.arrays.items()}
    arrays = fresh(settings, slices)
    for name, array in arrays.items():
        array[..., from_state] = state.arrays[name]
    return arrays


def _intervals(
    settings: DetectorSettings, panel: Panel, slices: int, place: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
    """Value and count (M, K) of each interval, K over all slices."""
    order = [panel.measures.index(rule.name) for rule in settings.measures]
    for begin in range(0, len(panel.starts), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        shape = (len(panel.starts[block]), len(order), slices)
        values, counts = np.full(shape, np.nan), np.zeros(shape)
        values[:, :, place] = panel.values[:, order, block].transpose(2, 1, 0)
        counts[:, :, place] = panel.counts[:, order, block].transpose(2, 1, 0)
        for t in range(shape[0]):
            yield begin + t, values[t], counts[t]


def _state(
    before: State,
    starts: NDArray[np.datetime64],
    slices: NDArray[np.object_],
    arrays: dict[str, NDArray[Any]],
    clock: int,
    events: tuple[Event, ...],
    *,
    copied: bool,
) -> State:
    """What is known now, without slices that never had a value."""
    born = (arrays["seen"] > 0).any(axis=0)
    until = starts[-1] if len(starts) else before.until
    if not born.all():
        slices = slices[born]
        arrays = {name: array[..., born] for name, array in arrays.items()}
    elif copied:
        arrays = {name: array.copy() for name, array in arrays.items()}
    return State(until, before.dimensions, before.measures, slices, arrays, clock, events)
