"""Published methods of localisation, implemented from their papers: what `causes` compares with.

* **Adtributor** (Bhagwan et al., NSDI 2014): values of one dimension. Explanatory power is a
  value's share of the whole change, surprise the Jensen-Shannon divergence of its share. Values of
  at least 10 % explanatory power are taken in the order of surprise until they explain 67 %; the
  dimension of most surprise is the answer. Of ratios, both terms are as in its section 4.
* **Squeeze** (Li et al., ISSRE 2019): leaves beyond the knee of the deviations are clustered by
  deviation score 2 (f - v) / (f + v), at the minima of its histogram. For each cluster, the values
  of each cuboid are ordered by the share of their leaves in it, and those up to the largest
  generalised potential score are taken; cuboids are ranked by that, weighted, less their size.
* **RiskLoc** (Kalander 2022): leaves are split by a cut-off of the deviation score, and weighted by
  the distance from it. Layer by layer, the slice of largest explanatory power whose risk exceeds .5
  is taken, its leaves are removed, until 2 % of the abnormal part is left.

Constants are those of the papers. Squeeze's kernel density is a smoothed histogram here. Of a
ratio, Squeeze and RiskLoc get the numerators, as they came and as the usual rate of the rows that
came gives, which they localise better than ratios of leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.cubes import Cube

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]
Slice = tuple[int, ...]

TEEP, TEP = 0.1, 0.67
MOST_ELEMENTS, GOOD_SCORE, NORMAL_DEVIATION = 12, 0.9, 0.2
RISK, LEFT, REMOVED = 0.5, 0.02, 5


def adtributor(cube: Cube) -> list[Slice]:
    """Values of one dimension."""
    whole = _terms(cube)
    best: tuple[float, list[Slice]] = (-np.inf, [])
    for axis in range(cube.codes.shape[1]):
        codes = cube.codes[:, axis]
        terms = [np.bincount(codes, one).astype(np.float64) for one in whole]
        power, surprise = _power(terms), _surprise(terms)
        taken: list[int] = []
        explained = 0.0
        for at in np.argsort(-surprise, kind="stable"):
            if power[at] > TEEP:
                taken.append(int(at))
                explained += float(power[at])
            if explained > TEP:
                break
        if explained > TEP and float(surprise[taken].sum()) > best[0]:
            named = [_name(cube.codes.shape[1], (axis,), (value,)) for value in taken]
            best = (float(surprise[taken].sum()), named)
    return best[1]


def _terms(cube: Cube) -> list[Array]:
    if cube.weight is None or cube.weight_expected is None:
        return [cube.actual, cube.expected]
    return [cube.actual, cube.expected, cube.weight, cube.weight_expected]


def _power(terms: list[Array]) -> Array:
    actual, expected = terms[:2]
    if len(terms) == 2:
        return (actual - expected) / (float((actual - expected).sum()) or 1.0)
    rows, usual = terms[2:]
    up, down = float(expected.sum()), float(usual.sum())
    part = ((actual - expected) * down - (rows - usual) * up) / (down * (down + rows - usual))
    return np.asarray(part / (float(part.sum()) or 1.0))


def _surprise(terms: list[Array]) -> Array:
    found = np.zeros(len(terms[0]))
    for actual, expected in zip(terms[::2], terms[1::2], strict=True):
        p, q = expected / max(expected.sum(), 1e-12), actual / max(actual.sum(), 1e-12)
        for one in (p, q):
            parts = np.divide(2 * one, p + q, out=np.ones_like(one), where=one > 0)
            found += 0.5 * one * np.log(parts)
    return found


def squeeze(cube: Cube) -> list[Slice]:
    """Slices of one cuboid for each cluster of deviations."""
    codes, actual, expected = _numerators(cube)
    kept = expected > 0
    codes, actual, expected = codes[kept], actual[kept], expected[kept]
    score = _score(actual, expected)
    away = np.abs(actual - expected)
    chosen = np.flatnonzero(away > _knee(away))
    if not len(chosen):
        return []
    clusters = []
    for low, high in _clusters(score[chosen]):
        clusters.append(np.flatnonzero((score >= low) & (score <= high)))
    if not clusters:
        return []
    abnormal = np.concatenate(clusters)
    normal = np.flatnonzero(np.abs(score) < np.abs(score[abnormal]).min())
    values = sum(len(np.unique(column)) for column in codes.T)
    number = len(clusters)
    weight = np.log(number + 1) / number * values / np.log(values + 1)
    weight *= -np.log(min(1 - 1e-9, len(abnormal) / len(codes)))
    found: dict[Slice, None] = {}
    for cluster in clusters:
        found |= dict.fromkeys(_of_cluster(codes, actual, expected, cluster, normal, weight))
    return list(found)


def _of_cluster(
    codes: Codes, actual: Array, expected: Array, cluster: Codes, normal: Codes, weight: float
) -> list[Slice]:
    best: tuple[float, list[Slice]] = (-np.inf, [])
    dimensions = codes.shape[1]
    inside = np.zeros(len(codes), dtype=np.bool_)
    inside[cluster] = True
    judged = np.unique(np.concatenate([cluster, normal]))
    for depth in range(1, dimensions + 1):
        good = False
        for axes, place, names in _cuboids(codes, depth):
            hit = np.bincount(place, inside, len(names))
            members = np.bincount(place, minlength=len(names))
            order = np.argsort(-hit / members, kind="stable")
            order = order[hit[order] > 0][:MOST_ELEMENTS]
            scores = [
                _potential(actual[judged], expected[judged], np.isin(place[judged], order[: k + 1]))
                for k in range(len(order))
            ]
            if not scores:
                continue
            most = int(np.argmax(scores))
            rank = scores[most] * weight - (most + 1) * depth
            good |= scores[most] > GOOD_SCORE
            if rank > best[0]:
                named = [_name(dimensions, axes, names[one]) for one in order[: most + 1]]
                best = (rank, named)
        if good:
            break
    return best[1]


def _potential(actual: Array, expected: Array, held: Mask) -> float:
    """Squeeze's generalised potential score."""
    ripple = expected[held] * (actual[held].sum() / max(expected[held].sum(), 1e-12))
    rest = _mean(np.abs(actual[~held] - expected[~held]))
    before = _mean(np.abs(actual[held] - expected[held])) + rest
    return 1 - (_mean(np.abs(actual[held] - ripple)) + rest) / max(before, 1e-12)


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else 0.0


