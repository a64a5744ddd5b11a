"""FHIR R4 resources as the laboratory's referral: pure.

    ServiceRequest   one order: identifier (placer number), requisition, status, intent, code, priority, note
    Patient          identifiers with systems, official name, birthDate as precise as it is, gender
    Specimen         only what is known of its collection (S26): dateTime with a time = exact, a date or a period = estimated
    Practitioner, PractitionerRole, Organization, Encounter, Location, Coverage, Condition
                     tolerated: a name is taken where an order points to it, nothing is stored of them

What an order means is its status: active places, on-hold places and holds, revoked and entered-in-error cancel. A code that the
catalog does not know is kept as sent, and the order will be held for a person; it is never refused.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from re import compile as pattern
from typing import Final

from lis.domain.catalog import Catalog
from lis.emr.fhir_node import Node, unusable
from lis.emr.referrals_in import Collected, ReadRequest
from lis.orders.entries import IdentifierEntry, OrderEntry, PatientEntry
from lis.orders.order_saying import Verb

LOINC: Final = "http://loinc.org"
PRIORITIES: Final = {"": "R", "routine": "R", "urgent": "A", "asap": "A", "stat": "S"}
SEXES: Final = {"male": "M", "female": "F"}
VERBS: Final = {
    "active": (Verb.PLACE,),
    "on-hold": (Verb.PLACE, Verb.HOLD),
    "revoked": (Verb.CANCEL,),
    "entered-in-error": (Verb.CANCEL,),
}
INTENTS: Final = ("order", "original-order", "reflex-order", "filler-order", "instance-order")
PLACER_TYPE: Final = "PLAC"
ALIAS_LENGTH_MAX: Final = 200
_BIRTH_DATE: Final = pattern(r"\d{4}(-\d{2}(-\d{2})?)?")
_INSTANT: Final = pattern(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})")

Resources = Mapping[str, Node]  # by fullUrl, by Type/id, and by #id for contained ones


def read_patient(node: Node) -> PatientEntry:
    """A person as stated; what is not stated stays empty."""
    node.check_modifiers()
    identifiers = tuple(
        IdentifierEntry(
            system=one.key("system") or one.node("type").first("coding").key("code") or "MR",
            value=one.key("value"),
            issuer=one.node("assigner").key("display"),
        )
        for one in node.nodes("identifier")
        if one.key("value") and one.text("use") != "old"
    )
    names = [one for one in node.nodes("name") if one.text("use") not in {"old", "maiden"}]
    name = next((one for one in names if one.text("use") == "official"), None) or (
        names[0] if names else Node({}, f"{node.where}.name[0]")
    )
    given = name.texts("given")
    if not identifiers and not name.text("family") and not name.text("text"):
        raise unusable(
            "expected an identifier or a name", f"{node.where}.identifier", code="required"
        )
    return PatientEntry(
        family_name=name.text("family") or name.text("text"),
        given_name=given[0] if given else "",
        middle_name=" ".join(given[1:]),
        birth_date=_birth_date(node),
        sex=SEXES.get(node.text("gender"), "U"),
        identifiers=identifiers,
    )


def read_request(
    node: Node, resources: Resources, catalog: Catalog, *, number: str = "", source: str
) -> ReadRequest:
    """One order; `number` is its id when it came by PUT and names no identifier."""
    node.check_modifiers()
    near = dict(resources) | {f"#{one.text('id')}": one for one in node.nodes("contained")}
    status = node.choice("status", tuple(VERBS))
    node.choice("intent", INTENTS)
    if node.data.get("doNotPerform") is True:
        raise unusable(
            "expected an order to perform; to cancel one, send status revoked",
            f"{node.where}.doNotPerform",
            code="business-rule",
        )
    placer_number, authority = placer_of(node, number=number, source=source)
    code, as_sent = _code(node.node("code"), catalog)
    requester, requester_code = _person(node.node("requester"), near)
    return ReadRequest(
        verbs=VERBS[status],
        entry=OrderEntry(
            code=code,
            placer_number=placer_number,
            placer_authority=authority,
            placer_code=as_sent,
            priority=_priority(node),
            notes=" ".join(note.text("text") for note in node.nodes("note")),
        ),
        patient=_subject(node.node("subject"), near),
        group=(node.node("requisition").key("value"), node.node("requisition").key("system")),
        collected=_collected(node, near),
        requester=requester,
        requester_code=requester_code,
        ward=_person(node.first("locationReference"), near)[0],
        reason="; ".join(filter(None, (_words(one) for one in node.nodes("reasonCode")))),
        updated_at=read_instant(node.node("meta"), "lastUpdated"),
    )


def placer_of(node: Node, *, number: str = "", source: str) -> tuple[str, str]:
    """The sender's number of an order, with who gave it: its identifier of type PLAC, else its first, else its id."""
    found = [one for one in node.nodes("identifier") if one.key("value")]
    placers = [
        one
        for one in found
        if any(c.text("code") == PLACER_TYPE for c in one.node("type").nodes("coding"))
    ]
    chosen = next(iter(placers or found), None)
    if chosen is not None:
        return chosen.key("value"), chosen.key("system") or source
    if number:
        return number, source
    raise unusable(
        "expected an identifier: without one a repeated order could not be told from a new one",
        f"{node.where}.identifier",
        code="required",
    )


