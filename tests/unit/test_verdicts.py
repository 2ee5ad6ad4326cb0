"""What people say of events: effects of yes and no, bounded, undone, the same in replays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.detection.spans import Span
from anomaly_detector.detection.verdicts import MOST, Verdict, severity, strength
from anomaly_detector.events.group import Group
from anomaly_detector.panel import Panel
from anomaly_detector.replay import Replay, replay
from anomaly_detector.snapshot import Snapshot, from_bytes, to_bytes

from tests.unit import detection_panels

DAY = 24
SIZE = 40 * DAY
HOUR = 3600
BEGIN = int(detection_panels.MONDAY.astype(np.int64))
NAMES = ("a", "b", "c")


def settings(*verdicts: Verdict) -> DetectorSettings:
    return replace(detection_panels.settings(), verdicts=verdicts)


def panel(faults: dict[int, tuple[str, int, float]], seed: int = 1) -> Panel:
    """Hours of three platforms and their total; by start, faults of a platform, of some hours."""
    hours = np.arange(SIZE)
    level = 900.0 * (1 + 0.5 * np.sin(hours % DAY / DAY * 2 * np.pi))
    shares = np.array([0.5, 0.3, 0.2])
    leaves = np.random.default_rng(seed).poisson(level[:, None] * shares).astype(np.float64)
    for start, (name, length, factor) in faults.items():
        leaves[start : start + length, NAMES.index(name)] *= factor
    leaves = np.rint(leaves)
    values = np.concatenate([leaves.sum(axis=1, keepdims=True), leaves], axis=1)[:, None, :]
    slices = np.array([["*"], *([name] for name in NAMES)], dtype=object)
    starts = detection_panels.starts(SIZE)
    return Panel(starts, ("platform",), slices, ("views",), values, 9 * np.ones_like(values))


def run(shown: Panel, *verdicts: Verdict) -> Replay:
    chosen = settings(*verdicts)
    return replay(chosen, Snapshot.initial(chosen), shown)


def hour(group: Group) -> int:
    return int(group.start.timestamp() - BEGIN) // HOUR


def said(group: Group, *, is_anomaly: bool, **changes: Any) -> Verdict:
    names = tuple((one.get("platform", "*"),) for one in group.slices)
    slices = tuple(tuple((key, (value,)) for key, value in one.items()) for one in group.slices)
    span = Span((group.measure,), slices, int(group.start.timestamp()), int(group.end.timestamp()))
    side = 1 if group.direction == "up" else -1
    return Verdict(span, names, side, is_anomaly, strength(group.severity), **changes)


FIRST, SECOND = 20 * DAY + 9, 34 * DAY + 9
TWICE = {FIRST: ("a", 4, 0.75), SECOND: ("a", 4, 0.75)}


@pytest.fixture(scope="module")
def before() -> Group:
    """The first of two events alike."""
    found = [one for one in run(panel(TWICE)).groups if hour(one) in range(FIRST, FIRST + 4)]
    assert [one.slices for one in found] == [({"platform": "a"},)]
    return found[0]


def at(done: Replay, start: int) -> list[Group]:
    return [one for one in done.groups if hour(one) in range(start, start + 4)]


def test_no_silences_what_is_alike_and_no_stronger(before: Group) -> None:
    no = said(before, is_anomaly=False, since=int(before.end.timestamp()))

    assert at(run(panel(TWICE)), SECOND)
    done = run(panel(TWICE), no)
    # What was scored before stays; what comes after is held to more.
    assert at(done, FIRST)
    assert not at(done, SECOND)


@pytest.mark.parametrize(
    "other",
    [
        ("a", 4, 0.2),  # much stronger
        ("a", 4, 1.35),  # in the other direction
        ("b", 4, 0.6),  # elsewhere
    ],
)
def test_no_silences_nothing_that_is_unlike_or_stronger(other, before: Group) -> None:
    no = said(before, is_anomaly=False)
    assert at(run(panel({SECOND: other}), no), SECOND)


def test_no_is_bounded_and_shown_as_a_number() -> None:
    no = Verdict(Span(("views",), (), 0, 1), (), -1, is_anomaly=False, strength=strength(99.0))
    assert no.needed == MOST
    assert severity(no.needed) == 75.0
    weak = replace(no, strength=strength(55.0))
    assert severity(weak.needed) == pytest.approx(55.5, abs=0.1)


def test_yes_to_what_is_alike_outweighs_no(before: Group) -> None:
    no, yes = (said(before, is_anomaly=answer, since=BEGIN) for answer in (False, True))
    assert at(run(panel(TWICE), no, yes), SECOND)


def test_an_answer_that_is_undone_has_no_effect_from_then_on(before: Group) -> None:
    end, third = int(before.end.timestamp()), BEGIN + (SECOND - DAY) * HOUR
    undone = said(before, is_anomaly=False, since=end, until=third)
    never = run(panel(TWICE))

    done = run(panel(TWICE), undone)

    assert [(one.id, one.severity) for one in at(done, SECOND)] == [
        (one.id, one.severity) for one in at(never, SECOND)
    ]
    assert to_bytes(done.after) == to_bytes(never.after)


def test_yes_keeps_the_intervals_of_the_event_out_of_learning() -> None:
    # given: a fall that a detector takes for the new level after three days
    long = {20 * DAY: ("a", 8 * DAY, 0.5)}
    (fall,) = [one for one in run(panel(long)).groups if one.slices == ({"platform": "a"},)][:1]
    assert fall.accepted
    yes = said(fall, is_anomaly=True)
    whole = replace(yes, span=replace(yes.span, end=BEGIN + 28 * DAY * HOUR))

    # when
    done, other = (run(panel({20 * DAY: ("a", 8 * DAY, factor)}), whole) for factor in (0.5, 0.4))

    # then: it is told for as long as it lasts, and what was expected of the others stays
    (told,) = [one for one in done.groups if hour(one) == 20 * DAY]
    assert not told.accepted
    assert (told.end - told.start).total_seconds() / HOUR >= 7.9 * DAY
    one, another = (np.asarray(each.after.state.forecast.day) for each in (done, other))
    assert np.array_equal(one, another)
    last = done.scores.expected[-1, 0]
    usual = run(panel({})).scores.expected[-1, 0]
    assert last == pytest.approx(usual, rel=0.05)


def test_pieces_give_what_one_run_gives_whenever_an_answer_is_known(before: Group) -> None:
    # given: answers that begin to hold where pieces meet, and in between
    shown = panel(TWICE)
    moments = [BEGIN + hours * HOUR for hours in (25 * DAY, 30 * DAY + 5, 36 * DAY)]
    answers = [
        said(before, is_anomaly=False, since=moments[0], until=moments[2]),
        said(before, is_anomaly=True, since=moments[1]),
    ]
    whole = run(shown, *answers)

    # when: each piece knows those alone that were given before it
    after, groups = Snapshot.initial(settings()), {}
    for low in range(0, SIZE, 53):
        now = BEGIN + (low + 53) * HOUR
        known = [one for one in answers if one.since <= now]
        done = replay(settings(*known), from_bytes(to_bytes(after)), shown.cut(low, low + 53))
        after = done.after
        groups |= {one.id: one for one in done.groups}

    # then
    assert to_bytes(after) == to_bytes(whole.after)
    assert {one.id: one for one in whole.groups} == groups
