"""What people do with results that wait (S07, S08, S20).

Every action carries what the person saw: id, version and hash of the row. If any of it differs from what
is stored, the action is refused with the fresh row, and nothing has changed. A person passes only what
`lis.results.lanes.OVERRIDABLE` allows; a closed gate only through a signed exception inside its window, a
rejected one never (S02).

Verifying releases with `visible_from` five seconds ahead. Until then `undo` takes it back and nobody outside
has seen anything; after that only a correction helps.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from lis.domain.catalog import Catalog
from lis.domain.errors import NotFound, Refused
from lis.domain.lifecycle import BENCH, OUTWARD, BenchEvent, BenchState, OutwardEvent
from lis.domain.messages import Reason, ResultStatus
from lis.results.autoverification import regate
from lis.results.desk import COMMENT_MAX, Desk, Shown, as_run, needed, say
from lis.results.hand_entry import check_second_person
from lis.results.lanes import WorklistLane
from lis.results.passing import Passing, PresentFacts, may_pass
from lis.results.reads import Row
from lis.results.reflexing import after_decision
from lis.results.release import ReleaseGroup, Reports
from lis.results.reporting import ReportedRun
from lis.results.verdicts import RuleVerdict, passed
from lis.store.report_queries import cancel_deliveries, deliveries_of
from lis.store.rows import Observation, OutboxState
from lis.store.unit import Unit
from lis.store.worklist_queries import confirm_calls

UNDO_WINDOW = timedelta(seconds=5)  # S08
BULK_MAX = 500  # rows of one bulk action: one screen
RULE_VALIDATOR = "rule:"
CHOICE_REASONS = frozenset(
    {
        Reason.SECOND_RUN,
        Reason.EDITED_ON_ANALYZER,
        Reason.POSSIBLE_DUPLICATE,
        Reason.WAITS_FOR_REPEAT,
    }
)
WAITING = frozenset({BenchState.RECEIVED, BenchState.HELD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A result was verified; it may be undone until `visible_from`."""

    observation_id: int
    report_version: int
    row: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkVerified:
    """Exactly the listed rows, each verified or refused with its code."""

    verified: tuple[int, ...]
    refused: dict[int, str]


def verify(
    unit: Unit,
    catalog: Catalog,
    shown: Shown,
    *,
    user: str,
    acknowledged: frozenset[Reason] = frozenset(),
) -> Verified:
    """Release one result by a person. `Refused` names every reason that stands in the way."""
    desk = Desk.load(unit, catalog, [shown.observation_id])
    changed = _pass(desk, shown, user, acknowledged)
    row = desk.row(shown.observation_id)
    reports = _publish(desk, [(row, changed)])
    after_decision(unit, catalog, [row.id])
    return Verified(
        observation_id=row.id,
        report_version=reports.version(_request_of(row)),
        row=desk.shows(row),
    )


def verify_many(unit: Unit, catalog: Catalog, shown: Sequence[Shown], *, user: str) -> BulkVerified:
    """Verify CLEAR rows: exactly the listed ids and versions, the server decides each (S07)."""
    return _verify_listed(unit, catalog, shown, user, specimen_id=None)


def verify_specimen_clear(
    unit: Unit, catalog: Catalog, specimen_id: int, shown: Sequence[Shown], *, user: str
) -> BulkVerified:
    """Verify the listed rows of one tube that no rule objects to; other tubes' rows are refused."""
    return _verify_listed(unit, catalog, shown, user, specimen_id=specimen_id)


def undo(unit: Unit, catalog: Catalog, observation_id: int, *, user: str) -> Row:
    """Take back a verification that nobody outside can have seen, or a rejection (S08)."""
    desk = Desk.load(unit, catalog, [observation_id])
    row = desk.row(observation_id)
    if row.bench_state is BenchState.REJECTED:
        row.bench_state = BENCH.apply(row.bench_state, BenchEvent.UNDO)
        desk.moved(row, "undo", user)
        after_decision(unit, catalog, [row.id])
        return desk.shows(row)
    if row.bench_state is not BenchState.RELEASED or row.validator.startswith(RULE_VALIDATOR):
        raise Refused("nothing_to_undo", state=row.bench_state.value)
    if row.visible_from is None or unit.now >= row.visible_from:
        raise Refused("undo_too_late")
    if row.status is not ResultStatus.FINAL:
        raise Refused("undo_of_correction")  # the replaced value would have to be revived
    _take_back(desk, row, user)
    after_decision(unit, catalog, [row.id])
    return desk.shows(row)


