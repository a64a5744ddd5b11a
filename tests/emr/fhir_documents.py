"""FHIR as a hospital would send it, for tests: a referral of one person with two orders and a specimen."""

from typing import Any

PLACER = "http://hospital.example/orders"
MRN = "http://hospital.example/mrn"
LOINC = "http://loinc.org"


def patient(**changed: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"use": "usual", "system": MRN, "value": "777"}],
        "name": [
            {"use": "old", "family": "Прежняя"},
            {"use": "official", "family": "Образцова", "given": ["Проба", "Тестовна"]},
        ],
        "gender": "female",
        "birthDate": "1985-03-20",
    } | changed


def order(number: str = "A-1", code: str = "GLU", **changed: Any) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "identifier": [{"system": PLACER, "value": number}],
        "requisition": {"system": PLACER, "value": "REF-1"},
        "status": "active",
        "intent": "order",
        "priority": "stat",
        "code": {"coding": [{"system": "http://hospital.example/tests", "code": code}]},
        "subject": {"reference": "urn:uuid:patient"},
        "requester": {"reference": "urn:uuid:doctor"},
        "specimen": [{"reference": "urn:uuid:tube"}],
    } | changed


def specimen(collected: str = "2026-11-02T07:30:00+03:00") -> dict[str, Any]:
    return {
        "resourceType": "Specimen",
        "subject": {"reference": "urn:uuid:patient"},
        "collection": {"collectedDateTime": collected, "collector": {"display": "Сестра О."}},
    }


def doctor() -> dict[str, Any]:
    return {
        "resourceType": "Practitioner",
        "identifier": [{"system": "http://hospital.example/staff", "value": "42"}],
        "name": [{"family": "Орлов", "given": ["Пётр"]}],
    }


def entry(resource: dict[str, Any], full: str = "", **request: Any) -> dict[str, Any]:
    return {
        **({"fullUrl": full} if full else {}),
        "resource": resource,
        "request": {"method": "POST", "url": resource["resourceType"]} | request,
    }


def bundle(*orders: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            entry(patient(), "urn:uuid:patient", ifNoneExist=f"identifier={MRN}|777"),
            entry(doctor(), "urn:uuid:doctor"),
            entry(specimen(), "urn:uuid:tube"),
            *[
                entry(one, f"urn:uuid:order-{index}")
                for index, one in enumerate(orders or (order(), order("A-2", "CBC")))
            ],
        ],
    } | changed
