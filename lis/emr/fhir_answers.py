"""What the FHIR interface says: resources as plain dictionaries (ADR 0014), pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from lis.domain.lifecycle import RequestState
from lis.emr.fhir_node import Issue
from lis.store.order_rows import ServiceRequest
from lis.store.people_rows import Patient

Resource = dict[str, Any]
FHIR_VERSION: Final = "4.0.1"
FILLER_SYSTEM: Final = "urn:lis:filler"
IDENTIFIER_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
ORDER_STATUS: Final = {
    RequestState.DRAFT: "draft",
    RequestState.ACTIVE: "active",
    RequestState.ON_HOLD: "on-hold",
    RequestState.COMPLETED: "completed",
    RequestState.REVOKED: "revoked",
    RequestState.ENTERED_IN_ERROR: "entered-in-error",
}
PRIORITY: Final = {"R": "routine", "A": "asap", "S": "stat"}
GENDER: Final = {"F": "female", "M": "male"}
TOLERATED: Final = (
    "Condition",
    "Coverage",
    "Encounter",
    "Location",
    "Organization",
    "Practitioner",
    "PractitionerRole",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one resource."""

    status: int
    location: str = ""  # Type/id, without version
    version: int = 1
    resource: Resource | None = None
    warnings: tuple[Issue, ...] = field(default=())

    def body(self) -> Resource | None:
        """What is answered to a request of its own."""
        return outcome(self.warnings, severity="warning") if self.warnings else self.resource


def outcome(issues: Iterable[Issue], *, severity: str = "error") -> Resource:
    """An OperationOutcome."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": severity,
                "code": one.code,
                "diagnostics": one.text,
                **({"expression": [one.where]} if one.where else {}),
            }
            for one in issues
        ],
    }


def response_bundle(answers: Sequence[Answer], *, at: datetime) -> Resource:
    """The transaction-response: one entry for each of the request, in its order."""
    return {
        "resourceType": "Bundle",
        "type": "transaction-response",
        "entry": [_entry(one, at) for one in answers],
    }


def _entry(answer: Answer, at: datetime) -> Resource:
    response: Resource = {
        "status": f"{answer.status} {HTTPStatus(answer.status).phrase}",
        "lastModified": instant(at),
    }
    if answer.location:
        response["location"] = f"{answer.location}/_history/{answer.version}"
        response["etag"] = f'W/"{answer.version}"'
    if answer.warnings:
        response["outcome"] = outcome(answer.warnings, severity="warning")
    return {"response": response}


def order_resource(request: ServiceRequest, patient: Patient) -> Resource:
    """An order as we know it now."""
    identifiers = [_identifier("FILL", FILLER_SYSTEM, request.filler_number)]
    if request.placer_number:
        identifiers.insert(0, _identifier("PLAC", request.placer_authority, request.placer_number))
    resource: Resource = {
        "resourceType": "ServiceRequest",
        "id": request.public_id,
        "meta": {"versionId": str(request.version)},
        "identifier": identifiers,
        "status": ORDER_STATUS[request.state],
        "intent": "order",
        "priority": PRIORITY.get(request.priority, "routine"),
        "code": {"coding": [{"code": request.code}], "text": request.code},
        "subject": {"reference": f"Patient/{patient.public_id}"},
        "authoredOn": instant(request.created_at),
    }
    return resource


def person_resource(patient: Patient) -> Resource:
    """A person, as little as an answer needs."""
    resource: Resource = {
        "resourceType": "Patient",
        "id": patient.public_id,
        "meta": {"versionId": str(patient.version)},
        "gender": GENDER.get(patient.sex, "unknown"),
    }
    given = [part for part in (patient.given_name, patient.middle_name) if part]
    name: Resource = {"use": "official"}
    if patient.family_name:
        name["family"] = patient.family_name
    if given:
        name["given"] = given
    if len(name) > 1:
        resource["name"] = [name]
    if patient.birth_date:
        resource["birthDate"] = patient.birth_date
    return resource


def instant(at: datetime) -> str:
    """A FHIR instant in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _identifier(kind: str, system: str, value: str) -> Resource:
    made: Resource = {"type": {"coding": [{"system": IDENTIFIER_TYPES, "code": kind}]}}
    if system:
        made["system"] = system
    return made | {"value": value}


def capability_statement(*, at: datetime, name: str, version: str) -> Resource:
    """What this interface can do, and nothing that it cannot."""
    create = [{"code": "create"}, {"code": "update"}]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(at),
        "kind": "instance",
        "software": {"name": "lis", "version": version},
        "implementation": {"description": f"{name}: referrals in"},
        "fhirVersion": FHIR_VERSION,
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "documentation": "Referrals in. A transaction carries orders with their patient and specimens; "
                "Specimen is read in a transaction only; "
                f"{', '.join(TOLERATED)} are accepted in it and not stored. An unknown code is held "
                "for a person. To cancel, send the order with status revoked. If-None-Exist knows the parameter identifier.",
                "security": {
                    "description": "Authorization: Bearer with a token of `lis user token add`"
                },
                "interaction": [{"code": "transaction"}],
                "resource": [
                    {
                        "type": "ServiceRequest",
                        "interaction": [{"code": "read"}, *create],
                        "versioning": "no-version",
                        "updateCreate": True,
                        "conditionalCreate": True,
                    },
                    {
                        "type": "Patient",
                        "interaction": [{"code": "create"}],
                        "versioning": "no-version",
                        "conditionalCreate": True,
                    },
                ],
            }
        ],
    }
