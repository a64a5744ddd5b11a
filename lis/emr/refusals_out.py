"""To an EMR: the laboratory does not carry out one of its orders, and why (OML^O21 with ORC-1 OC, order cancelled).

    MSH PID ORC OBR NTE

Unlike an answer it comes later, when a person has looked at what was held; it waits in the outbox like a report.
"""

from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from lis.emr.results_out import APPLICATION, control_id
from lis.store.order_rows import Requisition, ServiceRequest
from lis.store.people_queries import identifiers_of
from lis.store.people_rows import Patient
from lis.store.rows import Outbox
from lis.wire.hl7_writer import Value, message, segment, timestamp

CANCELLED_BY_FILLER: Final = "OC"
CANCELLED: Final = "CA"  # table 0038


def render_refusal(
    session: Session, row: Outbox, *, destination: str, facility: str, at: datetime
) -> bytes:
    """The payload of one refusal."""
    request = session.get_one(ServiceRequest, row.payload["refusal"])
    requisition = session.get_one(Requisition, request.requisition_id)
    patient = session.get_one(Patient, requisition.patient_id)
    placer = (request.placer_number, request.placer_authority or None)
    filler = (request.filler_number, request.filler_authority or APPLICATION)
    sent = request.placer_code.split("^")
    service: Value = tuple(sent) if request.placer_code else (request.code, None, "L")
    reason = row.payload["reason"]
    return message(
        [
            segment(
                "MSH",
                APPLICATION,
                facility,
                destination.partition(":")[2],
                None,
                timestamp(at),
                None,
                ("OML", "O21", "OML_O21"),
                control_id(row.key),
                "P",
                "2.5.1",
                *[None] * 5,
                "UNICODE UTF-8",
            ),
            _pid(session, patient),
            segment(
                "ORC",
                CANCELLED_BY_FILLER,
                placer,
                filler,
                None,
                CANCELLED,
                *[None] * 3,
                timestamp(at),
                *[None] * 6,
                (None, reason),
            ),
            segment("OBR", "1", placer, filler, service),
            segment("NTE", "1", "L", reason),
        ]
    )


def _pid(session: Session, patient: Patient) -> str:
    identifiers: list[tuple[str | None, ...]] = [
        (one.value, None, None, one.issuer or None, one.system)
        for one in identifiers_of(session, patient.id)
    ]
    own = [(patient.public_id, None, None, APPLICATION, "PI")]
    name = (patient.family_name or None, patient.given_name, patient.middle_name)
    is_named = any(name)
    return segment(
        "PID", "1", None, identifiers or own, None, name if is_named else (*[None] * 6, "U")
    )
