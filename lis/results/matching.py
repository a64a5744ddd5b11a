"""Whose result is it (S15, S16, S18, S21, S23)?

A value belongs to a patient only when everything about the tube agrees: the accession is known and alive,
the specimen type is the one the test is made on, it was measured after it was collected and received,
the instrument read the id from the barcode, and nothing says that two tubes carry it. Then the value is *bound* to the tube and its patient.
If one of these fails nothing is bound: the value waits in the unmatched lane under the text that the
instrument sent, and only a person with a second identifier binds it (`lis.results.validation`).

The order is another matter: a value of a bound tube that nobody ordered, or whose order was cancelled,
is known to be that patient's and waits for a person to order, reinstate or reject it. It is never
dropped.

A number that the instrument made up is no tube's number: it is not even looked for, so that it cannot meet an
accession by chance.

Each question is a rule that leaves its own verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lis.domain.catalog import Test
from lis.domain.lifecycle import (
    LIVE_SPECIMEN_STATES,
    RequestState,
    SpecimenState,
    WorkOrderState,
)
from lis.domain.messages import IdReadMode, Reason, ReportedObservation
from lis.domain.result_facts import DeviceFacts, OrderFacts, SpecimenFacts
from lis.results.timing import TIME_RESOLUTION
from lis.results.verdicts import RuleVerdict, held, not_evaluable, noted, passed, silent

NO_ID = ""
_CANCELLED_REQUESTS = frozenset({RequestState.REVOKED, RequestState.ENTERED_IN_ERROR})
_WORKING_REQUESTS = frozenset({RequestState.ACTIVE, RequestState.COMPLETED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The tube and order a value belongs to, and every rule that spoke about it."""

    specimen: SpecimenFacts | None  # bound, or None
    order: OrderFacts | None
    verdicts: tuple[RuleVerdict, ...]

    @property
    def is_bound(self) -> bool:
        return self.specimen is not None


def match(
    *,
    reported: ReportedObservation,
    analysed_at: datetime | None,
    specimen: SpecimenFacts | None,
    orders: Sequence[OrderFacts],
    device: DeviceFacts,
    test: Test | None,
    known_types: frozenset[str],
    other_positions: frozenset[str] = frozenset(),
) -> Match:
    """Match one value. `specimen`: the tube with exactly this accession; `orders`: all of that tube.

    `other_positions`: where else the same analyzer found this number.
    """
    if reported.read_mode is IdReadMode.AUTOMATIC:
        specimen = None
    tube = (
        _known(reported, specimen),
        _alive(specimen),
        _type(reported, specimen, test, known_types),
        _measured_after_collection(specimen, analysed_at),
        _read_from_barcode(reported, device),
        _one_tube(reported, specimen, other_positions),
    )
    is_bound = specimen is not None and not any(verdict.objects for verdict in tube)
    bound = specimen if is_bound else None
    order = choose_order(orders, test.code) if bound is not None and test is not None else None
    return Match(
        specimen=bound,
        order=order,
        verdicts=(*tube, _test_known(reported, test), _ordered(bound, test, order)),
    )


def choose_order(orders: Sequence[OrderFacts], test: str) -> OrderFacts | None:
    """The work order a value answers: open ones first, then answered, then cancelled ones."""
    candidates = [order for order in orders if order.test == test]
    if not candidates:
        return None
    return min(candidates, key=lambda order: (_order_rank(order), order.rerun, order.work_order_id))


def _order_rank(order: OrderFacts) -> int:
    if order.state is WorkOrderState.CANCELLED or order.request_state not in _WORKING_REQUESTS:
        return 2
    return 1 if order.state is WorkOrderState.RESULTED else 0


def _known(reported: ReportedObservation, specimen: SpecimenFacts | None) -> RuleVerdict:
    if reported.specimen == NO_ID:
        return held("specimen_known", Reason.NO_SPECIMEN_ID)
    if reported.read_mode is IdReadMode.AUTOMATIC:
        return held("specimen_known", Reason.AUTOMATIC_NUMBER, specimen=reported.specimen)
    if specimen is None:
        return held("specimen_known", Reason.UNKNOWN_SPECIMEN, specimen=reported.specimen)
    return passed("specimen_known", specimen=specimen.accession)


