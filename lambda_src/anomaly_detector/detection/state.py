"""The state of all series; an interval is first judged, then learned.

* **Severity** of a value: 100 x / (x + T), where x is the surprise L weighted by the size of the
  change (see `surprise`), and T = log10(series x intervals a week / false events a week): chance
  alone reaches 50 as often as the budget allows. The number of series is that of the born series
  of the measure, times the number of measures of the detector.
* A value within its band has no x of its own where the one before was outside, and more than twice
  as far from its expectation: the way back is no news, however far it is.
* In a detector without dimensions, a value of severity 50 is evidence of an event by itself.
* Changes excluded by the measure's direction or minimum change have severity 0, and so do all
  values of a series before it has been learned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.arrays import Array, Mask, Part, Places, places_of
from anomaly_detector.detection.band import Band
from anomaly_detector.detection.forecast import (
    BACK_AGAIN,
    BACK_HOLDS,
    HEALING_WEEKS,
    Expectation,
    Forecast,
    day_size,
    moment_size,
)
from anomaly_detector.detection.habits import LARGEST as LARGEST_NORM
from anomaly_detector.detection.habits import Habits, Observed
from anomaly_detector.detection.month import Month, Season
from anomaly_detector.detection.recurring import (
    LARGEST,
    ODD,
    RARE,
    RENEWED,
    STANDS_OUT,
    Days,
    Moments,
    habit,
)
from anomaly_detector.detection.rules import SMALL, Rules
from anomaly_detector.detection.scan import Evidence, Scan
from anomaly_detector.detection.settings import THRESHOLD_SEVERITY, DetectorSettings
from anomaly_detector.detection.slots import Slots
from anomaly_detector.detection.special import Special
from anomaly_detector.detection.surprise import Surprisal, Surprise
from anomaly_detector.detection.tickets import Ticket, Tickets
from anomaly_detector.lattice import Lattice

_NEVER = np.datetime64("NaT", "s")
TELLING = 0.25  # share of a window that tells a level
EXPLAINED = 0.5  # share of a change that slices going back must have to be what it is
WAY_BACK = 0.5  # share of a residual outside the band that is left after the way back
SHARED = 0.1  # share of a sum that moves with its leaves from which it returns to the warm-up


@dataclass(frozen=True)
class Judged:
    """Scores of one interval; arrays (M, K), as in `Scores`."""

    actual: Array
    expected: Array
    lower: Array
    upper: Array
    severity: Array
    direction: NDArray[np.int8]
    anomalous: Mask

    def share_in(self, m: int, k: int, side: int, severity: float) -> None:
        """Lift the value of a series to the severity of the event that it is part of, in place.

        Values on the other side, and those that do not count, are no part of it.
        """
        if self.severity[m, k] > 0 and self.direction[m, k] == side:
            self.severity[m, k] = max(float(self.severity[m, k]), severity)
            self.anomalous[m, k] = self.severity[m, k] >= THRESHOLD_SEVERITY

    def tell_new(self, m: int, new: Mask, severity: float) -> None:
        """Say, in place, that nothing was expected of the new values that an event tells: what the
        detector has learned of them since is no news of what came before.

        Parameters
        ----------
        new : (K,) slices of a sum or count that count. severity : of the event.
        """
        came = new & (self.actual[m] > 0)
        for expected in (self.expected, self.lower, self.upper):
            expected[m, came] = 0.0
        self.direction[m, came] = 1
        self.severity[m, came] = np.maximum(self.severity[m, came], severity)
        self.anomalous[m, came] = self.severity[m, came] >= THRESHOLD_SEVERITY


@dataclass(frozen=True)
class Held:
    """What open events keep from being learned; (M, K) series.

    Attributes
    ----------
    frozen : learn nothing but the young profiles of a level that they have just been moved to.
    lasting : of them, those that an event has held for a day: what it shows is no habit, however
        often it comes.
    evident : of them, those in an event of what is new or gone. No wrong profile brings that about,
        so that young ones do not learn it either.
    over : an event of them has just ended: they find back to their forecast at once.
    """

    frozen: Mask
    lasting: Mask
    evident: Mask
    over: Mask

    @classmethod
    def by(cls, frozen: Mask) -> Self:
        """Series that events of another kind have just begun to hold."""
        return cls(frozen, *(np.zeros_like(frozen) for _ in range(3)))

    def add(self, m: int, series: Mask, *, lasting: bool, evident: bool) -> None:
        """Let an event hold series (K,) of a measure, in place."""
        self.frozen[m] |= series
        self.lasting[m] |= series & lasting
        self.evident[m] |= series & evident


@dataclass(frozen=True)
class Shown:
    """Observations and expectations of one interval, for scan and learning; arrays (M, K).

    Attributes
    ----------
    value : without what a single large ticket brought; the expectation if missing.
    residual : value minus expectation. z : residual in units of the scale.
    ticket : what it brought, None if unknown. squares : sum of the squares of the rows' values, NaN
        if unknown; None if all are.
    lower, upper : band, before it is cut to possible values.
    raw : value as it came. known : whether it is known which rows the interval has.
    withheld : series whose value is neither scored nor learned; None if there are none.
    hidden : the same, and those on the first special day of its name: `observed` has no value.
    """

    observed: Observed
    expectation: Expectation
    surprisal: Surprisal
    value: Array
    residual: Array
    z: Array
    ticket: Ticket | None
    squares: Array | None
    lower: Array
    upper: Array
    slots: Slots
    raw: Array
    known: bool
    withheld: Mask | None
    hidden: Mask | None

    @property
    def told(self) -> bool | Mask:
        """Whether it is known which rows the interval has, or (M, K) of which series."""
        return self.known if self.hidden is None else ~self.hidden & self.known

    @property
    def all_told(self) -> bool:
        """Whether it is known which rows the interval has, of each series."""
        return self.known and (self.hidden is None or not self.hidden.any())

    @property
    def whole(self) -> Array:
        """(M, K) value with all that tickets brought."""
        return self.value if self.ticket is None else self.value + self.ticket.cut


@dataclass
class State:
    """State of K slices and M measures.

    Attributes
    ----------
    until : datetime64[s], UTC start of the latest learned interval; NaT before the first.
    slices : (K, D) object array of str, ascending; a stored state contains only born slices.
    clock : number of learned intervals.
    """

    until: np.datetime64
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    slices: NDArray[np.object_]
    clock: int
    habits: Habits
    tickets: Tickets
    forecast: Forecast
    season: Season
    month: Month
    special: Special
    days: Days
    moments: Moments
    surprise: Surprise
    band: Band
    scan: Scan

    @property
    def parts(self) -> dict[str, Part]:
        """Parts by name."""
        return {name: getattr(self, name) for name in PARTS}

    @cached_property
    def lattice(self) -> Lattice:
        """Lattice of the slices; states with the same slices share it."""
        return Lattice.of(self.slices)

    @property
    def nbytes(self) -> int:
        """Total size of all arrays in bytes."""
        return sum(array.nbytes for array in self.named().values())

    def named(self) -> dict[str, NDArray[Any]]:
        """Arrays by `part.field`."""
        return {
            f"{name}.{field}": array
            for name, part in self.parts.items()
            for field, array in part.named().items()
        }

    def grown(
        self, settings: DetectorSettings, lattice: Lattice, places: NDArray[np.int64]
    ) -> Self:
        """A copy for the slices of `lattice`; its own go to the indices `places`."""
        size = len(lattice.slices)
        grown = self._mapped(lattice.slices, lambda part: part.grown(settings, size, places))
        grown.lattice = lattice
        return grown

    def copied(self) -> Self:
        """A copy."""
        return self._mapped(self.slices, lambda part: part.copied())

    def picked(self, slices: Mask) -> Self:
        """A copy of the slices selected by a mask (K,)."""
        return self._mapped(self.slices[slices], lambda part: part.picked(slices))

    def _mapped(self, slices: NDArray[np.object_], change: Callable[[Part], Part]) -> Self:
        parts: dict[str, Any] = {name: change(part) for name, part in self.parts.items()}
        changed = replace(self, slices=slices, **parts)
        if slices is self.slices:
            changed.lattice = self.lattice
        return changed

    def judge(
        self,
        rules: Rules,
        value: Array,
        count: Array,
        norm: Array | None,
        slots: Slots,
        *,
        known: bool = True,
        withheld: Mask | None = None,
    ) -> Shown:
        """Compare one interval with its expectation.

        Parameters
        ----------
        value, count : (M, K), NaN and 0 if no row landed. NaN, infinite and huge values are
            missing.
        norm : (M, K), NaN where unknown; None if unknown throughout.
        slots : of the interval in the profiles.
        known : whether it is known which rows the interval has; if not, none is absent.
        withheld : (M, K) series whose value is neither scored nor learned. Nor is that of a special
            day that is the first of its name, but for what is learned of that.
        """
        habits, raw, hidden = self.habits, value, withheld
        self.special.begin(slots.date, slots.special)
        if slots.special is not None:
            first = self.special.first(slots.special)
            hidden = first if withheld is None else withheld | first
        told: bool | Mask = known
        if hidden is not None:
            told = ~hidden & known
            value, count = np.where(hidden, np.nan, value), np.where(hidden, 0.0, count)
            norm = None if norm is None else np.where(hidden, np.nan, norm)
        usual = self.forecast.came_before(slots) & told
        strange = self.forecast.strange(rules, slots, self.clock - habits.first)
        observed = habits.judge(
            rules, value, count, self.forecast.spread_all, usual, strange, known=told
        )
        self.days.begin(slots.date, rules.half_day)
        again = habit(self.days, self.moments, slots.date, slots.day)
        expectation = self.forecast.judge(
            rules, habits, self.season, self.month, again, observed, slots, self.special
        )
        value = np.where(observed.live, observed.actual, expectation.expected)
        residual = value - expectation.expected
        ticket = self.tickets.judge(
            rules, observed, norm, expectation.expected, residual, habits.signed, self.lattice
        )
        if ticket is not None:
            value = value - ticket.cut
            residual = value - expectation.expected
        shares = self.band.shares(rules, habits)
        squares = _squares(rules, observed, norm, shares)
        z = (residual / expectation.scale).clip(-1e6, 1e6)
        surprisal = self.surprise.judge(
            rules, habits, observed, expectation, value, residual, shares
        )
        lower, upper = self.band.judge(
            rules, expectation.expected, expectation.scale, surprisal.unit[1]
        )
        # The way back into the band is no news of its own, however far the value jumped.
        last = self.surprise.last_residual
        before = expectation.expected + last
        back = (before < lower) | (before > upper)
        back &= np.abs(residual) < WAY_BACK * np.abs(last)
        back &= (value >= lower) & (value <= upper)
        surprisal.weight[back] = 0.0
        return Shown(
            observed,
            expectation,
            surprisal,
            value,
            residual,
            z,
            ticket,
            squares,
            lower,
            upper,
            slots,
            raw,
            known,
            withheld,
            hidden,
        )

    def score(self, rules: Rules, shown: Shown) -> Judged:
        """Scores of the interval, before it is learned."""
        actual, live = shown.observed.actual, shown.observed.live
        expected, z, found = shown.expectation.expected, shown.z, shown.surprisal
        born = shown.observed.born
        scored = self.habits.seen >= rules.score_after
        severity = self.surprise.severity(rules, found, _threshold(rules, born), live)
        severity *= self._counts(rules, shown)

        lower, upper = shown.lower.copy(), shown.upper.copy()
        self.band.cut(rules, self.habits, lower, upper)
        unknown = ~scored
        for bound in (lower, upper):
            np.copyto(bound, np.nan, where=unknown)
        away = z if shown.ticket is None else shown.residual + shown.ticket.cut
        direction = (away > 0).view(np.int8) - (away < 0).view(np.int8)
        direction *= born & live
        if shown.hidden is not None:
            came = shown.hidden & (np.abs(shown.raw) <= LARGEST_NORM)
            actual = np.where(came, shown.raw, actual)
        return Judged(
            actual=actual,
            expected=np.where(born, expected, np.nan),
            lower=lower,
            upper=upper,
            severity=severity,
            direction=direction,
            anomalous=severity >= THRESHOLD_SEVERITY,
        )

    def _counts(self, rules: Rules, shown: Shown) -> Mask:
        """(M, K) values that are scored and change in a way that counts."""
        counts = (self.habits.seen >= rules.score_after) & shown.observed.live
        if rules.one_sided:
            counts &= np.where(shown.z > 0, rules.up, rules.down)
        if rules.minima:
            change = np.abs(shown.residual)
            counts &= change >= rules.min_absolute
            counts &= change >= rules.min_relative * np.abs(shown.expectation.expected)
        return np.asarray(counts)

    def _severe(self, rules: Rules, shown: Shown) -> Mask:
        """(M, K) values of at least the threshold's severity, scored or not."""
        found = shown.surprisal.weight >= _threshold(rules, shown.observed.born)
        return found & self._counts(rules, shown) if found.any() else found

    def habit(self, rules: Rules, shown: Shown, m: int, k: int) -> str:
        """What a deviation is from now on expected as, because this is its last time as a surprise:
        a kind of like days (`alike`); empty if it is not. Call this before `learn`.
        """
        expectation, slots = shown.expectation, shown.slots
        total = float(shown.residual[m, k] + expectation.special[m, k])
        size = float(day_size(self.habits, expectation.base)[m, k])
        found = self.days.again(slots.date, m, k, total, size, rules.half_day)
        if found or not len(self.moments.slot):
            return found
        share = total / max(float(moment_size(self.habits, expectation.base)[m, k]), SMALL)
        return self.moments.again(slots.date, slots.day, m, k, share)

    def weigh(
        self, rules: Rules, shown: Shown, lattice: Lattice, due: Array | float = 1.0
    ) -> Evidence:
        """Add the interval to the windows and compute the evidence of events.

        Parameters
        ----------
        due : (M, 1) share of the usual rows that come at this time of the week, 1 where unknown.
        """
        self.forecast.follow_back(
            rules, self.habits, shown.expectation, shown.value, shown.observed.live
        )
        counts = shown.observed.live & (self.habits.seen >= rules.score_after)

        def surprise(at: Places) -> Array:
            return self.surprise.lasting(rules, shown.surprisal, at) * counts[at]

        found = self.scan.judge(
            rules,
            self.habits,
            shown.observed,
            shown.expectation,
            surprise,
            shown.value,
            shown.squares,
            self.surprise.long_level,
            self.band.shares(rules, self.habits),
            lattice,
            self.clock,
            due,
        )
        if not self.dimensions:
            # The only series of a measure has no others that would tell a fault from noise.
            severe = self._severe(rules, shown)
            if severe.any():
                found.take_in(shown.surprisal.weight, severe)
        return found

    def learn(
        self,
        rules: Rules,
        shown: Shown,
        evidence: Evidence,
        held: Held,
        apart: Mask | None = None,
    ) -> None:
        """Learn one interval.

        Parameters
        ----------
        held : what events keep from being learned.
        apart : (M, K) series that learn nothing at all: people said that this is an anomaly.
        """
        habits, slots, live = self.habits, shown.slots, shown.observed.live
        self._learn_special(rules, shown, apart)
        returning = np.zeros_like(held.frozen)
        for m in np.flatnonzero((self.forecast.back >= BACK_HOLDS).any(axis=1)).tolist():
            returning[m] = self.returning(rules, evidence, m)
        frozen = held.frozen | returning
        if apart is not None:
            frozen |= apart
        expectation, value, residual = shown.expectation, shown.value, shown.residual
        young = habits.young  # accepting a new level may have made them younger
        # A silence that was accepted is no habit either.
        silent = frozen | (self.scan.gone < 0)
        habits.learn_presence(rules, shown.observed, expectation.expected, silent)
        # What has just been moved is not what this expectation is of, and what is gone would
        # unlearn the level that it can return to.
        out = (young > shown.observed.young) | self.forecast.is_gone(habits, value) | returning
        if apart is not None:
            out |= apart
        on = live & ~frozen & ~out
        # Frozen series that are not born learn nothing.
        known = live & (~frozen | habits.born) & ~out
        self.scan.learn(rules, habits, evidence, value, known, frozen)
        self.band.learn(rules, habits, shown.whole, shown.lower, shown.upper, on)
        self.tickets.learn(rules, habits, shown.observed, value, shown.ticket, on)
        plain = known
        if expectation.precedent is not None:
            plain = known & ~expectation.precedent.known
        if slots.season is not None:
            self.season.learn(
                habits,
                slots.season,
                expectation.base - expectation.season,
                residual + expectation.season,
                expectation.season_adds,
                expectation.calm_scale,
                plain,
                frozen,
            )
        if slots.month is not None:
            self.month.learn(
                habits,
                slots.month,
                expectation.expected - expectation.special,
                residual + expectation.special,
                expectation.month_adds,
                expectation.calm_scale,
                plain,
                frozen,
            )
        profiles = known & ~frozen
        unlearned = self.clock - habits.first < HEALING_WEEKS * rules.week_known_after // 2
        still = None
        if frozen.any():
            observed = shown.observed
            heals = self.forecast.heals(rules, habits, observed, expectation, value, slots)
            heals &= ~held.evident
            profiles |= known & heals
            still = known & ~profiles
        caution = evidence.caution(rules)
        caution[held.over] = 1.0
        learnt = self.forecast.learn(
            rules,
            habits,
            expectation,
            residual,
            shown.z,
            slots,
            on,
            profiles,
            young,
            caution,
            unlearned,
            still,
        )
        absent = shown.observed.absent
        if apart is not None:
            absent = absent & ~apart
        if expectation.precedent is not None:
            absent = absent & ~expectation.precedent.known
        scored = habits.seen >= rules.score_after
        self._remember(rules, shown, plain & scored, absent & scored, held.lasting)
        self.surprise.learn(rules, habits, shown.surprisal, expectation.few, value, known, young)
        habits.learn(
            rules,
            shown.observed,
            shown.whole,
            learnt,
            on,
            young,
            expectation.expected,
            self.clock,
        )
        self._go_back(rules)
        moved = self.forecast.follow_run(rules, value, expectation.expected, shown.z, on)
        if moved is not None:
            sums = self.forecast
            self._move(
                rules,
                moved,
                sums.run_expected[moved],
                sums.run_actual[moved],
                sums.run_length[moved],
            )

    def _learn_special(self, rules: Rules, shown: Shown, apart: Mask | None) -> None:
        """Learn what a special day brings; incidents and anomalies are not among it."""
        slots = shown.slots
        if slots.special is None:
            return
        value, habits = shown.observed.actual, self.habits
        if shown.hidden is not None:
            # A shop that is closed sells nothing.
            closed = np.isnan(shown.raw) & habits.born & rules.absent_is_zero & shown.known
            value = np.where(shown.hidden, np.where(closed, 0.0, shown.raw), value)
        on = (habits.seen >= rules.score_after) & (np.abs(value) <= LARGEST_NORM)
        for out in (shown.withheld, apart):
            if out is not None:
                on &= ~out
        base = shown.expectation.base
        self.special.learn(habits, slots.date, slots.special, base, value, on)

    def _remember(
        self, rules: Rules, shown: Shown, live: Mask, absent: Mask, lasting: Mask
    ) -> None:
        """Remember what stands out in the `live` series; call this after `forecast` has learned,
        and before `surprise` does. `absent` ones, which have no row, have nothing in their day:
        that is part of what it was. Single intervals of what an event has held for a day are none
        of their own, but of its level.
        """
        if not len(self.days.day):
            return
        habits, slots, expectation = self.habits, shown.slots, shown.expectation
        known, residual = expectation.habit, shown.residual
        total = residual + expectation.special
        left, aside, whole_day = residual, residual, live
        if known is not None:
            left = np.where(known.known, total, residual)
            aside = np.where(known.moment, total, residual)
            whole_day = live & ~known.moment
        size, lacks = day_size(habits, expectation.base), absent.any()
        of_day = total, left
        if lacks:
            nothing = -expectation.base
            away = -expectation.expected
            if known is not None:
                away = np.where(known.known, nothing, away)
            of_day = np.where(absent, nothing, total), np.where(absent, away, left)
        self.days.learn(*of_day, size, whole_day | absent if lacks else whole_day)
        if not len(self.moments.slot):
            return
        live = live & ~lasting
        scale = (
            expectation.scale
            if expectation.unsure is None
            else (expectation.scale / expectation.unsure)
        )
        away = np.abs(aside)
        odd = live & (away > ODD * scale)
        out = odd & (away > STANDS_OUT * scale)
        if out.any():
            at = places_of(out)
            out[at] = self.surprise.lasting(rules, shown.surprisal, at) > RARE
        size = moment_size(habits, expectation.base)
        share = total / np.maximum(size, SMALL)
        if known is not None:
            again = (known.share * share > 0) & (np.abs(share) >= RENEWED * np.abs(known.share))
            out |= live & known.moment & again
        if not out.any():
            self.moments.learn(slots.date, slots.day, share, out, odd, live, 1 / rules.half_day)
            return
        share = np.minimum(np.maximum(share, -LARGEST), LARGEST)
        self.moments.learn(slots.date, slots.day, share, out, odd, live, 1 / rules.half_day)
        daily = self.moments.daily(slots.date, slots.day, out)
        if daily is not None:
            self.forecast.take_in(daily, slots, total[daily])

    def accept(
        self,
        rules: Rules,
        evidence: Evidence,
        m: int,
        within: Mask,
        overlap: Mask,
        new: Mask,
        age: int,
    ) -> None:
        """Accept what an event has shown as the new level of a measure's slices.

        The slices of the event move to the level of the longest windows within it. Sums of other
        slices that share leaves with it change by what these leaves do, each at its own time of the
        day: a total that has lost its largest part by day has not lost its nightly jobs. What is
        new has no other level than its own, and is added to its roll-ups.

        Parameters
        ----------
        within : (K,) slices that the event's slices contain. overlap : (K,) those that share
            leaves with it. new : (K,) slices that are new and made up the change.
        age : intervals since the event opened.
        """
        habits, leaves = self.habits, self.lattice.leaves
        signed = habits.signed[m] > 0
        # Of a day or longer, the longest windows begin before it does.
        window = max(0, int(np.searchsorted(rules.windows, age, side="right")) - 1)
        if not rules.additive[m, 0] or signed[overlap].any():
            self._move_windows(rules, evidence, m, overlap, window, 1.0)
            return
        if new.any():
            leaves = leaves[new[leaves]]
            widest = int((self.lattice.codes >= 0).sum(axis=1).argmin())
            self.forecast.lend_week(m, new, widest)
            after = self.forecast.shape_of(m, leaves, habits.level)
            before = np.zeros_like(after[0]), np.zeros_like(after[1])
            held = np.zeros(len(overlap), dtype=np.bool_)
            held[self.lattice.leaves] = True
            self._share(rules, m, overlap & ~held, leaves, before, after)
            return
        leaves = leaves[within[leaves]]
        before = self.forecast.shape_of(m, leaves, habits.level)
        # Windows begin anew with each event that ends in them; a few hours are no level.
        self._move_windows(rules, evidence, m, within, window, TELLING)
        after = self.forecast.shape_of(m, leaves, habits.level)
        self._share(rules, m, overlap & ~within, leaves, before, after)

    def _move_windows(
        self, rules: Rules, evidence: Evidence, m: int, slices: Mask, window: int, least: float
    ) -> None:
        """Move slices (K,) of a measure to the level of a window, of which they have at least some
        share.
        """
        length = float(rules.windows[window])
        filled = np.minimum(self.scan.ring_fill[m], length)
        places = np.nonzero(slices & (filled >= least * length))[0]
        if not len(places):
            return
        at = (np.full(len(places), m), places)
        lasted = filled[places]
        change = evidence.changes[window, m, places]
        base = evidence.bases[window, m, places] * evidence.size[m, places]
        base = np.where(self.habits.signed[at] > 0, self.habits.level[at] * lasted, base)
        self._move(rules, at, base, base + change, lasted)

    def _share(
        self,
        rules: Rules,
        m: int,
        slices: Mask,
        leaves: NDArray[np.int64],
        before: tuple[Array, Array],
        after: tuple[Array, Array],
    ) -> None:
        """Let sums of slices (K,) follow leaves that have moved; profiles as of `shape_of`.

        What changes much returns to the warm-up for a while.
        """
        lattice = self.lattice
        order = np.searchsorted(lattice.leaves, leaves)
        changed = np.zeros(len(lattice.leaves))
        changed[order] = 1.0
        slices = slices & (lattice.summed(changed) > 0)
        added = []
        for one, other in zip(before, after, strict=True):
            change = np.zeros((len(one), len(lattice.leaves)))
            change[:, order] = other - one
            added.append(lattice.summed(change)[:, slices])
        places = np.nonzero(slices)[0]
        at = (np.full(len(places), m), places)
        level = self.habits.level[at]
        moved = added[0].mean(axis=0)
        factor = np.clip((level + moved) / np.where(level > 0, level, 1.0), 0.01, 100.0)
        factor = np.where(level > 0, factor, 1.0)
        large = np.abs(factor - 1.0) > SHARED
        self.forecast.add(rules, at, added[0], added[1], factor, large)
        self.habits.level[at] = level * factor
        some = (at[0][large], at[1][large])
        self.habits.move(rules, some, np.ones(len(some[0])), np.zeros(len(some[0])))
        self.surprise.move(at, moved)

    def returning(self, rules: Rules, evidence: Evidence, m: int) -> Mask:
        """(K,) slices of a measure that seem to be back at the level before an accepted one, or
        whose change in this interval is that of such slices.
        """
        forecast, lattice = self.forecast, self.lattice
        own = forecast.back[m] >= BACK_HOLDS
        if not own.any():
            return np.asarray(own)
        held = (own[lattice.places] & (lattice.places >= 0)).any(axis=0)
        inside = (lattice.summed(held.astype(np.float64)) > 0) & (forecast.back[m] > 0)
        if not rules.additive[m, 0]:
            return np.asarray(own | inside)
        change = evidence.now_change[m]
        of_them = lattice.summed(np.where(held, change[lattice.leaves], 0.0))
        return np.asarray(own | inside | (of_them * np.sign(change) > EXPLAINED * np.abs(change)))

    def _go_back(self, rules: Rules) -> None:
        """Undo the acceptance of a level where values are those of the level before again, and of
        slices within that moved in the same direction, unless their own values speak against it.
        """
        forecast, lattice = self.forecast, self.lattice
        again = forecast.back >= BACK_AGAIN
        if not again.any():
            return
        for m, place in zip(*np.nonzero(again), strict=True):
            alike = (forecast.moved[m] > 1.0) == (forecast.moved[m, place] > 1.0)
            alike &= (forecast.moved[m] != 1.0) & (forecast.back[m] > 0)
            again[m] |= lattice.within(int(place)) & alike
        for m in np.flatnonzero(again.any(axis=1)).tolist():
            slices = np.nonzero(again[m])[0]
            at = (np.full(len(slices), m), slices)
            leaves = lattice.leaves[again[m][lattice.leaves]]
            before = forecast.shape_of(m, leaves, self.habits.level)
            # The doubt about the level that is left is none about the one before.
            forecast.spread_all[at] = forecast.spread[(slice(None), *at)].mean(axis=0)
            factor = 1.0 / forecast.moved[at]
            self._move_by(rules, at, factor, 0.0, self.habits.level[at] * (factor - 1.0))
            self.scan.empty(m, again[m])
            if rules.additive[m, 0] and len(leaves):
                # Others have followed these; those that have moved themselves decide themselves.
                after = forecast.shape_of(m, leaves, self.habits.level)
                others = (forecast.moved[m] == 1.0) & (self.habits.signed[m] == 0)
                self._share(rules, m, others & ~again[m], leaves, before, after)
            forecast.moved[at] = 1.0

    def _move(self, rules: Rules, at: Places, before: Array, after: Array, length: Array) -> None:
        """Move series to a new level, and return them to the warm-up for a while.

        Parameters
        ----------
        before, after : sums of expected and of actual values over `length` intervals.
        """
        scales = (self.habits.signed[at] == 0) & (before > 0) & (after >= 0)
        # What is gone leaves next to nothing, but a level that it can return to.
        least = np.where(after > 0, 0.01, 1e-4)
        factor = np.minimum(np.maximum(after / np.where(scales, before, 1.0), least), 100.0)
        moved = (after - before) / np.maximum(length, 1.0)
        self._move_by(rules, at, np.where(scales, factor, 1.0), np.where(scales, 0.0, moved), moved)

    def _move_by(
        self, rules: Rules, at: Places, factor: Array, added: Array | float, moved: Array
    ) -> None:
        """Move series by a factor and what is added; `moved` is the change of both."""
        self.habits.move(rules, at, factor, added)
        self.forecast.move(rules, at, factor, added, moved)
        self.surprise.move(at, moved)


