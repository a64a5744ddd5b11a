"""Referrals by FHIR: what a body asks is carried out in one unit of work, and each resource gets its answer.

Orders take the same way as those of HL7 v2 (`lis.orders.changing`): registers per order and sender, so that the same
bundle sent again makes nothing new, and older news never undoes newer. News is as old as `meta.lastUpdated`, else the bundle's
`timestamp`, else now. What cannot be done any more is noted for a person and answered 202 with a warning; what is unusable
raises `UnusableFhir`, and nothing of the body is kept.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl

from lis.domain.catalog import Catalog
from lis.emr.fhir_answers import TOLERATED, Answer, order_resource, person_resource
from lis.emr.fhir_node import Issue, Node, resource_of, unusable
from lis.emr.fhir_reading import (
    Resources,
    placer_of,
    read_instant,
    read_patient,
    read_request,
)
from lis.emr.referrals_in import Caller, ReadRequest, take_referral
from lis.orders.entries import (
    Outcome,
    PatientEntry,
    PlacedOrder,
)
from lis.orders.patients import find_or_make_patient
from lis.store.fhir_queries import order_of_source, order_with_patient
from lis.store.people_queries import patients_with_identifiers
from lis.store.people_rows import Patient
from lis.store.referral_queries import request_of_sender
from lis.store.unit import Unit
from lis.words import Words

ENTRIES_MAX: Final = 500  # a referral has some ten
NOTED: Final = frozenset({Outcome.UNABLE, Outcome.UNKNOWN, Outcome.REFUSED})
METHODS: Final = ("POST", "PUT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One resource and how it is sent."""

    node: Node
    method: str = "POST"
    target_id: str = ""  # of a PUT
    if_none_exist: str = ""


def take_bundle(
    unit: Unit, catalog: Catalog, document: object, caller: Caller
) -> tuple[Answer, ...]:
    """Carry out a transaction; one answer for each entry."""
    bundle = resource_of(document, "body")
    if bundle.kind != "Bundle" or bundle.text("type") != "transaction":
        raise unusable(
            "expected a Bundle of type transaction", "Bundle.type", code="not-supported", status=400
        )
    wishes, resources = _wishes(bundle)
    at = read_instant(bundle, "timestamp") or unit.now
    return _carry_out(unit, catalog, wishes, resources, caller, at=at)


def take_one(unit: Unit, catalog: Catalog, wish: Wish, caller: Caller) -> Answer:
    """Carry out a resource that was sent alone."""
    if wish.node.kind not in {"ServiceRequest", "Patient"}:
        raise unusable(
            f"expected ServiceRequest or Patient, got {wish.node.kind[:40]}; "
            "send others with their order in one transaction",
            wish.node.where,
            code="not-supported",
        )
    return _carry_out(unit, catalog, (wish,), {}, caller, at=unit.now)[0]


def _wishes(bundle: Node) -> tuple[tuple[Wish, ...], Resources]:
    wishes: list[Wish] = []
    resources: dict[str, Node] = {}
    for entry in bundle.nodes("entry"):
        node = resource_of(entry.data.get("resource"), f"{entry.where}.resource")
        request = entry.node("request")
        method = request.choice("method", METHODS)
        kind, _, target = request.text("url").partition("?")[0].partition("/")
        if kind != node.kind:
            raise unusable(
                f"expected a url for {node.kind[:40]}, got {kind[:40]!r}",
                f"{request.where}.url",
                code="invalid",
                status=400,
            )
        if method == "PUT" and not target:
            raise unusable(
                f"expected {kind}/[id]; conditional update is not supported",
                f"{request.where}.url",
                code="not-supported",
            )
        wishes.append(
            Wish(
                node=node,
                method=method,
                target_id=target,
                if_none_exist=request.text("ifNoneExist"),
            )
        )
        for name in (entry.text("fullUrl"), f"{node.kind}/{node.text('id')}"):
            if name and not name.endswith("/"):
                resources.setdefault(name, node)
        if len(wishes) > ENTRIES_MAX:
            raise unusable(
                f"expected at most {ENTRIES_MAX} entries", "Bundle.entry", code="too-long"
            )
    if not wishes:
        raise unusable("expected an entry", "Bundle.entry", code="required", status=400)
    return tuple(wishes), resources


