"""Answering an analyzer that asks what to do with a tube.

The answer is computed in one unit of work and always logged: what was asked, what was answered, and why
an answer was empty, because "the analyzer does not get its orders" is the commonest call an
integrator receives. An unknown tube gets an empty answer, never somebody else's orders: the number
must match to the digit.

    asked                      answered
    -------------------------  ------------------------------------------------------------------
    one number, or a list      each number with its open work orders for this analyzer, in that order
    a range of numbers         the tubes between both ends, ends included, that have such orders
    everything                 the same of the whole site, never sent ones first, at most so many tubes
    taken back                 nothing
    by an analyzer in          nothing: the orders of the right one must not run on a wrong one (S23)
    quarantine
    a test that is closed on   the others of the tube; what is kept back stands in the log with its reason
    it, or routed elsewhere    (`lis.orders.told_work`)
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lis.domain.catalog import Catalog
from lis.domain.errors import Malformed
from lis.domain.ids import AccessionNumber
from lis.domain.lifecycle import (
    LIVE_SPECIMEN_STATES,
    WORK_ORDER,
    WorkOrderEvent,
    WorkOrderState,
)
from lis.domain.messages import HostQuery, OrderedTest, SpecimenOrders
from lis.orders.told_work import Allowance, allowance_of
from lis.store.order_queries import (
    OPEN_WORK_ORDER_STATES,
    specimens_by_accession,
    specimens_with_open_orders,
    work_orders_of_specimens,
)
from lis.store.order_rows import Specimen, WorkOrder
from lis.store.people_queries import patients_by_ids
from lis.store.people_rows import Patient
from lis.store.traffic_queries import log_host_query
from lis.store.traffic_rows import Device, HostQueryLog, QueryKind
from lis.store.unit import Unit

ASKED_MAX: Final = 200  # tubes in one query: two racks more than any analyzer holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The answer to one query, and its line in the log."""

    orders: tuple[SpecimenOrders, ...]
    line: HostQueryLog


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asker:
    """Who asks: the device, its codes by our tests, and what it may be told."""

    device: Device
    codes: dict[str, str]
    allowance: Allowance
    refusal: str = ""  # why it is told nothing, whatever it asks
    needs_reception: bool = False


@dataclass(slots=True, kw_only=True)
class _Tubes:
    """What is known of the tubes that were asked for."""

    asked: tuple[str, ...]
    by_accession: dict[str, Specimen] = field(default_factory=dict)
    orders: dict[int, list[WorkOrder]] = field(default_factory=dict)
    is_cut: bool = False  # there was more than one answer holds
    withheld: dict[str, dict[str, str]] = field(default_factory=dict)  # tube -> test -> reason


def answer_query(
    unit: Unit,
    catalog: Catalog,
    device: Device,
    query: HostQuery,
    *,
    inbox_id: int | None = None,
    needs_reception: bool = False,
    serial: str = "",
) -> tuple[SpecimenOrders, ...]:
    """The open work orders for what was asked; an entry without tests means "nothing to do"."""
    answered = answer_and_log(
        unit,
        catalog,
        device,
        query,
        inbox_id=inbox_id,
        needs_reception=needs_reception,
        serial=serial,
    )
    return answered.orders


def answer_and_log(
    unit: Unit,
    catalog: Catalog,
    device: Device,
    query: HostQuery,
    *,
    inbox_id: int | None = None,
    needs_reception: bool = False,
    serial: str = "",
) -> Answered:
    """The same, with the line of the log, to which the caller adds how the answer was written.

    `needs_reception`: only tubes that reception has scanned are told. `serial`: what the message says of its
    sender; one unlike the device's is told nothing (S23).
    """
    codes = {one.test: one.code for one in catalog.instrument_tests if one.driver == device.driver}
    asker = _Asker(
        device=device,
        codes=codes,
        allowance=allowance_of(unit.session, catalog, device, tuple(codes), unit.now),
        refusal=_refusal(device, codes, serial),
        needs_reception=needs_reception,
    )
    if query.is_cancel:
        return _logged(
            unit, asker, query, orders=(), reasons=["query_cancelled"], inbox_id=inbox_id
        )
    tubes = _tubes_asked(unit, asker, query)
    orders, reasons = _compose(unit, asker, tubes)
    if not tubes.asked and not reasons:
        reasons = [asker.refusal or _nothing_found(query)]
    return _logged(
        unit,
        asker,
        query,
        orders=orders,
        reasons=reasons,
        inbox_id=inbox_id,
        is_cut=tubes.is_cut,
        withheld=tubes.withheld,
    )


