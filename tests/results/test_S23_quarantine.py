"""S23: swapped ports and changed units close the device or the test until a person clears it."""

from datetime import timedelta

import pytest

from lis.domain.errors import NotFound, Refused
from lis.domain.lifecycle import BenchState
from lis.domain.messages import Sender
from lis.results.desk import Shown
from lis.results.quarantine import clear_quarantine
from lis.results.reads import row as read_row
from lis.results.validation import verify
from lis.store.control_rows import ControlPoint
from lis.store.traffic_rows import Alarm, Device, Quarantine


def say(laboratory, value, *, name="", serial="", **changes):
    """One message with this header, processed."""
    inbox_id = laboratory.message(value, **changes)
    message = laboratory.messages[inbox_id]
    sender = Sender(name=name, serial=serial)
    laboratory.messages[inbox_id] = type(message)(
        **{field: getattr(message, field) for field in message.__slots__} | {"sender": sender}
    )
    laboratory.process()
    return laboratory.rows()[-1]


def clear(laboratory, **how):
    with laboratory.store.unit("anna") as unit:
        clear_quarantine(unit, "a-1", user="anna", **{"reason": "cable put right"} | how)


def verified(laboratory, row):
    with laboratory.store.unit("anna") as unit:
        catalog = laboratory.catalog()
        seen = read_row(unit.session, catalog, row.id)
        shown = Shown(observation_id=row.id, version=seen["row_version"], hash=seen["shown_hash"])
        return verify(unit, catalog, shown, user="anna")


@pytest.fixture
def tubes(laboratory):
    laboratory.controls("CREA")
    return [laboratory.order("CREA") for _ in range(4)]


# --- the device ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "other", "kind"),
    [
        ({"name": "c111", "serial": "1"}, {"name": "c111", "serial": "2"}, "serial"),
        ({"name": "c111"}, {"name": "XP-100"}, "name"),
    ],
)
def test_S23_the_first_header_teaches_and_another_one_closes_the_device(
    laboratory, observation, tubes, first, other, kind
):
    assert say(laboratory, observation(tubes[0], "70"), **first).holds == []
    assert say(laboratory, observation(tubes[1], "70"), **other).holds == ["device_mismatch"]
    assert say(laboratory, observation(tubes[2], "70"), **first).holds == ["device_mismatch"]

    (row,) = laboratory.all(Quarantine)
    assert (row.kind, row.test_code, row.cleared_at) == (kind, "", None)
    assert [alarm.kind for alarm in laboratory.all(Alarm)] == ["device_mismatch"]


def test_S23_a_header_that_says_nothing_disagrees_with_nothing(laboratory, observation, tubes):
    say(laboratory, observation(tubes[0], "70"), name="c111", serial="1")
    assert say(laboratory, observation(tubes[1], "70")).holds == []


def test_S23_a_header_of_another_known_instrument_closes_the_device_at_once(
    laboratory, observation, tubes
):
    row = say(
        laboratory, observation(tubes[0], "70"), name="XP-100", foreign_driver="sysmex-xp-100"
    )
    assert row.holds == ["device_mismatch"]
    assert laboratory.all(Device)[0].seen_name == ""  # a stranger teaches nothing
    with pytest.raises(Refused, match="mismatch_not_acceptable"):
        clear(laboratory, accepts=True)


def test_S23_a_person_clears_the_device_and_what_waited_still_waits(laboratory, observation, tubes):
    say(laboratory, observation(tubes[0], "70"), serial="1")
    held = say(laboratory, observation(tubes[1], "70"), serial="2")
    clear(laboratory)

    assert say(laboratory, observation(tubes[2], "70"), serial="1").holds == []
    (row,) = laboratory.all(Quarantine)
    assert (row.cleared_by, row.clear_reason) == ("anna", "cable put right")
    assert laboratory.rows()[1].holds == held.holds
    assert laboratory.all(Alarm)[0].closed_at is not None
    assert say(laboratory, observation(tubes[3], "70"), serial="2").holds == ["device_mismatch"]


def test_S23_a_person_accepts_the_analyzer_that_replaced_the_old_one(
    laboratory, observation, tubes
):
    say(laboratory, observation(tubes[0], "70"), serial="1")
    say(laboratory, observation(tubes[1], "70"), serial="2")
    clear(laboratory, accepts=True)
    assert say(laboratory, observation(tubes[2], "70"), serial="2").holds == []


