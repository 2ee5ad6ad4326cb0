"""Replays landed intervals in order, for training, live scoring and the look-back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.calendar import SILENT
from anomaly_detector.detection.rules import Rules
from anomaly_detector.detection.scan import Evidence
from anomaly_detector.detection.settings import DetectorSettings
from anomaly_detector.detection.slots import (
    Slots,
    dates,
    day_slots,
    month_slots,
    season_slots,
    shown_twice,
)
from anomaly_detector.detection.spans import Span
from anomaly_detector.detection.state import Judged, Shown, State
from anomaly_detector.events.bounds import Bounds
from anomaly_detector.events.earlier import note_earlier
from anomaly_detector.events.event import Event
from anomaly_detector.events.explain import explain
from anomaly_detector.events.few_rows import FewRows, RowCounts
from anomaly_detector.events.follow import follow
from anomaly_detector.events.group import Group, in_order
from anomaly_detector.lattice import Lattice
from anomaly_detector.panel import Panel, Scores
from anomaly_detector.snapshot import Snapshot

_JUDGED = tuple(field.name for field in fields(Judged))


@dataclass(frozen=True)
class Replay:
    """Result of a replay.

    Attributes
    ----------
    groups : of all events that the snapshot contained or that opened since, as of the end;
        ascending by start, measure and id. They begin at `score_from` at the earliest, and events
        that no interval has shown since are omitted.
    after : the snapshot after all intervals. before : the snapshot before `snapshot_at`.
    """

    scores: Scores
    groups: tuple[Group, ...]
    after: Snapshot
    before: Snapshot | None


def replay(
    settings: DetectorSettings,
    snapshot: Snapshot,
    panel: Panel,
    snapshot_at: np.datetime64 | None = None,
    score_from: np.datetime64 | None = None,
) -> Replay:
    """Score and learn the panel's intervals one after the other; `snapshot` is not changed.

    Parameters
    ----------
    snapshot : has learned none of the panel's intervals.
    panel : with slices in any order; slices of the snapshot that are not in the panel have no rows.
    snapshot_at : UTC; `before` has learned all intervals that start before it.
    score_from : UTC; start of the first scored interval; None for all.

    Returns
    -------
    Scores contain the slices of snapshot and panel, ascending. Replaying in pieces and at once give
    identical results, bit for bit.

    Raises
    ------
    ValueError
        If the panel's measures, dimensions or times do not match settings and snapshot.
    """
    state = snapshot.state
    _check(settings, state, panel, snapshot_at)
    starts = panel.starts.astype("datetime64[s]")
    lattice, from_state, from_panel = _union(state, panel)
    now, events = _copied(settings, snapshot, lattice, from_state)
    rules = Rules.of(settings).on(settings, lattice)
    bounds = Bounds.of(settings, lattice)
    few_rows, counted = FewRows.of(settings, lattice), snapshot.rows.copied()
    slots = _slots(settings, starts)
    withheld = _Masks(settings, lattice, settings.incidents)
    apart = _Masks(settings, lattice, [one.span for one in settings.verdicts if one.is_anomaly])
    # Not an anomaly: one of the two intervals contains the rows of both.
    unclear = shown_twice(settings.grid, starts, settings.clock)
    rows = _Rows(panel, now, from_panel)
    skipped = 0 if score_from is None else int(np.searchsorted(starts, score_from))
    # Groups are told of what the scored intervals show.
    begins = score_from is not None and (np.isnat(state.until) or state.until < score_from)
    told = {} if begins else dict.fromkeys(events)
    kept = _Kept(len(lattice.slices), len(state.measures), len(starts) - skipped)
    before: Snapshot | None = None
    for t, start in enumerate(starts):
        if before is None and snapshot_at is not None and start >= snapshot_at:
            before = _born(now, counted, events, lattice, copied=True)
        if begins and t == skipped:
            for event in events:
                event.restart()
        value, count, norm = rows.at(t)
        if unclear[t]:
            value, count = np.full_like(value, np.nan), np.zeros_like(count)
        at = int(start.astype(np.int64))
        verdicts = tuple(one for one in settings.verdicts if one.holds(at))
        hidden = withheld.everything if slots[t].silent else withheld.at(at)
        shown = now.judge(
            rules, value, count, norm, slots[t], known=not unclear[t], withheld=hidden
        )
        judged = None if t < skipped else now.score(rules, shown)
        crossed = None if bounds is None else bounds.crossed(shown.observed, known=shown.told)
        if bounds is not None and crossed is not None and judged is not None:
            judged = bounds.judge(judged, crossed)
        now.clock += 1
        now.until = start
        lacks = shown.observed.gone.any()
        due = few_rows.due(counted, slots[t].week) if lacks else 1.0
        evidence = now.weigh(rules, shown, lattice, due)
        of_bounds = tuple(event for event in events if event.bound)
        of_rows = tuple(event for event in events if event.few_rows and not event.closed)
        of_model = tuple(event for event in events if not (event.bound or event.few_rows))
        events, held = follow(
            rules,
            now,
            lattice,
            judged,
            of_model,
            evidence,
            shown,
            at,
            settings.accept_after,
            verdicts,
        )
        if bounds is not None and crossed is not None:
            events = bounds.follow((*events, *of_bounds), crossed, judged, at)
        for event in events:
            if event.last == at:
                _localise(settings, event, now, rules, shown, judged, evidence)
        of_rows = few_rows.follow(
            counted,
            now.habits,
            count,
            slots[t].week,
            of_rows,
            events,
            at,
            gone=now.scan.gone,
            # What rows a special day has is not told by its time of the week.
            known=shown.all_told and slots[t].special is None,
            scored=judged is not None,
        )
        events = (*events, *of_rows)
        note_earlier(events, at, settings.name)
        said = [one.span for one in verdicts if one.is_anomaly]
        now.learn(rules, shown, evidence, held, apart.at(at, said))
        if judged is not None:
            kept.add(t - skipped, judged)
            told |= dict.fromkeys(events)
    # An event that took over the name of another one replaces it.
    named = {event.id(settings.name): event for event in told}
    groups = [explain(settings, event, lattice) for event in named.values() if event.points]
    groups = [group for group in groups if _is_wanted(settings, group)]
    after = _born(now, counted, events, lattice, copied=False)
    if before is None and snapshot_at is not None:
        before = after
    return Replay(
        scores=kept.scores(starts[skipped:], panel.dimensions, lattice.slices, state.measures),
        groups=in_order(groups),
        after=after,
        before=before,
    )


def _localise(
    settings: DetectorSettings,
    event: Event,
    state: State,
    rules: Rules,
    shown: Shown,
    judged: Judged | None,
    evidence: Evidence,
) -> None:
    """Let an event that the interval shows take in where and when it is."""
    m, k = state.measures.index(event.measure), state.lattice.index[event.slices[0]]
    # Of a long event, hours alone may have come before: its newest interval decides.
    event.habit = state.habit(rules, shown, m, k)
    if judged is not None:
        rows = (shown.observed.count[m], state.habits.rows[m])
        event.weigh(
            judged.actual[m],
            judged.expected[m],
            evidence.dispersions[0, m] * evidence.bases[0, m],
            rows if settings.measures[m].weighted_mean else None,
        )


def _slots(settings: DetectorSettings, starts: NDArray[np.datetime64]) -> list[Slots]:
    """Slots of each interval in the profiles."""
    days, weekdays = day_slots(settings.grid, starts)
    hours = days * settings.slots_a_weekday // settings.slots_a_day
    weeks = weekdays * settings.slots_a_weekday + hours
    months: Iterable[int | None] = repeat(None)
    if settings.slots_a_month:
        months = month_slots(settings.grid, starts).tolist()
    seasons: Iterable[int | None] = repeat(None)
    if settings.season_intervals:
        seasons = season_slots(settings.grid, starts, settings.season_intervals).tolist()
    each = [one.tolist() for one in (dates(settings.grid, starts), days, weeks)]
    special = [_special(settings, *of) for of in zip(each[0], each[1], strict=True)]
    every = zip(*each, months, seasons, strict=False)
    return [
        Slots(date, day, week, month, season, *more)
        for (date, day, week, month, season), more in zip(every, special, strict=True)
    ]


def _special(settings: DetectorSettings, date: int, slot: int) -> tuple[int | None, bool]:
    """Part of a special day, and whether the day is silent.

    Parameters
    ----------
    date : days since 1970. slot : of the day.
    """
    days = max(1, settings.grid.seconds // 86_400)
    kind = settings.calendar.kind(date, days) if settings.calendar.days else None
    if kind is None or kind == SILENT:
        return None, kind == SILENT
    parts = settings.special_parts
    return kind * parts + slot * parts // settings.slots_a_day, False


def _is_wanted(settings: DetectorSettings, group: Group) -> bool:
    """Whether any slice of an event has its direction: what a roll-up shows may be the change of a
    slice that is watched in the other direction alone.
    """
    rule = next(rule for rule in settings.measures if rule.name == group.measure)
    if not rule.direction_by_slice or group.kind == "bound":
        return True
    return any(rule.direction_in(one) in ("both", group.direction) for one in group.slices)


class _Masks:
    """Series that are in some spans, interval by interval."""

    def __init__(self, settings: DetectorSettings, lattice: Lattice, spans: Sequence[Span]) -> None:
        measures = tuple(rule.name for rule in settings.measures)
        self.everything: NDArray[np.bool_] = np.ones(
            (len(measures), len(lattice.slices)), dtype=np.bool_
        )
        self._masks = {
            span: span.mask(measures, settings.dimensions, lattice) for span in dict.fromkeys(spans)
        }

    def at(self, start: int, of: Collection[Span] | None = None) -> NDArray[np.bool_] | None:
        """(M, K) series of the spans that hold the interval; None if there are none.

        Parameters
        ----------
        start : seconds since 1970. of : the spans that count; None for all.
        """
        held = [
            mask
            for span, mask in self._masks.items()
            if span.holds(start) and (of is None or span in of)
        ]
        return np.logical_or.reduce(held) if held else None


class _Kept:
    """Collects the scores of intervals."""

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
    ) -> Scores:
        return Scores(
            starts=starts,
            dimensions=dimensions,
            slices=slices,
            measures=measures,
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
    """The lattice of the slices of both, and the indices of the state's and the panel's slices.

    The former are None if the panel adds no slice.
    """
    lattice = state.lattice
    if np.array_equal(panel.slices, lattice.slices):
        return lattice, None, np.arange(len(lattice.slices))
    places = lattice.find(panel.slices)
    found = places[places >= 0]
    new = {tuple(row) for row in panel.slices[places < 0].tolist()}
    if np.bincount(found).max(initial=0) > 1 or len(found) + len(new) < len(places):
        raise ValueError("the panel holds a slice twice")
    if not new:
        return lattice, None, places
    ordered = sorted([*lattice.names, *new])
    slices = np.empty((len(ordered), len(panel.dimensions)), dtype=object)
    slices[:] = ordered
    whole = Lattice.of(slices)
    return whole, whole.find(lattice.slices), whole.find(panel.slices)


class _Rows:
    """Values, counts and norms (M, K) of each interval of a panel, for all measures and slices."""

    def __init__(self, panel: Panel, state: State, places: NDArray[np.int64]) -> None:
        """`places` are the indices of the panel's slices among the state's."""
        self._panel, self._shape = panel, state.habits.seen.shape
        measures = np.array([panel.measures.index(name) for name in state.measures])
        size = self._shape[1]
        self._whole = panel.measures == state.measures and np.array_equal(places, np.arange(size))
        self._from, self._to = measures, places

    def at(
        self, t: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]:
        """Values, counts and norms of one interval; read only."""
        values, counts = self._panel.values[t], self._panel.counts[t]
        norms = self._panel.norms
        own = None if norms is None else norms[t].astype(np.float64)
        if self._whole:
            return values, counts, own
        value, count = np.full(self._shape, np.nan), np.zeros(self._shape)
        value[:, self._to] = values[self._from]
        count[:, self._to] = counts[self._from]
        if own is None:
            return value, count, None
        norm = np.full(self._shape, np.nan)
        norm[:, self._to] = own[self._from]
        return value, count, norm


def _copied(
    settings: DetectorSettings,
    snapshot: Snapshot,
    lattice: Lattice,
    places: NDArray[np.int64] | None,
) -> tuple[State, tuple[Event, ...]]:
    """Copies of state and events, extended to the slices of the lattice."""
    if places is None:
        return snapshot.state.copied(), tuple(event.copied() for event in snapshot.events)
    grown = snapshot.state.grown(settings, lattice, places)
    size = len(lattice.slices)
    return grown, tuple(event.grown(size, places) for event in snapshot.events)


def _born(
    state: State, rows: RowCounts, events: tuple[Event, ...], lattice: Lattice, *, copied: bool
) -> Snapshot:
    """The snapshot without slices that are not born in any measure."""
    rows = rows.copied() if copied else rows
    born = np.asarray(state.habits.born.any(axis=0))
    born[[lattice.index[name] for event in events for name in event.slices]] = True
    if not born.all():
        return Snapshot(state.picked(born), tuple(event.picked(born) for event in events), rows)
    if copied:
        return Snapshot(state.copied(), tuple(event.copied() for event in events), rows)
    return Snapshot(state, events, rows)
