"""A stored value judged again: for the tube a person named, or for the test its code has got meanwhile.

Promise 3: what was held because nobody knew its code is not lost when the code is mapped. It becomes a new
version, judged in full with the catalog, controls and orders of today, beside the old one, which stays as
superseded. It waits for a person whatever the rules say: nothing that once was held leaves by itself.

Only a value whose tube is settled gets its test this way. One without a tube waits for a person who binds it
(`lis.results.binding`), and gets both at once.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import inspect

from lis.domain.catalog import Catalog
from lis.domain.control import GateKey
from lis.domain.lifecycle import BENCH, WORK_ORDER, BenchEvent, WorkOrderEvent
from lis.domain.messages import IdReadMode, Reason, ReportedObservation
from lis.domain.result_facts import SpecimenFacts
from lis.results.batch import mapping_of
from lis.results.desk import Desk, reported_of, say
from lis.results.judging import Judgement, Origin, Surroundings, judge
from lis.results.observation_row import unit_of
from lis.results.standing import new_standing
from lis.results.timing import MeasuredAt
from lis.results.verdicts import passed
from lis.store.code_queries import waiting_without_test
from lis.store.observation_queries import (
    devices_by_id,
    orders_of,
    past_values,
    people,
    specimen_facts,
    stored_runs,
)
from lis.store.rows import Observation, WorkOrder
from lis.store.unit import Unit

_CLOCK_REASONS = frozenset({Reason.CLOCK_OFFSET, Reason.CLOCK_ZONE, Reason.NO_CREDIBLE_TIME})


def judge_mapped_codes(
    unit: Unit, catalog: Catalog, device_id: int, codes: Collection[str], *, user: str
) -> int:
    """Judge what waits of these codes of an instrument, now that they have a test; how many there were."""
    session = unit.session
    driver = devices_by_id(session, [device_id])[device_id].driver
    tests: dict[int, str] = {}
    for row in waiting_without_test(session, device_id, codes):
        test, _ = mapping_of(catalog, driver, reported_of(row, IdReadMode(row.read_mode)))
        if test is not None:
            tests[row.id] = test.code
    desk = Desk.load(unit, catalog, sorted(tests), tests=tests)
    tubes = specimen_facts(session, {desk.row(one).specimen_text for one in tests})
    settled = [one for one in sorted(tests) if desk.row(one).specimen_text in tubes]
    for one in settled:
        row = desk.row(one)
        tube = tubes[row.specimen_text]
        reported = reported_of(row, IdReadMode(row.read_mode))
        judged, around = judge_stored(desk, row, tube, reported)
        made = next_version(desk, row, judged, around)
        say(made, passed("mapped", user=user, code=row.instrument_code, test=made.test_code))
        desk.moved(row, "map", user, version=made.version)
        desk.moved(made, "map", user, test=made.test_code)
        answer_order(unit, made)
    return len(settled)


def judge_stored(
    desk: Desk, row: Observation, specimen: SpecimenFacts, reported: ReportedObservation
) -> tuple[Judgement, Surroundings]:
    """Judge a stored value for this tube, as if its message came today with the time it was measured at."""
    session, catalog = desk.unit.session, desk.catalog
    device = devices_by_id(session, [row.device_id or 0])[row.device_id or 0]
    test, entry = mapping_of(catalog, device.driver, reported)
    code = test.code if test else ""
    runs = stored_runs(session, run_keys=(), specimen_ids=[specimen.id])
    gate = excuse = None
    if test is not None and row.analysed_at is not None:
        key = GateKey(
            device_id=device.id, test=code, module=row.module, reagent_lot=row.reagent_lot
        )
        gate = desk.controls.verdict(key, row.analysed_at)
        excuse = desk.controls.excuse(key, gate, row.analysed_at)
    around = Surroundings(
        device=device,
        test=test,
        expected_unit=entry.unit,
        method=entry.method,
        specimen=specimen,
        person=people(session, [specimen.patient_id]).get(specimen.patient_id),
        orders=orders_of(session, [specimen.id]).get(specimen.id, ()),
        same_key=(),
        same_test=[run for run in runs if run.test == code and run.id != row.id],
        past=past_values(session, [specimen.patient_id], [code]).get(
            (specimen.patient_id, code), ()
        ),
        gate=gate,
        excuse=excuse,
        known_types=frozenset(),
        is_quarantined=(device.id, code) in desk.quarantined,
    )
    clock = [Reason(code) for code in row.holds if Reason(code) in _CLOCK_REASONS]
    measured = MeasuredAt(
        at=row.analysed_at,
        offset_s=row.clock_offset_s,
        reason=clock[0] if clock else None,
    )
    origin = Origin(
        inbox_id=row.inbox_id or 0,
        received_at=row.created_at,
        raw_sha256=b"",
        sender_serial=row.serial,
    )
    return judge(reported, measured, origin, around), around


def next_version(
    desk: Desk, row: Observation, judged: Judgement, around: Surroundings, **other: Any
) -> Observation:
    """The same value as it stands now, superseding `row`; it waits for a person whatever the rules say.

    `other`: columns that a person changed, such as the value itself.
    """
    row.bench_state = BENCH.apply(row.bench_state, BenchEvent.SUPERSEDE)
    row.is_chosen = False
    specimen, order, test = judged.match.specimen, judged.match.order, around.test
    unit = unit_of(test, row.reported_unit, around.expected_unit)
    changes: dict[str, Any] = {
        "public_id": desk.unit.ids.new(),
        "created_at": desk.unit.now,
        "version": row.version + 1,
        "previous_id": row.id,
        "site_id": specimen.site_id if specimen else row.site_id,
        "specimen_id": specimen.id if specimen else None,
        "patient_id": specimen.patient_id if specimen else None,
        "service_request_id": order.service_request_id if order else None,
        "work_order_id": order.work_order_id if order else None,
        "test_code": test.code if test else "",
        "method": around.method,
        "unit": unit,
        "unit_ucum": test.ucum if test and row.reported_unit == around.expected_unit else "",
        "flag": judged.interpretation.flag.value,
        "interval_text": judged.interpretation.interval_text,
        "interval_reason": judged.interpretation.interval_reason,
        "catalog_version_id": desk.catalog.version_id,
        "row_version": 1,
        **other,
    }
    copied = _columns(row)
    made = Observation(**(copied | changes))
    desk.unit.session.add(made)
    desk.unit.session.flush()
    standing = new_standing({**copied, **changes, "id": made.id}, judged, None)
    standing.keep_waiting()
    for name, value in standing.values().items():
        setattr(made, name, value)
    made.verdicts = [verdict.document() for verdict in judged.rules.verdicts]
    return made


def answer_order(unit: Unit, row: Observation) -> None:
    """The work order of a new version has its result."""
    order = unit.session.get(WorkOrder, row.work_order_id) if row.work_order_id else None
    if order is not None and WORK_ORDER.allows(order.state, WorkOrderEvent.RESULT):
        order.state = WORK_ORDER.apply(order.state, WorkOrderEvent.RESULT)


def _columns(row: Observation) -> dict[str, Any]:
    names = [attribute.key for attribute in inspect(Observation).column_attrs]
    return {name: getattr(row, name) for name in names if name != "id"}
