"""The pages in the bucket are those of what is on file, whatever changes it."""

from __future__ import annotations

from typing import Any

import pytest
from anomaly_detector.lake import layout
from anomaly_detector.services.pages import StoredPages

from tests.unit.report_pages import Read
from tests.unit.services_world import DAY, H1, TOPIC, World, document, sales


def made(late: dict[tuple[int, str], int] | None = None) -> World:
    world = World(sales(8, late))
    world.pages = StoredPages(world.store, world.ledger)
    world.upload(document(alerts={"any": {"sns_topic_arns": [TOPIC], "threshold": 40}}))
    world.activate()
    return world


def pages(world: World) -> dict[str, Read]:
    keys = [key for key in world.store.keys("reports/") if key.endswith(".html")]
    return {key: Read(world.store.get(key).decode()) for key in keys}


@pytest.fixture(scope="module")
def world() -> World:
    found = made()
    for day in range(1, 9):
        found.crawl(H1 + day * DAY, f"crawl-{day}")
    return found


def test_each_event_has_a_page_and_the_newest_has_all(world: World) -> None:
    ids = {one["AnomalyGroupId"] for one in world.groups()}

    found = pages(world)

    assert ids
    assert found.keys() == {layout.PAGE, *map(layout.event_page, ids)}
    assert {one["id"] for one in found[layout.PAGE].all("article")} == {f"event={i}" for i in ids}
    for one in ids:
        read = found[layout.event_page(one)]
        assert [each["id"] for each in read.all("article")] == [f"event={one}"]
        assert "revenue down 90 % on mobile_app" in read.text


def test_a_message_leads_to_the_page_of_its_event(world: World) -> None:
    [first, *_] = world.mail.messages

    key = layout.event_page(first["anomalyGroupId"])
    assert first["consoleUrl"].endswith(f"prefix={key.replace('/', '%2F')}")
    assert key in pages(world)


def test_what_is_open_is_told_as_it_stands_and_what_ended_once_more() -> None:
    world = made()
    states = []
    for day in range(1, 9):
        world.crawl(H1 + day * DAY, f"crawl-{day}")
        for one in world.groups():
            page = pages(world)[layout.event_page(one["AnomalyGroupId"])]
            tag = [each for each in page.elements if each == ("span", {"class": "tag"})]
            assert bool(tag) == (one["State"] == "OPEN"), day
            states.append(one["State"])

    assert set(states) == {"OPEN", "CLOSED"}


def test_nothing_is_read_or_written_where_nothing_has_changed() -> None:
    world = made()
    world.store.delete([layout.PAGE])

    world.crawl(H1 + DAY, "crawl-1")
    world.crawl(H1 + 2 * DAY, "crawl-2")

    assert layout.PAGE not in pages(world)


def test_what_late_rows_have_undone_has_a_page_that_says_so() -> None:
    # Half of the rows of a day come a day later: until then, the day is an event.
    world = made(late={(5, "pc_web"): 1})
    before: dict[str, Read] = {}
    for day in range(1, 9):
        world.crawl(H1 + day * DAY, f"crawl-{day}")
        before |= {key: read for key, read in pages(world).items() if key not in before}

    standing = {layout.event_page(one["AnomalyGroupId"]) for one in world.groups()}
    gone = before.keys() - standing - {layout.PAGE}
    assert gone
    for key in gone:
        assert "is no event any more: rows that came late explain it" in pages(world)[key].text


def test_a_page_that_cannot_be_made_holds_nothing_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = made()

    def broken(*_: Any) -> Any:
        raise ValueError("no page")

    monkeypatch.setattr("anomaly_detector.services.pages.reporting.content", broken)
    for day in range(1, 6):
        world.crawl(H1 + day * DAY, f"crawl-{day}")

    assert world.groups()
    assert world.mail.messages
    assert world.ledger.deliveries() == []


def test_many_series_are_shown_over_a_shorter_time(world: World) -> None:
    found = StoredPages(world.store, world.ledger)
    assert found._times() == (672 * DAY, 28 * DAY)

    one = world.ledger.interval(H1 + 7 * DAY)
    assert one is not None
    many = one.model_copy(update={"series": 100_000})
    world.ledger._table.put(f"INTERVAL#{many.start:%Y-%m-%dT%H:%M:%SZ}", many.attributes())
    assert found._times() == (10 * DAY, 10 * DAY)
