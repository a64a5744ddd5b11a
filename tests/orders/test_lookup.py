"""The look-up: what a person finds, what is said, and who was told what."""

from dataclasses import replace

import pytest

from lis.domain.errors import NotFound, Refused
from lis.orders.lookup import Relation, look_up, look_up_order, look_up_patient, tell
from lis.orders.turnaround import TatState
from lis.orders.whereabouts import Place
from lis.store.audit import Audit
from lis.store.list_rows import Telling
from lis.store.order_queries import add_rerun_order, work_orders_of_specimens
from tests.orders.desk_story import Story, with_targets


@pytest.fixture
def desk(store, catalog, manual_clock):
    return Story(store, manual_clock, with_targets(catalog))


@pytest.fixture
def finds(desk):
    def finds(text):
        with desk.store.read() as session:
            return look_up(session, desk.catalog, text, at=desk.clock.now(), language="ru")

    return finds


def only(found):
    (answer,) = found.answers
    return answer


def places(answer):
    return {line.code: line.standing.place for line in answer.lines}


@pytest.mark.parametrize("number", ["accession", "filler", "placer", "group"])
def test_an_order_is_found_by_every_number_it_carries(desk, finds, number):
    desk.order("CBC", name="Чужая")
    placed = desk.order("GLU")
    text = {
        "accession": placed.specimens[0].accession,
        "filler": placed.orders[0].filler_number,
        "placer": "E2-0",
        "group": "G2",
    }[number]
    assert only(finds(f" {text} ")).public_id == placed.public_id


@pytest.mark.parametrize("text", ["MR-Образцова", "образц", "ОБРАЗЦОВА проба", "обр пр"])
def test_a_person_is_found_by_identifier_and_the_beginning_of_the_name(desk, finds, text):
    placed = desk.order("GLU")
    assert only(finds(text)).public_id == placed.public_id


def test_of_several_people_one_is_chosen_first(desk, finds):
    desk.order("GLU", name="Образцова")
    placed = desk.order("GLU", name="Образцов")
    found = finds("образ")
    assert not found.answers
    assert [one.name for one in found.people] == ["Образцов Проба", "Образцова Проба"]
    with desk.store.read() as session:
        chosen = look_up_patient(
            session,
            desk.catalog,
            found.people[0].public_id,
            at=desk.clock.now(),
            language="ru",
        )
    assert only(chosen).public_id == placed.public_id


@pytest.mark.parametrize("text", ["", "о", "nobody", "%%", "00000000"])
def test_nothing_is_found_by_luck(desk, finds, text):
    desk.order("GLU")
    assert finds(text).is_empty


def test_each_test_says_where_it_is_and_when_it_comes(desk, finds):
    placed = desk.order("GLU", "ALT", "K", "WBC", is_received=False)
    serum = next(one.accession for one in placed.specimens if one.specimen_type == "SER")
    desk.receive(serum)
    desk.measure(serum, "GLU")
    desk.measure(serum, "ALT", is_out=False)
    answer = only(finds(serum))
    assert places(answer) == {
        "GLU": Place.READY,
        "ALT": Place.HELD,
        "K": Place.WAITS_FOR_ANALYZER,
        "WBC": Place.NOT_COLLECTED,
    }
    line = {one.code: one for one in answer.lines}
    assert (line["GLU"].value, line["GLU"].unit) == ("5.2", "mmol/L")
    assert line["ALT"].value == "", "a value that is held is told to nobody"
    assert line["ALT"].standing.detail == ("delta",)
    assert line["K"].standing.expected_at == line["K"].clock.due_at
    assert answer.ready == 1


def test_a_repeat_that_runs_does_not_hide_the_value_that_is_out(desk, finds):
    placed = desk.order("GLU")
    accession = placed.specimens[0].accession
    desk.measure(accession, "GLU")
    with desk.store.unit("anna") as unit:
        (order,) = work_orders_of_specimens(unit.session, [placed.specimens[0].specimen_id])
        add_rerun_order(
            unit.session, of=order, public_id="again", at=unit.now, reason="rerun", dilution=None
        )
    answer = only(finds(accession))
    assert len(answer.lines) == 1
    assert answer.lines[0].standing.place is Place.READY


def test_an_order_without_a_tube_is_shown_with_its_reason(desk, finds):
    desk.order("GLU", "NO-SUCH")
    answer = only(finds("G1"))
    held = next(line for line in answer.lines if line.code == "NO-SUCH")
    assert (held.standing.place, held.standing.detail) == (
        Place.ORDER_HELD,
        ("unknown_orderable",),
    )


def test_an_order_is_overdue_as_soon_as_one_test_is(desk, finds):
    placed = desk.order("GLU", "K", priority="S")
    desk.measure(placed.specimens[0].accession, "GLU")
    desk.passes(31)
    answer = only(finds("G1"))
    assert answer.clock.state is TatState.OVERDUE
    assert [line.standing.expected_at for line in answer.lines] == [None, None]


# --- who was told what --------------------------------------------------------------------------


def told(desk, placed, **more):
    said = {"told_to": "Петров, терапия", "relation": Relation.DOCTOR} | more
    with desk.store.unit("anna") as unit:
        return tell(unit, desk.catalog, placed.public_id, **said)


def test_who_was_told_what_is_kept_and_audited(desk, finds):
    placed = desk.order("GLU", "K")
    desk.measure(placed.specimens[0].accession, "GLU")
    note = told(desk, placed, telephone="12-34")
    assert (note.told_by, note.ready, note.waiting) == ("anna", ("GLU",), ("K",))
    desk.measure(placed.specimens[0].accession, "K")
    assert only(finds("G1")).told == (note,), "what was told then is not what is known now"
    with desk.store.read() as session:
        (row,) = session.query(Telling).all()
        assert {one["test"]: one["value"] for one in row.told} == {"GLU": "5.2 mmol/L", "K": ""}
        actions = [one.action for one in session.query(Audit).filter_by(entity="Requisition")]
    assert actions.count("told_by_telephone") == 1


def test_a_patient_hears_a_sensitive_value_from_a_doctor_only(desk):
    glucose = replace(desk.catalog.tests["GLU"], is_sensitive=True)
    desk.catalog = replace(desk.catalog, tests={**desk.catalog.tests, "GLU": glucose})
    placed = desk.order("GLU")
    desk.measure(placed.specimens[0].accession, "GLU")
    assert told(desk, placed, relation=Relation.PATIENT).ready == ()
    assert told(desk, placed, relation=Relation.ANYONE).ready == ()
    assert told(desk, placed, relation=Relation.DOCTOR).ready == ("GLU",)


def test_a_note_names_somebody(desk):
    placed = desk.order("GLU")
    with pytest.raises(Refused, match="told_to_nobody"):
        told(desk, placed, told_to="  ")


def test_an_unknown_order_is_not_found(desk):
    with desk.store.read() as session, pytest.raises(NotFound):
        look_up_order(session, desk.catalog, "nothing", at=desk.clock.now(), language="en")
