"""What people do about controls; none of it frees what a failed control holds (S01, S02, S11)."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from lis.domain.control import GateAnswer, GateKey, RunVerdict, gate_at
from lis.domain.errors import NotFound, Refused, StaleVersion
from lis.qc.actions import close_exception, grant_exception, record_action, void_point
from lis.qc.recording import ControlFold
from lis.store.rows import Audit, ControlPoint, ControlRun
from tests.qc.laboratory import TEST, at, control

KEY = GateKey(device_id=1, test=TEST)


def answer(laboratory, minutes):
    return gate_at(laboratory.gate(), at(minutes)).answer


def runs(laboratory):
    with laboratory.store.read() as session:
        return session.scalars(select(ControlRun).order_by(ControlRun.at)).all()


def act(laboratory, run, minutes, text="new control opened"):
    laboratory.clock.at = at(minutes)
    with laboratory.store.unit("anna") as unit:
        return record_action(unit, run.id, run.version, text)


@pytest.fixture
def failed(laboratory_on_both):
    """Accepted at 1, rejected at 60."""
    laboratory_on_both.take(control(0, 0, 1), control(0, 1, 2))
    laboratory_on_both.take(control(3.5, 60, 1))
    return laboratory_on_both


def test_s11_an_action_and_then_all_levels_open_again(failed):
    act(failed, runs(failed)[-1], 70)
    assert answer(failed, 75) is GateAnswer.REJECTED  # the action alone opens nothing
    failed.take(control(0, 80, 1))
    assert answer(failed, 85) is GateAnswer.REJECTED  # one level is not all levels
    failed.take(control(0, 81, 2))
    assert answer(failed, 85) is GateAnswer.OPEN
    assert answer(failed, 30) is GateAnswer.REJECTED  # never what was measured before
    assert answer(failed, 65) is GateAnswer.REJECTED


def test_s11_an_action_after_the_repeat_opens_only_the_next_run(failed):
    failed.take(control(0, 70, 1), control(0, 71, 2))
    repeat = runs(failed)[-1]
    assert repeat.needs_action
    act(failed, repeat, 75)
    assert answer(failed, 80) is GateAnswer.REJECTED
    failed.take(control(0, 90, 1), control(0, 91, 2))
    assert answer(failed, 95) is GateAnswer.OPEN


def test_s11_the_action_may_be_entered_while_its_run_waits_in_the_inbox(failed):
    act(failed, runs(failed)[-1], 70)
    failed.clock.at = at(200)
    failed.take(control(0, 81, 2), control(0, 80, 1))  # arrives late, measured after the action
    assert answer(failed, 85) is GateAnswer.OPEN


def test_s11_a_late_rejection_after_the_action_closes_again(failed):
    act(failed, runs(failed)[-1], 70)
    failed.take(control(0, 80, 1), control(0, 81, 2))
    failed.take(control(-4, 75, 2))
    assert answer(failed, 85) is GateAnswer.REJECTED
    assert runs(failed)[-1].needs_action


def test_an_action_is_immutable_named_and_audited(failed):
    run = act(failed, runs(failed)[-1], 70)
    assert (run.action, run.action_by, run.action_at) == ("new control opened", "anna", at(70))
    with pytest.raises(Refused, match="action_already_recorded"):
        act(failed, runs(failed)[-1], 71)
    with failed.store.read() as session:
        actions = session.scalars(select(Audit.action).where(Audit.actor == "anna")).all()
    assert "record_action" in actions


def test_an_action_is_refused_when_stale_empty_needless_or_for_nothing(failed):
    accepted, rejected = runs(failed)
    with pytest.raises(Refused, match="no_action_needed"):
        act(failed, accepted, 70)
    with pytest.raises(Refused, match="reason_needed"):
        act(failed, rejected, 70, text="  ")
    with pytest.raises(Refused, match="text_too_long"):
        act(failed, rejected, 70, text="x" * 2001)
    with failed.store.unit("anna") as unit:
        with pytest.raises(StaleVersion):
            record_action(unit, rejected.id, rejected.version + 1, "x")
        with pytest.raises(NotFound):
            record_action(unit, 999, 1, "x")


def points(laboratory):
    with laboratory.store.read() as session:
        return session.scalars(select(ControlPoint).order_by(ControlPoint.at)).all()


def void(laboratory, point, reason="wrong vial"):
    with laboratory.store.unit("anna") as unit:
        return void_point(unit, point.id, reason)


def test_s01_voiding_the_failing_point_frees_nothing(failed):
    void(failed, points(failed)[-1])
    assert answer(failed, 30) is GateAnswer.REJECTED
    assert answer(failed, 61) is GateAnswer.REJECTED
    failed.take(control(0, 70, 1), control(0, 71, 2))
    assert answer(failed, 75) is GateAnswer.REJECTED  # still needs an action


def test_s01_a_voided_point_keeps_its_run_from_opening(laboratory_on_both):
    laboratory_on_both.take(control(0, 0, 1), control(0, 1, 2))
    point = void(laboratory_on_both, points(laboratory_on_both)[0])
    assert (point.voided_by, point.void_reason) == ("anna", "wrong vial")
    assert answer(laboratory_on_both, 5) is GateAnswer.MISSING
    assert runs(laboratory_on_both)[0].verdict is RunVerdict.PENDING


def test_s01_a_void_takes_no_violation_of_a_later_run_back(laboratory):
    laboratory.take(control(2.1, 0, 1), control(0, 1, 2))
    laboratory.take(control(2.2, 120, 1), control(0, 121, 2))
    assert answer(laboratory, 130) is GateAnswer.REJECTED
    void(laboratory, points(laboratory)[0])
    assert answer(laboratory, 130) is GateAnswer.REJECTED
    assert runs(laboratory)[-1].violations["2_2s"] == ["L1"]


def test_a_void_needs_a_reason_and_happens_once(laboratory):
    laboratory.take(control(0, 0, 1))
    (point,) = points(laboratory)
    with pytest.raises(Refused, match="reason_needed"):
        void(laboratory, point, reason="")
    void(laboratory, point)
    with pytest.raises(Refused, match="already_voided"):
        void(laboratory, point)
    with laboratory.store.unit("anna") as unit, pytest.raises(NotFound):
        void_point(unit, 999, "x")


# --- exceptions ---------------------------------------------------------------------------------


def grant(laboratory, *, hours=2.0, reason="control delivery is late"):
    with laboratory.store.unit("anna") as unit:
        return grant_exception(
            unit,
            device_id=1,
            test_code=TEST,
            reason=reason,
            ends_at=unit.now + timedelta(hours=hours),
        )


def excuse(laboratory, minutes):
    with laboratory.store.unit("intake") as unit:
        fold = ControlFold.load(unit, laboratory.catalog, [control(0, minutes, specimen="1")])
        return fold.excuse(KEY, fold.verdict(KEY, at(minutes)), at(minutes))


def test_s02_an_exception_covers_missing_control_until_it_ends(laboratory):
    row = grant(laboratory)
    assert excuse(laboratory, 1).granted_by == "anna"
    laboratory.clock.advance(hours=1)
    with laboratory.store.unit("anna") as unit:
        close_exception(unit, row.id, "control arrived")
    assert excuse(laboratory, 61) is None


def test_s02_never_for_an_unresolved_rejection(failed):
    failed.clock.at = at(70)
    with pytest.raises(Refused, match="exception_for_rejection"):
        grant(failed)


def test_s02_a_rejection_during_an_exception_ends_its_effect(laboratory):
    grant(laboratory)
    laboratory.take(control(4, 10, 1))
    assert excuse(laboratory, 5) is None
    assert excuse(laboratory, 15) is None


def test_s02_it_is_short_and_has_a_reason(laboratory):
    for hours in (0, -1, 24.1):
        with pytest.raises(Refused, match="exception_too_long"):
            grant(laboratory, hours=hours)
    with pytest.raises(Refused, match="reason_needed"):
        grant(laboratory, reason=" ")
    grant(laboratory, hours=24)


def test_s02_only_when_the_control_is_due_overdue_or_missing(laboratory):
    laboratory.take(control(0, 0, 1), control(0, 1, 2))
    laboratory.clock.at = at(60)
    with pytest.raises(Refused, match="exception_not_needed"):
        grant(laboratory)
    laboratory.clock.at = at(23 * 60)  # due
    grant(laboratory)
    laboratory.clock.at = at(25 * 60)  # overdue
    grant(laboratory)


def test_an_ended_or_unknown_exception_cannot_be_closed(laboratory):
    row = grant(laboratory, hours=1)
    laboratory.clock.advance(hours=2)
    with laboratory.store.unit("anna") as unit:
        with pytest.raises(Refused, match="exception_ended"):
            close_exception(unit, row.id, "x")
        with pytest.raises(NotFound):
            close_exception(unit, 999, "x")