def _alive(specimen: SpecimenFacts | None) -> RuleVerdict:
    if specimen is None:
        return silent("specimen_live")
    state: SpecimenState = specimen.state
    if state not in LIVE_SPECIMEN_STATES:
        return held("specimen_live", Reason.SPECIMEN_NOT_LIVE, state=state.value)
    return noted("specimen_live", "state", state.value)


def _type(
    reported: ReportedObservation,
    specimen: SpecimenFacts | None,
    test: Test | None,
    known_types: frozenset[str],
) -> RuleVerdict:
    rule = "specimen_type"
    if specimen is None or test is None:
        return silent(rule)
    if test.specimen_type != specimen.specimen_type:
        return held(
            rule,
            Reason.SPECIMEN_TYPE_MISMATCH,
            expected=test.specimen_type,
            got=specimen.specimen_type,
        )
    said = reported.specimen_type
    if said in known_types and said != specimen.specimen_type:
        # the instrument speaks our codes and says that it measured something else
        return held(rule, Reason.SPECIMEN_TYPE_MISMATCH, expected=specimen.specimen_type, got=said)
    return noted(rule, "specimen_type", specimen.specimen_type)


def _measured_after_collection(
    specimen: SpecimenFacts | None, analysed_at: datetime | None
) -> RuleVerdict:
    rule = "measured_after_collection"
    if specimen is None:
        return silent(rule)
    if analysed_at is None:
        return not_evaluable(rule, Reason.NO_CREDIBLE_TIME)
    moment = analysed_at + TIME_RESOLUTION
    collected = specimen.collected_from
    if collected is not None and moment < collected:
        return held(
            rule,
            Reason.MEASURED_BEFORE_COLLECTION,
            collected=collected.isoformat(),
            analysed=analysed_at.isoformat(),
        )
    received = specimen.received_at
    if received is not None and moment < received:
        return held(
            rule,
            Reason.MEASURED_BEFORE_RECEIPT,
            received=received.isoformat(),
            analysed=analysed_at.isoformat(),
        )
    if collected is None and received is None:
        return not_evaluable(rule, Reason.COLLECTION_UNKNOWN)
    known = collected or received
    return passed(rule, since=known.isoformat() if known else None)


def _read_from_barcode(reported: ReportedObservation, device: DeviceFacts) -> RuleVerdict:
    rule = "id_from_barcode"
    mode = reported.read_mode
    if mode is IdReadMode.BARCODE:
        return noted(rule, "read_mode", mode.value)
    if mode is IdReadMode.UNSTATED and device.has_reliable_barcode:
        return passed(rule, read_mode=mode.value, policy="reliable_barcode")
    return held(rule, Reason.ID_NOT_FROM_BARCODE, read_mode=mode.value)


def _one_tube(
    reported: ReportedObservation, specimen: SpecimenFacts | None, others: frozenset[str]
) -> RuleVerdict:
    """S16: one number on two positions of the analyzer, or twice at reception."""
    rule = "one_tube"
    if specimen is None:
        return silent(rule)
    if specimen.received_again_at is not None:
        where = specimen.received_again_at.isoformat()
        return held(rule, Reason.NUMBER_SEEN_TWICE, where=where)
    if others:
        where = ", ".join(sorted({*others, reported.position}))
        return held(rule, Reason.NUMBER_SEEN_TWICE, where=where)
    return noted(rule)


def _test_known(reported: ReportedObservation, test: Test | None) -> RuleVerdict:
    if test is not None:
        return noted("test_known", "test", test.code)
    reason = Reason.UNKNOWN_TEST if reported.test else Reason.NO_TEST_CODE
    return held("test_known", reason, test=reported.test)


def _ordered(
    bound: SpecimenFacts | None, test: Test | None, order: OrderFacts | None
) -> RuleVerdict:
    if bound is None or test is None:
        return silent("ordered")
    if order is None:
        return held("ordered", Reason.NOT_ORDERED, test=test.code)
    if order.state is WorkOrderState.CANCELLED or order.request_state in _CANCELLED_REQUESTS:
        return held("ordered", Reason.ORDER_CANCELLED, test=test.code)
    if order.request_state not in _WORKING_REQUESTS:
        return held("ordered", Reason.NOT_ORDERED, test=test.code, state=order.request_state.value)
    return passed("ordered", work_order=order.work_order_id)
