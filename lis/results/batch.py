"""Everything one batch of messages needs to know, read in set queries before the fold begins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from lis.domain.catalog import Catalog, InstrumentTest, Test
from lis.domain.lifecycle import BenchState, WorkOrderState
from lis.domain.messages import BY_HAND, ReportedObservation, Translation
from lis.domain.result_facts import (
    DeviceFacts,
    OrderFacts,
    PastValue,
    PersonFacts,
    SpecimenFacts,
    StoredRun,
    WaitingResult,
)
from lis.results.runs import run_key
from lis.store.observation_queries import (
    devices_by_id,
    inbox_identities,
    open_alarms,
    orders_of,
    past_values,
    people,
    specimen_facts,
    stored_runs,
    waiting_results,
    work_orders_by_public_id,
)
from lis.store.quarantine_queries import quarantined_tests
from lis.store.unit import Unit

ALARM_KINDS = (
    "device_clock",
    "device_zone",
    "device_mismatch",
    "unit_changed",
    "number_seen_twice",
    "processing_failed",
)
_GONE = frozenset({BenchState.REJECTED, BenchState.SUPERSEDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One stored message, translated."""

    inbox_id: int
    device_id: int
    driver: str
    received_at: datetime
    sha256: bytes
    is_session_closed: bool | None
    translation: Translation


@dataclass(slots=True, kw_only=True)
class BatchFacts:
    """Facts by key; the fold adds the effects of earlier messages to the same tables (S12)."""

    catalog: Catalog
    devices: dict[int, DeviceFacts]
    specimens: dict[str, SpecimenFacts]
    people: dict[int, PersonFacts]
    orders: dict[int, list[OrderFacts]]
    runs_by_key: dict[str, list[StoredRun]]
    runs_by_tube: dict[tuple[int, str], list[StoredRun]]
    past: dict[tuple[int, str], list[PastValue]]
    waiting: list[WaitingResult]
    acknowledged: dict[str, tuple[int, WorkOrderState]] = field(default_factory=dict)
    alarms: set[tuple[str, str]] = field(default_factory=set)
    quarantined: set[tuple[int, str]] = field(default_factory=set)  # (device, test) (S23)
    positions: dict[tuple[int, int], set[str]] = field(default_factory=dict)
    """Where a device found a tube: (device, specimen) -> positions (S16)."""

    def move_order(self, moved: OrderFacts, state: WorkOrderState) -> None:
        """A work order moved: later messages of the batch see its new state."""
        orders = self.orders[moved.specimen_id]
        place = next(
            place
            for place, order in enumerate(orders)
            if order.work_order_id == moved.work_order_id
        )
        orders[place] = replace(orders[place], state=state)

    def add_run(self, run: StoredRun) -> None:
        """Remember a run, so that later messages of the batch see it."""
        self.runs_by_key.setdefault(run.run_key, []).append(run)
        if run.specimen_id is not None:
            self.runs_by_tube.setdefault((run.specimen_id, run.test), []).append(run)
            if run.position and run.device_id is not None and run.bench_state not in _GONE:
                place = (run.device_id, run.specimen_id)
                self.positions.setdefault(place, set()).add(run.position)


_UNMAPPED = InstrumentTest(driver="", code="", test="", unit="")


def mapping_of(
    catalog: Catalog, driver: str, reported: ReportedObservation
) -> tuple[Test | None, InstrumentTest]:
    """The test behind an instrument's code, with the unit and method the catalog expects."""
    if driver == BY_HAND:  # a person was shown our own code and unit
        own = catalog.tests.get(reported.test)
        unit = own.unit if own else ""
        return own, InstrumentTest(driver=driver, code=reported.test, test=reported.test, unit=unit)
    entry = catalog.by_instrument_code.get((driver, reported.test))
    return (catalog.tests.get(entry.test), entry) if entry else (None, _UNMAPPED)


def test_of(catalog: Catalog, driver: str, reported: ReportedObservation) -> Test | None:
    """The catalog's test behind an instrument's code."""
    return mapping_of(catalog, driver, reported)[0]


def load_facts(
    unit: Unit,
    catalog: Catalog,
    messages: Sequence[Message],
    *,
    is_control: Callable[[int, ReportedObservation], bool],
) -> BatchFacts:
    """Read what the batch needs. `is_control`: whether a value belongs to quality control."""
    session = unit.session
    devices = devices_by_id(session, {message.device_id for message in messages})
    reported = [(message, one) for message in messages for one in message.translation.observations]
    specimens = specimen_facts(session, {one.specimen for _, one in reported if one.specimen})
    specimen_ids = {specimen.id for specimen in specimens.values()}
    patient_ids = {specimen.patient_id for specimen in specimens.values()}
    tests: set[str] = set()
    controlled: set[tuple[int, str]] = set()
    for message, one in reported:
        test = test_of(catalog, devices[message.device_id].driver, one)
        if test is not None:
            tests.add(test.code)
            if is_control(message.device_id, one):
                controlled.add((message.device_id, test.code))
    runs = stored_runs(
        session,
        run_keys={run_key(message.device_id, one) for message, one in reported},
        specimen_ids=specimen_ids,
    )
    facts = BatchFacts(
        catalog=catalog,
        devices=devices,
        specimens=specimens,
        people=people(session, patient_ids),
        orders=orders_of(session, specimen_ids),
        runs_by_key={},
        runs_by_tube={},
        past=past_values(session, patient_ids, tests),
        waiting=waiting_results(session, pairs=controlled, specimen_ids=specimen_ids),
        acknowledged=work_orders_by_public_id(
            session,
            {order for message in messages for order in message.translation.acknowledged_orders},
        ),
        alarms=open_alarms(session, ALARM_KINDS),
        quarantined=quarantined_tests(session, devices),
    )
    undated = {
        run_key(message.device_id, one) for message, one in reported if one.observed_at is None
    }
    for run in _with_identities(unit, runs, undated):
        facts.add_run(run)
    return facts


def _with_identities(unit: Unit, runs: list[StoredRun], undated: set[str]) -> list[StoredRun]:
    """Add the hash of the raw message where only it can tell a resend: runs without a time (S19)."""
    wanted = {run.inbox_id for run in runs if run.run_key in undated and run.inbox_id is not None}
    if not wanted:
        return runs
    identities = inbox_identities(unit.session, wanted)
    known = []
    for run in runs:
        sha256, is_closed = identities.get(run.inbox_id or 0, (b"", None))
        known.append(replace(run, raw_sha256=sha256, is_session_closed=is_closed))
    return known
