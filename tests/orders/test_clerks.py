"""Many clerks at once: every tube has a number of its own, and nobody is shown a conflict (issue threads of peers:
two clerks with fifty samples each met more than ten conflicts)."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

from lis.orders import IdentifierEntry, PatientEntry
from lis.store.order_queries import requisitions_by_ids
from lis.store.people_queries import patients_with_identifiers
from tests.orders.test_placing import PERSON, place, referral

CLERKS = 20
SPECIMENS_EACH = 50


def test_twenty_clerks_with_fifty_specimens_each_meet_no_conflict(store, catalog):
    start = Barrier(CLERKS)

    def work(clerk):
        start.wait()
        numbers = []
        for turn in range(SPECIMENS_EACH):
            person = replace(PERSON, identifiers=(mr(f"{clerk}-{turn}"),))
            entry = referral("GLU", placer=f"{clerk}-{turn}", patient=person)
            numbers += [tube.accession for tube in place(store, catalog, entry).specimens]
        return numbers

    with ThreadPoolExecutor(CLERKS) as room:
        made = [number for numbers in room.map(work, range(CLERKS)) for number in numbers]
    assert len(made) == len(set(made)) == CLERKS * SPECIMENS_EACH


def test_clerks_who_register_the_same_newcomer_at_once_make_one_patient(store, catalog):
    start = Barrier(CLERKS)

    def work(clerk):
        start.wait()
        person = PatientEntry(family_name="Образцова", identifiers=(mr("same"),))
        return place(store, catalog, referral("GLU", placer=f"same-{clerk}", patient=person))

    with ThreadPoolExecutor(CLERKS) as room:
        placed = list(room.map(work, range(CLERKS)))
    assert len({tube.accession for one in placed for tube in one.specimens}) == CLERKS
    with store.read() as session:
        (holder,) = patients_with_identifiers(session, [("MR", "HOSP", "same")])
        held_by = {requisition.patient_id for requisition in requisitions_of(session, placed)}
    assert held_by == {holder.id}


def test_the_same_order_sent_over_many_connections_at_once_is_placed_once(store, catalog):
    start = Barrier(CLERKS)

    def send(_turn):
        start.wait()
        return place(store, catalog, referral("GLU", placer="once"))

    with ThreadPoolExecutor(CLERKS) as room:
        placed = list(room.map(send, range(CLERKS)))
    assert len({one.requisition_id for one in placed}) == 1
    assert len({tube.accession for one in placed for tube in one.specimens}) == 1


def mr(value):
    return IdentifierEntry(system="MR", issuer="HOSP", value=value)


def requisitions_of(session, placed):
    return requisitions_by_ids(session, [one.requisition_id for one in placed]).values()