def _knee(values: Array) -> float:
    """Where the distribution function of the values bends most (kneedle)."""
    counts, edges = np.histogram(values, 1000)
    width = max(1, int(1000 * values.std() * len(values) ** -0.2 / max(np.ptp(values), 1e-12)))
    kernel = np.exp(-0.5 * np.square(np.arange(-3 * width, 3 * width + 1) / width))
    total = np.cumsum(np.convolve(counts, kernel / kernel.sum(), "same"))
    total = (total - total[0]) / max(total[-1] - total[0], 1e-12)
    return float(edges[int((total - np.linspace(0, 1, 1000)).argmax())])


def _clusters(score: Array) -> Iterator[tuple[float, float]]:
    """Ranges of deviation scores around the maxima of their histogram."""
    edges = np.histogram_bin_edges(score, "auto")
    if len(edges) > 1000:
        edges = np.linspace(edges[0], edges[-1], 1001)
    more = 0.1 * np.arange(1, 6)
    edges = np.concatenate([edges[0] - more[::-1], edges, edges[-1] + more])
    density, _ = np.histogram(score, edges, density=True)
    window = max(1, int((density > 0).sum()) // 10)
    smooth = np.convolve(density, np.ones(window), "valid") / window
    density = np.concatenate([density[: window - 1], smooth])
    middle = (edges[1:] + edges[:-1]) / 2
    before, after = np.roll(density, 1), np.roll(density, -1)
    lows = [-np.inf, *middle[(density <= before) & (density <= after)], np.inf]
    for at in np.flatnonzero((density > before) & (density > after)):
        left = max(low for low in lows if low < middle[at])
        right = min(low for low in lows if low > middle[at])
        own = score[(score >= left) & (score <= right)]
        if len(own) and abs(float(np.mean(np.abs(own)))) >= NORMAL_DEVIATION:
            yield float(own.min()), float(own.max())


def riskloc(cube: Cube) -> list[Slice]:
    """Slices one after the other, each the coarsest whose leaves are at risk."""
    codes, actual, expected = _numerators(cube)
    kept = (actual != 0) | (expected != 0)
    codes, actual, expected = codes[kept], actual[kept], expected[kept]
    score = _score(actual, expected)
    distinct = np.unique(score)
    few = min(REMOVED, len(distinct) - 1)
    cut = -min(float(distinct[few]), float(distinct[-1 - few]), key=abs)
    abnormal = score > cut if cut >= 0 else score < cut
    weight = np.minimum(1.0, np.where(abnormal, np.abs(score), np.abs(cut - score)))
    power = (actual - expected) / (float((actual - expected).sum()) or 1.0)
    if power[abnormal].sum() < 0:
        power = -power
    least = LEFT * float(power[abnormal].sum())
    left = np.ones(len(codes), dtype=np.bool_)
    found: list[Slice] = []
    while float(power[left & abnormal].sum()) >= least:
        one = _riskiest(codes, actual, expected, score, abnormal, weight, power, left, least)
        if one is None:
            break
        name, held = one
        found.append(name)
        left &= ~held
    return found


def _riskiest(
    codes: Codes,
    actual: Array,
    expected: Array,
    score: Array,
    abnormal: Mask,
    weight: Array,
    power: Array,
    left: Mask,
    least: float,
) -> tuple[Slice, Mask] | None:
    dimensions = codes.shape[1]
    for depth in range(1, dimensions + 1):
        best: tuple[float, Slice, Mask] | None = None
        for axes, place, names in _cuboids(codes, depth):
            explained = np.bincount(place[left], power[left], len(names))
            hit = np.bincount(place[left], abnormal[left], len(names))
            for at in np.argsort(-explained, kind="stable"):
                if explained[at] <= (best[0] if best else least):
                    break
                held = left & (place == at)
                if not hit[at] or _risk(actual, expected, score, abnormal, weight, held) < RISK:
                    continue
                best = (float(explained[at]), _name(dimensions, axes, names[at]), held)
                break
        if best is not None:
            return best[1], best[2]
    return None


def _risk(
    actual: Array, expected: Array, score: Array, abnormal: Mask, weight: Array, held: Mask
) -> float:
    risky, calm = weight[held & abnormal].sum(), weight[held & ~abnormal].sum() + 1
    high = float(risky / (risky + calm))
    held = held & (actual != 0) & (expected != 0)
    if not held.any():
        return high
    v, f = actual[held], expected[held]
    ripple = f * (v.sum() / f.sum())
    own = float(np.abs(score[held]).mean())
    return high - (float(np.abs(_score(v, ripple)).mean()) / own if own else 0.0)


def _numerators(cube: Cube) -> tuple[Codes, Array, Array]:
    return cube.codes, cube.actual, cube.usual


def _score(actual: Array, expected: Array) -> Array:
    total = actual + expected
    return np.divide(2 * (expected - actual), total, out=np.zeros_like(total), where=total != 0)


def _cuboids(codes: Codes, depth: int) -> Iterator[tuple[tuple[int, ...], Codes, Codes]]:
    """Axes of each cuboid of a layer, (L,) which of its slices holds a leaf, and their values."""
    for axes in combinations(range(codes.shape[1]), depth):
        own = codes[:, axes]
        sizes = own.max(axis=0) + 1
        key = np.ravel_multi_index(tuple(own.T), tuple(sizes))
        _, first, place = np.unique(key, return_index=True, return_inverse=True)
        yield axes, place, own[first]


def _name(dimensions: int, axes: tuple[int, ...], values: Codes | tuple[int, ...]) -> Slice:
    name = [-1] * dimensions
    for axis, value in zip(axes, values, strict=True):
        name[axis] = int(value)
    return tuple(name)


PEERS: dict[str, Callable[[Cube], list[Slice]]] = {
    "Adtributor": adtributor,
    "Squeeze": squeeze,
    "RiskLoc": riskloc,
}
