"""Queries about printed labels."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from lis.domain.lifecycle import LIVE_SPECIMEN_STATES
from lis.store.label_rows import LabelPrint
from lis.store.order_rows import Specimen


def prints_of(session: Session, specimen_id: int) -> list[LabelPrint]:
    """The labels of one tube, oldest first."""
    query = select(LabelPrint).where(LabelPrint.specimen_id == specimen_id)
    return list(session.scalars(query.order_by(LabelPrint.number)))


def unlabelled_after(
    session: Session, specimen_id: int, *, site_id: int, limit: int
) -> list[Specimen]:
    """Live tubes of a site, made after this one, that nobody has asked a label for; oldest first."""
    printed = select(LabelPrint.id).where(LabelPrint.specimen_id == Specimen.id).exists()
    query = select(Specimen).where(
        Specimen.id > specimen_id,
        Specimen.site_id == site_id,
        Specimen.state.in_(tuple(LIVE_SPECIMEN_STATES)),
        ~printed,
    )
    return list(session.scalars(query.order_by(Specimen.id).limit(limit)))


def newest_labelled(session: Session, printer: str) -> int | None:
    """The newest tube that this printer made a first label for."""
    return session.scalar(
        select(func.max(LabelPrint.specimen_id)).where(
            LabelPrint.printer == printer, LabelPrint.number == 1
        )
    )


def newest_specimen(session: Session) -> int:
    """The newest tube; 0 before the first."""
    return session.scalar(select(func.max(Specimen.id))) or 0
