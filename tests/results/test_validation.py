"""What people do with results that wait, on both stores (S02, S03, S07, S08, S15, S20)."""

from datetime import timedelta
from decimal import Decimal

import pytest

from lis.domain.errors import Refused, StaleVersion
from lis.domain.lifecycle import BenchState, RequestState, WorkOrderState
from lis.domain.messages import Reason, ResultStatus
from lis.results import binding, reads, validation
from lis.results.desk import Shown
from lis.store.control_rows import GateException
from lis.store.observation_rows import CriticalCall, DiagnosticReport
from lis.store.order_rows import ServiceRequest, WorkOrder
from lis.store.people_rows import Patient, PatientIdentifier
from lis.store.traffic_rows import Outbox, OutboxState


class Person:
    """A technician at the screen: sees rows, acts on what was seen."""

    def __init__(self, laboratory):
        self.laboratory = laboratory
        self.catalog = laboratory.catalog()

    def sees(self, observation_id):
        with self.laboratory.store.read() as session:
            row = reads.row(session, self.catalog, observation_id)
        return Shown(observation_id=row["id"], version=row["row_version"], hash=row["shown_hash"])

    def page(self, **options):
        with self.laboratory.store.read() as session:
            return reads.worklist(session, self.catalog, **options)

    def does(self, action, *arguments, **options):
        with self.laboratory.store.unit("anna") as unit:
            return action(unit, self.catalog, *arguments, user="anna", **options)

    def verifies(self, observation_id, **options):
        return self.does(validation.verify, self.sees(observation_id), **options)


@pytest.fixture
def person(laboratory):
    return Person(laboratory)


@pytest.fixture
def clear_row(laboratory, observation):
    """A result that only waits because automatic release is switched off."""
    laboratory.controls("UREA")
    tube = laboratory.order("UREA")
    laboratory.send(observation(tube, "70", "UREA"))
    return laboratory.one().id


# --- S07 ----------------------------------------------------------------------------------------


def test_a_verified_result_leaves_five_seconds_later(laboratory, person, clear_row):
    done = person.verifies(clear_row)
    row = laboratory.one()
    (delivery,) = laboratory.outbox()
    assert (row.bench_state, row.status) == (BenchState.RELEASED, ResultStatus.FINAL)
    assert (row.validator, row.lane, row.holds) == ("anna", "", [])
    assert row.signature == f"verified:{row.shown_hash}"
    assert row.visible_from == delivery.not_before == laboratory.clock.now() + timedelta(seconds=5)
    assert (done.report_version, done.row["bench_state"]) == (1, "released")


def test_S07_a_row_that_changed_is_refused_with_the_fresh_row(laboratory, person, clear_row, t0):
    seen = person.sees(clear_row)
    laboratory.controls("UREA", at=t0 - timedelta(minutes=1), shift="4")
    with pytest.raises(StaleVersion) as refusal:
        person.does(validation.verify, seen)
    fresh = refusal.value.parameters["fresh"]
    assert (fresh["row_version"], fresh["qc"]) == (2, "qc_rejected")
    assert laboratory.one().bench_state is BenchState.HELD


@pytest.mark.parametrize("changes", [{"version": 7}, {"hash": "0" * 32}])
def test_S07_version_and_hash_must_both_be_what_was_rendered(person, clear_row, changes):
    seen = person.sees(clear_row)
    wrong = Shown(
        observation_id=clear_row,
        version=changes.get("version", seen.version),
        hash=changes.get("hash", seen.hash),
    )
    with pytest.raises(StaleVersion):
        person.does(validation.verify, wrong)


def test_S07_a_changed_patient_makes_the_row_stale(laboratory, person, clear_row):
    seen = person.sees(clear_row)
    with laboratory.store.unit("admission") as unit:
        unit.session.get(Patient, 1).family_name = "Petrova"
    with pytest.raises(StaleVersion):
        person.does(validation.verify, seen)


def test_S07_a_key_held_down_verifies_one_row_once(laboratory, person, clear_row):
    seen = person.sees(clear_row)
    person.does(validation.verify, seen)
    with pytest.raises(StaleVersion):
        person.does(validation.verify, seen)
    assert len(laboratory.outbox()) == 1


