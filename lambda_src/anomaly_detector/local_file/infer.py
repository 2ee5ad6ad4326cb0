"""Proposes a configuration for a file, and says why."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import duckdb

from anomaly_detector.config import RESERVED_COLUMNS, IntervalName, TimestampColumn
from anomaly_detector.errors import PermanentError
from anomaly_detector.intervals import SECONDS
from anomaly_detector.local_file import numbers, times
from anomaly_detector.local_file.engine import Engine, quote, text
from anomaly_detector.local_file.files import Files, fault
from anomaly_detector.local_file.numbers import Decimal, Numbers
from anomaly_detector.local_file.rows import cleaned
from anomaly_detector.local_file.times import Times
from anomaly_detector.warehouse.sql import MAX_VALUE_LENGTH

_TIME_NAME: Final = re.compile(
    r"time|date|^ts$|_ts$|_at$|^day$|^hour$|^datum|^tag$|^zeit|^fecha|^jour|^data$|period|^index$",
    re.IGNORECASE,
)


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# Words found in column names, in several languages.
_MEANS: Final = _words(
    """
    avg average mean median rate ratio pct percent percentage share quote anteil latency duration
    price preis prix precio kurs temperature temp cpu util utilisation utilization score rating
    balance saldo stock bestand inventory level age speed ctr cvr margin marge yield
    """
)
_PLACES: Final = _words(
    "lat latitude lon lng long longitude breitengrad laengengrad längengrad latitud longitud"
)
_CODES: Final = _words(
    """
    id ids key code codes no nr num number zip postal postcode postalcode zipcode plz cap cp sku ean
    isbn gtin upc asin phone telephone tel telefon mobile fax account iban bic uuid guid hash store
    shop branch filiale customer kunde client user device terminal product artikel article item
    order invoice rechnung ticket session version index rank row ip port barcode serial vat ssn
    department dept
    """
)
_PARTS: Final = _words(
    """
    year yr jahr año annee année month monat mes mois week wk kw woche semaine weekday wochentag dow
    dayofweek day tag jour dia día hour hr stunde heure hora minute min quarter qtr quartal
    """
)
_HOURS: Final = _words("hour hr stunde heure hora time uhrzeit zeit")
_CLOCK: Final = r"\d{1,2}:\d{2}(:\d{2})?( ?[AaPp][Mm])?"
_NEARLY: Final = r"[^\pL\d]{0,3}\d[\d.,' ]*[^\pL\d]{0,3}(\pL{1,4}\.?)?"
_MOST_COLUMNS: Final = 10
_MOST_VALUES: Final = 1000
_MOST_SERIES: Final = 50_000
# Enough for two weeks of training plus a scored part.
_ENOUGH_INTERVALS: Final = 400
_ENOUGH_DAYS: Final = 60
_ENOUGH_ROWS: Final = 5.0
_COARSEST: Final[IntervalName] = "P1D"
_UP_TO_A_DAY: Final = {name: size for name, size in SECONDS.items() if size <= SECONDS[_COARSEST]}
_FILLED: Final = 0.5
_SAMPLE: Final = 10_000
# Above this share of parsed values, a column is one of times or numbers with some bad values.
_MOSTLY: Final = 0.5


@dataclass(frozen=True)
class Proposal:
    """The proposed document, and a line for each decision."""

    document: dict[str, Any]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class _Stamp:
    column: str
    times: Times


def infer(files: Files, name: str, engine: Engine, decimal: Decimal | None = None) -> Proposal:
    """Propose timestamp column, interval, measures and dimensions.

    Raises
    ------
    PermanentError
        Where the file is empty or has no column of times, or the rows lie in one interval.
    """
    try:
        return _infer(files, name, engine, decimal)
    except duckdb.Error as error:
        raise fault(files.name, error) from None


def _infer(files: Files, name: str, engine: Engine, decimal: Decimal | None) -> Proposal:
    relation, _, left_out = cleaned(engine, files, files.columns)
    if not engine.rows(f"SELECT 1 FROM {relation} LIMIT 1"):
        raise PermanentError(f"{files.name} holds no rows, only the names of its columns.")
    stamp = _timestamp(files, relation, engine)
    interval, why = _interval(relation, stamp, engine)
    reasons = [*files.said, *left_out, f"timestamp column '{stamp.column}'", *stamp.times.said]
    reasons += [f"interval {interval}: {why}", _zone(stamp)]
    measures: dict[str, dict[str, str]] = {}
    sizes: dict[str, int] = {}
    for other, kind in files.columns.items():
        if other == stamp.column:
            continue
        verdict = _Judge(engine, relation, other, kind, stamp, decimal).verdict()
        reasons += verdict.said
        if verdict.measure:
            measures[other] = {"aggregation": verdict.measure}
            because = f", because {verdict.why}" if verdict.why else ""
            reasons.append(f"measure '{other}': {verdict.measure}{because}")
        elif verdict.values:
            sizes[other] = verdict.values
        else:
            reasons.append(f"column '{other}' is left out: {verdict.why}")
    for extra in list(measures)[_MOST_COLUMNS:]:
        del measures[extra]
        reasons.append(
            f"column '{extra}' is left out: at most {_MOST_COLUMNS} measures are allowed"
        )
    if not measures:
        measures = {stamp.column: {"aggregation": "COUNT"}}
        reasons.append("no column holds a number to monitor, so the rows are counted")
    dimensions = _dimensions(relation, engine, sizes, len(measures), reasons)
    for other in files.columns:
        if other in dimensions:
            reasons.append(f"dimension '{other}': {sizes[other]:,} different values")
    form = stamp.times.format
    described = {"name": stamp.column} | ({"format": form} if form else {})
    document = {
        "name": _named(name),
        "interval": interval,
        "timestamp_column": described,
        "measures": measures,
        "dimensions": [other for other in files.columns if other in dimensions],
    }
    return Proposal(document, tuple(dict.fromkeys(reasons)))


def _named(file: str) -> str:
    """A detector name derived from the file name; generic where that is invalid (2025.csv)."""
    name = re.sub(r"[^a-z0-9]+", "-", file.lower()).lstrip("0123456789-")[:32].strip("-")
    return name if len(name) >= 3 else "detector"


# --- time ---------------------------------------------------------------------------------------


def _timestamp(files: Files, relation: str, engine: Engine) -> _Stamp:
    """Choose the timestamp column by type, name, and share of values that parse."""
    some = f"(SELECT * FROM {relation} LIMIT {_SAMPLE})"
    tried: list[tuple[tuple[bool, ...], str]] = []
    nearest: tuple[float, str, Times] | None = None
    for column, kind in files.columns.items():
        typed = kind == "DATE" or kind.startswith("TIMESTAMP")
        if not (typed or kind == "VARCHAR" or numbers.is_number(kind)):
            continue
        found = times.read_times(engine, some, column, kind, TimestampColumn(name=column))
        named = _TIME_NAME.search(column) is not None
        share = found.known / found.filled if found.filled else 0.0
        if nearest is None or (share, named) > (
            nearest[0],
            _TIME_NAME.search(nearest[1]) is not None,
        ):
            nearest = share, column, found
        if share > _MOSTLY:
            counted = numbers.is_number(kind) or found.format == "yyyyMMdd" or bool(found.said)
            tried.append(((not typed, not named, counted), column))
    for _, column in sorted(tried, key=lambda one: one[0]):
        kind = files.columns[column]
        described = TimestampColumn(name=column)
        found = times.read_times(engine, relation, column, kind, described)
        if found.known > _MOSTLY * found.filled:
            times.refuse_misfits(engine, relation, column, found, described)
            return _Stamp(column, _with_safe_format(engine, relation, column, kind, found))
    said = f"No column of {files.name} holds times that can be read, such as 2022-01-15 04:25:00"
    if nearest:
        _, column, found = nearest
        row, held = numbers.first_misfit(engine, relation, column, found.expression)
        if row:
            said += f"; the nearest is '{column}', which holds '{held[:60]}' in row {row:,}"
            said += times.hint(held)
    raise PermanentError(f"{said}; its columns are: {', '.join(files.columns)}.")


def _with_safe_format(engine: Engine, relation: str, column: str, kind: str, found: Times) -> Times:
    """Drop the proposed format if it does not parse what was read without it."""
    if not found.format:
        return found
    described = TimestampColumn(name=column, format=found.format)
    again = times.read_times(engine, relation, column, kind, described)
    return found if again.known == found.known else replace(found, format=None)


def _zone(stamp: _Stamp) -> str:
    if stamp.times.timezone:
        return "time zone: the times say theirs; days are those of UTC unless timezone says another"
    if stamp.times.dates:
        return (
            "time zone: the dates are taken as days of UTC; if they are of another zone, add "
            "timezone, such as 'Europe/Berlin'"
        )
    return (
        "time zone: the times are taken as UTC; if they are of another zone, add it as "
        "timestamp_column.timezone (of the times) and timezone (of the days), such as "
        "'Europe/Berlin'"
    )


def _interval(relation: str, stamp: _Stamp, engine: Engine) -> tuple[IntervalName, str]:
    seconds = f"floor(epoch_us(CAST({stamp.times.expression} AS TIMESTAMP)) / 1000000.0)"
    grids = ", ".join(f"bool_and(t % {size} = 0) AS {name}" for name, size in _UP_TO_A_DAY.items())
    filled = ", ".join(
        f"count(DISTINCT t // {size}) AS of_{one}" for one, size in _UP_TO_A_DAY.items()
    )
    found = engine.row(
        f"SELECT count(t) AS rows, min(t) AS first, max(t) AS last, quantile_disc(t, 0.95) - "
        f"quantile_disc(t, 0.05) AS most, {grids}, {filled} FROM "
        f"(SELECT CAST({seconds} AS BIGINT) AS t FROM {relation})"
    )
    ends = (datetime.fromtimestamp(found[one], UTC).year for one in ("first", "last"))
    times.refuse_other_calendars(stamp.column, *ends)
    span = found["last"] - found["first"]
    if not span:
        raise PermanentError("All rows have the same time, so no interval can be inferred.")
    if stamp.times.dates or found["P1D"]:
        why = "the times have no time of day" if stamp.times.dates else "all times lie on its grid"
        # Without the ends, where a wrong date may lie.
        apart = (found["most"] / 86_400 + 1) / (0.9 * found["of_P1D"])
        if apart > 5:
            return "P1M" if apart > 20 else "P1W", f"rows come every {apart:.0f} days"
        return "P1D", why
    coarse_first = sorted(_UP_TO_A_DAY, key=lambda one: -SECONDS[one])
    on_grid = next((one for one in coarse_first if found[one]), None)
    if on_grid:
        shares = {
            one: 0.9 * found[f"of_{one}"] / (found["most"] / SECONDS[one] + 1)
            for one in coarse_first
        }
        if shares[on_grid] > _FILLED:
            return on_grid, "all times lie on its grid"
        # Once an hour at a quarter past, say: the finest of which most intervals have a row.
        well = next((one for one in reversed(coarse_first) if shares[one] > _FILLED), _COARSEST)
        return well, f"a row comes in {shares[on_grid]:.0%} of the intervals of {on_grid} only"
    # Single events: the finest interval that is well filled, and not finer than it need be.
    for interval in ("PT1H", "PT30M", "PT15M", "PT10M", "PT5M"):
        rows = found["rows"] * SECONDS[interval] / span
        if interval == "PT1H" and rows < _ENOUGH_ROWS and span >= _ENOUGH_DAYS * SECONDS["P1D"]:
            return "P1D", f"there are {rows:.1f} rows an hour, too few to watch each"
        if span / SECONDS[interval] >= _ENOUGH_INTERVALS:
            return interval, f"single events, {rows:,.0f} rows in each on average"
    return "PT5M", "the history is short"


# --- measures and dimensions --------------------------------------------------------------------


@dataclass(frozen=True)
class _Verdict:
    measure: str | None = None
    values: int = 0
    why: str = ""
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Judge:
    """Decides what one column is used for."""

    engine: Engine
    relation: str
    column: str
    kind: str
    stamp: _Stamp
    decimal: Decimal | None

    @property
    def words(self) -> list[str]:
        """The words of the column's name, in lower case."""
        parted = re.sub(r"([a-zäöüé])([A-ZÄÖÜ])", r"\1 \2", self.column)
        return [word for word in re.split(r"[^\w]+|_", parted.lower()) if word]

    def verdict(self) -> _Verdict:
        """Measure, dimension, or neither, with the reason."""
        name = quote(self.column)
        if not (self.kind in ("VARCHAR", "BOOLEAN") or numbers.is_number(self.kind)):
            return _Verdict(why=f"it is {self.kind}")
        found = self.engine.row(
            f"SELECT count(*) AS rows, count({name}) AS filled, "
            f"count(DISTINCT {name}) AS different FROM {self.relation}"
        )
        if not found["filled"]:
            return _Verdict(why="it holds no values")
        different = found["different"] + (found["filled"] < found["rows"])
        if different == 1:
            return _Verdict(why="it has one value in all rows")
        number = numbers.read_numbers(
            self.engine, self.relation, self.column, self.kind, self.decimal
        )
        share = 1 - number.misfits / number.filled if number.filled else 0.0
        if share > _MOSTLY and number.filled and not number.flag:
            if number.misfits:
                row, held = numbers.first_misfit(
                    self.engine, self.relation, self.column, number.expression
                )
                if share > 1 - 1 / 3:
                    return _Verdict(
                        why=f"'{held[:60]}' in row {row:,} is not a number as the others are"
                        f"{numbers.hint(held)}, {_rows(number.misfits)} in all; correct them to "
                        "use the column as a measure"
                    )
            else:
                return self._number(number, different, found["rows"])
        if number.flag and self.kind != "BOOLEAN":
            return self._dimension(different, found["rows"])
        if number.flag:
            return _Verdict(why="it holds yes and no only, which is a mark and no measure")
        return self._dimension(different, found["rows"])

    def _number(self, number: Numbers, different: int, rows: int) -> _Verdict:
        value = f"CAST({number.expression} AS DOUBLE)"
        name = quote(self.column)
        digits = f"CAST({name} AS VARCHAR)"
        found = self.engine.row(
            f"SELECT min(v) AS least, max(v) AS most, bool_and(v = floor(v)) AS whole, "
            f"bool_or(len(held) > 1 AND held[1] = '0' AND instr(held, '.') + instr(held, ',') = 0) "
            f"AS zeros, bool_and(regexp_full_match(held, '\\d+')) AS digits, "
            f"min(len(held)) AS shortest, max(len(held)) AS longest, "
            f"count(*) FILTER (v = p + 1) AS steps "
            f"FROM (SELECT *, lag(v) OVER () AS p FROM (SELECT {value} AS v, {digits} AS held FROM "
            f"{self.relation})) WHERE isfinite(v)"
        )
        if found["least"] is None:
            return _Verdict(why="it holds no number")
        words = set(self.words)
        least, most, whole = found["least"], found["most"], bool(found["whole"])
        if {least, most} <= {0.0, 1.0} and whole:
            return _Verdict(why="it holds 0 and 1 only, which is a mark and no measure")
        if whole and (part := self._part_of_date(number, least, most, words)):
            return _Verdict(why=part)
        if words & _PLACES and least >= -180 and most <= 180:
            return _Verdict(why="it is a coordinate, and a sum of these means nothing")
        if whole and found["steps"] >= rows - 2 > 1:
            return _Verdict(why="it counts the rows, as the index of a data frame does")
        last = self.words[-1] if self.words else ""
        code = last in _CODES or bool(found["zeros"])
        if not code and found["digits"] and found["shortest"] == found["longest"] >= 6:
            code = different > rows / 2 or bool(words & _CODES)
        if code:
            verdict = self._dimension(different, rows)
            return (
                verdict
                if verdict.values
                else _Verdict(why=f"its numbers are codes and no measure; {verdict.why}")
            )
        if number.mean:
            return _Verdict("AVG", why="it holds percentages", said=number.said)
        if words & _MEANS or re.search(r"(^|_)p\d\d(_|$)", self.column):
            return _Verdict("AVG", why="of its name", said=number.said)
        if not whole and least >= 0 and most <= 1:
            return _Verdict("AVG", why="it lies between 0 and 1, as a share does", said=number.said)
        return _Verdict("SUM", said=number.said)

    def _part_of_date(
        self, number: Numbers, least: float, most: float, words: set[str]
    ) -> str | None:
        """Why the column is a part of the time, by values or by name and range; or None."""
        moment = f"CAST({self.stamp.times.expression} AS TIMESTAMP)"
        value = f"CAST({number.expression} AS BIGINT)"
        parts = {
            "year": f"year({moment})",
            "month": f"month({moment})",
            "day": f"day({moment})",
            "weekday": f"isodow({moment})",
            "weekday ": f"dayofweek({moment})",
            "weekday  ": f"isodow({moment}) - 1",
            "weekday   ": f"dayofweek({moment}) + 1",
            "week": f"week({moment})",
            "quarter": f"quarter({moment})",
            "hour": f"hour({moment})",
            "minute": f"minute({moment})",
            "day of the year": f"dayofyear({moment})",
            "date": f"year({moment}) * 10000 + month({moment}) * 100 + day({moment})",
            "month of the year": f"year({moment}) * 100 + month({moment})",
        }
        if abs(least) < 1e9 and abs(most) < 1e9:
            same = self.engine.rows(
                "SELECT "
                + ", ".join(f"bool_and({value} = {part})" for part in parts.values())
                + f" FROM {self.relation}"
            )[0]
            for part, yes in zip(parts, same, strict=True):
                if yes:
                    return f"it repeats the {part.strip()} of '{self.stamp.column}'"
        if words & _PARTS and (
            (least >= 0 and most <= 60 and self.words[-1] in _PARTS)
            or 1900 <= least <= most <= 2100
        ):
            if self.stamp.times.dates and words & _HOURS and most <= 24:
                return (
                    f"it is the time of day, while '{self.stamp.column}' holds the date; to watch "
                    "hours, write both into one column"
                )
            return "it is a part of a date, and a sum of these means nothing"
        return None

    def _dimension(self, different: int, rows: int) -> _Verdict:
        name = quote(self.column)
        if self.kind == "VARCHAR" and self.stamp.times.dates and set(self.words) & _HOURS:
            clocks = self.engine.rows(
                f"SELECT bool_and(regexp_full_match({name}, {text(_CLOCK)})) FROM {self.relation}"
            )[0][0]
            if clocks:
                return _Verdict(
                    why=f"it is the time of day, while '{self.stamp.column}' holds the date; to "
                    "watch hours, write both into one column"
                )
        if different > min(_MOST_VALUES, max(20, rows // 10)):
            why = f"{different:,} different values are too many to monitor separately"
            return _Verdict(why=why + self._nearly_numbers())
        if self.kind in ("DOUBLE", "FLOAT"):
            return _Verdict(why=f"it is {self.kind}, which cannot tell groups apart")
        if self.column.lower() in RESERVED_COLUMNS:
            return _Verdict(why="a results column has this name; give it another one")
        longest = self.engine.rows(
            f"SELECT max(len(CAST({name} AS VARCHAR))) FROM {self.relation}"
        )[0][0]
        if longest > MAX_VALUE_LENGTH:
            return _Verdict(why=f"a value has {longest} characters")
        nearly = self._nearly_numbers()
        said = (f"column '{self.column}' is taken as a dimension{nearly}",) if nearly else ()
        return _Verdict(values=different, said=said)

    def _nearly_numbers(self) -> str:
        """End of a sentence where most texts look like numbers that cannot be parsed."""
        if self.kind != "VARCHAR":
            return ""
        name = quote(self.column)
        like = f"regexp_full_match({name}, {text(_NEARLY)})"
        found = self.engine.row(
            f"SELECT count(*) FILTER ({like}) > count({name}) / 2 AS most, "
            f"first({name}) FILTER ({like}) AS held FROM {self.relation}"
        )
        if not found["most"]:
            return ""
        held = str(found["held"])
        hint = numbers.hint(held)
        return (
            f"; '{held[:60]}' looks like a number but cannot be read as one{hint}" if hint else ""
        )


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _dimensions(
    relation: str, engine: Engine, sizes: dict[str, int], measures: int, reasons: list[str]
) -> list[str]:
    """Columns with few values, while their combinations result in at most 50,000 series."""
    chosen: list[str] = []
    for name in sorted(sizes, key=lambda one: sizes[one]):
        listed = ", ".join(map(quote, [*chosen, name]))
        together = engine.rows(f"SELECT count(*) FROM (SELECT DISTINCT {listed} FROM {relation})")[
            0
        ][0]
        # Pairs and singles come on top; leaves are most of it where there are many.
        if len(chosen) == _MOST_COLUMNS or 2 * together * measures > _MOST_SERIES:
            reasons.append(f"column '{name}' is left out: there would be too many series")
            continue
        chosen.append(name)
    return chosen
