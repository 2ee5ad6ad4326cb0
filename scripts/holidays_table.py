"""Write `holidays.txt`: the holidays of each country and its subdivisions, for `calendar`.

A line per country: its ISO 3166 code, and JSON of subdivision ("" for the whole country) to name to
dates. Of a subdivision only what is not a holiday of the whole country. `--check` writes nothing
and fails where the table is not what the pinned package `holidays` gives.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

import holidays

TABLE = Path(__file__).resolve().parents[1] / "holidays.txt"
YEARS = range(2015, 2037)
# The year decides on which day it is, not what it is called.
_NOT_IN_NAMES = " (estimated)"


def table() -> str:
    """The content of the file."""
    warnings.simplefilter("ignore")  # some are only estimated, far ahead
    countries = holidays.list_supported_countries(include_aliases=False)
    return "".join(
        f"{country} {json.dumps(_country(country, parts), ensure_ascii=False, sort_keys=True)}\n"
        for country, parts in sorted(countries.items())
    )


def _country(country: str, parts: list[str]) -> dict[str, dict[str, list[str]]]:
    whole = _named(country, None)
    found = {"": whole}
    for part in sorted(parts):
        own = {
            name: [day for day in days if day not in whole.get(name, ())]
            for name, days in _named(country, part).items()
        }
        found[part] = {name: days for name, days in own.items() if days}
    return found


def _named(country: str, part: str | None) -> dict[str, list[str]]:
    """Dates by name, in English where the package has it."""
    languages = getattr(holidays, country).supported_languages
    language = "en_US" if "en_US" in languages else None
    days = holidays.country_holidays(country, subdiv=part, years=YEARS, language=language)
    found: dict[str, set[str]] = {}
    for day, names in days.items():
        for name in names.split("; "):
            found.setdefault(name.removesuffix(_NOT_IN_NAMES), set()).add(day.isoformat())
    return {name: sorted(each) for name, each in found.items()}


def main() -> int:
    """Write or check the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    wanted = table()
    if parser.parse_args().check:
        return int(TABLE.read_text(encoding="utf-8") != wanted)
    TABLE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
