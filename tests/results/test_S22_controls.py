"""S22: a control under a patient's number, a patient under a control's, and controls of no loaded lot."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lis.domain.messages import ReportedControl, SubjectKind
from lis.store.control_rows import ControlLot, ControlPoint


def control(observation, specimen, **said):
    value = observation(specimen, "100", kind=SubjectKind.CONTROL)
    return replace(value, control=ReportedControl(**said))


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"lot": "LOT1"},
        {"lot": "LOT1", "level": "L1"},
        {"material": "Control", "level": "1"},  # words that we do not use contradict nothing
    ],
)
def test_S22_a_control_whose_words_fit_is_recorded(laboratory, observation, said):
    laboratory.send(control(observation, "QCL1", **said))
    assert len(laboratory.all(ControlPoint)) == 1
    assert laboratory.rows() == []


@pytest.mark.parametrize(
    ("specimen", "said"),
    [
        ("QC-OLD", {}),
        ("", {}),
        (" QCL1", {}),
        ("qcl1", {}),
        ("QCL1", {"lot": "LOT2"}),
        ("QCL1", {"level": "L2"}),
    ],
)
def test_S22_a_control_that_fits_no_loaded_lot_waits_and_opens_no_gate(
    laboratory, observation, specimen, said
):
    laboratory.send(control(observation, specimen, **said))
    row = laboratory.one()
    assert (row.holds, row.lane) == (["unknown_control"], "unmatched")
    assert laboratory.all(ControlPoint) == []


def test_S22_a_control_of_a_lot_that_was_taken_out_of_use_waits(laboratory, observation):
    with laboratory.store.unit("quality") as unit:
        for lot in unit.session.query(ControlLot):
            lot.is_in_use = False
    laboratory.send(control(observation, "QCL1"))
    assert laboratory.one().holds == ["unknown_control"]


def test_S22_a_control_measured_before_any_target_waits(laboratory, observation, t0):
    old = replace(control(observation, "QCL1"), observed_at=t0 - timedelta(days=40))
    laboratory.send(old)
    assert laboratory.one().holds == ["unknown_control"]


def test_S22_a_control_under_the_number_of_a_patients_tube_waits_and_touches_no_patient(
    laboratory, observation
):
    tube = laboratory.order("CREA")
    laboratory.send(control(observation, tube))
    row = laboratory.one()
    assert (row.holds, row.patient_id) == (["patient_under_control_id"], None)
    assert laboratory.all(ControlPoint) == []


def test_S22_a_patient_under_a_controls_number_waits_and_opens_no_gate(laboratory, observation):
    laboratory.send(observation("QCL1", "100"), observation("QCL2", "200"))
    assert all(row.holds == ["control_under_patient_id"] for row in laboratory.rows())
    assert laboratory.all(ControlPoint) == []


def test_S22_a_tube_that_carries_a_controls_number_is_held_both_ways(laboratory, observation):
    laboratory.order("CREA", accession="QCL1")
    laboratory.send(observation("QCL1", "70"))
    row = laboratory.one()
    assert (row.holds, row.patient_id) == (["control_under_patient_id"], None)