def _refusal(device: Device, codes: dict[str, str], serial: str) -> str:
    if device.quarantine_reason:
        return "device_quarantined"
    if serial and device.serial and serial != device.serial:
        return "other_device"
    return "" if codes else "no_test_mapped"


def _nothing_found(query: HostQuery) -> str:
    if not query.range_end:
        return "nothing_open_here"
    return "nothing_in_range" if _is_range(query) else "range_not_understood"


def kind_of(query: HostQuery) -> QueryKind:
    """What was asked for, as the log calls it."""
    if query.is_cancel:
        return QueryKind.CANCEL
    if query.wants_all:
        return QueryKind.ALL
    return QueryKind.RANGE if query.range_end else QueryKind.LIST


def orders_unasked(
    unit: Unit, device: Device, codes: dict[str, str], work_orders: Sequence[WorkOrder]
) -> tuple[SpecimenOrders, ...]:
    """Work orders for an analyzer that nobody asked for, tube by tube; they count as sent."""
    by_specimen: dict[int, list[WorkOrder]] = defaultdict(list)
    for row in work_orders:
        by_specimen[row.specimen_id].append(row)
    specimens = [unit.session.get_one(Specimen, key) for key in by_specimen]
    patients = patients_by_ids(unit.session, (one.patient_id for one in specimens))
    for rows in by_specimen.values():
        _mark_sent(unit, device, rows)
    return tuple(
        _orders(one, patients[one.patient_id], by_specimen[one.id], codes) for one in specimens
    )


# --- which tubes --------------------------------------------------------------------------------


def _tubes_asked(unit: Unit, asker: _Asker, query: HostQuery) -> _Tubes:
    if kind_of(query) is QueryKind.LIST:
        asked = query.specimens[:ASKED_MAX]
        found = specimens_by_accession(unit.session, [text for text in asked if is_ours(text)])
        tubes = _Tubes(asked=asked, by_accession=found, is_cut=len(query.specimens) > ASKED_MAX)
    else:
        specimens = _open_specimens(unit, asker, query)
        shown = specimens[:ASKED_MAX]
        tubes = _Tubes(
            asked=tuple(one.accession for one in shown),
            by_accession={one.accession: one for one in shown},
            is_cut=len(specimens) > ASKED_MAX,
        )
    tubes.orders = defaultdict(list)
    keys = [one.id for one in tubes.by_accession.values()]
    for row in work_orders_of_specimens(unit.session, keys):
        tubes.orders[row.specimen_id].append(row)
    return tubes


def _open_specimens(unit: Unit, asker: _Asker, query: HostQuery) -> Sequence[Specimen]:
    if asker.refusal or (query.range_end and not _is_range(query)):
        return ()
    return specimens_with_open_orders(
        unit.session,
        site_id=asker.device.site_id,
        tests=tuple(asker.codes),
        limit=ASKED_MAX + 1,
        between=None if query.wants_all else (query.specimens[0], query.range_end),
        is_received=asker.needs_reception,
    )


def _is_range(query: HostQuery) -> bool:
    """Two numbers of one length, in order: numbers of other lengths do not lie "between" for a person."""
    first, last = "".join(query.specimens[:1]), query.range_end
    is_digits = first.isascii() and first.isdigit() and last.isascii() and last.isdigit()
    return is_digits and len(query.specimens) == 1 and len(first) == len(last) and first <= last


def is_ours(text: str) -> bool:
    """Whether a text has the form of our numbers, check digit included."""
    try:
        AccessionNumber.parse(text)
    except Malformed:
        return False
    return True


# --- what to tell -------------------------------------------------------------------------------


