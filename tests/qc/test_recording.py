"""Recording controls: S11, S12, S19, S22, S37 on a real store."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from lis.domain.control import GateAnswer, GateKey, RunVerdict, gate_at
from lis.domain.messages import Reason, ResultStatus, SubjectKind
from lis.qc.recording import ControlFold, Outcome
from lis.qc.westgard import Conventions
from lis.store.rows import (
    Audit,
    ControlLot,
    ControlPoint,
    ControlRun,
    Device,
    GateProjection,
    ReagentLoad,
    Target,
)
from tests.qc.laboratory import TEST, Laboratory, add_lot, at, control, open_laboratory

KEY = GateKey(device_id=1, test=TEST)


def answer(laboratory: Laboratory, minutes: float) -> GateAnswer:
    return gate_at(laboratory.gate(), at(minutes)).answer


def count(laboratory: Laboratory, row: type) -> int:
    with laboratory.store.read() as session:
        return session.execute(select(func.count()).select_from(row)).scalar_one()


def test_all_levels_within_limits_open_the_gate(laboratory_on_both):
    done = laboratory_on_both.take(control(0.5, 0, 1), control(-0.5, 5, 2))
    assert [one.outcome for one in done] == [Outcome.STORED, Outcome.STORED]
    assert [one.verdict for one in done] == [RunVerdict.PENDING, RunVerdict.ACCEPTED]
    assert answer(laboratory_on_both, -1) is GateAnswer.MISSING
    assert answer(laboratory_on_both, 4) is GateAnswer.MISSING  # before the last level
    assert answer(laboratory_on_both, 6) is GateAnswer.OPEN
    assert answer(laboratory_on_both, 24 * 60 + 6) is GateAnswer.OVERDUE


def test_levels_may_arrive_in_separate_batches(laboratory_on_both):
    laboratory_on_both.take(control(0, 0, 1))
    assert answer(laboratory_on_both, 1) is GateAnswer.MISSING
    laboratory_on_both.take(control(0, 20, 2))
    assert answer(laboratory_on_both, 21) is GateAnswer.OPEN
    assert count(laboratory_on_both, ControlRun) == 1


def test_levels_too_far_apart_are_two_runs_and_neither_opens(laboratory):
    laboratory.take(control(0, 0, 1), control(0, 61, 2))
    assert answer(laboratory, 62) is GateAnswer.MISSING


def test_one_rejecting_point_closes_at_once(laboratory_on_both):
    laboratory_on_both.take(control(0, 0, 1), control(0, 1, 2))
    (done,) = laboratory_on_both.take(control(3.1, 60, 1))
    assert done.verdict is RunVerdict.REJECTED
    assert answer(laboratory_on_both, 30) is GateAnswer.REJECTED  # it may have begun before
    assert answer(laboratory_on_both, 61) is GateAnswer.REJECTED


@pytest.mark.parametrize(
    "spoilt",
    [
        control(0, 1, 2, is_abnormal_flagged=True),
        control(0, 1, 2, holds=(Reason.UNKNOWN_FLAG,)),
        control(0, 1, 2, status=ResultStatus.PRELIMINARY),
        control(None, 1, 2, text="<18"),
        control(None, 1, 2, text="*****"),
    ],
    ids=["flagged", "unknown flag", "preliminary", "censored", "no number"],
)
def test_s11_a_spoilt_level_never_opens_the_gate(laboratory, spoilt):
    laboratory.take(control(0, 0, 1), spoilt)
    assert answer(laboratory, 10) is GateAnswer.MISSING
    laboratory.take(control(0, 5, 2))  # repeating the one level is no second chance
    assert answer(laboratory, 10) is GateAnswer.MISSING
    laboratory.take(control(0, 8, 1))
    assert answer(laboratory, 10) is GateAnswer.OPEN  # all levels again


def test_s11_repeating_until_pass_never_opens(laboratory_on_both):
    laboratory_on_both.take(control(0, 0, 1), control(0, 1, 2))
    laboratory_on_both.take(control(3.5, 60, 1), control(0, 61, 2))
    for minutes in (70, 80, 90):
        laboratory_on_both.take(control(0, minutes, 1), control(0, minutes + 1, 2))
    assert answer(laboratory_on_both, 95) is GateAnswer.REJECTED
    with laboratory_on_both.store.read() as session:
        needs = session.scalars(select(ControlRun.needs_action).order_by(ControlRun.at)).all()
    assert needs == [False, False, True, True, True]


def test_2_2s_over_runs_closes(laboratory):
    laboratory.take(control(2.1, 0, 1), control(0, 1, 2))
    assert answer(laboratory, 2) is GateAnswer.OPEN  # a warning lets results go
    laboratory.take(control(2.1, 120, 1), control(0, 121, 2))
    assert answer(laboratory, 122) is GateAnswer.REJECTED


def test_first_live_rules_do_not_include_10x(laboratory):
    for run in range(12):
        laboratory.take(control(0.1, run * 120, 1), control(0.1, run * 120 + 1, 2))
    assert answer(laboratory, 11 * 120 + 2) is GateAnswer.OPEN


def test_10x_is_judged_from_the_stored_history_when_the_laboratory_wants_it(laboratory):
    laboratory.conventions = Conventions()
    verdicts = []
    for run in range(10):
        done = laboratory.take(control(0.1, run * 120, 1), control((-1) ** run, run * 120 + 1, 2))
        verdicts.append(done[-1].verdict)
    assert verdicts == [RunVerdict.ACCEPTED] * 9 + [RunVerdict.REJECTED]


def test_a_level_that_is_often_missing_still_has_its_window(laboratory):
    laboratory.conventions = Conventions()
    for run in range(28):
        readings = [control((-1) ** run, run * 120, 1)]
        if run % 3 == 0:
            readings.append(control(0.1, run * 120 + 1, 2))
        last = laboratory.take(*readings)[-1]
    assert last.verdict is RunVerdict.REJECTED  # the tenth L2 on one side, 27 runs after the first


# --- S19 ----------------------------------------------------------------------------------------


def test_s19_an_exact_resend_is_stored_once(laboratory_on_both):
    laboratory_on_both.take(control(0, 0, 1), control(0, 1, 2))
    again = laboratory_on_both.take(control(0, 0, 1), control(0, 1, 2), control(0, 1, 2))
    assert {one.outcome for one in again} == {Outcome.RESENT}
    assert count(laboratory_on_both, ControlPoint) == 2
    assert count(laboratory_on_both, ControlRun) == 1


def test_s19_a_resend_is_known_although_the_clock_offset_was_measured_anew(laboratory):
    first = control(0, 0, 1)
    laboratory.take(first)
    (again,) = laboratory.take(replace(first, at=first.at + timedelta(seconds=40)))
    assert again.outcome is Outcome.RESENT


def test_s19_the_same_run_with_another_value_is_kept_beside_it(laboratory):
    laboratory.take(control(0, 0, 1), control(0, 1, 2))
    (edited,) = laboratory.take(control(4, 0, 1))
    assert edited.reason is Reason.EDITED_ON_ANALYZER
    assert count(laboratory, ControlPoint) == 3
    assert answer(laboratory, 10) is GateAnswer.REJECTED  # a failing edit is never ignored


# --- S22 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reading", "reason"),
    [
        (control(0, 0, specimen="QC9"), Reason.UNKNOWN_CONTROL),
        (control(0, 0, specimen=""), Reason.UNKNOWN_CONTROL),
        (control(0, 0, lot="23-99"), Reason.UNKNOWN_CONTROL),
        (control(0, 0, kind=SubjectKind.PATIENT), Reason.CONTROL_UNDER_PATIENT_ID),
    ],
)
def test_s22_a_control_that_fits_nothing_is_held(laboratory, reading, reason):
    (done,) = laboratory.take(reading)
    assert (done.outcome, done.reason) == (Outcome.HELD, reason)
    assert laboratory.gate() is None
    assert count(laboratory, ControlPoint) == 0


def test_s22_a_patient_is_no_control_and_ids_can_be_asked_about(laboratory):
    patient = control(0, 0, specimen="10000008", kind=SubjectKind.PATIENT)
    with laboratory.store.unit("intake") as unit:
        fold = ControlFold.load(unit, laboratory.catalog, [patient])
        assert fold.is_control(1, patient.observation) is None
        assert fold.is_control_id("QC1")
        assert not fold.is_control_id("10000008")


def test_s22_a_lot_out_of_use_is_unknown(laboratory):
    with laboratory.store.unit("anna") as unit:
        unit.session.get(ControlLot, 1).is_in_use = False
    (done,) = laboratory.take(control(0, 0))
    assert done.reason is Reason.UNKNOWN_CONTROL


def test_an_id_shared_by_two_lots_is_decided_by_the_lot_or_by_nobody(laboratory):
    with laboratory.store.unit("anna") as unit:
        add_lot(unit.session, 1, "24-02", levels=(1, 2))
    assert laboratory.take(control(0, 0))[0].reason is Reason.UNKNOWN_CONTROL
    assert laboratory.take(control(0, 0, lot="24-02"))[0].outcome is Outcome.STORED


def test_a_level_without_a_target_or_with_an_sd_of_zero_is_held(laboratory):
    with laboratory.store.unit("anna") as unit:
        unit.session.get(Target, 1).sd *= 0
    assert laboratory.take(control(0, 0))[0].reason is Reason.UNKNOWN_CONTROL


def test_a_target_of_one_device_is_its_own_and_goes_before_the_general_one(laboratory):
    with laboratory.store.unit("anna") as unit:
        twin = Device(public_id="d2", site_id=1, name="twin", driver="cobas-c111")
        unit.session.add(twin)
        unit.session.flush()
        general = unit.session.get(Target, 1)
        own = Target(
            level_id=general.level_id,
            test_code=TEST,
            mean=general.mean * 2,
            sd=general.sd,
            effective_from=general.effective_from,
            author="anna",
            device_id=twin.id,
        )
        unit.session.add(own)
    first, other = control(0, 0), replace(control(0, 1), device_id=2)

    done = laboratory.take(first, control(0, 1, 2), other, replace(control(0, 2, 2), device_id=2))

    assert done[1].verdict is RunVerdict.ACCEPTED
    assert done[3].verdict is RunVerdict.REJECTED  # 10 against a mean of 20


def test_no_credible_time_is_held(laboratory):
    (done,) = laboratory.take(replace(control(0, 0), at=None))
    assert done.reason is Reason.NO_CREDIBLE_TIME


def test_either_of_two_lots_in_parallel_fills_the_plan(laboratory):
    with laboratory.store.unit("anna") as unit:
        add_lot(unit.session, 1, "24-02", levels=(1, 2), specimens="NEW")
    laboratory.take(control(0, 0, 1, specimen="NEW1"), control(0, 1, 2))
    assert answer(laboratory, 2) is GateAnswer.OPEN


# --- S37 and keys -------------------------------------------------------------------------------


def test_gates_are_kept_apart_by_module_and_reagent_lot(laboratory):
    laboratory.take(control(0, 0, 1, reagent_lot="A"), control(0, 1, 2, reagent_lot="A"))
    assert laboratory.gate(replace(KEY, reagent_lot="A")) is not None
    assert laboratory.gate(replace(KEY, reagent_lot="B")) is None
    assert laboratory.gate(replace(KEY, module="M2")) is None


def test_s37_the_log_of_loaded_reagents_names_the_lot(laboratory):
    with laboratory.store.unit("anna") as unit:
        unit.session.add(
            ReagentLoad(device_id=1, test_code=TEST, lot="A", loaded_at=at(-60), unloaded_at=at(30))
        )
    laboratory.take(control(0, 0, 1), control(0, 1, 2))
    assert laboratory.gate(replace(KEY, reagent_lot="A")) is not None
    laboratory.take(control(0, 40, 1), control(0, 41, 2))
    assert laboratory.gate(KEY) is not None  # nothing is on board by the log


def test_s37_an_unknown_lot_meets_the_strictest_gate_on_board(laboratory):
    laboratory.take(
        *(control(0, 0, level, reagent_lot="A") for level in (1, 2)),
        *(control(4, 1, level, reagent_lot="B") for level in (1, 2)),
    )
    patient = control(0, 30, specimen="10000008", kind=SubjectKind.PATIENT)
    with laboratory.store.unit("intake") as unit:
        fold = ControlFold.load(unit, laboratory.catalog, [patient])
        assert fold.verdict(KEY, at(30)).answer is GateAnswer.REJECTED
        assert fold.verdict(replace(KEY, reagent_lot="A"), at(30)).answer is GateAnswer.OPEN
        three_days = at(3 * 24 * 60)  # both were controlled too long ago to be on board
        assert fold.verdict(KEY, three_days).answer is GateAnswer.MISSING


# --- S12 and order ------------------------------------------------------------------------------


def test_s12_a_failing_control_in_the_batch_answers_for_the_patient_behind_it(laboratory):
    laboratory.take(control(0, 0, 1), control(0, 1, 2))
    failing = control(4, 60, 1)
    patient = control(0, 70, specimen="10000008", kind=SubjectKind.PATIENT)
    with laboratory.store.unit("intake") as unit:
        fold = ControlFold.load(unit, laboratory.catalog, [failing, patient])
        assert fold.verdict(KEY, at(70)).answer is GateAnswer.OPEN
        recorded = fold.record(
            device_id=1,
            inbox_id=None,
            observation=failing.observation,
            analysed_at=failing.at,
            test_code=TEST,
        )
        verdict = fold.verdict(KEY, at(70))
        assert verdict.answer is GateAnswer.REJECTED
        assert fold.changed_gates() == {KEY}
        fold.write(unit)
    with laboratory.store.read() as session:
        stored = session.scalars(select(ControlRun.id).order_by(ControlRun.at)).all()
    assert verdict.before is not None
    assert verdict.before.run_id == recorded.run_id == stored[-1]  # real ids, before the write


def test_a_reading_that_was_not_listed_is_loaded_when_asked(laboratory):
    laboratory.take(control(2.1, 0, 1), control(0, 1, 2))
    with laboratory.store.unit("intake") as unit:
        fold = ControlFold.load(unit, laboratory.catalog, ())
        for late in (control(0, 300, 2), control(2.1, 120, 1), control(2.1, -60, 1)):
            done = fold.record(
                device_id=1,
                inbox_id=None,
                observation=late.observation,
                analysed_at=late.at,
                test_code=TEST,
            )
            assert done.outcome is Outcome.STORED
        fold.write(unit)
    assert count(laboratory, ControlPoint) == 5
    assert answer(laboratory, 30) is GateAnswer.REJECTED


def test_a_judged_run_is_audited_and_announced(laboratory):
    hints = []
    laboratory.store.on_commit(hints.extend)
    laboratory.take(control(0, 0, 1), control(0, 1, 2))
    assert ("gate", f"1:{TEST}") in {(hint.topic, hint.key) for hint in hints}
    with laboratory.store.read() as session:
        (text,) = session.scalars(select(Audit.text).where(Audit.entity == "control_run"))
    assert '"accepted"' in text


def test_a_late_point_moves_points_to_its_run_and_rows_keep_their_identity(laboratory):
    laboratory.take(control(0, 0, 1))
    laboratory.take(control(0, 65, 2))  # too late for the run of minute 0
    laboratory.take(control(0, 30, 1))  # takes the second level into its own run
    assert answer(laboratory, 66) is GateAnswer.OPEN
    with laboratory.store.read() as session:
        runs = session.scalars(select(ControlRun).order_by(ControlRun.id)).all()
        points = session.execute(select(ControlPoint.run_id, ControlPoint.at)).all()
    assert {run.verdict for run in runs} == {RunVerdict.PENDING, RunVerdict.ACCEPTED}
    assert len({point.run_id for point in points}) == 2


def test_a_row_whose_points_went_to_another_run_stays_and_opens_nothing(laboratory):
    laboratory.take(control(0, 0, 1))
    laboratory.take(control(0, 65, 2))
    laboratory.run_window = timedelta(hours=2)  # the laboratory changed its mind
    laboratory.take(control(0, -10, 1))
    with laboratory.store.read() as session:
        verdicts = session.scalars(select(ControlRun.verdict).order_by(ControlRun.id)).all()
        filled = session.scalars(select(ControlPoint.run_id).distinct()).all()
    assert sorted(verdicts) == ["accepted", "pending", "pending"]
    assert len(filled) == 2
    assert answer(laboratory, 66) is GateAnswer.OPEN


def test_S11_a_rejected_run_stays_rejected_when_the_next_control_comes_alone(laboratory):
    """Its cause lies further back than the runs that are loaded first; once it became pending again."""
    laboratory.conventions = Conventions(rules=("1_2s", "1_3s", "2_2s"))
    laboratory.take(control(2.2, 0, 1), control(0, 40, 2))  # warned
    for minutes in (110, 130):  # runs without the first level push it back
        laboratory.take(control(-1, minutes, 2))
    laboratory.take(control(0, 200, 1, is_abnormal_flagged=True))  # says nothing
    laboratory.take(control(2.2, 270, 1))  # 2_2s with the first one
    before = [run for run in picture(laboratory)[2] if run[1] is RunVerdict.REJECTED]
    laboratory.take(control(0.5, 340, 1))
    after = [run for run in picture(laboratory)[2] if run[1] is RunVerdict.REJECTED]
    assert before == after != []


values = st.sampled_from([-3.5, -2.2, -1, 0, 0, 0.5, 1, 2.1, 2.2, 3.2])
readings_strategy = st.lists(
    st.tuples(
        values, st.integers(0, 30).map(lambda n: n * 10), st.sampled_from([1, 2]), st.booleans()
    ),
    min_size=1,
    max_size=14,
    unique_by=lambda one: (one[1], one[2]),
)


def picture(laboratory: Laboratory):
    """Everything that judging left, without numbers that depend on the order of arrival."""
    state = laboratory.gate()
    events = [(e.at, e.verdict, e.needs_action) for e in state.events] if state else []
    with laboratory.store.read() as session:
        rows = session.execute(
            select(ControlPoint.at, ControlPoint.level, ControlRun.at, ControlRun.verdict)
            .join(ControlRun, ControlRun.id == ControlPoint.run_id)
            .order_by(ControlPoint.at, ControlPoint.level)
        ).all()
        runs = session.execute(
            select(ControlRun.at, ControlRun.verdict, ControlRun.needs_action)
            .where(ControlRun.id.in_(select(ControlPoint.run_id)))
            .order_by(ControlRun.at)
        ).all()
        windows = session.scalars(select(GateProjection.valid_until)).all()
    return events, [tuple(row) for row in rows], sorted(tuple(run) for run in runs), windows


def outcome_of(folder: Path, batches, conventions):
    folder.mkdir(parents=True)
    opened = open_laboratory(f"sqlite:///{folder / 'lis.db'}")
    laboratory = next(opened)
    laboratory.conventions = conventions
    for batch in batches:
        laboratory.take(*batch)
    result = picture(laboratory)
    opened.close()
    return result


@given(
    drawn=readings_strategy,
    shuffled=st.randoms(use_true_random=False),
    cuts=st.sets(st.integers(1, 13)),
    conventions=st.sampled_from([Conventions(), Conventions(rules=("1_2s", "1_3s", "2_2s"))]),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_s11_s12_any_order_and_any_batching_gives_the_same_verdicts(
    tmp_path_factory, drawn, shuffled, cuts, conventions
):
    folder = tmp_path_factory.mktemp("order")
    readings = [
        control(z, minutes, level, is_abnormal_flagged=is_flagged and z == 0)
        for z, minutes, level, is_flagged in drawn
    ]
    in_order = sorted(readings, key=lambda one: one.at)
    mixed = list(readings)
    shuffled.shuffle(mixed)
    edges = [0, *sorted(cut for cut in cuts if cut < len(mixed)), len(mixed)]
    batches = [mixed[a:b] for a, b in pairwise(edges)]
    expected = outcome_of(folder / "ordered", [in_order], conventions)
    assert outcome_of(folder / "one by one", [[one] for one in in_order], conventions) == expected
    assert outcome_of(folder / "mixed", [mixed], conventions) == expected
    assert outcome_of(folder / "batches", batches, conventions) == expected
