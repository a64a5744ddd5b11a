"""The one place from which results leave: report versions and their deliveries (S03, promise 6).

Whoever released results (the rules in intake, a person in validation) hands them here in groups: what one
message or one person released for one service request at one moment. Each group makes one new version of
that request's report and one outbox row per destination:

    key        report public id : version : destination     used once for ever
    order key  filler order number                           one order's versions leave in order
    payload    every observation the version reports, and which of them are new in it

The version's status is derived from the runs that count (`lis.results.reporting`). A version never leaves
before the one in front of it: while a person may still undo (S08), later versions of that report wait too.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lis.domain.lifecycle import SERVICE_REQUEST, RequestEvent, RequestState
from lis.domain.result_facts import RequestFacts
from lis.results.reporting import ReportedRun, ReportStatus, report_status
from lis.store.observation_queries import insert_rows, reserve_ids, update_rows
from lis.store.observation_rows import DiagnosticReport
from lis.store.report_queries import (
    expected_tests,
    lock_requests,
    move_requests,
    released_runs,
    reports_of,
)
from lis.store.unit import Unit

NO_EMR = frozenset({"", "form"})  # requisition sources that nobody outside listens for
_WHOLE = frozenset({ReportStatus.FINAL, ReportStatus.CORRECTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseGroup:
    """What was released (or taken back) for one request at one moment."""

    service_request_id: int
    changed: tuple[ReportedRun, ...]
    not_before: datetime


@dataclass(slots=True, kw_only=True)
class _Book:
    """One request's report while versions are added to it."""

    request: RequestFacts
    report_id: int
    public_id: str
    is_new: bool
    version: int
    status: str
    expected: frozenset[str]
    runs: dict[int, ReportedRun]
    state: RequestState
    is_changed: bool = False


@dataclass(slots=True)
class Reports:
    """The reports of some requests inside one unit of work."""

    books: dict[int, _Book] = field(default_factory=dict)

    @classmethod
    def load(cls, unit: Unit, request_ids: Collection[int]) -> "Reports":
        """Lock the requests and read what their reports say now, before anything is added."""
        if not request_ids:
            return cls()
        requests = lock_requests(unit.session, request_ids)
        stored = reports_of(unit.session, request_ids)
        expected = expected_tests(unit.session, request_ids)
        runs: dict[int, dict[int, ReportedRun]] = {}
        for row in released_runs(unit.session, request_ids):
            request_id = row.pop("service_request_id")
            runs.setdefault(request_id, {})[row["id"]] = ReportedRun(**row)
        missing = [key for key in requests if key not in stored]
        fresh = reserve_ids(unit.session, DiagnosticReport, len(missing))
        new_ids = dict(zip(missing, fresh, strict=True))
        books = {}
        for key, request in requests.items():
            report = stored.get(key)
            books[key] = _Book(
                request=request,
                report_id=report.id if report else new_ids[key],
                public_id=report.public_id if report else unit.ids.new(),
                is_new=report is None,
                version=report.version if report else 0,
                status=report.status if report else ReportStatus.REGISTERED.value,
                expected=frozenset(expected.get(key, ())),
                runs=runs.get(key, {}),
                state=request.state,
            )
        return cls(books)

    def public_id(self, request_id: int) -> str:
        """The public id of a request's report."""
        return self.books[request_id].public_id

    def version(self, request_id: int) -> int:
        """The newest version of a request's report."""
        return self.books[request_id].version

    def publish(self, unit: Unit, group: ReleaseGroup, *, delivers: bool = True) -> None:
        """Add one version with its deliveries; without them when nobody has to hear of it."""
        book = self.books[group.service_request_id]
        for run in group.changed:
            book.runs[run.id] = run
        counting = [run for run in book.runs.values() if run.counts]
        not_before = max(
            [group.not_before, *(run.visible_from for run in counting if run.visible_from)]
        )
        book.version += 1
        book.status = report_status(book.expected, book.runs.values()).value
        book.is_changed = True
        _move_request(book)
        payload = {
            "report": book.report_id,
            "version": book.version,
            "observations": sorted(run.id for run in counting),
            "new": sorted(run.id for run in group.changed if run.counts),
        }
        if counting and delivers:
            self._deliver(unit, book, payload, not_before)
        unit.audit("publish", "report", book.public_id, after={**payload, "status": book.status})
        unit.publish("report", book.public_id)

    def write(self, unit: Unit) -> None:
        """Write what changed; called once, after the observations are in."""
        changed = [book for book in self.books.values() if book.is_changed]
        insert_rows(
            unit.session,
            DiagnosticReport,
            [
                {
                    "id": book.report_id,
                    "public_id": book.public_id,
                    "service_request_id": book.request.id,
                    "created_at": unit.now,
                    "status": book.status,
                    "version": book.version,
                    "document_set": book.public_id,
                }
                for book in changed
                if book.is_new
            ],
        )
        update_rows(
            unit.session,
            DiagnosticReport,
            [
                {"id": book.report_id, "status": book.status, "version": book.version}
                for book in changed
                if not book.is_new
            ],
        )
        move_requests(
            unit.session,
            [
                {"id": book.request.id, "state": book.state}
                for book in changed
                if book.state is not book.request.state
            ],
        )

    def _deliver(
        self, unit: Unit, book: _Book, payload: dict[str, Any], not_before: datetime
    ) -> None:
        if book.request.source in NO_EMR:
            return
        destination = f"emr:{book.request.source}"
        unit.send(
            destination=destination,
            key=f"{book.public_id}:{book.version}:{destination}",
            order_key=book.request.filler_number,
            payload=payload,
            not_before=not_before,
        )


def _move_request(book: _Book) -> None:
    """COMPLETED exactly while everything that is wanted is out."""
    is_whole = ReportStatus(book.status) in _WHOLE
    event = RequestEvent.COMPLETE if is_whole else RequestEvent.REOPEN
    if SERVICE_REQUEST.allows(book.state, event):
        book.state = SERVICE_REQUEST.apply(book.state, event)
