"""Order entry while it is typed: advice from what is stored, and the draft that survives a closed browser.

A draft is one person's working paper: it is overwritten with each change and thrown away when the order is placed,
so it leaves no audit entry; the order does.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.orm import Session

from lis.domain.catalog import Catalog
from lis.orders.desk import split_codes
from lis.orders.entry_advice import Advice, EntryFacts, PastTest, TubeNeeded, warnings_of
from lis.orders.reads import PatientView, chosen_patient
from lis.orders.routing import plan_orders
from lis.store.list_rows import OrderDraft
from lis.store.lookup_queries import earlier_tests
from lis.store.people_queries import patient_by_public_id
from lis.store.unit import Unit
from lis.store.workplan_queries import draft_of

LOOKED_BACK: Final = timedelta(days=30)  # an order that is still open after that is no duplicate
DRAFT_LIFE: Final = timedelta(hours=12)  # a shift


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a person was typing."""

    changed_at: datetime
    body: Mapping[str, Any]
    patient: PatientView | None  # who was chosen, as he is known now


def advise(
    session: Session,
    catalog: Catalog,
    *,
    codes: str,
    patient: str,
    typed: EntryFacts,
    at: datetime,
) -> Advice:
    """The tubes and warnings for what is typed; `patient`: public id of a chosen one, or ""."""
    known, unknown = split_codes(catalog, codes)
    person = patient_by_public_id(session, patient) if patient else None
    facts = EntryFacts(
        codes=known,
        past=_past(session, catalog, known, person.id, at) if person else (),
        has_patient=person is not None or typed.has_patient,
        birth_date=person.birth_date if person else typed.birth_date,
        sex=person.sex if person else typed.sex,
        is_collection_known=typed.is_collection_known,
        priority=typed.priority,
        requester=typed.requester,
    )
    return Advice(
        tubes=tubes_for(catalog, known),
        warnings=warnings_of(catalog, facts, at=at),
        unknown=unknown,
    )


def tubes_for(catalog: Catalog, codes: tuple[str, ...]) -> tuple[TubeNeeded, ...]:
    """The tubes to collect, by specimen type and container, with what each is for."""
    counts: Counter[tuple[str, str]] = Counter()
    tests: dict[tuple[str, str], list[str]] = {}
    for tube in plan_orders(catalog, codes).tubes:
        kind = (tube.specimen_type, tube.container)
        counts[kind] += 1
        tests.setdefault(kind, []).extend(tube.tests)
    return tuple(
        TubeNeeded(
            specimen_type=specimen_type,
            container=code,
            names=catalog.containers[code].names if code in catalog.containers else {},
            cap=catalog.containers[code].cap if code in catalog.containers else "",
            count=counts[specimen_type, code],
            tests=tuple(named),
        )
        for (specimen_type, code), named in tests.items()
    )


def _past(
    session: Session, catalog: Catalog, codes: tuple[str, ...], patient_id: int, at: datetime
) -> tuple[PastTest, ...]:
    tests = {test.code: test for code in codes for test in catalog.tests_of(code)}
    longest = max(
        (one.minimum_interval or LOOKED_BACK for one in tests.values()), default=LOOKED_BACK
    )
    rows = earlier_tests(session, patient_id, tests, since=at - max(longest, LOOKED_BACK))
    return tuple(
        PastTest(
            test=row.test_code,
            state=row.state,
            ordered_at=row.created_at,
            collected_at=row.collected_from,
        )
        for row in rows
    )


# --- drafts -------------------------------------------------------------------------------------


def keep_draft(unit: Unit, user: str, body: Mapping[str, Any]) -> None:
    """Keep what is typed; each person has one draft."""
    known = draft_of(unit.session, user)
    if known is None:
        unit.session.add(OrderDraft(user=user, changed_at=unit.now, body=dict(body)))
    else:
        known.body, known.changed_at = dict(body), unit.now


def drop_draft(unit: Unit, user: str) -> None:
    """The order was placed, or its draft thrown away."""
    known = draft_of(unit.session, user)
    if known is not None:
        unit.session.delete(known)


def kept_draft(session: Session, user: str, at: datetime) -> Draft | None:
    """What the person was typing, unless it is from another shift."""
    known = draft_of(session, user)
    if known is None or at - known.changed_at >= DRAFT_LIFE:
        return None
    return Draft(
        changed_at=known.changed_at,
        body=known.body,
        patient=chosen_patient(session, str(known.body.get("patient", ""))),
    )