def test_S07_bulk_verifies_exactly_the_listed_rows_and_versions(laboratory, person, observation):
    laboratory.controls("UREA", "CREA")
    ids = []
    for value in ("70", "71", "72"):
        tube = laboratory.order("UREA")
        laboratory.send(observation(tube, value, "UREA"))
        ids.append(laboratory.rows()[-1].id)
    critical = laboratory.order("CREA")
    laboratory.send(observation(critical, "260"))
    critical_id = laboratory.rows()[-1].id
    listed = [person.sees(ids[0]), person.sees(ids[1]), person.sees(critical_id)]
    person.does(validation.comment, person.sees(ids[1]), text="look again")

    done = person.does(validation.verify_many, listed)

    assert done.verified == (ids[0],)
    assert done.refused == {ids[1]: "stale_version", critical_id: "not_clear"}
    states = {row.id: row.bench_state for row in laboratory.rows()}
    assert states[ids[0]] is BenchState.RELEASED
    assert states[ids[2]] is BenchState.HELD


def test_verifying_a_specimen_takes_only_its_clear_rows(laboratory, person, observation):
    laboratory.controls("UREA")
    tube, other = laboratory.order("UREA"), laboratory.order("UREA")
    laboratory.send(observation(tube, "70", "UREA"))
    laboratory.send(observation(other, "70", "UREA"))
    first, second = laboratory.rows()
    shown = [person.sees(first.id), person.sees(second.id)]
    done = person.does(validation.verify_specimen_clear, first.specimen_id, shown)
    assert (done.verified, done.refused) == ((first.id,), {second.id: "other_specimen"})


def test_results_of_one_request_verified_together_make_one_report_version(
    laboratory, person, observation
):
    laboratory.controls("UREA", "ABO")
    tube = laboratory.order("UREA", "ABO", together=True)
    laboratory.send(observation(tube, "70", "UREA"), observation(tube, "60", "ABO"))
    listed = [person.sees(row.id) for row in laboratory.rows()]
    person.does(validation.verify_many, listed)
    (report,) = laboratory.all(DiagnosticReport)
    assert (report.version, report.status) == (1, "final")
    assert len(laboratory.outbox()) == 1


# --- S08 ----------------------------------------------------------------------------------------


def test_S08_undo_within_five_seconds_leaves_nothing_outside(laboratory, person, clear_row):
    person.verifies(clear_row)
    laboratory.clock.advance(seconds=4)
    person.does(validation.undo, clear_row)
    row = laboratory.one()
    assert (row.bench_state, row.status) == (BenchState.HELD, ResultStatus.REGISTERED)
    assert (row.holds, row.lane, row.visible_from) == (["automatic_off"], "clear", None)
    assert [one.state for one in laboratory.outbox()] == [OutboxState.CANCELLED]
    assert laboratory.all(DiagnosticReport)[0].status == "registered"
    assert laboratory.all(ServiceRequest)[0].state is RequestState.ACTIVE


def test_S08_after_five_seconds_only_a_correction_helps(laboratory, person, clear_row):
    person.verifies(clear_row)
    laboratory.clock.advance(seconds=5)
    with pytest.raises(Refused, match="undo_too_late"):
        person.does(validation.undo, clear_row)


def test_S08_a_delivery_that_was_taken_up_cannot_be_undone(laboratory, person, clear_row):
    person.verifies(clear_row)
    with laboratory.store.unit("sender") as unit:
        unit.session.query(Outbox).one().state = OutboxState.SENT
    with pytest.raises(Refused, match="undo_too_late"):
        person.does(validation.undo, clear_row)