def test_S23_a_serial_number_from_the_settings_is_changed_there_only(
    laboratory, observation, tubes
):
    with laboratory.store.unit("author") as unit:
        unit.session.get_one(Device, laboratory.device_id).serial = "1"
    say(laboratory, observation(tubes[0], "70"), serial="2")
    with pytest.raises(Refused, match="serial_is_configured"):
        clear(laboratory, accepts=True)


def test_S23_clearing_needs_a_reason_a_device_and_a_quarantine(laboratory, observation, tubes):
    with pytest.raises(Refused, match="nothing_quarantined"):
        clear(laboratory)
    with pytest.raises(Refused, match="reason_required"):
        clear(laboratory, reason="  ")
    with laboratory.store.unit("anna") as unit, pytest.raises(NotFound):
        clear_quarantine(unit, "no such", reason="x", user="anna")


# --- one test -----------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["mg/dL", ""])
def test_S23_a_unit_that_changed_or_vanished_closes_that_test_until_a_person_clears_it(
    laboratory, observation, tubes, unit
):
    laboratory.controls("GLU")
    sugar = laboratory.order("GLU")
    assert "unit_changed" in say(laboratory, observation(tubes[0], "70", unit=unit)).holds
    assert say(laboratory, observation(tubes[1], "70")).holds == ["test_quarantined"]
    assert say(laboratory, observation(sugar, "70", "GLU")).holds == []  # other tests go on

    (row,) = laboratory.all(Quarantine)
    assert (row.kind, row.test_code, row.expected, row.got) == ("unit", "CREA", "umol/L", unit)
    clear(laboratory, test="CREA")
    assert say(laboratory, observation(tubes[2], "70")).holds == []
    assert laboratory.all(Alarm)[0].closed_at is not None


def test_S23_what_came_in_quarantine_is_verified_only_after_it_was_cleared(
    laboratory, observation, tubes
):
    say(laboratory, observation(tubes[0], "70", unit="mg/dL"))
    right = say(laboratory, observation(tubes[1], "70"))
    with pytest.raises(Refused, match="test_quarantined"):
        verified(laboratory, right)

    clear(laboratory, test="CREA")

    assert laboratory.rows()[1].bench_state is BenchState.HELD  # clearing frees nothing by itself
    assert verified(laboratory, right).row["bench_state"] == "released"


def test_S23_the_value_in_the_other_unit_is_never_verified(laboratory, observation, tubes):
    wrong = say(laboratory, observation(tubes[0], "70", unit="mg/dL"))
    clear(laboratory, test="CREA")
    with pytest.raises(Refused, match="unit_changed"):
        verified(laboratory, wrong)


def test_S23_a_control_with_another_unit_closes_the_test_and_opens_no_gate(
    laboratory, observation, tubes, t0
):
    points = len(laboratory.all(ControlPoint))
    at = t0 - timedelta(minutes=30)
    one, two = laboratory.control_values("CREA", at=at)
    laboratory.send(
        type(one)(**{name: getattr(one, name) for name in one.__slots__} | {"unit": ""})
    )
    laboratory.send(two)
    assert [row.holds for row in laboratory.rows()] == [["unit_changed"], ["test_quarantined"]]
    assert len(laboratory.all(ControlPoint)) == points
    assert say(laboratory, observation(tubes[0], "70")).holds == ["test_quarantined"]


def test_S23_the_quarantine_of_one_device_is_not_another_devices(laboratory, observation, tubes):
    say(laboratory, observation(tubes[0], "70", unit="mg/dL"))
    with laboratory.store.unit("author") as unit:
        other = Device(public_id=unit.ids.new(), site_id=1, name="a-2", driver="bench-analyzer")
        unit.session.add(other)
        unit.session.flush()
        laboratory.device_id = other.id
    laboratory.controls("CREA")
    assert say(laboratory, observation(tubes[1], "70")).holds == []


def test_S23_a_word_needs_no_unit_and_a_number_does(laboratory, observation, tubes):
    assert say(laboratory, observation(tubes[0], "Not detected", unit="")).holds == [
        "not_numeric",
        "absurd",
        "outside_measuring_range",
        "outside_verification_limits",
    ]
    assert laboratory.all(Quarantine) == []
    assert "unit_changed" in say(laboratory, observation(tubes[1], "70", unit="")).holds