def _squares(rules: Rules, observed: Observed, norm: Array | None, shares: Mask) -> Array | None:
    """(M, K) sum of the squares of the rows' values, NaN if unknown; None if all are.

    Of a ratio that is a share, its denominator is taken for a number of rows, each of which is part
    of it or not.
    """
    squares = None if norm is None else np.square(np.where(norm <= LARGEST_NORM, norm, np.nan))
    for m in rules.ratios:
        value, count = observed.actual[m], observed.count[m]
        counted = shares[m] & (value >= 0) & (value <= 1) & (count == np.rint(count))
        if counted.any():
            squares = np.full(shares.shape, np.nan) if squares is None else squares
            np.copyto(squares[m], value * count, where=counted)
    return squares


def _threshold(rules: Rules, born: Mask) -> Array:
    """(M, 1) T of values."""
    series = np.maximum(1, born.sum(axis=1, keepdims=True)) * rules.measures_in_all
    return np.asarray(np.maximum(1.0, np.log10(series / rules.budget)))


PARTS: Mapping[str, type[Part]] = {
    "habits": Habits,
    "tickets": Tickets,
    "forecast": Forecast,
    "season": Season,
    "month": Month,
    "special": Special,
    "days": Days,
    "moments": Moments,
    "surprise": Surprise,
    "band": Band,
    "scan": Scan,
}
"""Classes of the parts of a state, by field."""


def initial_state(settings: DetectorSettings) -> State:
    """The state before the first interval, without slices."""
    parts: dict[str, Any] = {name: part.fresh(settings, 0) for name, part in PARTS.items()}
    return State(
        until=_NEVER,
        dimensions=settings.dimensions,
        measures=tuple(rule.name for rule in settings.measures),
        slices=np.empty((0, len(settings.dimensions)), dtype=object),
        clock=0,
        **parts,
    )


def parts_of(named: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The parts by name, from the arrays that `State.named` returned; others are ignored.

    Raises
    ------
    KeyError
        Where an array is missing.
    """
    return {
        name: part.of({one.name: named[f"{name}.{one.name}"] for one in fields(part)})
        for name, part in PARTS.items()
    }
