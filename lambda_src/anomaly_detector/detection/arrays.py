"""Base of the parts of a detector's state: dataclasses of arrays over measures and slices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.settings import DetectorSettings

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Places = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Indices of series: their measures and slices, two arrays that index (M, K)."""


def kept(
    *axes: int | str,
    dtype: type[np.generic] = np.float64,
    initial: float | Sequence[Any] = 0.0,
) -> Any:  # noqa: ANN401 a field of the declared type
    """A field of a part: an array of shape (*axes, M, K), measure and slice last.

    Parameters
    ----------
    axes : lengths of the leading axes, or names of properties of the settings.
    initial : initial value of a series; a scalar, or one value per element of the leading axes.
    """
    return field(metadata={"axes": axes, "dtype": dtype, "initial": initial})


def places_of(mask: Mask) -> Places:
    """Indices of the series of a mask (M, K)."""
    measures, slices = np.nonzero(mask)
    return measures, slices


@dataclass
class Part:
    """Arrays of shape (…, M, K); `learn` changes them in place."""

    @classmethod
    def fresh(cls, settings: DetectorSettings, slices: int) -> Self:
        """Arrays of series without any value."""
        return cls(**{one.name: _initial(one, settings, slices) for one in fields(cls)})

    @classmethod
    def of(cls, named: Mapping[str, NDArray[Any]]) -> Self:
        """The part from the arrays that `named` returned."""
        return cls(**{one.name: named[one.name] for one in fields(cls)})

    def named(self) -> dict[str, NDArray[Any]]:
        """Name to array."""
        return dict(vars(self))

    def grown(self, settings: DetectorSettings, slices: int, places: NDArray[np.int64]) -> Self:
        """A copy for `slices` slices; its own go to the indices `places`."""
        grown = self.fresh(settings, slices)
        for name, array in grown.named().items():
            array[..., places] = getattr(self, name)
        return grown

    def picked(self, slices: Mask) -> Self:
        """A copy of the slices selected by a mask (K,)."""
        return self._mapped(lambda array: array[..., slices])

    def copied(self) -> Self:
        """A copy."""
        return self._mapped(lambda array: array.copy())

    def _mapped(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Self:
        return type(self)(**{name: change(array) for name, array in self.named().items()})


def _initial(one: Field[Any], settings: DetectorSettings, slices: int) -> NDArray[Any]:
    lengths = tuple(
        getattr(settings, axis) if isinstance(axis, str) else axis for axis in one.metadata["axes"]
    )
    values = np.asarray(one.metadata["initial"], dtype=one.metadata["dtype"])
    if values.ndim:
        values = values[..., None, None]
    return np.array(np.broadcast_to(values, (*lengths, len(settings.measures), slices)))
