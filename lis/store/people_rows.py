"""Rows about places and people: sites, patients, their identifiers and contacts."""

from datetime import datetime

from sqlalchemy import Connection, ForeignKey, Index, UniqueConstraint, event
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, Mapper, mapped_column

from lis.domain.accession import DEFAULT_PATTERN
from lis.domain.names import folded
from lis.store.base import Base, FoldedText, Key

NAME_PARTS = ("family_name", "given_name", "middle_name")


class Site(Base):
    """A branch of the laboratory; its zone decides how its times are shown."""

    __tablename__ = "site"

    id: Mapped[Key] = mapped_column(init=False)
    name: Mapped[str] = mapped_column(unique=True)
    timezone: Mapped[str]
    accession: Mapped[str] = mapped_column(
        default=DEFAULT_PATTERN
    )  # how its tubes are numbered: `lis.domain.accession`


def _folded_on_insert(context: DefaultExecutionContext) -> str:
    """For inserts of any kind, in bulk as well."""
    row: dict[str, str | None] = context.get_current_parameters()  # type: ignore[no-untyped-call]  # SQLAlchemy's
    return folded(*(row.get(part) or "" for part in NAME_PARTS))


class Patient(Base):
    """A person. `birth_date` is YYYY, YYYY-MM or YYYY-MM-DD: exactly as precise as it is known."""

    __tablename__ = "patient"

    id: Mapped[Key] = mapped_column(init=False)
    public_id: Mapped[str] = mapped_column(unique=True)
    site_id: Mapped[int] = mapped_column(ForeignKey("site.id"))
    family_name: Mapped[str] = mapped_column(index=True)
    created_at: Mapped[datetime]
    given_name: Mapped[str] = mapped_column(default="")
    middle_name: Mapped[str] = mapped_column(default="")
    birth_date: Mapped[str] = mapped_column(default="")
    sex: Mapped[str] = mapped_column(default="U")
    language: Mapped[str] = mapped_column(default="")
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("patient.id"), default=None)
    version: Mapped[int] = mapped_column(default=1)
    folded_name: Mapped[str] = mapped_column(
        FoldedText(), init=False, repr=False, compare=False, insert_default=_folded_on_insert
    )  # for searches; follows the name by itself


@event.listens_for(Patient, "before_update")
def _fold_again(_mapper: Mapper[Patient], _connection: Connection, row: Patient) -> None:
    row.folded_name = folded(*(getattr(row, part) for part in NAME_PARTS))


class PatientIdentifier(Base):
    """One identifier of a patient: (system, value) with the issuer that assigned it."""

    __tablename__ = "patient_identifier"
    __table_args__ = (
        UniqueConstraint("system", "issuer", "value"),
        Index("ix_patient_identifier_value", "value"),
    )

    id: Mapped[Key] = mapped_column(init=False)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patient.id"), index=True)
    system: Mapped[str]
    value: Mapped[str]
    issuer: Mapped[str] = mapped_column(default="")


class PatientContact(Base):
    """A way to reach a patient, and the consent to use it."""

    __tablename__ = "patient_contact"

    id: Mapped[Key] = mapped_column(init=False)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patient.id"), index=True)
    channel: Mapped[str]  # email, phone, webhook
    value: Mapped[str]
    consented_at: Mapped[datetime | None] = mapped_column(default=None)
    withdrawn_at: Mapped[datetime | None] = mapped_column(default=None)


class PatientAccess(Base):
    """A receipt's code: only its hash is stored; it opens nothing without the date of birth."""

    __tablename__ = "patient_access"

    id: Mapped[Key] = mapped_column(init=False)
    requisition_id: Mapped[int] = mapped_column(ForeignKey("requisition.id"), index=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    failures: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None] = mapped_column(default=None)
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)
    last_used_at: Mapped[datetime | None] = mapped_column(default=None)


Index("ix_patient_name", Patient.family_name, Patient.given_name)
Index("ix_patient_folded_name", Patient.folded_name, Patient.id)
Index("ix_patient_contact_value", PatientContact.value)
