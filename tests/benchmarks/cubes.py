"""Seeded cubes with planted faults, for localisation: a leaf is a combination of values.

Sizes of leaves are Weibull (shape .5-1, as in RiskLoc's generator: Kalander 2022), a share of them
is zero. One to three slices, one to three dimensions deep, change by a factor of their own, all in
the same direction; the change of a leaf varies a little around it. A planted slice is distinct in
its leaves from any wider one, brings at least a tenth of the whole change, and changes by at least
four usual deviations of its sum: what is smaller is not asked for. Of a derived cube (a ratio of
sums), the numerator changes: its rate. Rows vary by a fifth, whatever happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Slice = tuple[int, ...]

SHAPES = ((10, 12, 8), (8, 6, 10, 5), (10, 12, 10, 8), (6, 5, 6, 4, 5), (4, 5, 3, 4, 5, 3))
LEAST_PART, LEAST_DEVIATIONS = 0.1, 4.0
TRIES = 50


@dataclass(frozen=True)
class Kind:
    """How cubes of a kind are made.

    Attributes
    ----------
    noise, ripple, zeros, change : ranges of the relative noise of a leaf, of that of a fault, of
        the share of leaves that are zero, and of how much a fault changes.
    depths : least and largest number of dimensions of a fault.
    apart : whether faults share no leaf; else they may cross, and both then change it.
    together : values of one dimension that fail together.
    """

    noise: tuple[float, float] = (0.0, 0.02)
    ripple: tuple[float, float] = (0.0, 0.02)
    zeros: tuple[float, float] = (0.0, 0.0)
    change: tuple[float, float] = (0.3, 0.95)
    depths: tuple[int, int] = (1, 3)
    derived: bool = False
    apart: bool = True
    together: int = 1


NOISY = Kind(noise=(0.05, 0.25), ripple=(0.0, 0.1), zeros=(0.0, 0.25))
KINDS = {
    "clean": Kind(),
    "clean, zero leaves": Kind(zeros=(0.1, 0.4)),
    "clean, derived": Kind(zeros=(0.0, 0.25), derived=True),
    "clean, crossing": Kind(apart=False),
    "clean, values together": Kind(together=3),
    "noisy": NOISY,
    "noisy, derived": replace(NOISY, derived=True),
    "noisy, crossing": replace(NOISY, apart=False),
    "noisy, values together": replace(NOISY, together=3),
}


@dataclass(frozen=True)
class Cube:
    """Leaves of a cube and its planted faults; arrays (L,).

    Attributes
    ----------
    codes : (L, D).
    actual, expected : of the measure; of a derived one, its numerator.
    weight, weight_expected : the denominator of a derived measure; None of others.
    faults : leaves that each planted slice holds, those that are nothing but zero left out.
    """

    codes: NDArray[np.int64]
    actual: Array
    expected: Array
    weight: Array | None
    weight_expected: Array | None
    faults: tuple[Mask, ...]

    @property
    def usual(self) -> Array:
        """What was expected of the rows that came."""
        if self.weight is None or self.weight_expected is None:
            return self.expected
        return np.asarray(self.expected * self.weight / np.maximum(self.weight_expected, 1e-12))

    @property
    def told(self) -> Mask:
        """Leaves that are not zero."""
        return np.asarray((self.actual != 0) | (self.usual != 0))

    def held(self, name: Slice) -> Mask:
        """Leaves of a slice that are not zero."""
        return np.asarray(_held(self.codes, name) & self.told)


def cubes(kind: Kind, seeds: Sequence[int], shapes: Sequence[Slice] = SHAPES) -> Iterator[Cube]:
    """A cube for each seed; every other one goes up."""
    for seed in seeds:
        random = np.random.default_rng((seed, 12))
        found = None
        while found is None:
            found = _cube(kind, random, shapes[seed % len(shapes)], 1 if seed % 2 else -1)
        yield found


def _cube(kind: Kind, random: np.random.Generator, shape: Slice, side: int) -> Cube | None:
    codes = np.stack([axis.ravel() for axis in np.indices(shape)], axis=1)
    leaves = len(codes)
    noise, ripple = random.uniform(*kind.noise), random.uniform(*kind.ripple)
    expected = random.weibull(random.uniform(0.5, 1.0), leaves) * 100
    expected *= random.uniform(size=leaves) >= random.uniform(*kind.zeros)
    usual, weight, weight_expected = expected, None, None
    if kind.derived:
        weight_expected = expected
        weight = expected * np.maximum(0.0, random.normal(1.0, 0.2, leaves))
        rate = random.uniform(0.02, 0.3, leaves)
        expected, usual = rate * weight_expected, rate * weight
    actual = usual * np.maximum(0.0, random.normal(1.0, noise, leaves))
    names = _places(kind, random, codes, int(random.integers(1, 4)))
    if names is None:
        return None
    factors: dict[Slice, float] = {}
    for group in names:
        change = random.uniform(*kind.change)
        for name in group:
            factors[name] = 1 - change if side < 0 else 1 / (1 - min(change, 0.8))
    for name, factor in factors.items():
        own = factor + (factor - 1) * random.normal(0.0, ripple, leaves)
        actual = np.where(_held(codes, name), actual * np.maximum(0.0, own), actual)
    told = (actual != 0) | (usual != 0)
    faults = tuple(_held(codes, name) & told for name in factors)
    cube = Cube(codes, actual, expected, weight, weight_expected, faults)
    return cube if _visible(cube, noise, list(factors)) else None


def _places(
    kind: Kind, random: np.random.Generator, codes: NDArray[np.int64], number: int
) -> list[list[Slice]] | None:
    """Names of slices, those that fail together in one list; none holds another."""
    found: list[list[Slice]] = []
    held: list[Mask] = []
    for _ in range(TRIES):
        depth = int(random.integers(kind.depths[0], min(kind.depths[1], codes.shape[1]) + 1))
        axes = random.choice(codes.shape[1], depth, replace=False)
        name = np.full(codes.shape[1], -1)
        name[axes] = codes[random.integers(len(codes)), axes]
        group = [name]
        size = int(codes[:, axes[0]].max()) + 1
        for value in random.permutation(size)[: min(kind.together, size // 2) - 1]:
            if value != name[axes[0]]:
                group.append(name.copy())
                group[-1][axes[0]] = value
        own = [_held(codes, tuple(one.tolist())) for one in group]
        if not any(_collide(one, other, apart=kind.apart) for one in own for other in held):
            found.append([tuple(one.tolist()) for one in group])
            held += own
        if len(found) == number or (found and kind.together > 1):
            return found
    return None


def _collide(one: Mask, other: Mask, *, apart: bool) -> bool:
    both = int((one & other).sum())
    return both > 0 if apart else both >= min(one.sum(), other.sum())


def _visible(cube: Cube, noise: float, names: list[Slice]) -> bool:
    usual = cube.usual
    change = np.abs(cube.actual - usual)
    whole = float(change[np.logical_or.reduce(cube.faults)].sum())
    for held, name in zip(cube.faults, names, strict=True):
        alone = held & ~np.logical_or.reduce(
            [other for other in cube.faults if other is not held] or [np.zeros_like(held)]
        )
        own = float(change[alone].sum())
        if own < LEAST_PART * whole:
            return False
        if own < LEAST_DEVIATIONS * noise * float(np.sqrt(np.square(usual[alone]).sum())):
            return False
        # A wider slice with the same leaves could not be told from it.
        for axis, value in enumerate(name):
            wider = (*name[:axis], -1, *name[axis + 1 :])
            if value >= 0 and cube.held(wider).sum() == held.sum():
                return False
    return True


def _held(codes: NDArray[np.int64], name: Slice) -> Mask:
    wanted = np.array(name)
    return np.asarray(((wanted < 0) | (codes == wanted)).all(axis=1))
