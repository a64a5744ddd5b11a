"""Results to an EMR: one report version as ORU^R01 (HL7 2.5.1). Pure: facts in, bytes out.

    MSH PID ORC OBR { OBX [NTE] } [SPM]

The EMR keys what it overwrites on OBR-3 (our filler number) with OBX-3 and OBX-4, so these never change
between versions. Nothing but released observations is written; the last check stands here, at the port
itself, whatever the callers did (S03).
"""

import base64
import hashlib
from datetime import UTC, datetime
from typing import Final

from lis.domain.catalog import Catalog, ValueType
from lis.domain.lifecycle import BenchState
from lis.domain.messages import ResultStatus
from lis.store.delivery_queries import ReportFacts
from lis.store.observation_rows import Observation
from lis.store.order_rows import Specimen
from lis.wire.hl7_writer import Value, message, segment, timestamp

APPLICATION: Final = "LIS"
LOINC_SYSTEM: Final = "LOINC"
CONTROL_ID_LENGTH: Final = 20  # MSH-10 in 2.5.1

# OBX-11 (table 0085) for each outward status; the reverse of HL7's own v2-to-FHIR map.
_OBX_STATUS: Final = {
    ResultStatus.PRELIMINARY: "P",
    ResultStatus.FINAL: "F",
    ResultStatus.CORRECTED: "C",
    ResultStatus.AMENDED: "A",
    ResultStatus.CANCELLED: "X",
    ResultStatus.ENTERED_IN_ERROR: "W",
}
_REPORT_STATUS: Final = {
    "partial": "A",
    "preliminary": "P",
    "final": "F",
    "corrected": "C",
    "amended": "C",
    "cancelled": "X",
    "entered-in-error": "C",
}


class NotReleased(Exception):
    """A delivery names an observation that was not released: our bug; nothing is sent."""


def control_id(key: str) -> str:
    """MSH-10 of a delivery: the same on every try, different for every version and destination."""
    digest = base64.b32encode(hashlib.sha256(key.encode()).digest()).decode()
    return digest[:CONTROL_ID_LENGTH]


def render_report(
    facts: ReportFacts, catalog: Catalog, *, key: str, destination: str, facility: str, at: datetime
) -> bytes:
    """The ORU^R01 payload of one report version; raises `NotReleased`."""
    for row in facts.observations:
        if row.bench_state is not BenchState.RELEASED or row.status not in _OBX_STATUS:
            raise NotReleased(f"observation {row.id} is {row.bench_state.value}/{row.status.value}")
    msh = segment(
        "MSH",
        APPLICATION,
        facility,
        destination.partition(":")[2],
        None,
        timestamp(at),
        None,
        ("ORU", "R01", "ORU_R01"),
        control_id(key),
        "P",
        "2.5.1",
        *[None] * 5,
        "UNICODE UTF-8",
    )
    specimen = next(iter(facts.specimens.values()), None)
    body = [msh, _pid(facts), _orc(facts), _obr(facts, catalog, specimen, at)]
    for number, row in enumerate(facts.observations, 1):
        body.append(_obx(number, row, facts, catalog, facility))
        if row.comment:
            body.append(segment("NTE", "1", "L", row.comment))
    if specimen is not None:
        body.append(_spm(specimen))
    return message(body)


def _pid(facts: ReportFacts) -> str:
    patient = facts.patient
    identifiers: list[tuple[str | tuple[str | None, ...] | None, ...] | str | None] = [
        (one.value, None, None, one.issuer or None, one.system) for one in facts.identifiers
    ] or [(patient.public_id, None, None, APPLICATION, "PI")]
    name = (patient.family_name, patient.given_name, patient.middle_name)
    return segment(
        "PID",
        "1",
        None,
        identifiers,
        None,
        name,
        None,
        patient.birth_date.replace("-", ""),
        patient.sex,
    )


def _placer(facts: ReportFacts) -> Value:
    number = facts.request.placer_number
    return (number, facts.request.placer_authority or None) if number else None