def read_instant(node: Node, name: str) -> datetime | None:
    """A moment with its offset; None when it is not there or only a date."""
    text = node.text(name)
    if not _INSTANT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise unusable(
            f"expected a real moment, got {text!r}", f"{node.where}.{name}", code="value"
        ) from error


def _birth_date(node: Node) -> str:
    text = node.text("birthDate")
    if not text:
        return ""
    if not _BIRTH_DATE.fullmatch(text):
        raise unusable(
            f"expected YYYY, YYYY-MM or YYYY-MM-DD, got {text[:20]!r}",
            f"{node.where}.birthDate",
            code="value",
        )
    year, month, day = ([int(part) for part in text.split("-")] + [1, 1])[:3]
    try:
        datetime(year, month, day, tzinfo=UTC)
    except ValueError as error:
        raise unusable(
            f"expected a real day, got {text!r}", f"{node.where}.birthDate", code="value"
        ) from error
    return text


def _priority(node: Node) -> str:
    text = node.text("priority")
    if text not in PRIORITIES:
        raise unusable(
            f"expected routine, urgent, asap or stat, got {text[:20]!r}",
            f"{node.where}.priority",
            code="value",
        )
    return PRIORITIES[text]


def _code(concept: Node, catalog: Catalog) -> tuple[str, str]:
    """Our orderable code, or the sent one to be held; and the codings as they were sent."""
    codings = [
        (one.key("code"), one.text("display"), one.key("system")) for one in concept.nodes("coding")
    ]
    as_sent = "~".join("^".join(coding) for coding in codings if coding[0]) or concept.text("text")
    if not as_sent:
        raise unusable("expected a coding or a text", concept.where, code="required")
    sent = next((code for code, _, _ in codings if code), concept.text("text"))
    for code, _, system in codings:
        if system != LOINC and code and catalog.tests_of(code):
            return code, as_sent
    meant = {
        test.code
        for code, _, system in codings
        if system == LOINC
        for test in catalog.tests.values()
        if any(known.system == "LOINC" and known.value == code for known in test.codes)
    }
    return (meant.pop() if len(meant) == 1 else sent[:ALIAS_LENGTH_MAX]), as_sent


def _words(concept: Node) -> str:
    return concept.text("text") or next(
        (one.text("display") for one in concept.nodes("coding") if one.text("display")), ""
    )


def _subject(reference: Node, near: Resources) -> PatientEntry:
    target = reference.text("reference")
    if target in near:
        patient = near[target]
        if patient.kind != "Patient":
            raise unusable(
                f"expected a Patient, got {patient.kind}", reference.where, code="not-supported"
            )
        return read_patient(patient)
    kind, _, public_id = target.rpartition("/")
    if kind == "Patient" and public_id:
        return PatientEntry(family_name="", patient_public_id=public_id)
    identifier = reference.node("identifier")
    if identifier.key("value"):
        return read_patient(
            Node(
                {
                    "identifier": [identifier.data],
                    "name": [{"text": reference.text("display")}],
                },
                reference.where,
            )
        )
    raise unusable(
        "expected a Patient of this bundle, Patient/[id] of this server or an identifier"
        + (f", got {target[:80]!r}" if target else ""),
        reference.where,
        code="not-found",
    )


def _person(reference: Node, near: Resources) -> tuple[str, str]:
    """The name and number of who or what a reference means, as far as it says."""
    named = near.get(reference.text("reference"))
    if named is None:
        return reference.text("display"), reference.node("identifier").key("value")
    if named.kind == "PractitionerRole":
        return _person(named.node("practitioner"), near)
    code = named.first("identifier").key("value")
    if named.kind == "Practitioner":
        name = named.first("name")
        parts = (name.text("family"), *name.texts("given"))
        return " ".join(filter(None, parts)) or name.text("text"), code
    return named.text("name") or reference.text("display"), code


def _collected(node: Node, near: Resources) -> Collected:
    specimens = [near.get(one.text("reference")) for one in node.nodes("specimen")]
    asked = [
        one
        for one in near.values()
        if one.kind == "Specimen"
        and any(_is(near.get(target.text("reference")), node) for target in one.nodes("request"))
    ]
    specimen = next((one for one in (*specimens, *asked) if one is not None), None)
    if specimen is None or specimen.kind != "Specimen":
        return Collected()
    specimen.check_modifiers()
    collection = specimen.node("collection")
    collector = _person(collection.node("collector"), near)[0]
    exact = read_instant(collection, "collectedDateTime")
    if exact is not None:
        return Collected(at=exact, certainty="exact", collector=collector)
    period = collection.node("collectedPeriod")
    rough = read_instant(period, "start") or read_instant(period, "end")
    if rough is None:
        rough = _day(collection, "collectedDateTime")
    return Collected(at=rough, certainty="estimated" if rough else "unknown", collector=collector)


def _is(one: Node | None, other: Node) -> bool:
    return one is not None and one.data is other.data


def _day(node: Node, name: str) -> datetime | None:
    """A date alone: its noon in UTC, never exact; a month or a year says too little."""
    text = node.text(name)
    if not text:
        return None
    try:
        day = datetime.fromisoformat(text)
    except ValueError as error:
        if _BIRTH_DATE.fullmatch(text):
            return None
        raise unusable(
            f"expected a FHIR dateTime with offset, got {text[:40]!r}",
            f"{node.where}.{name}",
            code="value",
        ) from error
    return day.replace(hour=12, tzinfo=UTC) if len(text) == 10 else None
