"""The digest: what was not told at once in a day or a week, what was muted, and what was missed.
Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from anomaly_detector.alerts import words
from anomaly_detector.alerts.message import Message, Section
from anomaly_detector.config import Config, Digest
from anomaly_detector.events.group import Group
from anomaly_detector.intervals import iso
from anomaly_detector.lookout.group import anomaly_group
from anomaly_detector.lookout.payload import Origin, encode

# Of each kind; the others are counted.
_SHOWN = 20
_SUBJECT, _SHORT = 100, 159


@dataclass(frozen=True)
class Period:
    """`[begin, end)`, UTC."""

    begin: datetime
    end: datetime

    @property
    def name(self) -> str:
        """Names the digest among all messages of its alert."""
        return f"digest/{iso(self.end)}"


@dataclass(frozen=True)
class Contents:
    """What a digest tells.

    Attributes
    ----------
    small : events below the alert's threshold. muted : those that a mute has held back.
    missing, failed : how many intervals had no row, and how many are not scored.
    """

    small: Sequence[Group]
    muted: Sequence[Group]
    missing: int
    failed: int


def newest(config: Config, digest: Digest, until: datetime) -> Period:
    """The newest day or week that has ended; both end at the hour of the digest in the detector's
    time zone, weeks on Monday.

    Parameters
    ----------
    until : UTC; end of the newest interval that is scored.
    """
    zone = ZoneInfo(config.timezone)
    local = until.astimezone(zone)
    days = 1 if digest.every == "day" else 7
    day = local.date() - timedelta(days=0 if days == 1 else local.weekday())
    while True:
        end = datetime(day.year, day.month, day.day, digest.hour, tzinfo=zone)
        if end <= local:
            break
        day -= timedelta(days=days)
    before = day - timedelta(days=days)
    begin = datetime(before.year, before.month, before.day, digest.hour, tzinfo=zone)
    return Period(begin.astimezone(until.tzinfo), end.astimezone(until.tzinfo))


def of_period(
    origin: Origin, config: Config, name: str, period: Period, contents: Contents
) -> Message:
    """The message.

    Parameters
    ----------
    name : of the alert.
    """
    severity = max((one.severity for one in (*contents.small, *contents.muted)), default=0.0)
    when = words.time(config, period.begin, period.end, is_open=False, asof=period.end)
    counted = [
        _many(len(contents.small), "smaller event"),
        _many(len(contents.muted), "muted event"),
        _many(contents.missing, "interval", " without a row"),
        _many(contents.failed, "interval", " not scored"),
    ]
    told = ", ".join(filter(None, counted)) or "nothing else has happened"
    line = f"{config.name}: digest {when}: {told}"
    arn = f"{origin.detector_arn}:alert/{name}"
    event = f"{arn}:{period.name}"
    description = config.alerts[name].description
    payload: dict[str, Any] = {
        "anomalyDetectorArn": origin.detector_arn,
        "alertName": name,
        "alertArn": arn,
        "alertEventId": event,
        "alertDescription": description,
        "digest": {
            "from": iso(period.begin),
            "to": iso(period.end),
            "belowThreshold": [_brief(one) for one in contents.small[:_SHOWN]],
            "muted": [_brief(one) for one in contents.muted[:_SHOWN]],
            "belowThresholdCount": len(contents.small),
            "mutedCount": len(contents.muted),
            "intervalsWithoutRows": contents.missing,
            "intervalsNotScored": contents.failed,
        },
    }
    sections = [
        _section(config, "Below the threshold", contents.small, period),
        _section(config, "Muted", contents.muted, period),
    ]
    return Message(
        id=event,
        event=event,
        state="OPEN",
        severity=severity,
        severity_class=config.severity_class(severity),
        line=line,
        subject=words.as_ascii(line)[:_SUBJECT],
        short=line[:_SHORT],
        facts=(),
        sections=tuple(filter(None, sections)),
        links=(),
        sql=None,
        about=f"Digest of alert '{name}' of detector {config.name}.",
        body=encode(payload),
    )


def _section(config: Config, title: str, groups: Sequence[Group], period: Period) -> Section | None:
    if not groups:
        return None
    ordered = sorted(groups, key=lambda one: (-one.severity, one.start, one.id))
    lines = [
        f"- {words.sentence(config, one, period.end)} (severity {one.severity:.0f})"
        for one in ordered[:_SHOWN]
    ]
    if more := len(groups) - len(lines):
        lines.append(f"- and {more:,} more")
    return Section(title, tuple(lines))


def _brief(group: Group) -> Mapping[str, Any]:
    whole = anomaly_group(group)
    return {key: whole[key] for key in whole if key not in ("MetricLevelImpactList",)}


def _many(count: int, noun: str, more: str = "") -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}{more}" if count else ""