def _compose(
    unit: Unit, asker: _Asker, tubes: _Tubes
) -> tuple[tuple[SpecimenOrders, ...], list[str]]:
    """An entry for each tube, and why it is empty ("" where it is not)."""
    patients = patients_by_ids(
        unit.session, (one.patient_id for one in tubes.by_accession.values())
    )
    answer: list[SpecimenOrders] = []
    reasons: list[str] = []
    for text in tubes.asked:
        specimen = tubes.by_accession.get(text)
        work_orders, reason = _open_for(asker, text, specimen, tubes)
        reasons.append(reason)
        if specimen is None or reason:
            answer.append(SpecimenOrders(specimen=text, tests=()))
            continue
        patient = patients[specimen.patient_id]
        answer.append(_orders(specimen, patient, work_orders, asker.codes))
        _mark_sent(unit, asker.device, work_orders)
    return tuple(answer), reasons


def _open_for(
    asker: _Asker, text: str, specimen: Specimen | None, tubes: _Tubes
) -> tuple[list[WorkOrder], str]:
    """The work orders to tell of one tube, or why there are none: the first reason that a person must mend."""
    if asker.refusal:
        return [], asker.refusal
    if specimen is None:
        return [], "unknown_specimen" if is_ours(text) else "not_our_number"
    if specimen.state not in LIVE_SPECIMEN_STATES:
        return [], "specimen_not_live"
    if specimen.site_id != asker.device.site_id:
        return [], "other_site"
    if asker.needs_reception and specimen.received_at is None:
        return [], "not_received"
    every = tubes.orders.get(specimen.id, [])
    still_open = [row for row in every if row.state in OPEN_WORK_ORDER_STATES]
    if not still_open:
        return [], _why_none_open(every)
    mine = [row for row in still_open if row.test_code in asker.codes]
    if not mine:
        return [], "no_test_for_this_instrument"
    kept = {row.id: asker.allowance.reason_against(row, specimen) for row in mine}
    tubes.withheld[text] = {row.test_code: kept[row.id] for row in mine if kept[row.id]}
    told = [row for row in mine if not kept[row.id]]
    return told, "" if told else kept[mine[0].id]


def _why_none_open(every: Sequence[WorkOrder]) -> str:
    if not every:
        return "nothing_ordered"
    is_cancelled = all(row.state is WorkOrderState.CANCELLED for row in every)
    return "all_cancelled" if is_cancelled else "nothing_open"


def _orders(
    specimen: Specimen, patient: Patient, work_orders: list[WorkOrder], codes: dict[str, str]
) -> SpecimenOrders:
    once: dict[str, WorkOrder] = {}
    for row in work_orders:
        once.setdefault(row.test_code, row)
    return SpecimenOrders(
        specimen=specimen.accession,
        tests=tuple(
            OrderedTest(work_order=row.public_id, test=codes[test], dilution=row.dilution)
            for test, row in once.items()
        ),
        specimen_type=specimen.specimen_type,
        patient_id=patient.public_id,
        family_name=patient.family_name,
        given_name=patient.given_name,
        birth_date=patient.birth_date.replace("-", ""),
        sex=patient.sex,
        collected_at=specimen.collected_from,
    )


def _mark_sent(unit: Unit, device: Device, work_orders: list[WorkOrder]) -> None:
    for row in work_orders:
        row.state = WORK_ORDER.apply(row.state, WorkOrderEvent.SEND)
        row.device_id, row.sent_at = device.id, unit.now
        row.version += 1


def _logged(
    unit: Unit,
    asker: _Asker,
    query: HostQuery,
    *,
    orders: tuple[SpecimenOrders, ...],
    reasons: Sequence[str],
    inbox_id: int | None,
    is_cut: bool = False,
    withheld: Mapping[str, Mapping[str, str]] | None = None,
) -> Answered:
    kind = kind_of(query)
    asked = list(query.specimens[:ASKED_MAX])
    line = log_host_query(
        unit,
        device_id=asker.device.id,
        kind=kind,
        asked=["ALL"] if kind is QueryKind.ALL else [*asked, *filter(None, [query.range_end])],
        answered=[
            {
                "specimen": entry.specimen,
                "tests": [test.test for test in entry.tests],
                "reason": reason,
                "withheld": dict((withheld or {}).get(entry.specimen, {})),
            }
            for entry, reason in zip(orders, reasons, strict=False)
        ],
        empty_reason="" if any(one.tests for one in orders) else next(filter(None, reasons), ""),
        is_cut=is_cut,
        inbox_id=inbox_id,
    )
    return Answered(orders=orders, line=line)
