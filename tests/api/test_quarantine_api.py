"""S23 on the instrument board: a quarantine is seen there, and ends there with a reason."""

import re

import httpx
import pytest

from lis.app.laboratory import Laboratory
from lis.store.rows import Alarm, Audit, Device, Link, Quarantine, Site
from lis.store.traffic_queries import open_alarm, set_quarantine
from tests.api.conftest import OpenBrowser


@pytest.fixture
def alarms(laboratory: Laboratory) -> tuple[int, int]:
    """A device with another serial number, and one test of it with another unit: their alarms."""
    with laboratory.store.unit("test") as unit:
        session = unit.session
        session.add(Site(name="main", timezone="Europe/Moscow"))
        session.flush()
        device = Device(
            public_id=unit.ids.new(),
            site_id=1,
            name="xp-1",
            driver="sysmex-xp-100",
            seen_serial="A1",
        )
        session.add(device)
        session.flush()
        session.add(
            Link(name="xp-1", address="memory://x", purpose="instrument", device_id=device.id)
        )
        set_quarantine(unit, device.id, "serial A2")
        for kind, test, got in (("serial", "", "A2"), ("unit", "WBC", "/uL")):
            session.add(
                Quarantine(
                    device_id=device.id,
                    kind=kind,
                    expected="A1",
                    got=got,
                    opened_at=unit.now,
                    test_code=test,
                    instrument_code=test,
                )
            )
        facts = {"kind": "serial", "expected": "A1", "got": "A2"}
        one = open_alarm(unit, kind="device_mismatch", subject="xp-1", parameters=facts)
        facts = {"expected": "10*3/uL", "got": "/uL", "device": "xp-1", "test": "WBC"}
        two = open_alarm(unit, kind="unit_changed", subject="xp-1:WBC", parameters=facts)
        return one.id, two.id


def clear(browser: httpx.Client, alarm: int, **body: object) -> httpx.Response:
    address = f"/api/v1/instruments/alarms/{alarm}/clear-quarantine"
    return browser.post(address, json={"reason": "cable put right"} | body)


def opened(laboratory: Laboratory) -> list[str]:
    with laboratory.store.read() as session:
        return [row.kind for row in session.query(Quarantine).filter_by(cleared_at=None)]


def test_a_quarantine_ends_with_a_reason_and_its_audit(
    laboratory: Laboratory, open_browser: OpenBrowser, alarms: tuple[int, int]
):
    browser = open_browser("technician")
    assert clear(browser, alarms[1], reason="unit set back").status_code == 204
    assert opened(laboratory) == ["serial"]
    assert clear(browser, alarms[0], accepts=True).status_code == 204
    assert opened(laboratory) == []
    with laboratory.store.read() as session:
        device = session.query(Device).one()
        assert (device.quarantine_reason, device.seen_serial) == ("", "A2")
        entries = session.query(Audit).filter_by(action="end_quarantine").order_by(Audit.id)
        texts = [entry.text for entry in entries]
        assert ["unit set back" in texts[0], "cable put right" in texts[1]] == [True, True]
        assert all(alarm.closed_at is not None for alarm in session.query(Alarm))


def test_without_a_reason_nothing_is_cleared(
    laboratory: Laboratory, open_browser: OpenBrowser, alarms: tuple[int, int]
):
    answer = clear(open_browser("technician"), alarms[0], reason=" ")
    assert answer.status_code in {409, 422}
    assert opened(laboratory) == ["serial", "unit"]


def test_the_alarm_of_a_quarantine_is_not_closed_without_clearing_it(
    laboratory: Laboratory, open_browser: OpenBrowser, alarms: tuple[int, int]
):
    browser = open_browser("technician")
    answer = browser.post(f"/api/v1/instruments/alarms/{alarms[0]}/close")
    assert answer.status_code in {409, 422}
    assert answer.json()["code"] == "alarm_needs_clearing"
    assert opened(laboratory) == ["serial", "unit"]


def test_only_who_verifies_clears(open_browser: OpenBrowser, alarms: tuple[int, int]):
    assert clear(open_browser("administrator"), alarms[0]).status_code == 403


@pytest.mark.parametrize("place", ["/instruments", "/instruments/xp-1"])
def test_the_board_and_the_links_page_have_the_form(
    laboratory: Laboratory, open_browser: OpenBrowser, alarms: tuple[int, int], place: str
):
    browser = open_browser("technician")
    page = browser.get(place).text
    assert f"/instruments/alarms/{alarms[0]}/clear-quarantine" in page
    assert f'action="/instruments/alarms/{alarms[0]}/close' not in page
    assert page.count('name="accepts"') == 1  # a unit is corrected, not accepted
    token = re.search(r'name="csrf" value="([^"]+)"', page)
    assert token is not None

    answer = browser.post(
        f"/instruments/alarms/{alarms[1]}/clear-quarantine",
        data={"csrf": token.group(1), "reason": "unit set back"},
        params={"then": place},
    )

    assert answer.headers["location"] == place
    assert opened(laboratory) == ["serial"]