def reject(unit: Unit, catalog: Catalog, shown: Shown, *, reason: str, user: str) -> Row:
    """Decide that a value will not be reported; it stays readable with the reason."""
    text = needed(reason)
    desk = Desk.load(unit, catalog, [shown.observation_id])
    row = desk.as_shown(shown)
    row.bench_state = BENCH.apply(row.bench_state, BenchEvent.REJECT)
    say(row, passed("rejected", user=user, reason=text))
    desk.moved(row, "reject", user, reason=text)
    after_decision(unit, catalog, [row.id])
    return desk.shows(row)


def comment(unit: Unit, catalog: Catalog, shown: Shown, *, text: str, user: str) -> Row:
    """Add a comment that goes out with the value; only while it waits."""
    added = needed(text)
    desk = Desk.load(unit, catalog, [shown.observation_id])
    row = desk.as_shown(shown)
    if row.bench_state not in WAITING:
        raise Refused("already_decided", state=row.bench_state.value)
    joined = "\n".join(part for part in (row.comment, added) if part)
    if len(joined) > COMMENT_MAX:
        raise Refused("comment_too_long", limit=COMMENT_MAX)
    row.comment = joined
    desk.moved(row, "comment", user, text=added)
    return desk.shows(row)


def choose_run(unit: Unit, catalog: Catalog, shown: Shown, *, reason: str, user: str) -> Row:
    """S20: a person says which run counts, and why; the others stay visible as superseded.

    A run that was already released stays out until the chosen one is verified: that is a correction.
    """
    text = needed(reason)
    desk = Desk.load(unit, catalog, [shown.observation_id])
    row = desk.as_shown(shown)
    if row.specimen_id is None or row.bench_state not in WAITING:
        raise Refused("nothing_to_choose", state=row.bench_state.value)
    for other in desk.siblings(row):
        if other.bench_state in WAITING:
            other.bench_state = BENCH.apply(other.bench_state, BenchEvent.SUPERSEDE)
            other.is_chosen = False
            say(other, passed("run_choice", chosen=row.id, user=user, reason=text))
            desk.moved(other, "supersede", user, reason=text)
    row.is_chosen = True
    row.holds = [code for code in row.holds if Reason(code) not in CHOICE_REASONS]
    say(row, passed("run_choice", chosen=row.id, user=user, reason=text))
    desk.moved(row, "choose_run", user, reason=text)
    after_decision(unit, catalog, [row.id])
    return desk.shows(row)


# --- verifying ----------------------------------------------------------------------------------


def _verify_listed(
    unit: Unit, catalog: Catalog, shown: Sequence[Shown], user: str, *, specimen_id: int | None
) -> BulkVerified:
    if len(shown) > BULK_MAX:
        raise Refused("bulk_too_large", count=len(shown), limit=BULK_MAX)
    desk = Desk.load(unit, catalog, [one.observation_id for one in shown])
    refused: dict[int, str] = {}
    verified: dict[int, list[ReportedRun]] = {}
    for one in shown:
        try:
            row = desk.as_shown(one)
            if specimen_id is not None and row.specimen_id != specimen_id:
                raise Refused("other_specimen")
            if row.lane != WorklistLane.CLEAR.value:
                raise Refused("not_clear")
            verified[row.id] = _pass(desk, one, user, frozenset())
        except NotFound:
            refused[one.observation_id] = "not_found"
        except Refused as refusal:
            refused[one.observation_id] = refusal.code
    _publish(desk, [(desk.row(key), changed) for key, changed in verified.items()])
    after_decision(unit, catalog, verified.keys())
    return BulkVerified(verified=tuple(verified), refused=refused)


def _pass(
    desk: Desk, shown: Shown, user: str, acknowledged: frozenset[Reason]
) -> list[ReportedRun]:
    """Release a row as it was shown, or refuse; returns every run of its report that changed."""
    row = desk.as_shown(shown)
    if row.bench_state not in WAITING:
        raise Refused("already_decided", state=row.bench_state.value)
    check_second_person(row, user)
    gate = desk.gate_of(row)
    passing = _ask(desk, row, gate, acknowledged)
    if passing.obstacles:
        raise Refused(passing.obstacles[0], reasons=list(passing.obstacles))
    say(row, gate)
    replaced = _supersede_released(desk, row, user)
    row.bench_state = BENCH.apply(row.bench_state, BenchEvent.RELEASE)
    row.status = OUTWARD.apply(row.status, OutwardEvent.REPORT_FINAL)
    if replaced:
        row.status = OUTWARD.apply(row.status, OutwardEvent.CORRECT)
    row.released_at, row.visible_from = desk.unit.now, desk.unit.now + UNDO_WINDOW
    row.validator, row.shown_hash = user, shown.hash
    row.signature = f"verified:{shown.hash}"
    _name_exception(row, gate)
    despite = " ".join(reason.value for reason in passing.despite)
    say(row, passed("verified", user=user, despite=despite, seen=shown.hash))
    row.holds = []
    desk.moved(row, "verify", user, seen=shown.hash, despite=despite)
    return [*replaced, as_run(row)]


