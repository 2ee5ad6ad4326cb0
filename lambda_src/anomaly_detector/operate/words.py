"""Results of the commands as text."""

from __future__ import annotations

from typing import Any

from anomaly_detector.report.charts import many

Facts = dict[str, Any]

_COLUMNS = ("start", "status", "rows", "series", "anomalous", "milliseconds", "reason")


def status(facts: Facts) -> str:
    """The state of the detector, one fact per line."""
    pipeline = facts["pipeline"] or {}
    since = facts["seconds_since_watermark"]
    usage = facts["usage_of_month"]
    spent = (
        f"{usage['statements']:,} statements, {usage['milliseconds'] / 1000:,.0f} s, "
        f"{usage['rows']:,} rows unloaded"
    )
    counted = ", ".join(f"{count:,} {key}" for key, count in facts["intervals_of_7_days"].items())
    lines = [
        ("status", facts["status"]),
        ("reason", facts["reason"]),
        ("scored until", _watermark(facts["watermark"], since)),
        ("schedule", facts["schedule"]),
        ("crawl running", facts["crawl"] or "no"),
        ("pipeline", " ".join(filter(None, (pipeline.get("status"), pipeline.get("execution"))))),
        ("pipeline failed", pipeline.get("reason") if pipeline.get("status") == "FAILED" else None),
        ("configuration", facts["configuration"]["active"]),
        ("newer upload", _newer(facts["configuration"])),
        ("trained until", facts["model"]["history_end"]),
        ("last 7 days", counted or "no interval"),
        ("warehouse this month", spent),
        ("pending deliveries", str(facts["pending_deliveries"])),
        ("parked deliveries", ", ".join(facts["parked_deliveries"]) or None),
    ]
    width = max(len(label) for label, _ in lines)
    shown = [f"  {label:<{width}}  {value}" for label, value in lines if value]
    return "\n".join([f"{facts['name']} ({facts['account']}, {facts['region']})", *shown]) + "\n"


def intervals(facts: Facts) -> str:
    """A table, one interval per line."""
    found = facts["intervals"]
    if not found:
        return "No interval is stored in this time.\n"
    rows = [_COLUMNS, *(tuple(_cell(one.get(key)) for key in _COLUMNS) for one in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "".join(
        "  ".join(
            cell.rjust(width) if 2 <= place <= 5 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        + "\n"
        for row in rows
    )


def started(facts: Facts) -> str:
    """What was started, and how to follow it."""
    return f"Started {facts['execution']}. Follow it with the command status.\n"


def reported(facts: Facts) -> str:
    """Where the page is, and what it shows."""
    events = many(facts["events"], "event")
    return (
        f"Written to {facts['file']}: {events} and {facts['series']:,} series, "
        f"from {facts['from']} to {facts['to']}.\n"
    )


def paused(facts: Facts) -> str:
    """What pausing means."""
    done = "Paused" if facts["changed"] else "It was paused already"
    return (
        f"{done}: no crawl is started until you resume. Intervals that become due meanwhile are "
        "crawled then, oldest first. An apply of the module enables the schedule again, unless "
        "schedule.enabled is false.\n"
    )


def resumed(facts: Facts) -> str:
    """What resuming means."""
    done = "Resumed" if facts["changed"] else "The schedule was enabled already"
    text = f"{done}: the next scheduled crawl takes all due intervals, oldest first.\n"
    if "unparked_deliveries" in facts:
        text += f"{facts['unparked_deliveries']} parked deliveries are tried again by it.\n"
    return text


def muted(facts: Facts) -> str:
    """A mute that begins."""
    begin = f"from {facts['start']} " if facts["state"] == "WAITING" else ""
    return (
        f"Muted {_scope(facts)} {begin}until {facts['end']} as {facts['id']}. Events are still "
        "found and recorded; when it ends, the operations topic tells what it has held back.\n"
    )


def unmuted(facts: Facts) -> str:
    """A mute that ends."""
    return (
        f"Ended {facts['id']}, which has held back the alerts on "
        f"{_events(facts)}. Those that last are alerted on with their next interval.\n"
    )


def mutes(facts: Facts) -> str:
    """The mutes, two lines each."""
    lines = [
        f"{one['id']}  {one['state']}  until {one['end']}  {_events(one)} held back\n"
        f"    {_scope(one)}: {one['reason']}{' (' + one['by'] + ')' if one['by'] else ''}\n"
        for one in facts["mutes"]
    ]
    return "".join(lines) or "No mute holds.\n"


def answered(facts: Facts) -> str:
    """An answer and its effect."""
    effect = facts["effect"]
    if not effect:
        return f"Ended {facts['id']}: from the next interval on, it has no effect.\n"
    said = f"Recorded {facts['id']}: {_answer(facts)}.\n"
    if not facts["is_anomaly"]:
        return said + (
            f"From the next interval on, similar events need a severity of "
            f"{effect['similar_events_need_severity']:g} instead of 50 (at most "
            f"{effect['at_most']:g}). The command retrain applies it to the history, too.\n"
        )
    return said + (
        f"Its {effect['intervals_not_learned']:,} intervals will not be learned, and it takes "
        f"{effect['accepted_after_times']} times as long to become the new level. What has been "
        "learned of it already, the command retrain forgets.\n"
    )


def answers(facts: Facts) -> str:
    """The answers, one line each."""
    lines = [f"{one['id']}  {_answer(one)}\n" for one in facts["answers"]]
    return "".join(lines) or "No answer holds.\n"


def _answer(facts: Facts) -> str:
    slices = "; ".join(
        ", ".join(f"{name} {value}" for name, value in one.items()) or "in total"
        for one in facts["slices"][:3]
    )
    verdict = "was an anomaly" if facts["is_anomaly"] else "was none"
    return (
        f"{facts['measure']} {facts['direction']} ({slices}) from {facts['start']} to "
        f"{facts['end']}, severity {facts['severity']:.0f}, {verdict}"
    )


def _scope(facts: Facts) -> str:
    values = [f"{name} {' or '.join(each)}" for name, each in facts["dimension_filters"].items()]
    return " in ".join(filter(None, (", ".join(facts["measures"]) or "all", ", ".join(values))))


def _events(facts: Facts) -> str:
    count = len(facts["events"])
    return f"{count:,} event{'' if count == 1 else 's'}"


def _watermark(watermark: str | None, since: int | None) -> str:
    if watermark is None or since is None:
        return "nothing yet"
    days, rest = divmod(max(since, 0), 86_400)
    hours, minutes = rest // 3600, rest % 3600 // 60
    ago = (
        f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min"
    )
    return f"{watermark} ({ago} ago)"


def _newer(configuration: Facts) -> str | None:
    uploaded = configuration["uploaded"]
    return None if uploaded == configuration["active"] else uploaded


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value)
