"""Which days are special, by what they have in common with earlier ones.

Days of one name are alike; of consecutive days of one name, those of the same place. A week is
special if one of its days is. A silent day is neither scored nor learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Self

PARTS_OF_A_DAY = 8
"""Parts of a special day that are kept apart, of intervals below a day."""
SILENT = -1
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Calendar:
    """The special days of a detector.

    Attributes
    ----------
    kinds : number of different special days that are not silent.
    days : days since 1970 and kind of each, ascending; SILENT where it is silent.
    """

    kinds: int = 0
    days: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, named: Mapping[str, Sequence[date]], silent: Sequence[str]) -> Self:
        """The calendar of some days by name; of a day with several names, the first counts.

        Parameters
        ----------
        silent : names of silent days; `*` for all.
        """
        kinds: dict[tuple[str, int], int] = {}
        found: dict[int, int] = {}
        for name, days in named.items():
            numbers = sorted({(day - _EPOCH).days for day in days})
            place = 0
            for before, number in zip([None, *numbers], numbers, strict=False):
                place = place + 1 if before == number - 1 else 0
                if number in found:
                    continue
                quiet = "*" in silent or name in silent
                found[number] = SILENT if quiet else kinds.setdefault((name, place), len(kinds))
        return cls(len(kinds), tuple(sorted(found.items())))

    @cached_property
    def _by_day(self) -> dict[int, int]:
        return dict(self.days)

    def kind(self, number: int, length: int) -> int | None:
        """Kind of the first special day among `length` days from a day on, SILENT if it is silent;
        None if there is none.

        Parameters
        ----------
        number : days since 1970, in the detector's time zone.
        """
        for day in range(number, number + length):
            if day in self._by_day:
                return self._by_day[day]
        return None