def _ask(
    desk: Desk, row: Observation, gate: RuleVerdict, acknowledged: frozenset[Reason]
) -> Passing:
    request = desk.requests.get(row.service_request_id or 0)
    specimen = desk.specimens.get(row.specimen_id or 0)
    return may_pass(
        PresentFacts(
            holds=regate(tuple(Reason(reason) for reason in row.holds), gate),
            gate=gate,
            is_bound=row.patient_id is not None and row.test_code != "",
            is_chosen=row.is_chosen,
            request_state=request.state if request else None,
            specimen_state=specimen.state if specimen else None,
            suspicion=specimen.suspicion if specimen else "",
            acknowledged=acknowledged,
            is_quarantined=(row.device_id, row.test_code) in desk.quarantined,
        )
    )


def _name_exception(row: Observation, gate: RuleVerdict) -> None:
    """S02: a report that left through an exception says so."""
    excused = gate.parameters.get("exception_reason", "")
    if excused and excused not in row.comment:
        row.comment = "\n".join(part for part in (row.comment, excused) if part)


def _supersede_released(desk: Desk, row: Observation, user: str) -> list[ReportedRun]:
    """A run of the same tube that is out already is replaced: a correction (promise 6)."""
    replaced = []
    for other in desk.siblings(row):
        if other.bench_state is BenchState.RELEASED and other.is_chosen:
            other.bench_state = BENCH.apply(other.bench_state, BenchEvent.SUPERSEDE)
            other.is_chosen = False
            row.previous_id = row.previous_id or other.id
            desk.moved(other, "supersede", user, corrected_by=row.id)
            replaced.append(as_run(other))
    return replaced


def _publish(desk: Desk, verified: Iterable[tuple[Observation, list[ReportedRun]]]) -> Reports:
    """One report version per request for everything that was verified at once."""
    together: dict[int, list[ReportedRun]] = {}
    rows = []
    for row, changed in verified:
        together.setdefault(_request_of(row), []).extend(changed)
        rows.append(row.id)
    desk.unit.session.flush()
    confirm_calls(desk.unit.session, rows)
    reports = Reports.load(desk.unit, together.keys())
    for request_id, runs in together.items():
        group = ReleaseGroup(
            service_request_id=request_id,
            changed=tuple(runs),
            not_before=desk.unit.now + UNDO_WINDOW,
        )
        reports.publish(desk.unit, group)
    reports.write(desk.unit)
    return reports


def _take_back(desk: Desk, row: Observation, user: str) -> None:
    """Undo a verification: cancel what waits to leave, and report again what else it carried."""
    reports = Reports.load(desk.unit, {_request_of(row)})
    carries_others = _cancel_deliveries(desk.unit, reports.public_id(_request_of(row)), row.id)
    row.bench_state = BENCH.apply(row.bench_state, BenchEvent.UNDO)
    row.status = OUTWARD.apply(row.status, OutwardEvent.UNDO)
    row.released_at = row.visible_from = None
    row.validator = row.signature = ""
    row.holds = _despite(row)
    desk.moved(row, "undo", user)
    group = ReleaseGroup(
        service_request_id=_request_of(row), changed=(as_run(row),), not_before=desk.unit.now
    )
    reports.publish(desk.unit, group, delivers=carries_others)
    reports.write(desk.unit)


def _cancel_deliveries(unit: Unit, report_public_id: str, observation_id: int) -> bool:
    """Cancel deliveries that name this observation; whether they also carried something else."""
    ours = [
        delivery
        for delivery in deliveries_of(unit.session, report_public_id)
        if observation_id in delivery.payload.get("observations", ())
        and delivery.state is not OutboxState.CANCELLED
    ]
    if any(one.state is not OutboxState.NEW or one.lease_until is not None for one in ours):
        raise Refused("undo_too_late")
    cancel_deliveries(unit.session, [one.id for one in ours])
    carried = {key for one in ours for key in one.payload.get("new", ())}
    return bool(carried - {observation_id})


def _request_of(row: Observation) -> int:
    assert row.service_request_id is not None, "a verified row has a request"
    return row.service_request_id


def _despite(row: Observation) -> list[str]:
    """The reasons that stood before the person passed over them."""
    for verdict in reversed(row.verdicts):
        if verdict["rule"] == "verified":
            return str(verdict["parameters"].get("despite", "")).split()
    return []
