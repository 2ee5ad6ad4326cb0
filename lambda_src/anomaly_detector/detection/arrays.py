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
"""Series by their measures and slices: two arrays of one length, as an index of (M, K)."""


def kept(
    *axes: int | str,
    dtype: type[np.generic] = np.float64,
    initial: float | Sequence[Any] = 0.0,
) -> Any:  # noqa: ANN401 a field, of whatever type it is declared
    """A field of a part: an array of shape (*axes, M, K), measure and slice last.

    Parameters
    ----------
    axes : lengths of the leading axes, or names of the settings that hold them.
    initial : what a series that has seen nothing begins with; a scalar, or over the leading axes.
    """
    return field(metadata={"axes": axes, "dtype": dtype, "initial": initial})


@dataclass
class Part:
    """Arrays of one shape (…, M, K) after another, all changed in place by `learn`."""

    @classmethod
    def fresh(cls, settings: DetectorSettings, slices: int) -> Self:
        """Arrays of series that have seen nothing."""
        return cls(**{one.name: _initial(one, settings, slices) for one in fields(cls)})

    @classmethod
    def of(cls, named: Mapping[str, NDArray[Any]]) -> Self:
        """The part with the arrays that `named` gave."""
        return cls(**{one.name: named[one.name] for one in fields(cls)})

    def named(self) -> dict[str, NDArray[Any]]:
        """Name to array."""
        return dict(vars(self))

    def grown(self, settings: DetectorSettings, slices: int, places: NDArray[np.int64]) -> Self:
        """A copy with room for `slices`, in which `places` are where its own go."""
        grown = self.fresh(settings, slices)
        for name, array in grown.named().items():
            array[..., places] = getattr(self, name)
        return grown

    def picked(self, slices: Mask) -> Self:
        """A copy of some slices (K,)."""
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
