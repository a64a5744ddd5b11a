"""Safety rules at intake, on both stores (safety.md A and B)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lis.domain.lifecycle import (
    BenchState,
    RequestState,
    SpecimenState,
    WorkOrderState,
)
from lis.domain.messages import IdReadMode, Reason, ResultStatus, SubjectKind, Unreadable
from lis.store.control_rows import ControlPoint
from lis.store.observation_rows import CriticalCall, DiagnosticReport, UnreadableRecord
from lis.store.order_rows import ServiceRequest, Specimen, WorkOrder
from lis.store.traffic_rows import Alarm, Device, Inbox, InboxState


def change(laboratory, row_type, **values):
    with laboratory.store.unit("author") as unit:
        for row in unit.session.query(row_type):
            for name, value in values.items():
                setattr(row, name, value)


def verdict_of(row, rule):
    return [one for one in row.verdicts if one["rule"] == rule][-1]


# --- the plain road -----------------------------------------------------------------------------


def test_an_ordinary_result_is_released_and_sent_once(laboratory, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    report = laboratory.send(observation(tube, "70"))

    row = laboratory.one()
    assert (report.processed, report.released) == (1, 1)
    assert row.bench_state is BenchState.RELEASED
    assert row.status is ResultStatus.FINAL
    assert (row.validator, row.flag, row.lane) == ("rule:r1", "", "")
    assert row.interval_text == "40–90"
    assert row.visible_from == laboratory.clock.now()
    (delivery,) = laboratory.outbox()
    (report_row,) = laboratory.all(DiagnosticReport)
    assert delivery.destination == "emr:his"
    assert delivery.key == f"{report_row.public_id}:1:emr:his"
    assert delivery.payload["observations"] == [row.id]
    assert delivery.not_before == laboratory.clock.now()
    assert report_row.status == "final"
    assert laboratory.all(WorkOrder)[0].state is WorkOrderState.RESULTED
    assert laboratory.all(ServiceRequest)[0].state is RequestState.COMPLETED


def test_promise_5_every_rule_that_spoke_is_kept_with_its_version(laboratory, observation):
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "400", is_abnormal_flagged=True))
    row = laboratory.one()
    spoke = {one["rule"] for one in row.verdicts}
    assert {"specimen_known", "id_from_barcode", "qc_gate", "absurd", "critical", "run"} <= spoke
    assert all(one["version"] for one in row.verdicts)
    assert {"qc_missing", "instrument_flag", "critical", "outside_verification_limits"} <= set(
        row.holds
    )
    assert (row.inbox_id, row.record) == (laboratory.all(Inbox)[0].id, "R|1")


def test_results_of_one_message_and_request_make_one_report_version(laboratory, observation):
    laboratory.controls("CREA", "GLU")
    tube = laboratory.order("CREA", "GLU", together=True)
    laboratory.send(observation(tube, "70"), observation(tube, "80", "GLU"))
    (delivery,) = laboratory.outbox()
    assert len(delivery.payload["observations"]) == 2
    assert laboratory.all(DiagnosticReport)[0].version == 1


def test_a_report_is_partial_until_every_wanted_test_is_out(laboratory, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA", "UREA", together=True)
    laboratory.send(observation(tube, "70"), observation(tube, "80", "UREA"))
    (report,) = laboratory.all(DiagnosticReport)
    assert report.status == "partial"
    assert laboratory.all(ServiceRequest)[0].state is RequestState.ACTIVE


def test_a_requisition_from_the_form_is_sent_to_nobody(laboratory, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA", source="form")
    laboratory.send(observation(tube, "70"))
    assert laboratory.one().bench_state is BenchState.RELEASED
    assert laboratory.outbox() == []


# --- S01, S11, S12: the gate --------------------------------------------------------------------


def test_S01_no_control_holds_the_result(laboratory, observation):
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    assert laboratory.one().holds == ["qc_missing"]


def test_S01_the_gate_is_a_window_of_24_hours_and_not_a_calendar_day(laboratory, observation, t0):
    laboratory.controls("CREA", at=t0 - timedelta(hours=24, minutes=10))
    tube, other = laboratory.order("CREA"), laboratory.order("CREA")
    laboratory.send(observation(tube, "70", observed_at=t0 - timedelta(minutes=11)))
    laboratory.send(observation(other, "70", observed_at=t0 - timedelta(minutes=9)))
    first, second = laboratory.rows()
    assert first.bench_state is BenchState.RELEASED
    assert second.holds == ["qc_overdue"]


def test_S01_a_failed_control_holds_what_was_measured_since_the_last_accepted_one(
    laboratory, observation, t0
):
    laboratory.controls("CREA")
    tube = laboratory.order("UREA", "CREA")
    laboratory.send(observation(tube, "70", is_abnormal_flagged=True))
    assert laboratory.one().holds == ["instrument_flag"]
    laboratory.controls("CREA", at=t0 - timedelta(minutes=1), shift="4")
    row = laboratory.one()
    assert row.holds == ["instrument_flag", "qc_rejected"]
    assert row.row_version == 2
    assert verdict_of(row, "qc_gate")["outcome"] == "hold"


def test_S01_a_lucky_repeat_never_frees_what_a_failure_held(laboratory, observation, t0):
    laboratory.controls("CREA", at=t0 - timedelta(hours=2))
    laboratory.controls("CREA", at=t0 - timedelta(hours=1), shift="4")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    laboratory.clock.advance(minutes=10)
    laboratory.controls("CREA", at=t0 + timedelta(minutes=5))
    assert laboratory.one().holds == ["qc_rejected"]


def test_S01_a_later_control_does_not_free_a_result_measured_before_it(laboratory, observation):
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    laboratory.clock.advance(minutes=30)
    laboratory.controls("CREA", at=laboratory.clock.now())
    assert laboratory.one().holds == ["qc_missing"]


def test_S11_a_late_arriving_control_gives_the_verdict_it_would_have_given(
    laboratory, observation, t0
):
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    assert laboratory.one().holds == ["qc_missing"]
    laboratory.controls("CREA", at=t0 - timedelta(hours=1))
    row = laboratory.one()
    assert row.bench_state is BenchState.RELEASED
    assert len(laboratory.outbox()) == 1


@pytest.mark.parametrize(
    "changes",
    [{"is_abnormal_flagged": True}, {"holds": (Reason.UNKNOWN_FLAG,)}, {"censored": True}],
)
def test_S11_a_flagged_or_censored_level_never_opens_a_gate(laboratory, observation, changes, read):
    one, two = laboratory.control_values("CREA")
    changed = dict(changes)
    if changed.pop("censored", False):
        changed["value"] = read("<100")
    laboratory.send(replace(one, **changed), two)
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    assert laboratory.rows()[-1].holds == ["qc_missing"]


def test_S11_a_missing_level_never_opens_a_gate(laboratory, observation):
    one, _ = laboratory.control_values("CREA")
    laboratory.send(one)
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    assert laboratory.one().holds == ["qc_missing"]


def test_S11_no_credible_time_is_held(laboratory, observation, t0):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA", "UREA")
    laboratory.send(
        observation(tube, "70", observed_at=None),
        observation(tube, "70", "UREA", observed_at=t0 + timedelta(minutes=3)),
    )
    assert all("no_credible_time" in row.holds for row in laboratory.rows())


def test_S12_a_failing_control_before_a_patient_in_one_batch_holds_the_patient(
    laboratory, observation, t0
):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.message(*laboratory.control_values("CREA", at=t0 - timedelta(minutes=6), shift="4"))
    laboratory.message(observation(tube, "70"))
    laboratory.process()
    assert laboratory.one().holds == ["qc_rejected"]


# --- S03, S06, S09, S10 -------------------------------------------------------------------------


@pytest.mark.parametrize("status", [ResultStatus.PRELIMINARY, ResultStatus.REGISTERED])
def test_S03_a_preliminary_value_is_not_released(laboratory, observation, status):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70", status=status))
    row = laboratory.one()
    assert row.holds == ["preliminary_value"]
    assert row.status is ResultStatus.REGISTERED
    assert laboratory.outbox() == []


def test_S06_marked_tests_are_never_released_automatically(laboratory, observation):
    laboratory.controls("ABO")
    tube = laboratory.order("ABO")
    laboratory.send(observation(tube, "70", "ABO"))
    row = laboratory.one()
    assert (row.holds, row.lane) == (["never_automatic"], "clear")


def test_S09_a_critical_value_opens_its_call_in_the_same_transaction(laboratory, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "260"))
    row = laboratory.one()
    (call,) = laboratory.all(CriticalCall)
    assert (row.flag, row.lane, row.holds) == ("HH", "critical", ["critical"])
    assert (call.observation_id, call.state, call.is_confirmed) == (row.id, "open", True)
    assert call.snapshot == "260 umol/L HH"


def test_S09_a_critical_value_held_for_another_reason_is_called_as_unconfirmed(
    laboratory, observation
):
    laboratory.send(observation("nobody", "10"))
    row = laboratory.one()
    assert (row.flag, row.lane, row.patient_id) == ("LL", "critical", None)
    assert laboratory.all(CriticalCall)[0].is_confirmed is False


def test_S10_no_previous_value_is_not_evaluable_and_not_passed(laboratory, observation):
    laboratory.controls("DLT")
    tube = laboratory.order("DLT")
    laboratory.send(observation(tube, "70", "DLT"))
    row = laboratory.one()
    assert verdict_of(row, "delta")["outcome"] == "not_evaluable"
    assert row.holds == ["delta_not_evaluable"]


# --- S14 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("processing_id", ["T", "D"])
def test_S14_test_traffic_never_reaches_production_rows(laboratory, observation, processing_id):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"), processing_id=processing_id)
    assert laboratory.rows() == []
    held = [row for row in laboratory.all(Inbox) if row.state is InboxState.HELD]
    assert [row.hold_reason for row in held] == ["test_traffic"]


def test_S14_a_simulator_is_test_traffic_unless_the_store_is_a_demo(laboratory, observation):
    change(laboratory, Device, is_simulator=True)
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    assert laboratory.rows() == []
    laboratory.intake = type(laboratory.intake)(
        laboratory.store, laboratory.intake._translate, accepts_simulators=True
    )
    laboratory.send(observation(tube, "70"))
    assert len(laboratory.rows()) == 1


# --- S15, S16, S18, S21 -------------------------------------------------------------------------


def test_S15_an_unknown_specimen_is_held_without_a_patient(laboratory, observation):
    laboratory.controls("CREA")
    laboratory.send(observation("12345678", "70"))
    row = laboratory.one()
    assert (row.patient_id, row.specimen_id, row.lane) == (None, None, "unmatched")
    assert "unknown_specimen" in row.holds


def test_S15_a_later_registration_never_binds_by_itself(laboratory, observation):
    laboratory.controls("CREA")
    laboratory.send(observation("T000777", "70"))
    laboratory.order("CREA", accession="T000777")
    laboratory.controls("CREA", at=laboratory.clock.now() - timedelta(minutes=2))
    row = laboratory.one()
    assert (row.patient_id, row.bench_state) == (None, BenchState.HELD)


@pytest.mark.parametrize(
    ("specimen", "changes", "reason"),
    [
        ({"specimen_type": "URN"}, {}, "specimen_type_mismatch"),
        ({"state": SpecimenState.REJECTED}, {}, "specimen_not_live"),
        ({"state": SpecimenState.DISPOSED}, {}, "specimen_not_live"),
        ({"collected_from": "later"}, {}, "measured_before_collection"),
        ({"received_at": "later"}, {}, "measured_before_receipt"),  # S18: archive upload
        ({}, {"read_mode": IdReadMode.TYPED}, "id_not_from_barcode"),  # S16
        ({}, {"read_mode": IdReadMode.AUTOMATIC}, "id_not_from_barcode"),
        ({}, {"read_mode": IdReadMode.POSITION}, "id_not_from_barcode"),
        ({}, {"read_mode": IdReadMode.UNSTATED}, "id_not_from_barcode"),
    ],
)
def test_S15_anything_but_a_full_match_is_held_and_not_bound(
    laboratory, observation, t0, specimen, changes, reason
):
    laboratory.controls("CREA")
    values = {key: t0 if value == "later" else value for key, value in specimen.items()}
    tube = laboratory.order("CREA", **values)
    laboratory.send(observation(tube, "70", **changes))
    row = laboratory.one()
    assert reason in row.holds
    assert (row.patient_id, row.lane) == (None, "unmatched")


def test_S16_a_person_may_vouch_for_an_instrument_that_does_not_tell_the_read_mode(
    laboratory, observation
):
    change(laboratory, Device, has_reliable_barcode=True)
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70", read_mode=IdReadMode.UNSTATED))
    assert laboratory.one().bench_state is BenchState.RELEASED


def test_a_test_that_was_not_ordered_is_held_with_its_patient(laboratory, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("UREA")
    laboratory.send(observation(tube, "70"))
    row = laboratory.one()
    assert row.holds == ["not_ordered"]
    assert row.patient_id is not None


def test_S21_a_result_for_a_cancelled_order_is_judged_and_kept(laboratory, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    change(laboratory, WorkOrder, state=WorkOrderState.CANCELLED)
    laboratory.send(observation(tube, "260"))
    row = laboratory.one()
    assert (row.flag, row.lane) == ("HH", "critical")
    assert "order_cancelled" in row.holds
    assert row.work_order_id is not None


# --- S19, S20 -----------------------------------------------------------------------------------


def test_S19_a_resend_is_stored_once(laboratory, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    report = laboratory.send(observation(tube, "70"))
    assert report.resent == 1
    assert len(laboratory.rows()) == 1
    assert len(laboratory.outbox()) == 1


def test_S19_an_edit_on_the_analyzer_is_a_held_candidate_version(laboratory, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    laboratory.send(observation(tube, "75"))
    first, second = laboratory.rows()
    assert (second.version, second.previous_id) == (2, first.id)
    assert (second.is_chosen, second.holds) == (False, ["edited_on_analyzer"])
    assert first.bench_state is BenchState.RELEASED


def test_S19_two_equal_true_runs_are_both_kept(laboratory, observation, t0):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    laboratory.send(observation(tube, "70", observed_at=t0 - timedelta(minutes=1)))
    first, second = laboratory.rows()
    assert second.holds == ["second_run"]
    assert (first.is_chosen, second.is_chosen) == (True, False)


def test_S20_a_second_run_makes_an_unreleased_first_one_wait_for_a_choice(
    laboratory, observation, t0
):
    laboratory.controls("UREA")
    tube = laboratory.order("UREA")
    laboratory.send(observation(tube, "70", "UREA"))
    assert laboratory.one().lane == "clear"
    laboratory.send(observation(tube, "50", "UREA", observed_at=t0 - timedelta(minutes=1)))
    first, _ = laboratory.rows()
    assert (first.holds, first.lane) == (["automatic_off", "second_run"], "hold")


@pytest.mark.parametrize(
    ("is_closed", "rows", "resent"), [(True, 2, 0), (None, 2, 0), (False, 1, 1)]
)
def test_S19_without_a_time_equal_bytes_are_a_duplicate_unless_the_session_was_cut(
    laboratory, observation, is_closed, rows, resent
):
    tube = laboratory.order("CREA")
    value = observation(tube, "70", observed_at=None)
    laboratory.send(value, raw=b"same", is_session_closed=is_closed)
    report = laboratory.send(value, raw=b"same")
    stored = laboratory.rows()
    assert (len(stored), report.resent) == (rows, resent)
    assert ("possible_duplicate" in stored[-1].holds) is (rows == 2)


# --- S22 ----------------------------------------------------------------------------------------


def test_S22_a_control_under_a_patient_id_is_held(laboratory, observation):
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "100", kind=SubjectKind.CONTROL))
    row = laboratory.one()
    assert (row.patient_id, row.bench_state) == (None, BenchState.HELD)
    assert row.holds == ["patient_under_control_id"]


def test_S22_a_patient_under_a_control_id_is_held(laboratory, observation):
    laboratory.send(observation("QCL1", "100"))
    assert laboratory.one().holds == ["control_under_patient_id"]
    assert laboratory.all(ControlPoint) == []


def test_S22_a_control_that_fits_no_loaded_lot_is_held(laboratory, observation):
    laboratory.send(observation("QC-OLD", "100", kind=SubjectKind.CONTROL))
    row = laboratory.one()
    assert (row.holds, row.lane) == (["unknown_control"], "unmatched")


# --- S23, S24, S25, S26 -------------------------------------------------------------------------


def test_S23_another_serial_number_quarantines_the_analyzer(laboratory, observation):
    change(laboratory, Device, serial="SN-1")
    laboratory.controls("CREA")
    tube, other = laboratory.order("CREA"), laboratory.order("CREA")
    laboratory.send(observation(tube, "70"), serial="SN-2")
    laboratory.send(observation(other, "70"), serial="SN-1")
    assert all(row.holds == ["device_mismatch"] for row in laboratory.rows())
    assert [row.kind for row in laboratory.all(Alarm)] == ["device_mismatch"]
    assert laboratory.all(Device)[0].quarantine_reason == "serial SN-2"


def test_S23_a_control_from_a_swapped_port_never_opens_a_gate(laboratory, observation):
    change(laboratory, Device, serial="SN-1")
    laboratory.send(*laboratory.control_values("CREA"), serial="SN-2")
    assert laboratory.all(ControlPoint) == []
    assert {row.holds[0] for row in laboratory.rows()} == {"device_mismatch"}


@pytest.mark.parametrize("unit", ["mg/dL", "", "UMOL/L"])
def test_S23_a_changed_or_vanished_unit_is_held_and_never_converted(laboratory, observation, unit):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "400", unit=unit))
    row = laboratory.one()
    assert "unit_changed" in row.holds
    assert (row.flag, row.unit) == ("", unit)
    assert [alarm.kind for alarm in laboratory.all(Alarm)] == ["unit_changed"]


def test_S24_a_clock_that_is_off_by_more_than_two_minutes_alarms_and_holds(
    laboratory, observation, t0
):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"), sent_at=t0 + timedelta(minutes=10))
    row = laboratory.one()
    assert "clock_offset" in row.holds
    assert row.clock_offset_s == 600
    assert laboratory.all(Device)[0].clock_offset_s == 600
    assert [alarm.kind for alarm in laboratory.all(Alarm)] == ["device_clock"]


def test_S25_a_raw_value_without_a_factor_is_held_and_not_flagged(laboratory, observation, basis):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "20", basis=basis.RAW))
    row = laboratory.one()
    assert "dilution_unknown" in row.holds
    assert (row.flag, row.dilution, row.basis) == ("", None, "raw")


def test_S26_an_unknown_collection_time_holds_stability_limited_tests(laboratory, observation):
    laboratory.controls("GLU", "CREA")
    tube = laboratory.order(
        "GLU", "CREA", collected_from=None, collected_to=None, collected_certainty="unknown"
    )
    laboratory.send(observation(tube, "70", "GLU"), observation(tube, "70"))
    glucose, creatinine = laboratory.rows()
    assert "collection_unknown" in glucose.holds
    assert creatinine.bench_state is BenchState.RELEASED  # received before it was measured


# --- promises 2 and 3 ---------------------------------------------------------------------------


def test_values_of_codes_that_nobody_mapped_are_no_runs_of_each_other(laboratory, observation):
    tube = laboratory.order("UREA")
    laboratory.send(observation(tube, "4.2", "STRANGE"), observation(tube, "7", "STRANGER"))
    assert all("unknown_test" in row.holds for row in laboratory.rows())
    assert not any("second_run" in row.holds for row in laboratory.rows())


def test_promise_3_an_unknown_test_is_held_and_the_rest_goes_on(laboratory, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "5", "NEWTEST"), observation(tube, "70"))
    unknown, known = laboratory.rows()
    assert "unknown_test" in unknown.holds
    assert (unknown.test_code, unknown.lane) == ("", "unmatched")
    assert known.bench_state is BenchState.RELEASED


def test_promise_3_an_unreadable_record_is_filed_and_the_rest_goes_on(laboratory, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    torn = Unreadable(record="R|2", field="value", raw="??", reason=Reason.UNREADABLE_RECORD)
    laboratory.send(observation(tube, "70"), unreadable=(torn,))
    (filed,) = laboratory.all(UnreadableRecord)
    assert (filed.raw, filed.reason) == ("??", "unreadable_record")
    assert laboratory.one().bench_state is BenchState.RELEASED


def test_promise_2_a_poisoned_message_is_held_with_an_alarm_and_stops_nobody(
    laboratory, observation
):
    laboratory.controls("CREA")
    tubes = [laboratory.order("CREA") for _ in range(3)]
    for tube in tubes[:1]:
        laboratory.message(observation(tube, "70"))
    laboratory.message(observation(tubes[1], "70", comment=object()))
    laboratory.message(observation(tubes[2], "70"))
    report = laboratory.process()
    assert (report.processed, report.held) == (2, 1)
    held = [row for row in laboratory.all(Inbox) if row.state is InboxState.HELD]
    assert [row.hold_reason for row in held] == ["processing_failed"]
    assert [alarm.kind for alarm in laboratory.all(Alarm)] == ["processing_failed"]
    assert len(laboratory.rows()) == 2
    assert laboratory.process().claimed == 0


def test_promise_2_a_driver_that_fails_holds_its_message(laboratory, observation):
    inbox_id = laboratory.message(observation("1", "2"))
    del laboratory.messages[inbox_id]
    report = laboratory.process()
    assert (report.held, laboratory.all(Inbox)[0].hold_reason) == (1, "processing_failed")


def test_promise_2_processing_a_message_again_changes_nothing(laboratory, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    before = [(row.id, row.row_version) for row in laboratory.rows()]
    change(laboratory, Inbox, state=InboxState.NEW)
    laboratory.process()
    assert [(row.id, row.row_version) for row in laboratory.rows()] == before
    assert len(laboratory.outbox()) == 1
    assert len(laboratory.all(ControlPoint)) == 2


def test_promise_4_suspicion_about_a_specimen_holds_its_results(laboratory, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    change(laboratory, Specimen, suspicion="clot")
    laboratory.send(observation(tube, "70"))
    assert laboratory.one().holds == ["specimen_suspect"]


def test_a_test_without_rules_is_held(laboratory, observation):
    laboratory.controls("ALB")
    tube = laboratory.order("ALB")
    laboratory.send(observation(tube, "70", "ALB"))
    assert laboratory.one().holds == ["rules_missing"]
