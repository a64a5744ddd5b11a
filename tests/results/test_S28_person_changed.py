"""S28: sex, birth date and merges go through one path: judged again, amended, told; undone, restored; a conflict stops it."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from lis.domain.catalog import Code
from lis.domain.lifecycle import BenchState
from lis.domain.messages import ResultStatus
from lis.orders.entries import IdentifierEntry, PatientEntry
from lis.orders.identity import MergeStopped, hear_about
from lis.orders.order_saying import stamp_of
from lis.results.person_changed import judge_person_again, merge_people, unmerge_people
from lis.store.definitions import catalog_in_force
from lis.store.order_rows import Requisition, Specimen
from lis.store.people_rows import Patient, PatientAccess, PatientIdentifier
from lis.store.rows import Observation, Outbox
from lis.store.system_rows import Audit
from tests.results.conftest import T0, make_catalog, make_test

STAMP = stamp_of(T0, "1")


@pytest.fixture
def released(laboratory, observation):
    """A value that left by itself: 45, in a woman within her interval and in a man below his."""
    laboratory.controls("CREA")

    def released(value="45", **person):
        patient = laboratory.patient(**person)
        laboratory.send(observation(laboratory.order("CREA", patient=patient), value))
        return patient

    return released


def say(laboratory, patient, **fields):
    """What an ADT message says; whether results depend on it."""
    with laboratory.store.unit("his") as unit:
        catalog = catalog_in_force(unit.session, unit.now)
        number = IdentifierEntry(system="MR", issuer="HOSP", value=str(patient))
        if not unit.session.scalars(
            select(PatientIdentifier).where(PatientIdentifier.patient_id == patient)
        ).all():
            unit.session.add(
                PatientIdentifier(
                    patient_id=patient, system="MR", issuer="HOSP", value=number.value
                )
            )
            unit.session.flush()
        entry = PatientEntry(family_name="", identifiers=(number,))
        heard = hear_about(unit, entry, fields, stamp=STAMP, site_id=1)
        if heard.is_judged_anew:
            judge_person_again(unit, catalog, patient, cause="adt")
        return heard.is_judged_anew


def join(laboratory, retired, surviving, stamp=""):
    with laboratory.store.unit("anna") as unit:
        catalog = catalog_in_force(unit.session, unit.now)
        people = [unit.session.get_one(Patient, one) for one in (retired, surviving)]
        return merge_people(unit, catalog, *people, reason="the same person", stamp=stamp)


def part(laboratory, retired):
    with laboratory.store.unit("anna") as unit:
        catalog = catalog_in_force(unit.session, unit.now)
        patient = unit.session.get_one(Patient, retired)
        return unmerge_people(unit, catalog, patient, reason="two people after all")


def test_S28_another_sex_amends_what_is_out_and_tells_whoever_got_it(laboratory, released):
    patient = released(sex="F")
    (before,) = laboratory.rows()
    assert (before.bench_state, before.flag) == (BenchState.RELEASED, "")
    assert say(laboratory, patient, sex="M")
    old, new = laboratory.rows()
    assert (old.bench_state, old.reported) == (BenchState.SUPERSEDED, "45")
    assert (new.bench_state, new.status) == (BenchState.RELEASED, ResultStatus.AMENDED)
    assert (new.flag, new.reported, new.previous_id) == ("L", "45", old.id)
    assert new.interval_text != old.interval_text
    first, second = laboratory.all(Outbox)
    assert first.destination == second.destination == "emr:his"
    assert second.payload["observations"] == [new.id]


def test_S28_an_unknown_birth_date_takes_the_flag_back(laboratory, released):
    patient = released("30", sex="F")
    assert laboratory.rows()[0].flag == "L"
    say(laboratory, patient, sex="")
    new = laboratory.rows()[1]
    assert (new.flag, new.interval_text) == ("", "")
    assert new.interval_reason


def test_S28_what_waits_is_judged_again_and_waits_on(laboratory, observation):
    patient = laboratory.patient(sex="F")
    laboratory.send(observation(laboratory.order("CREA", patient=patient), "45"))
    (waiting,) = laboratory.rows()
    assert waiting.bench_state is BenchState.HELD
    say(laboratory, patient, sex="M")
    old, new = laboratory.rows()
    assert (old.bench_state, new.bench_state) == (BenchState.SUPERSEDED, BenchState.HELD)
    assert (new.flag, new.specimen_id, new.patient_id) == ("L", old.specimen_id, patient)
    assert laboratory.outbox() == []


def test_S28_what_changes_no_judgement_moves_nothing(laboratory, released):
    patient = released(sex="F")
    assert not say(laboratory, patient, family_name="Petrova")
    say(laboratory, patient, birth_date="1981-05-01")
    assert len(laboratory.rows()) == 1
    assert len(laboratory.all(Outbox)) == 1


def test_S28_a_merge_gives_everything_to_the_surviving_identity_and_kills_the_codes(
    laboratory, released
):
    retired, surviving = released(sex="U", birth_date=""), laboratory.patient(sex="M")
    with laboratory.store.unit("desk") as unit:
        requisition = unit.session.scalars(select(Requisition)).one()
        code = PatientAccess(
            requisition_id=requisition.id,
            token_hash="h",
            created_at=unit.now,
            expires_at=unit.now + timedelta(days=9),
        )
        unit.session.add(code)
    merged = join(laboratory, retired, surviving)
    assert len(merged.moved) == 1
    assert {row.patient_id for row in laboratory.all(Requisition)} == {surviving}
    assert {row.patient_id for row in laboratory.all(Specimen)} == {surviving}
    assert {row.patient_id for row in laboratory.rows()} == {surviving}
    assert laboratory.rows()[-1].flag == "L"
    assert laboratory.rows()[-1].bench_state is not BenchState.SUPERSEDED
    assert laboratory.all(PatientAccess)[0].revoked_at is not None
    assert "patient_merged" in {row.action for row in laboratory.all(Audit)}


def test_S28_unmerging_restores_owner_and_flags_but_no_code(laboratory, released):
    retired, surviving = released(sex="F"), laboratory.patient(sex="U", birth_date="1950-01-01")
    before = laboratory.rows()[-1]
    join(laboratory, retired, surviving)
    joined = laboratory.rows()[-1]
    assert joined.interval_text != before.interval_text
    part(laboratory, retired)
    after = laboratory.rows()[-1]
    assert (after.flag, after.interval_text) == (before.flag, before.interval_text)
    assert {row.patient_id for row in laboratory.all(Requisition)} == {retired}
    assert laboratory.all(Patient)[0].merged_into_id is None
    standing = [row for row in laboratory.rows() if row.bench_state is not BenchState.SUPERSEDED]
    assert [row.patient_id for row in standing] == [retired]


def test_S28_two_sexes_stop_the_merge_and_change_nothing(laboratory, released):
    retired, surviving = released(sex="F"), laboratory.patient(sex="M")
    with pytest.raises(MergeStopped):
        join(laboratory, retired, surviving)
    assert {row.patient_id for row in laboratory.all(Requisition)} == {retired}
    assert {row.merged_into_id for row in laboratory.all(Patient)} == {None}


def test_S28_two_blood_groups_stop_the_merge(laboratory, released):
    loinc = (Code(system="LOINC", value="883-9"),)
    catalog = make_catalog(make_test("GROUP", codes=loinc))
    people = [released(sex="F"), released(sex="F")]
    with laboratory.store.unit("bench") as unit:
        for row, text in zip(unit.session.scalars(select(Observation)), "AB", strict=True):
            row.test_code, row.reported = "GROUP", text
    with laboratory.store.unit("anna") as unit:
        retired, surviving = (unit.session.get_one(Patient, one) for one in people)
        with pytest.raises(MergeStopped):
            merge_people(unit, catalog, retired, surviving, reason="", stamp="")


def test_S28_the_same_merge_again_and_one_that_was_undone_change_nothing(laboratory):
    retired, surviving = laboratory.patient(sex="F"), laboratory.patient(sex="F")
    assert join(laboratory, retired, surviving, stamp=STAMP).is_new
    assert not join(laboratory, retired, surviving, stamp=STAMP).is_new
    part(laboratory, retired)
    assert not join(laboratory, retired, surviving, stamp=STAMP).is_new
    assert join(laboratory, retired, surviving, stamp=stamp_of(T0, "2")).is_new
