"""Work of people beside verifying: bind a tube, repeat, call, resolve (S09, S15, S20).

Binding is the only way a result that did not match gets a patient (S15): a person names the tube and a second
identifier of the patient. The value is judged again for that tube in full, as a new version; the unmatched
version stays as superseded, so nothing was overwritten. A bound result never leaves by itself.
"""

from dataclasses import replace
from decimal import Decimal

from lis.domain.catalog import Catalog
from lis.domain.errors import NotFound, Refused
from lis.domain.lifecycle import BenchState
from lis.domain.messages import IdReadMode, Reason
from lis.domain.result_facts import SpecimenFacts
from lis.results.desk import Desk, Shown, needed, reported_of, say
from lis.results.reads import Row
from lis.results.rejudging import answer_order, judge_stored, next_version
from lis.results.verdicts import passed
from lis.store.observation_queries import (
    specimen_facts,
    unreadable_by_id,
)
from lis.store.order_queries import add_rerun_order
from lis.store.rows import CriticalCall, Patient, WorkOrder
from lis.store.unit import Unit
from lis.store.worklist_queries import call_by_id, identifier_values

_CLOCK_REASONS = frozenset({Reason.CLOCK_OFFSET, Reason.CLOCK_ZONE, Reason.NO_CREDIBLE_TIME})


def confirm_match(
    unit: Unit,
    catalog: Catalog,
    shown: Shown,
    *,
    accession: str,
    second_identifier: str,
    user: str,
) -> Row:
    """Bind an unmatched result to a tube; refused unless a second identifier of the patient fits."""
    desk = Desk.load(unit, catalog, [shown.observation_id])
    row = desk.as_shown(shown)
    if row.patient_id is not None or row.bench_state is not BenchState.HELD:
        raise Refused("nothing_to_bind", state=row.bench_state.value)
    if row.read_mode == IdReadMode.AUTOMATIC.value and accession == row.specimen_text:
        raise Refused("made_up_number")  # copied from the screen, not read from a tube (S16)
    specimen = specimen_facts(unit.session, [accession]).get(accession)
    if specimen is None:
        raise NotFound("specimen", accession)
    specimen = replace(specimen, received_again_at=None)  # the person has looked at the tubes
    _check_second_identifier(unit, specimen, second_identifier)
    judged, around = judge_stored(desk, row, specimen, reported_of(row, IdReadMode.BARCODE))
    if not judged.match.is_bound:
        reasons = [one.reason.value for one in judged.match.verdicts if one.reason is not None]
        raise Refused(reasons[0], reasons=reasons)
    made = next_version(desk, row, judged, around)
    say(made, passed("bound", user=user, accession=specimen.accession))
    desk.moved(row, "bind", user, accession=accession, version=made.version)
    desk.moved(made, "bind", user, accession=accession)
    answer_order(unit, made)
    return desk.shows(made)


def request_rerun(
    unit: Unit,
    catalog: Catalog,
    shown: Shown,
    *,
    reason: str,
    user: str,
    dilution: Decimal | None = None,
) -> Row:
    """Order the test once more on the same tube, diluted or not; the first run stays (S20)."""
    text = needed(reason)
    desk = Desk.load(unit, catalog, [shown.observation_id])
    row = desk.as_shown(shown)
    of = unit.session.get(WorkOrder, row.work_order_id) if row.work_order_id else None
    if of is None:
        raise Refused(Reason.NOT_ORDERED.value)
    if dilution is not None and dilution <= 1:
        raise Refused("dilution_must_exceed_one", dilution=str(dilution))
    made = add_rerun_order(
        unit.session,
        of=of,
        public_id=unit.ids.new(),
        at=unit.now,
        reason=text,
        dilution=dilution,
    )
    say(row, passed("rerun", user=user, reason=text, order=made.public_id, dilution=dilution))
    desk.moved(row, "rerun", user, order=made.public_id, reason=text)
    unit.publish("order", made.service_request_id)
    return desk.shows(row)


def log_call(
    unit: Unit, call_id: int, *, user: str, spoke_with: str, is_read_back: bool, note: str = ""
) -> CriticalCall:
    """One attempt to call a critical value; it closes only by read-back (S09, S29)."""
    person = needed(spoke_with)
    call = call_by_id(unit.session, call_id)
    if call is None:
        raise NotFound("critical call", call_id)
    if call.state == "closed":
        raise Refused("call_closed")
    attempt = {
        "at": unit.now.isoformat(),
        "user": user,
        "spoke_with": person,
        "read_back": is_read_back,
        "note": note,
        "value": call.snapshot,
    }
    call.attempts = [*call.attempts, attempt]
    call.state = "closed" if is_read_back else "attempted"
    if is_read_back:
        call.closed_at, call.closed_by = unit.now, user
    unit.audit("call", "critical_call", call.id, after=attempt)
    unit.publish("observation", call.observation_id)
    return call


def resolve_unreadable(unit: Unit, record_id: int, *, reason: str, user: str) -> None:
    """A person has dealt with a record that could not be read."""
    text = needed(reason)
    record = unreadable_by_id(unit.session, record_id)
    if record is None:
        raise NotFound("unreadable record", record_id)
    if record.resolved_at is not None:
        raise Refused("already_resolved")
    record.resolved_at, record.resolved_by = unit.now, user
    unit.audit("resolve", "unreadable_record", record_id, after={"user": user, "reason": text})
    unit.publish("inbox", record.inbox_id)


def _check_second_identifier(unit: Unit, specimen: SpecimenFacts, given: str) -> None:
    """S15: birth date or any identifier of the patient, exactly; the accession is the first."""
    patient = unit.session.get_one(Patient, specimen.patient_id)
    known = identifier_values(unit.session, patient.id)
    if patient.birth_date:
        known.add(patient.birth_date)
    if needed(given) not in known:
        raise Refused("second_identifier_differs")