def _carry_out(
    unit: Unit,
    catalog: Catalog,
    wishes: Sequence[Wish],
    resources: Resources,
    caller: Caller,
    *,
    at: datetime,
) -> tuple[Answer, ...]:
    answers: dict[int, Answer] = {}
    orders: dict[int, ReadRequest] = {}
    people: dict[int, PatientEntry] = {}
    for index, wish in enumerate(wishes):
        match wish.node.kind:
            case "ServiceRequest":
                known = _existing(unit, wish, caller)
                if known is not None:
                    answers[index] = known
                else:
                    orders[index] = _read(unit, catalog, wish, resources, caller)
            case "Patient":
                people[index] = _person(unit, wish)
            case "Specimen":
                wish.node.check_modifiers()
                answers[index] = Answer(status=200)
            case kind if kind in TOLERATED:
                answers[index] = Answer(status=200)
            case kind:
                raise unusable(
                    f"{kind[:40]} is not taken here", wish.node.where, code="not-supported"
                )
    stored = _store_people(unit, people, orders.values(), caller)
    answers |= {
        index: _person_answer(stored[entry]) for index, entry in people.items() if entry in stored
    }
    answers |= _take_orders(unit, catalog, orders, caller, at=at)
    answers |= _people_of_orders(people, orders, answers)
    return tuple(answers[index] for index in range(len(wishes)))


# --- people -------------------------------------------------------------------------------------


def _person(unit: Unit, wish: Wish) -> PatientEntry:
    if wish.method == "PUT":
        raise unusable(
            "expected POST: people are found by their identifiers",
            wish.node.where,
            code="not-supported",
        )
    if not wish.if_none_exist:
        return read_patient(wish.node)
    system, value = _criterion(wish)
    held = patients_with_identifiers(unit.session, [(system, "", value)])
    if len(held) > 1:
        raise unusable(
            "more than one person has this identifier",
            wish.node.where,
            code="multiple-matches",
            status=412,
        )
    return read_patient(wish.node)


def _store_people(
    unit: Unit,
    people: dict[int, PatientEntry],
    orders: Iterable[ReadRequest],
    caller: Caller,
) -> dict[PatientEntry, tuple[Patient, bool, str]]:
    """People whom no order of the body names."""
    named = {one.patient for one in orders}
    stored = {}
    for entry in people.values():
        if entry in stored or entry in named:  # the order makes its own patient
            continue
        if not entry.identifiers:
            raise unusable(
                "expected an identifier: without one a repeated person could not be told from a new one",
                "Patient.identifier",
                code="required",
            )
        before = patients_with_identifiers(
            unit.session, [(one.system, one.issuer, one.value) for one in entry.identifiers]
        )
        found = find_or_make_patient(unit, entry, site_id=caller.site_id)
        stored[entry] = (found.patient, not before, found.conflict)
    return stored


def _person_answer(stored: tuple[Patient, bool, str]) -> Answer:
    patient, is_new, conflict = stored
    return Answer(
        status=201 if is_new else 200,
        location=f"Patient/{patient.public_id}",
        version=patient.version,
        resource=person_resource(patient),
        warnings=_warnings(conflict, "conflict"),
    )


def _people_of_orders(
    people: dict[int, PatientEntry],
    orders: dict[int, ReadRequest],
    answers: dict[int, Answer],
) -> dict[int, Answer]:
    """The answers for people who came with their orders: where the order says they are."""
    found = {}
    for index, entry in people.items():
        if index in answers:
            continue
        order = next((at for at, one in orders.items() if one.patient == entry), None)
        resource = answers[order].resource if order is not None else None
        where = resource["subject"]["reference"] if resource else ""
        found[index] = Answer(status=200, location=where)
    return found


