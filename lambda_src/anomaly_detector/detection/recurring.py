"""Deviations that come again: what deviated three times alike, at like times, is a habit.

The largest deviations of each series are remembered with their day, as shares of the forecast.
Where three of the last four days that a day is like (`alike`: the same day of the week, month,
quarter, …) deviated on the same side and by a similar size, the same is expected of it; the fourth
time is no event, and a fourth time that does not come is one. What was there on the same date a
year ago may come again, and so may what had two places in the month in common of which this day has
one: then the nearer of both expectations counts.

* `Days` remembers whole days: most of a day's intervals on one side. For daily data these are the
  values.
* `Moments` remembers single intervals of a day, for shorter intervals: a job on the first of the
  month at two o'clock. What comes every day at the same time is handed to the daily profile.

Long deviations are not remembered: they are levels, not habits. What is remembered longest is what
is largest; a deviation is worth half after a month.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.alike import REACH, by_age, kinds, positions
from anomaly_detector.detection.arrays import Array, Mask, Part, Places, kept
from anomaly_detector.detection.rules import SMALL, TO_DEVIATION

STANDS_OUT = 3.0  # usual deviations from which a deviation is remembered
RARE = 1.5  # surprise from which a single interval is remembered
ODD = 2.0  # usual deviations that make a deviation long
SIMILAR = 0.35  # largest relative deviation of sizes that are alike
SURE, UNSURE = 0.05, 0.25  # least relative doubt about a size that is expected, or may come
SPREAD_DOUBT = 1.5  # doubt in deviations of the sizes
ONE_SIDE = 0.6  # share of a day's intervals on one side, less the others, that make a whole day
RENEWED = 0.5  # share of the expected size that renews it
REACH_MOMENT = 127  # days: four months and some
HALVED = 30.0  # days in which a deviation is worth half
LONG_MOMENT, LONG_DAY = 0.5, 0.7  # decayed share of odd intervals, or days, that is a level
LONG_DAYS = 10.0  # days in which the latter decays
RATE_USUAL, CLIP_USUAL = 0.03, 3.0
KNOWN_FROM = 14  # days before a day may stand out
LARGEST = 100.0  # largest share
IN_A_ROW = 3  # days in which a deviation comes every day
EMPTY = -1

_Days = NDArray[np.uint16]
_Shares = NDArray[np.float32]


@dataclass(frozen=True)
class Habit:
    """What is expected of one interval because it came before; arrays (M, K).

    Attributes
    ----------
    share : of the forecast, in place of the day of the month's. doubt : its standard deviation.
    known : series that have it. certain : whether it is expected, or only may come.
    moment : series in which it is this interval's, not the whole day's.
    """

    share: Array
    doubt: Array
    known: Mask
    certain: Mask
    moment: Mask


@dataclass(frozen=True)
class _Found:
    """Habits of some series (n,): indices into M x K, as in `Habit`, and which of `kinds` it is."""

    places: NDArray[np.int64]
    share: Array
    doubt: Array
    certain: Mask
    kind: NDArray[np.int64]


@dataclass
class Days(Part):
    """Whole days that stood out; the latest day is taken in when the next one begins."""

    day: _Days = kept("remembered_days", dtype=np.uint16)  # days since 1970, 0 if none
    share: _Shares = kept("remembered_days", dtype=np.float32)
    today: _Days = kept(dtype=np.uint16)  # of the following sums
    total: Array = kept()  # residuals of the forecast without month and habits
    left: Array = kept()  # the same with the month
    size: Array = kept()  # sizes that shares refer to
    side: Array = kept()  # number of residuals above less those below
    count: Array = kept()
    usual: Array = kept()  # decayed mean |left / size| of a day
    known: Array = kept()  # days in it
    busy: Array = kept()  # decayed share of days that were odd
    # What is expected today, as in `Habit`; a doubt below zero is of what only may come.
    expects: _Shares = kept(dtype=np.float32)
    doubt: _Shares = kept(dtype=np.float32)

    def begin(self, number: int, whole: float) -> None:
        """Take in the latest day if another one begins, and find what is expected of that.

        Parameters
        ----------
        number : days since 1970. whole : intervals that make a day.
        """
        turned = self.today != number
        if not len(self.day) or not turned.any():
            return
        self._take_in(turned & (self.count >= whole))
        for sums in (self.total, self.left, self.size, self.side, self.count):
            sums[turned] = 0.0
        self.today[turned] = number
        self.expects[turned] = self.doubt[turned] = 0.0
        age = np.minimum(np.uint16(number) - self.day, REACH)
        # Days in a row are a level.
        bits = by_age(number).take(age) & ~_bit(number, "day")
        bits *= turned
        entry, *at = np.nonzero(bits)
        if len(entry):
            hit = (entry, *at)
            places = np.ravel_multi_index(tuple(at), turned.shape)
            found = _found(number, bits[hit], age[hit], self.share[hit], places)
            self.expects.reshape(-1)[found.places] = found.share
            signed = np.where(found.certain, found.doubt, -found.doubt)
            self.doubt.reshape(-1)[found.places] = signed

    def _take_in(self, done: Mask) -> None:
        at = np.nonzero(done)
        if not len(at[0]):
            return
        size = np.maximum(self.size[at], SMALL)
        share = np.clip(self.total[at] / size, -LARGEST, LARGEST)
        left = np.clip(np.abs(self.left[at]) / size, 0.0, LARGEST)
        usual, known, busy = self.usual[at], self.known[at], self.busy[at]
        reach = TO_DEVIATION * usual
        one_side = np.abs(self.side[at]) >= ONE_SIDE * self.count[at]
        expects = self.expects[at]
        again = (expects * share > 0) & (np.abs(share) >= RENEWED * np.abs(expects))
        odd = (left > ODD * reach) & (known >= KNOWN_FROM)
        out = odd & (left > STANDS_OUT * reach) & (busy < LONG_DAY)
        self.busy[at] += (odd - busy) / LONG_DAYS
        rate = np.maximum(1.0 / (known + 1.0), RATE_USUAL)
        clipped = np.where(known >= KNOWN_FROM, np.minimum(left, CLIP_USUAL * usual), left)
        self.usual[at] += np.where(expects == 0, rate, 0.0) * (clipped - usual)
        self.known[at] = np.minimum(known + 1.0, 1e6)
        stored = one_side & (out | again)
        places = at[0][stored], at[1][stored]
        when = self.today[places]
        entry = _least(self.day, self.share, places, when, REACH)
        self.day[(entry, *places)] = when
        self.share[(entry, *places)] = share[stored]

    def again(self, number: int, m: int, k: int, total: float, size: float, whole: float) -> str:
        """The kind of days on which a series has now deviated alike as often as it takes for the
        same to be expected, empty if there is none.

        Parameters
        ----------
        number : days since 1970. total, size : of the newest interval, not yet learned.
        whole : intervals that make a day.
        """
        if not len(self.day) or self.count[m, k] + 1 < whole:
            return ""
        share = (self.total[m, k] + total) / max(self.size[m, k] + size, SMALL)
        return _again(number, self.day[:, m, k], self.share[:, m, k], share, days_in_a_row=False)

    def learn(self, total: Array, left: Array, size: Array, on: Mask) -> None:
        """Add one interval to the sums of its day; arrays (M, K)."""
        for sums, one in (
            (self.total, total),
            (self.left, left),
            (self.size, size),
            (self.side, np.sign(left)),
            (self.count, 1.0),
        ):
            np.add(sums, one, out=sums, where=on)


@dataclass
class Moments(Part):
    """Single intervals that stood out; empty for daily data."""

    day: _Days = kept("remembered_moments", dtype=np.uint16)  # days since 1970
    slot: NDArray[np.int16] = kept("remembered_moments", dtype=np.int16, initial=EMPTY)
    share: _Shares = kept("remembered_moments", dtype=np.float32)
    busy: Array = kept()  # decayed share of intervals that were odd

    def judge(self, number: int, slot: int) -> _Found | None:
        """What is expected at a slot of the day, if anything of any series."""
        hits = np.flatnonzero(self.slot == slot)
        if not len(hits):
            return None
        age = np.minimum(np.uint16(number) - self.day.reshape(-1)[hits], REACH)
        bits = by_age(number)[age]
        on = bits != 0
        if not on.any():
            return None
        hits = hits[on]
        places = hits % (self.slot.shape[1] * self.slot.shape[2])
        return _found(number, bits[on], age[on], self.share.reshape(-1)[hits], places)

    def learn(
        self, number: int, slot: int, share: Array, out: Mask, odd: Mask, live: Mask, rate: float
    ) -> None:
        """Remember the intervals that stand `out`, unless they are part of something long.

        Parameters
        ----------
        odd : series that deviate. rate : 1 / intervals of half a day.
        """
        places = np.nonzero(out & (self.busy < LONG_MOMENT))
        self.busy += (odd - self.busy) * live * rate
        if len(places[0]):
            when = np.full(len(places[0]), number, dtype=np.uint16)
            entry = _least(self.day, self.share, places, when, REACH_MOMENT)
            self.day[(entry, *places)] = number
            self.slot[(entry, *places)] = slot
            self.share[(entry, *places)] = share[places]

    def again(self, number: int, slot: int, m: int, k: int, share: float) -> str:
        """As `Days.again`, of an interval at a slot of the day; `share` is what it deviates by."""
        at = self.slot[:, m, k] == slot
        return _again(number, self.day[at, m, k], self.share[at, m, k], share, days_in_a_row=True)

    def daily(self, number: int, slot: int, out: Mask) -> Places | None:
        """Series that stood out at this slot now and on two of the three days before.

        They are forgotten here: the daily profile has to know them.

        Parameters
        ----------
        out : (M, K) series that stand out now.
        """
        m, k = np.nonzero(out)
        entry, which = np.nonzero(self.slot[:, m, k] == slot)
        at = entry, m[which], k[which]
        age = np.minimum(np.uint16(number + 1) - self.day[at], REACH)
        # Three days in a row: of faults of single nights, three may fall within four days.
        on = age <= IN_A_ROW
        bits = np.full(age.shape, _bit(number + 1, "day"))
        if not on.any():
            return None
        found = _found(number + 1, bits[on], age[on], self.share[at][on], which[on])
        if not len(found.places):
            return None
        measures, slices = m[found.places], k[found.places]
        gone = self.slot[:, measures, slices] == slot
        self.share[:, measures, slices] *= ~gone
        self.slot[:, measures, slices] = np.where(gone, EMPTY, self.slot[:, measures, slices])
        return measures, slices


def habit(days: Days, moments: Moments, number: int, slot: int) -> Habit | None:
    """What is expected of one interval because it came before; None if nothing is of any series.

    Parameters
    ----------
    number : days since 1970, in the detector's time zone. slot : of the day.
    """
    found = moments.judge(number, slot) if len(moments.slot) else None
    whole = days.expects != 0
    if (found is None or not len(found.places)) and not whole.any():
        return None
    share = days.expects.astype(np.float64)
    doubt = np.abs(days.doubt).astype(np.float64)
    certain = days.doubt >= 0
    moment = np.zeros_like(whole)
    if found is not None:
        for array, values in (
            (share, found.share),
            (doubt, found.doubt),
            (certain, found.certain),
            (moment, True),
        ):
            array.reshape(-1)[found.places] = values
    return Habit(share, doubt, whole | moment, certain, moment)


def expected_on(days: Days, moments: Moments, number: int) -> dict[str, Mask]:
    """By kind of like days, (M, K) series of which something is expected on a day for sure.

    Parameters
    ----------
    number : days since 1970.
    """
    shape = days.today.shape
    found: dict[str, Mask] = {}
    for part, slot in ((days, np.zeros(days.day.shape)), (moments, moments.slot)):
        entry, *at = np.nonzero((part.share != 0) & (slot >= 0))
        hit = (entry, *at)
        age = np.minimum(np.uint16(number) - part.day[hit], REACH)
        bits = by_age(number)[age]
        # A slot of a series counts as one of its own.
        series = np.ravel_multi_index(tuple(at), shape)
        places = series + slot[hit].astype(np.int64) * shape[0] * shape[1]
        habits = _found(number, bits, age, part.share[hit], places)
        for place, kind in enumerate(kinds(number)):
            held = habits.places[(habits.kind == place) & habits.certain] % (shape[0] * shape[1])
            found.setdefault(kind.name, np.zeros(shape, dtype=np.bool_)).reshape(-1)[held] = True
    return found


def _again(number: int, days: _Days, shares: _Shares, share: float, *, days_in_a_row: bool) -> str:
    """The kind of like days that a deviation completes among those remembered, empty if none."""
    told = zip(days.tolist(), shares.tolist(), strict=True)
    aged = [(number - day, one) for day, one in told if day]
    if not aged:
        return ""
    for kind in kinds(number):
        if not kind.certain or (kind.name == "day" and not days_in_a_row):
            continue
        # Of the next like day, all but the oldest of these are among the last four.
        before = [one for age, one in aged if age in kind.ages[:-1]]
        if len(before) + 1 < kind.needed:
            continue
        alike = np.array([*before, share])
        if not abs(alike.sum()) >= 0.999 * np.abs(alike).sum() > 0:
            continue
        if np.std(alike, ddof=1) <= SIMILAR * abs(float(alike.mean())):
            return kind.name
    return ""


def _bit(number: int, name: str) -> np.uint16:
    """The bit of a kind, as in `by_age`."""
    return np.uint16(1 << [kind.name for kind in kinds(number)].index(name))


def _found(
    number: int,
    bits: NDArray[np.uint16],
    age: NDArray[np.uint16],
    shares: _Shares,
    places: NDArray[np.int64],
) -> _Found:
    """Habits among remembered deviations (n,) that days of some kind have in common.

    Parameters
    ----------
    bits : kinds of each, as in `by_age`. age : in days. places : their series.
    """
    # Most series have deviated less often than any kind needs.
    any_of = int(np.bitwise_or.reduce(bits, initial=0))
    of = [(place, kind) for place, kind in enumerate(kinds(number)) if any_of >> place & 1]
    least = min((kind.needed for _, kind in of), default=0)
    often = np.bincount(places)[places] >= least
    if not often.any():
        none = np.zeros(0, dtype=np.int64)
        return _Found(none, np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.bool_), none)
    bits, age, shares, places = bits[often], age[often], shares[often], places[often]
    series, which = np.unique(places, return_inverse=True)
    share, doubt = np.zeros(len(series)), np.zeros(len(series))
    certain = np.zeros(len(series), dtype=np.bool_)
    chosen = np.zeros(len(series), dtype=np.int64)
    known = np.zeros(len(series), dtype=np.bool_)
    sizes = shares.astype(np.float64)
    for place, kind in of:
        held = (bits & np.uint16(1 << place)) != 0
        count = np.bincount(which[held], minlength=len(series))
        # Most series have deviated once or twice.
        may = ~known & (count >= kind.needed)
        if not may.any():
            continue
        held &= may[which]
        own, size = which[held], sizes[held]
        total, absolute, squares = (
            np.bincount(own, one, len(series)) for one in (size, np.abs(size), np.square(size))
        )
        mean = total / np.maximum(count, 1)
        variance = np.maximum(squares / np.maximum(count, 1) - np.square(mean), 0.0)
        variance *= count / np.maximum(count - 1, 1)
        deviation = np.sqrt(variance)
        fits = may & (absolute > 0) & (np.abs(total) >= 0.999 * absolute)
        fits &= deviation <= SIMILAR * np.abs(mean)
        if not fits.any():
            continue
        unsure = (SURE if kind.certain else UNSURE) * np.abs(mean)
        share[fits] = mean[fits]
        doubt[fits] = np.maximum(unsure, SPREAD_DOUBT * deviation)[fits]
        certain[fits] = kind.certain & ~_ambiguous(number, age[held], own, len(series))[fits]
        chosen[fits] = place
        known |= fits
    return _Found(series[known], share[known], doubt[known], certain[known], chosen[known])


def _ambiguous(number: int, age: NDArray[np.uint16], which: NDArray[np.int64], size: int) -> Mask:
    """(S,) series whose deviations have another place in the month in common, that the day is not
    at: the last days of three months were all working days, and the last day now is none.
    """
    found = np.zeros(size, dtype=np.bool_)
    ages, index = np.unique(age, return_inverse=True)
    where = np.array([positions(number - int(one)) for one in ages])[index]
    for own, each in zip(positions(number), where.T, strict=True):
        most, least = np.full(size, -1), np.full(size, 99)
        np.maximum.at(most, which, each)
        np.minimum.at(least, which, each)
        found |= (most == least) & (most != own) & (most > 0)
    return found


def _least(
    day: _Days,
    share: _Shares,
    places: tuple[NDArray[np.intp], ...],
    when: NDArray[np.uint16],
    reach: int,
) -> NDArray[np.int64]:
    """Index of the least of the remembered deviations of some series: large and new ones stay."""
    measures, slices = places
    age = when.astype(np.int64) - day[:, measures, slices].astype(np.int64)
    worth = np.abs(share[:, measures, slices]) * np.exp2(-np.minimum(age, REACH) / HALVED)
    worth *= age < reach
    return np.asarray(worth.argmin(axis=0))
