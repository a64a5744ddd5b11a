"""News of people from an EMR: keep it, make two identities one, and judge again what depends on it (S28).

Every message is taken and answered AA. What no rule may carry out (an identifier of two people, a merge of two people who contradict
each other, a wrong check digit) waits on the page of identities, with its reason; a person settles it there. A merge
that was stopped is tried again when a later message removes the conflict.
"""

from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from lis.domain.catalog import Catalog
from lis.domain.errors import Refused
from lis.emr.adt_reading import MergeNews, PersonNews, ReadAdt, read_adt
from lis.emr.order_reading import UnusableOrder
from lis.emr.replying import PRODUCTION, Reply, accepted, foreign_traffic, refused
from lis.orders.identity import HeardPerson, MergeStopped, close_issue, hear_about, wait_for_person
from lis.results.person_changed import judge_person_again, merge_people
from lis.store.people_rows import Patient
from lis.store.referral_queries import open_issues
from lis.store.unit import Unit
from lis.wire.errors import ProtocolError
from lis.wire.hl7 import Message
from lis.wire.hl7_ack import ErrorCode, Hl7Error

MERGE_CONFLICT: Final = "merge_conflict"
BY_MESSAGE: Final = "message"  # the reason of a merge that an EMR asked for
ISSUES_TRIED: Final = 500  # stopped merges tried again after a message; more than a hospital has


def receive_adt(
    unit: Unit,
    catalog: Catalog,
    raw: bytes,
    *,
    emr: str,
    site_id: int,
    inbox_id: int,
    zone: tzinfo,
    accepts_test_traffic: bool = False,
) -> Reply:
    """Carry out one ADT message. Raises nothing for any bytes."""
    control_id = f"A{inbox_id}"
    try:
        request = Message.parse(raw)
    except ProtocolError as error:
        fault = Hl7Error(code=ErrorCode.SEGMENT_SEQUENCE, text=str(error))
        return refused(None, fault, control_id=control_id, at=unit.now)
    if request.processing_id[:1] != PRODUCTION and not accepts_test_traffic:
        return refused(request, foreign_traffic(request), control_id=control_id, at=unit.now)
    try:
        read = read_adt(request, zone=zone, received_at=unit.now)
    except UnusableOrder as unusable:
        return refused(request, unusable.error, control_id=control_id, at=unit.now)
    held = _carry_out(unit, catalog, read, emr=emr, site_id=site_id, inbox_id=inbox_id)
    return accepted(request, control_id=control_id, at=unit.now, held=held)


def _carry_out(
    unit: Unit, catalog: Catalog, read: ReadAdt, *, emr: str, site_id: int, inbox_id: int
) -> str:
    held = []
    hears = _Hearing(
        unit=unit, catalog=catalog, stamp=read.stamp, emr=emr, site_id=site_id, inbox_id=inbox_id
    )
    if not read.merges:
        held += [hears.person(one, str(number)).issue for number, one in enumerate(read.people, 1)]
    for number, one in enumerate(read.merges, 1):
        held.append(hears.merge(one, str(number)))
    hears.try_again()
    return " ".join(dict.fromkeys(reason for reason in held if reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hearing:
    """One message inside its unit of work."""

    unit: Unit
    catalog: Catalog
    stamp: str
    emr: str
    site_id: int
    inbox_id: int

    def person(self, news: PersonNews, subject: str) -> HeardPerson:
        heard = hear_about(
            self.unit,
            news.entry,
            dict(news.fields),
            stamp=self.stamp,
            site_id=self.site_id,
        )
        if heard.issue:
            self._wait(heard.issue, subject, {"patients": list(heard.named)})
        elif heard.is_judged_anew and heard.patient is not None:
            judge_person_again(self.unit, self.catalog, heard.patient.id, cause="adt")
        return heard

    def merge(self, news: MergeNews, subject: str) -> str:
        surviving = self.person(news.surviving, f"{subject}-surviving")
        retired = self.person(news.retired, f"{subject}-retired")
        if surviving.patient is None or retired.patient is None:
            return surviving.issue or retired.issue
        detail: dict[str, object] = {
            "retired": retired.patient.id,
            "surviving": surviving.patient.id,
        }
        try:
            merge_people(
                self.unit,
                self.catalog,
                retired.patient,
                surviving.patient,
                reason=BY_MESSAGE,
                stamp=self.stamp,
            )
        except MergeStopped as stopped:
            detail["conflicts"] = [one.value for one in stopped.conflicts]
            self._wait(MERGE_CONFLICT, subject, detail)
            return MERGE_CONFLICT
        except Refused:
            self._wait("merged_elsewhere", subject, detail)
            return "merged_elsewhere"
        return ""

    def try_again(self) -> None:
        """Merges that were stopped before may go now."""
        for issue in open_issues(self.unit.session, limit=ISSUES_TRIED):
            if issue.kind != MERGE_CONFLICT:
                continue
            retired = self.unit.session.get_one(Patient, issue.detail["retired"])
            surviving = self.unit.session.get_one(Patient, issue.detail["surviving"])
            try:
                merge_people(
                    self.unit,
                    self.catalog,
                    retired,
                    surviving,
                    reason=BY_MESSAGE,
                    stamp=issue.stamp,
                )
            except Refused:
                continue
            close_issue(self.unit, issue, "merged")

    def _wait(self, kind: str, subject: str, detail: dict[str, object]) -> None:
        wait_for_person(
            self.unit,
            kind=kind,
            source=self.emr,
            stamp=self.stamp,
            subject=subject,
            inbox_id=self.inbox_id,
            detail=detail,
        )