def test_S08_automatic_releases_leave_at_once_and_are_not_undone(laboratory, person, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    assert laboratory.outbox()[0].not_before == laboratory.clock.now()
    with pytest.raises(Refused, match="nothing_to_undo"):
        person.does(validation.undo, laboratory.one().id)


def test_S08_undoing_one_of_two_still_sends_the_other(laboratory, person, observation):
    laboratory.controls("UREA", "ABO")
    tube = laboratory.order("UREA", "ABO", together=True)
    laboratory.send(observation(tube, "70", "UREA"), observation(tube, "60", "ABO"))
    urea, abo = laboratory.rows()
    person.does(validation.verify_many, [person.sees(urea.id), person.sees(abo.id)])
    person.does(validation.undo, urea.id)
    cancelled, again = laboratory.outbox()
    assert cancelled.state is OutboxState.CANCELLED
    assert (again.state, again.payload["observations"]) == (OutboxState.NEW, [abo.id])


# --- what nobody passes: S02, S03, promise 4 -----------------------------------------------------


def test_promise_4_nobody_verifies_past_a_rejected_control(laboratory, person, observation, t0):
    laboratory.controls("CREA", at=t0 - timedelta(hours=1), shift="4")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    exception(laboratory)
    with pytest.raises(Refused, match="qc_rejected"):
        person.verifies(laboratory.one().id)


def exception(laboratory, hours=1):
    with laboratory.store.unit("officer") as unit:
        unit.session.add(
            GateException(
                device_id=laboratory.device_id,
                test_code="CREA",
                reason="no controls until Monday",
                granted_by="officer",
                granted_at=unit.now,
                ends_at=unit.now + timedelta(hours=hours),
            )
        )


def test_S02_a_signed_exception_opens_a_gate_without_controls_and_is_named_on_the_report(
    laboratory, person, observation
):
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    row_id = laboratory.one().id
    with pytest.raises(Refused, match="qc_missing"):
        person.verifies(row_id)
    exception(laboratory)
    person.verifies(row_id)
    row = laboratory.one()
    assert row.bench_state is BenchState.RELEASED
    assert row.comment == "no controls until Monday"


def test_S02_an_exception_ends(laboratory, person, observation):
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    exception(laboratory, hours=1)
    laboratory.clock.advance(hours=1)
    with pytest.raises(Refused, match="qc_missing"):
        person.verifies(laboratory.one().id)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": ResultStatus.PRELIMINARY}, "preliminary_value"),
        ({"unit": "mg/dL"}, "unit_changed"),
        ({"holds": (Reason.UNKNOWN_STATUS,)}, "unknown_status"),
        ({"holds": (Reason.UNKNOWN_FLAG,)}, "unknown_flag"),
    ],
)
def test_promise_4_a_person_passes_only_what_the_table_allows(
    laboratory, person, observation, changes, code
):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70", **changes))
    with pytest.raises(Refused, match=code):
        person.verifies(laboratory.one().id)


