"""Replays landed intervals in order: what training, live scoring and the look-back all do."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.follow import follow, still
from anomaly_detector.detection.rules import Rules
from anomaly_detector.detection.settings import DetectorSettings
from anomaly_detector.detection.slots import Slots, day_slots, month_slots, shown_twice
from anomaly_detector.detection.state import Judged, State
from anomaly_detector.lattice import Lattice
from anomaly_detector.panel import Mark, Panel, Scores

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
    now = (
        state.copied() if from_state is None else state.grown(settings, lattice.slices, from_state)
    )
    rules = Rules.of(settings)
    of_day, weekdays = day_slots(settings.grid, starts)
    hours = of_day * settings.slots_a_weekday // settings.slots_a_day
    week_slots = weekdays * settings.slots_a_weekday + hours
    of_month = month_slots(settings.grid, starts) if settings.slots_a_month else None
    # Known beforehand, and no anomaly: the rows of two intervals lie in one of them.
    unclear = shown_twice(settings.grid, starts, settings.clock)
    order = [panel.measures.index(name) for name in state.measures]
    skipped = (
        0
        if score_from is None
        else int(np.searchsorted(starts, score_from.astype("datetime64[s]")))
    )
    kept = _Kept(len(lattice.slices), len(order), len(starts) - skipped)
    snapshot: State | None = None
    marks: list[Mark] = []
    seconds = starts.astype(np.int64)
    for t, start in enumerate(starts):
        if snapshot is None and snapshot_at is not None and start >= snapshot_at:
            snapshot = _born(now, copied=True)
        value, count = _interval(panel, t, order, len(lattice.slices), from_panel)
        if unclear[t]:
            value, count = np.full_like(value, np.nan), np.zeros_like(count)
        slots = Slots(
            int(of_day[t]),
            int(week_slots[t]),
            None if of_month is None else int(of_month[t]),
        )
        landed = None if panel.landed is None else bool(panel.landed[t] and not unclear[t])
        judged, shown = now.judge(rules, value, count, slots, landed=landed)
        now.clock += 1
        now.until = start
        if shown.observed.landed:
            evidence = now.weigh(rules, shown, lattice)
            now.events, marked, frozen = follow(
                rules, now, lattice, now.events, evidence, int(seconds[t]), settings.accept_after
            )
            now.learn(rules, shown, evidence, frozen)
        else:
            marked = still(now.events, int(seconds[t]))
        if t >= skipped:
            kept.add(t - skipped, judged)
            marks.extend(marked)
    learnt = _born(now, copied=False)
    if snapshot is None and snapshot_at is not None:
        snapshot = learnt
    scores = kept.scores(starts[skipped:], panel.dimensions, lattice.slices, state.measures, marks)
    return Replay(scores, learnt, snapshot)


class _Kept:
    """Collects judged intervals."""

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
        return Scores(
            starts=starts,
            dimensions=dimensions,
            slices=slices,
            measures=measures,
            marks=tuple(marks),
            **self._arrays,
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


def _interval(
    panel: Panel, t: int, order: list[int], slices: int, place: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Value and count (M, K) of an interval, K over all slices."""
    values, counts = np.full((len(order), slices), np.nan), np.zeros((len(order), slices))
    values[:, place] = panel.values[t, order]
    counts[:, place] = panel.counts[t, order]
    return values, counts


def _born(state: State, *, copied: bool) -> State:
    """The state without slices that are not born in any measure."""
    born = np.asarray(state.habits.born.any(axis=0))
    if not born.all():
        return state.picked(born)
    return state.copied() if copied else state