# --- orders -------------------------------------------------------------------------------------


def _existing(unit: Unit, wish: Wish, caller: Caller) -> Answer | None:
    """If-None-Exist: an order that is there already stays as it is."""
    if not wish.if_none_exist:
        return None
    system, value = _criterion(wish)
    request = request_of_sender(unit.session, caller.source, value, system)
    if request is None:
        return None
    request, patient = order_with_patient(unit.session, request.id)
    return Answer(
        status=200,
        location=f"ServiceRequest/{request.public_id}",
        version=request.version,
        resource=order_resource(request, patient),
    )


def _criterion(wish: Wish) -> tuple[str, str]:
    query = parse_qsl(wish.if_none_exist.lstrip("?"))
    if len(query) != 1 or query[0][0] != "identifier" or "|" not in query[0][1]:
        raise unusable(
            f"expected identifier=system|value, got {wish.if_none_exist[:80]!r}",
            "If-None-Exist",
            code="not-supported",
            status=412,
        )
    system, _, value = query[0][1].partition("|")
    return system, value


def _read(
    unit: Unit, catalog: Catalog, wish: Wish, resources: Resources, caller: Caller
) -> ReadRequest:
    node, number = wish.node, wish.target_id
    if wish.method == "PUT" and node.text("id") != wish.target_id:
        raise unusable(
            f"expected id {wish.target_id[:80]!r} as in the address, got {node.text('id')[:80]!r}",
            f"{node.where}.id",
            status=400,
        )
    read = read_request(node, resources, catalog, number=number, source=caller.source)
    ours = order_of_source(unit.session, number, caller.source) if number else None
    if ours is None:
        return read
    request = ours[0]  # the address is ours: it says which order is meant
    entry = replace(
        read.entry,
        placer_number=request.placer_number,
        placer_authority=request.placer_authority,
    )
    sent = placer_of(node, number=number, source=caller.source)
    if sent not in {(number, caller.source), (entry.placer_number, entry.placer_authority)}:
        raise unusable(
            f"expected identifier {entry.placer_number!r} of this order, got {sent[0][:80]!r}",
            f"{node.where}.identifier",
            code="conflict",
            status=409,
        )
    return replace(read, entry=entry)


def _take_orders(
    unit: Unit, catalog: Catalog, orders: dict[int, ReadRequest], caller: Caller, *, at: datetime
) -> dict[int, Answer]:
    known = {index for index, one in orders.items() if _is_known(unit, one, caller)}
    outcomes = take_referral(unit, catalog, orders, caller, at=at)
    return {
        index: _order_answer(unit, became, is_known=index in known)
        for index, became in outcomes.items()
    }


def _is_known(unit: Unit, one: ReadRequest, caller: Caller) -> bool:
    number, authority = one.entry.placer_number, one.entry.placer_authority
    return request_of_sender(unit.session, caller.source, number, authority) is not None


def _order_answer(unit: Unit, became: PlacedOrder, *, is_known: bool) -> Answer:
    status = 202 if became.outcome in NOTED else (200 if is_known else 201)
    if became.service_request_id is None:
        return Answer(status=status, warnings=_warnings(became.reason, "not-found"))
    request, patient = order_with_patient(unit.session, became.service_request_id)
    return Answer(
        status=status,
        location=f"ServiceRequest/{request.public_id}",
        version=request.version,
        resource=order_resource(request, patient),
        warnings=_warnings(became.reason, "business-rule"),
    )


def _warnings(reason: str, code: str) -> tuple[Issue, ...]:
    if not reason:
        return ()
    words = Words("en")
    key = f"orders.{reason}"
    return (Issue(code=code, text=f"{reason}: {words(key)}" if words.has(key) else reason),)