def test_an_unknown_flag_needs_an_explicit_acknowledgement(laboratory, person, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70", holds=(Reason.UNKNOWN_FLAG,)))
    person.verifies(laboratory.one().id, acknowledged=frozenset({Reason.UNKNOWN_FLAG}))
    row = laboratory.one()
    assert row.bench_state is BenchState.RELEASED
    assert row.verdicts[-1]["parameters"]["despite"] == "unknown_flag"


def test_a_request_cancelled_meanwhile_stops_verifying(laboratory, person, clear_row):
    with laboratory.store.unit("emr") as unit:
        unit.session.query(ServiceRequest).one().state = RequestState.REVOKED
    with pytest.raises(Refused, match="order_cancelled"):
        person.verifies(clear_row)


def test_a_refused_action_changes_nothing(laboratory, person, observation):
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    before = laboratory.one()
    with pytest.raises(Refused):
        person.verifies(before.id)
    after = laboratory.one()
    assert (after.row_version, after.verdicts) == (before.row_version, before.verdicts)


# --- reject, comment, rerun, choose -------------------------------------------------------------


def test_rejecting_always_asks_for_a_reason(laboratory, person, clear_row):
    with pytest.raises(Refused, match="reason_required"):
        person.does(validation.reject, person.sees(clear_row), reason="  ")
    person.does(validation.reject, person.sees(clear_row), reason="haemolysed")
    row = laboratory.one()
    assert (row.bench_state, row.lane) == (BenchState.REJECTED, "")
    assert laboratory.outbox() == []
    person.does(validation.undo, clear_row)
    assert (laboratory.one().bench_state, laboratory.one().lane) == (BenchState.HELD, "clear")


def test_a_rerun_makes_a_new_work_order_and_keeps_the_first_run(laboratory, person, clear_row):
    person.does(
        binding.request_rerun, person.sees(clear_row), reason="dilute", dilution=Decimal(10)
    )
    first, again = laboratory.all(WorkOrder)
    assert (again.rerun, again.dilution, again.state) == (1, Decimal(10), WorkOrderState.PENDING)
    assert first.public_id != again.public_id
    assert laboratory.one().bench_state is BenchState.HELD


def test_S20_a_person_chooses_which_run_counts(laboratory, person, observation, clear_row, t0):
    tube = laboratory.one().specimen_text
    laboratory.send(observation(tube, "50", "UREA", observed_at=t0 - timedelta(minutes=1)))
    first, second = laboratory.rows()
    with pytest.raises(Refused, match="second_run"):
        person.verifies(first.id)
    with pytest.raises(Refused, match="second_run"):
        person.verifies(second.id)
    person.does(validation.choose_run, person.sees(second.id), reason="clot removed")
    person.verifies(second.id)
    first, second = laboratory.rows()
    assert first.bench_state is BenchState.SUPERSEDED
    assert second.bench_state is BenchState.RELEASED


def test_promise_6_another_chosen_run_is_a_correction_for_everyone_who_got_the_first(
    laboratory, person, observation, t0
):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70"))
    laboratory.send(observation(tube, "90", observed_at=t0 - timedelta(minutes=1)))
    first, second = laboratory.rows()
    person.does(validation.choose_run, person.sees(second.id), reason="air bubble")
    person.verifies(second.id)
    first, second = laboratory.rows()
    (report,) = laboratory.all(DiagnosticReport)
    assert (first.bench_state, first.reported) == (BenchState.SUPERSEDED, "70")
    assert (second.status, second.previous_id) == (ResultStatus.CORRECTED, first.id)
    assert (report.status, report.version) == ("corrected", 2)
    assert [one.payload["observations"] for one in laboratory.outbox()] == [[first.id], [second.id]]


# --- S15: binding -------------------------------------------------------------------------------


def test_S15_a_person_binds_a_tube_with_a_second_identifier(laboratory, person, observation):
    laboratory.controls("CREA")
    laboratory.send(observation("T000777", "30"))
    unmatched = laboratory.one().id
    laboratory.order("CREA", accession="T000777")
    with pytest.raises(Refused, match="second_identifier_differs"):
        person.does(
            binding.confirm_match,
            person.sees(unmatched),
            accession="T000777",
            second_identifier="1999-01-01",
        )
    person.does(
        binding.confirm_match,
        person.sees(unmatched),
        accession="T000777",
        second_identifier="1980-05-01",
    )
    old, new = laboratory.rows()
    assert (old.bench_state, old.patient_id) == (BenchState.SUPERSEDED, None)
    assert (new.version, new.previous_id, new.patient_id) == (2, old.id, 1)
    assert (new.flag, new.interval_text) == ("L", "40–90")
    assert (new.bench_state, new.lane, laboratory.outbox()) == (BenchState.HELD, "clear", [])
    person.verifies(new.id)
    assert laboratory.rows()[1].bench_state is BenchState.RELEASED


def test_S15_an_identifier_of_the_patient_serves_as_the_second_one(laboratory, person, observation):
    laboratory.controls("CREA")
    laboratory.send(observation("T000778", "70"))
    laboratory.order("CREA", accession="T000778")
    with laboratory.store.unit("admission") as unit:
        unit.session.add(PatientIdentifier(patient_id=1, system="mrn", value="4711"))
    person.does(
        binding.confirm_match,
        person.sees(laboratory.one().id),
        accession="T000778",
        second_identifier="4711",
    )
    assert laboratory.rows()[1].patient_id == 1


def test_S15_binding_does_not_pass_over_the_wrong_kind_of_tube(laboratory, person, observation):
    laboratory.controls("CREA")
    laboratory.send(observation("T000779", "70"))
    laboratory.order("CREA", accession="T000779", specimen_type="URN")
    with pytest.raises(Refused, match="specimen_type_mismatch"):
        person.does(
            binding.confirm_match,
            person.sees(laboratory.one().id),
            accession="T000779",
            second_identifier="1980-05-01",
        )


def test_a_critical_call_closes_only_by_read_back(laboratory, person, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "260"))
    call_id = laboratory.all(CriticalCall)[0].id
    for is_read_back, state in ((False, "attempted"), (True, "closed")):
        with laboratory.store.unit("anna") as unit:
            binding.log_call(
                unit, call_id, user="anna", spoke_with="Dr House", is_read_back=is_read_back
            )
        assert laboratory.all(CriticalCall)[0].state == state
    (call,) = laboratory.all(CriticalCall)
    assert len(call.attempts) == 2
    assert call.closed_by == "anna"