def _filler(facts: ReportFacts) -> Value:
    return (facts.request.filler_number, facts.request.filler_authority or APPLICATION)


def _requester(facts: ReportFacts) -> Value:
    requisition = facts.requisition
    return (requisition.requester_code or None, requisition.requester or None)


def _orc(facts: ReportFacts) -> str:
    group = (facts.requisition.placer_group, facts.requisition.placer_authority or None)
    return segment(
        "ORC",
        "RE",
        _placer(facts),
        _filler(facts),
        group if facts.requisition.placer_group else None,
        *[None] * 7,
        _requester(facts),
    )


def _obr(facts: ReportFacts, catalog: Catalog, specimen: Specimen | None, at: datetime) -> str:
    code = facts.request.code
    known = catalog.tests.get(code) or catalog.panels.get(code)
    service = (code, known.names.get("en", code) if known else code, "L")
    fields: list[Value] = [None] * 25
    fields[0:4] = ["1", _placer(facts), _filler(facts), service]
    fields[6] = _collected(specimen)
    fields[15] = _requester(facts)
    fields[21] = timestamp(at)
    fields[24] = _REPORT_STATUS.get(facts.report.status, "A")
    return segment("OBR", *fields)


def _obx(number: int, row: Observation, facts: ReportFacts, catalog: Catalog, facility: str) -> str:
    specimen = facts.specimens.get(row.specimen_id or 0)
    device = facts.devices.get(row.device_id or 0)
    is_withdrawn = row.status is ResultStatus.ENTERED_IN_ERROR
    value_type, value = ("ST", '""') if is_withdrawn else _value(row, catalog)
    fields: list[Value] = [None] * 23
    fields[0:7] = [
        str(number),
        value_type,
        _test_code(row, catalog),
        row.run or None,
        value,
        _unit(row),
        row.interval_text or None,
    ]
    fields[7] = row.flag or ("N" if row.interval_text else None)
    fields[10] = _OBX_STATUS[row.status]
    fields[13] = _collected(specimen)
    fields[15] = row.validator or None
    fields[17] = (device.name, device.driver) if device else None
    fields[18] = timestamp(row.analysed_at) if row.analysed_at else None
    fields[22] = facility
    return segment("OBX", *fields)


def _value(row: Observation, catalog: Catalog) -> tuple[str, Value]:
    """OBX-2 and OBX-5: NM for a number, SN for a comparator with one, ST for words."""
    test = catalog.tests.get(row.test_code)
    if row.value is None or (test is not None and test.value_type is not ValueType.NUMERIC):
        return "ST", row.reported.strip()
    shown = f"{row.value:f}"
    return ("SN", (row.comparator, shown)) if row.comparator else ("NM", shown)


def _unit(row: Observation) -> Value:
    if not row.unit:
        return None
    return (row.unit_ucum, row.unit, "UCUM") if row.unit_ucum else (row.unit, row.unit, "L")


def _test_code(row: Observation, catalog: Catalog) -> Value:
    test = catalog.tests.get(row.test_code)
    name = test.names.get("en", row.test_code) if test else row.test_code
    loinc = (
        next((code.value for code in test.codes if code.system == LOINC_SYSTEM), "") if test else ""
    )
    if loinc:
        return (loinc, name, "LN", row.test_code, name, "L")
    return (row.test_code, name, "L")


def _collected(specimen: Specimen | None) -> Value:
    if specimen is None or specimen.collected_from is None:
        return None
    return timestamp(specimen.collected_from.astimezone(UTC))


def _spm(specimen: Specimen) -> str:
    fields: list[Value] = [None] * 17
    fields[0:4] = [
        "1",
        ((specimen.accession, APPLICATION), (specimen.accession, APPLICATION)),
        None,
        (specimen.specimen_type, None, "HL70487"),
    ]
    fields[16] = _collected(specimen)
    return segment("SPM", *fields)
