"""Results that a person measured and types: the same way as an analyzer's, in one unit of work.

What was typed is kept as a message of its own, with who typed it; then it is matched, judged and held or
released by the very rules that judge an analyzer (S02, S15, S38). Nothing here decides about a value. A test
whose policy asks for controls waits for them as on any analyzer: the "analyzer" is work by hand at that site.

The number of the tube comes from the row of the work plan that the person typed into, not from the keys, so it
counts as read from our own label; the unit is the catalog's, shown beside the field. A decimal comma is a point.

Where the laboratory says so, who typed a value may not verify it: the row carries that with it, so that a
change of the setting frees nothing that was typed before.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from lis.domain.catalog import Catalog, Test, ValueType
from lis.domain.errors import NotFound, Refused
from lis.domain.lifecycle import SpecimenState, WorkOrderState
from lis.domain.messages import (
    BY_HAND,
    IdReadMode,
    Lane,
    Protocol,
    ReportedObservation,
    SubjectKind,
    Translation,
)
from lis.domain.quantity import ReportedValue
from lis.qc.recording import ControlFold, Reading
from lis.results.batch import Message, load_facts
from lis.results.desk import say
from lis.results.folding import Fold
from lis.results.verdicts import passed
from lis.results.writing import write_effects
from lis.store.observation_queries import reserve_ids
from lis.store.observation_rows import Observation
from lis.store.order_rows import Specimen, WorkOrder
from lis.store.rows import Device, Inbox, InboxState
from lis.store.unit import Unit
from lis.store.workplan_queries import device_by_name

VALUE_MAX: Final = 100  # characters
NO_LINK: Final = 0  # no cable brought it
ENTERED: Final = "entered_by_hand"
VERSION: Final = "1"
_HERE: Final = frozenset({SpecimenState.RECEIVED, SpecimenState.STORED})
_DONE: Final = frozenset({WorkOrderState.RESULTED, WorkOrderState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """What became of a typed value."""

    observation_id: int
    test: str
    value: str
    is_released: bool
    holds: tuple[str, ...]


def enter_value(
    unit: Unit, catalog: Catalog, work_order_id: int, text: str, *, needs_second_person: bool
) -> Entered:
    """Take a typed value for one open test of the work plan. `Refused` says what is wrong with it."""
    order, tube, test = _asked(unit, catalog, work_order_id)
    reported = _reported(unit, order, tube, test, text)
    device = _device(unit, tube.site_id)
    inbox = _keep(unit, device, reported, typed=text)
    observation_id = _judge(unit, catalog, device, inbox, reported)
    row = unit.session.get_one(Observation, observation_id, populate_existing=True)
    say(row, passed(ENTERED, user=unit.actor, second_person=str(needs_second_person).lower()))
    return Entered(
        observation_id=row.id,
        test=test.code,
        value=reported.value.text,
        is_released=row.released_at is not None,
        holds=tuple(row.holds),
    )


def check_second_person(row: Observation, user: str) -> None:
    """Raise `Refused` if this person typed the value and another one has to verify it."""
    for verdict in row.verdicts:
        if verdict["rule"] == ENTERED:
            said = verdict["parameters"]
            if said["second_person"] == "true" and said["user"] == user:
                raise Refused("own_entry")


def _asked(unit: Unit, catalog: Catalog, work_order_id: int) -> tuple[WorkOrder, Specimen, Test]:
    order = unit.session.get(WorkOrder, work_order_id, with_for_update=True)  # two may type at once
    if order is None:
        raise NotFound("WorkOrder", work_order_id)
    tube = unit.session.get_one(Specimen, order.specimen_id)
    test = catalog.tests.get(order.test_code)
    if test is None:
        raise Refused("unknown_test")
    if tube.state not in _HERE:
        raise Refused("orders.not_received")
    if order.state in _DONE:
        raise Refused("workplanpage.done_already", test=test.code)
    return order, tube, test


def _reported(
    unit: Unit, order: WorkOrder, tube: Specimen, test: Test, typed: str
) -> ReportedObservation:
    text = " ".join(typed.split())
    if not text:
        raise Refused("workplanpage.no_value")
    if len(text) > VALUE_MAX:
        raise Refused("workplanpage.value_too_long", limit=VALUE_MAX)
    value = ReportedValue(text=text)
    if test.value_type is ValueType.NUMERIC:
        value = ReportedValue.read(text.replace(",", ".", 1))
        if value.number is None:
            raise Refused("workplanpage.not_a_number", text=text, test=test.code)
    return ReportedObservation(
        record=f"work_order:{order.public_id}",
        kind=SubjectKind.PATIENT,
        specimen=tube.accession,
        read_mode=IdReadMode.BARCODE,
        test=test.code,
        value=value,
        unit=test.unit,
        observed_at=unit.now,
        operator=unit.actor,
    )


def _device(unit: Unit, site_id: int) -> Device:
    """Work by hand at a site; made when somebody types the first value there."""
    name = f"{BY_HAND}-{site_id}"
    known = device_by_name(unit.session, name)
    if known is not None:
        return known
    made = Device(public_id=unit.ids.new(), site_id=site_id, name=name, driver=BY_HAND)
    unit.session.add(made)
    unit.session.flush()
    unit.audit("device_made", "Device", made.id, after={"name": name})
    return made


def _keep(unit: Unit, device: Device, reported: ReportedObservation, *, typed: str) -> Inbox:
    """The message behind the value: what was typed, by whom, for which tube."""
    document: dict[str, Any] = {
        "typed": typed,
        "user": unit.actor,
        "at": unit.now.isoformat(),
        "specimen": reported.specimen,
        "test": reported.test,
        "unit": reported.unit,
        "record": reported.record,
    }
    raw = json.dumps(document, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace")
    row = Inbox(
        link_id=NO_LINK,
        received_at=unit.now,
        protocol="hand",
        lane=Lane.RESULT.value,
        raw=raw,
        sha256=hashlib.sha256(raw).digest(),
        state=InboxState.PROCESSED,
        processed_at=unit.now,
        device_id=device.id,
        driver=BY_HAND,
        driver_version=VERSION,
        is_session_closed=True,
    )
    unit.session.add(row)
    unit.session.flush()
    return row


def _judge(
    unit: Unit, catalog: Catalog, device: Device, inbox: Inbox, reported: ReportedObservation
) -> int:
    """Fold the one value as intake folds a message; its key."""
    reading = Reading(
        device_id=device.id, test_code=reported.test, at=reported.observed_at, observation=reported
    )
    controls = ControlFold.load(unit, catalog, [reading])
    message = Message(
        inbox_id=inbox.id,
        device_id=device.id,
        driver=BY_HAND,
        received_at=inbox.received_at,
        sha256=inbox.sha256,
        is_session_closed=True,
        translation=Translation(
            driver=BY_HAND,
            driver_version=VERSION,
            protocol=Protocol.PRINTOUT,  # nobody answers and nothing is framed
            observations=(reported,),
        ),
    )
    facts = load_facts(unit, catalog, [message], is_control=lambda _device, _one: False)
    fold = Fold(
        facts=facts,
        controls=controls,
        ids=iter(reserve_ids(unit.session, Observation, 1)),
        new_public_id=unit.ids.new,
        now=unit.now,
        accepts_simulators=False,
    )
    outcome = fold.add(message)
    controls.write(unit)
    write_effects(unit, fold.effects)
    if not outcome.ids:
        raise Refused("workplanpage.same_again")
    return outcome.ids[0]