# --- screens ------------------------------------------------------------------------------------


def test_the_worklist_shows_what_a_verifier_needs(laboratory, person, observation, t0):
    laboratory.controls("UREA", "CREA", at=t0 - timedelta(hours=2))
    patient = laboratory.patient()
    earlier = laboratory.order(
        "UREA",
        patient=patient,
        collected_from=t0 - timedelta(hours=5),
        received_at=t0 - timedelta(hours=4),
    )
    laboratory.send(observation(earlier, "50", "UREA", observed_at=t0 - timedelta(hours=1)))
    person.verifies(laboratory.one().id)
    tube = laboratory.order("UREA", patient=patient)
    laboratory.send(observation(tube, "75", "UREA"))
    (row,) = person.page(language="ru")["rows"]
    assert (row["test_name"], row["value"], row["unit"]) == ("тест UREA", "75", "umol/L")
    assert row["patient"]["age"] == {"count": 46, "unit": "years"}
    assert (row["patient"]["family"], row["patient"]["sex"]) == ("Ivanova", "F")
    assert (row["interval"], row["interval_reason"]) == ("40–90", row["interval_reason"])
    assert row["previous"]["value"] == "50"
    assert row["previous"]["delta_percent"] == "+50.0"
    assert [point["value"] for point in row["history"]] == ["50"]
    assert (row["qc"], row["lane"], row["device"]) == ("open", "clear", "a-1")
    assert [one["code"] for one in row["holds"]] == ["automatic_off"]


def test_pages_go_by_key_and_critical_comes_first(laboratory, person, observation):
    laboratory.controls("UREA", "CREA")
    for _ in range(3):
        laboratory.send(observation(laboratory.order("UREA"), "70", "UREA"))
    laboratory.send(observation(laboratory.order("CREA"), "260"))
    laboratory.send(observation("nobody", "70"))
    seen, key = [], ""
    for _ in range(4):
        page = person.page(after_key=key, limit=2)
        seen += [row["lane"] for row in page["rows"]]
        key = page["next"]
        if not key:
            break
    assert seen == ["critical", "unmatched", "clear", "clear", "clear"]
    with laboratory.store.read() as session:
        assert reads.counts(session, person.catalog) == {
            "critical": 1,
            "unmatched": 1,
            "hold": 0,
            "clear": 3,
        }


def test_promise_5_the_raw_record_is_one_call_from_the_value(laboratory, person, observation):
    laboratory.controls("UREA")
    tube = laboratory.order("UREA")
    laboratory.send(observation(tube, "70", "UREA"), raw=b"R|1|^^^iUREA|70")
    with laboratory.store.read() as session:
        found = reads.detail(
            session,
            person.catalog,
            laboratory.one().id,
            decode=lambda inbox, record: f"{record}: {inbox.raw.decode()}",
        )
    assert found["raw"]["text"] == "R|1: R|1|^^^iUREA|70"
    assert {one["rule"] for one in found["verdicts"]} >= {"qc_gate", "delta", "run"}
    assert [entry["action"] for entry in found["audit"]] == ["process"]
    assert len(found["runs"]) == 1


def test_an_unreadable_record_is_resolved_with_a_reason(laboratory, person, unreadable):
    laboratory.send(unreadable=(unreadable,))
    with laboratory.store.read() as session:
        (record,) = reads.unreadable(session)
    with laboratory.store.unit("anna") as unit:
        binding.resolve_unreadable(unit, record["id"], reason="resent by hand", user="anna")
    with laboratory.store.read() as session:
        assert reads.unreadable(session) == []
