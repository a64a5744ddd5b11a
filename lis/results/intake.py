"""Intake: from stored messages to judged, released or held results (promise 2).

Theory of operation. `Intake.run_once` takes the oldest NEW messages of the result lane and translates
them before it asks for the write lock (raw bytes never change). Their facts are loaded in set queries, they
are folded in inbox order, and one unit of work writes everything once.

On SQLite the fold is done ahead, over a read snapshot, so that analyzers which wait for an ACK wait for the
writing only. Inside the unit it counts only if no audit entry was added since the snapshot: every clinical
change leaves one, so the facts are then exactly what they would be now. Otherwise the batch is folded again
inside the unit. On PostgreSQL, where rows and not the whole store are locked, it is always done inside.

If anything fails, the unit rolls back and the messages go one by one, each in a unit of its own; the one
that still fails is held with `processing_failed` and an alarm, and nothing else waits for it. A store that
cannot be written at all (disk full, server gone) is no message's fault: that error goes up, the messages
stay NEW and the supervisor tries again.

Every message ends as processed or held; one that is cut was stored as incomplete and never comes here.
Running twice over the same message changes nothing: it is no longer NEW, and if a replay hands its bytes
in again, the identity of each run tells (S19).

The number of messages per unit adapts so that the write transaction stays near `UNIT_TARGET_S`. One
intake works at a time; on PostgreSQL a second one skips locked messages.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog
from sqlalchemy.orm import Session

from lis.domain.messages import Reason, SubjectKind, Translation
from lis.domain.repeat_rules import RepeatRules
from lis.orders.hostquery import is_ours
from lis.qc.recording import ControlFold, Reading
from lis.results.batch import Message, load_facts, test_of
from lis.results.effects import Effects, alarm
from lis.results.folding import Fold
from lis.results.following import follow_rules
from lis.results.runs import run_key
from lis.results.timing import judge_time
from lis.results.tubes_apart import apart
from lis.results.writing import write_effects
from lis.store.definitions import catalog_in_force
from lis.store.lock import Priority
from lis.store.observation_queries import (
    audit_head,
    insert_rows,
    lock_new,
    mark_inbox,
    new_results,
    reserve_ids,
)
from lis.store.observation_rows import Observation
from lis.store.repeat_queries import repeat_rules_in_force
from lis.store.rows import Alarm, Device, Inbox, InboxState
from lis.store.unit import Store, Unit, is_store_away

log = structlog.get_logger()

ACTOR = "intake"
UNIT_TARGET_S = 0.020  # DESIGN 3: no write transaction over 20 ms
MESSAGES_MIN = 1
MESSAGES_MAX = 100  # one claim; more gains nothing once set queries are amortised
MESSAGES_FIRST = 4
SAME_RUN_MAX = 100  # values of one run in one message; judging each against all others is quadratic

Translate = Callable[[Inbox, Device], Translation]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeReport:
    """What one round did."""

    claimed: int = 0
    processed: int = 0
    held: int = 0
    observations: int = 0
    released: int = 0
    controls: int = 0
    resent: int = 0
    unreadable: int = 0

    def plus(self, other: "IntakeReport") -> "IntakeReport":
        """Both together."""
        return IntakeReport(
            **{name: getattr(self, name) + getattr(other, name) for name in self.__slots__}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """One message, translated or not."""

    inbox_id: int
    device_id: int | None
    message: Message | None
    hold_reason: Reason | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folded:
    """A batch that was folded, and the audit entry up to which its facts hold."""

    head: int
    controls: ControlFold
    effects: Effects
    rules: RepeatRules


class Intake:
    """Processes stored messages, a few at a time."""

    def __init__(
        self,
        store: Store,
        translate: Translate,
        *,
        accepts_simulators: bool = False,
        elapsed: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._store = store
        self._translate = translate
        self._accepts_simulators = accepts_simulators
        self._elapsed = elapsed
        self._size = MESSAGES_FIRST

    def run_once(self, limit: int | None = None) -> IntakeReport:
        """Process the oldest new messages; `claimed` is 0 when there is nothing to do."""
        with self._store.read() as session:
            claims = self._claim(session, min(limit or MESSAGES_MAX, self._size))
            rules = repeat_rules_in_force(session, self._store.clock.now())
        if not claims:
            return IntakeReport()
        total = IntakeReport()
        for group in apart(claims, _tubes, _may_move_gates) if rules.version else [claims]:
            total = total.plus(self._process_group(group))
        return total

    def _process_group(self, claims: Sequence[_Claim]) -> IntakeReport:
        try:
            return self._process(claims)
        except Exception as error:
            if is_store_away(error):
                raise
            # a defect met by one message must not stop others
            log.warning("intake_batch_failed", messages=len(claims), error=type(error).__name__)
            return self._one_by_one(claims)

    def _adapt(self, took_s: float) -> None:
        """Keep the unit near its target: halve when too long, grow by a quarter when short."""
        if took_s > UNIT_TARGET_S:
            self._size = max(MESSAGES_MIN, self._size // 2)
        elif took_s < UNIT_TARGET_S * 0.6:
            self._size = min(MESSAGES_MAX, self._size + max(1, self._size // 4))

    # --- before the lock ------------------------------------------------------------------------

    def _claim(self, session: Session, limit: int) -> list[_Claim]:
        rows = new_results(session, limit)
        devices: dict[int | None, Device | None] = {}
        claims = []
        for row in rows:
            if row.device_id not in devices:
                devices[row.device_id] = (
                    session.get(Device, row.device_id) if row.device_id is not None else None
                )
            claims.append(self._read(row, devices[row.device_id]))
        return claims

    def _read(self, row: Inbox, device: Device | None) -> _Claim:
        """Translate one message; whatever the driver does, the message stays with us."""
        if device is None:
            return _Claim(
                inbox_id=row.id, device_id=None, message=None, hold_reason=Reason.UNKNOWN_DRIVER
            )
        try:
            translation = self._translate(row, device)
        except Exception as error:  # noqa: BLE001 - a driver's defect is that message's hold reason
            return _Claim(
                inbox_id=row.id,
                device_id=device.id,
                message=None,
                hold_reason=Reason.PROCESSING_FAILED,
                error=f"{type(error).__name__} in translate",
            )
        if _same_run_count(device.id, translation) > SAME_RUN_MAX:
            return _Claim(
                inbox_id=row.id,
                device_id=device.id,
                message=None,
                hold_reason=Reason.PROCESSING_FAILED,
                error=f"more than {SAME_RUN_MAX} values of one run in a message",
            )
        message = Message(
            inbox_id=row.id,
            device_id=device.id,
            driver=device.driver,
            received_at=row.received_at,
            sha256=row.sha256,
            is_session_closed=row.is_session_closed,
            translation=translation,
        )
        return _Claim(inbox_id=row.id, device_id=device.id, message=message)

    # --- one unit -------------------------------------------------------------------------------

    def _process(self, claims: Sequence[_Claim]) -> IntakeReport:
        folded = self._fold_ahead(claims) if self._store.is_sqlite else None
        with self._store.unit(ACTOR, priority=Priority.INTAKE) as unit:
            started = self._elapsed()
            still_new = lock_new(unit.session, {claim.inbox_id for claim in claims})
            ours = [claim for claim in claims if claim.inbox_id in still_new]
            is_current = len(ours) == len(claims)
            if folded is None or not is_current or folded.head != audit_head(unit.session):
                folded = self._fold(unit, ours)
            folded.controls.write(unit)
            write_effects(unit, folded.effects)
            follow_rules(unit, folded.rules, folded.effects)
            held = [claim for claim in ours if claim.message is None]
            for claim in held:
                _hold(unit, claim)
            report = _report(folded.effects, claimed=len(claims), also_held=len(held))
        self._adapt(self._elapsed() - started)
        return report

    def _fold_ahead(self, claims: Sequence[_Claim]) -> _Folded:
        """Fold over a snapshot, before the lock; used only if nothing clinical changed since."""
        with self._store.read() as session:
            ahead = Unit(
                session=session, now=self._store.clock.now(), actor=ACTOR, ids=self._store.ids
            )
            return self._fold(ahead, claims)

    def _fold(self, unit: Unit, claims: Sequence[_Claim]) -> _Folded:
        messages = [claim.message for claim in claims if claim.message is not None]
        catalog = catalog_in_force(unit.session, unit.now)
        rules = repeat_rules_in_force(unit.session, unit.now)
        readings = [
            Reading(
                device_id=message.device_id,
                test_code=test.code,
                at=judge_time(
                    observed_at=reported.observed_at,
                    sent_at=message.translation.sent_at,
                    received_at=message.received_at,
                ).at,
                observation=reported,
            )
            for message in messages
            for reported in message.translation.observations
            if (test := test_of(catalog, message.driver, reported)) is not None
        ]
        controls = ControlFold.load(unit, catalog, readings)
        facts = load_facts(
            unit,
            catalog,
            messages,
            is_control=lambda device_id, one: (
                one.kind is SubjectKind.CONTROL or controls.is_control(device_id, one) is not None
            ),
        )
        count = sum(len(message.translation.observations) for message in messages)
        fold = Fold(
            facts=facts,
            controls=controls,
            ids=iter(reserve_ids(unit.session, Observation, count)),
            new_public_id=unit.ids.new,
            now=unit.now,
            accepts_simulators=self._accepts_simulators,
            repeat_rules=rules,
        )
        for message in messages:
            fold.add(message)
        head = audit_head(unit.session)
        return _Folded(head=head, controls=controls, effects=fold.effects, rules=rules)

    # --- when something failed ------------------------------------------------------------------

    def _one_by_one(self, claims: Sequence[_Claim]) -> IntakeReport:
        """Each message alone; the poisoned one is held and the rest goes on."""
        total = IntakeReport()
        for claim in claims:
            try:
                report = self._process([claim])
            except Exception as error:  # held with an alarm, never lost, never a loop
                if is_store_away(error):
                    raise
                poisoned = replace(
                    claim,
                    message=None,
                    hold_reason=Reason.PROCESSING_FAILED,
                    error=type(error).__name__,
                )
                log.error("message_held", inbox=claim.inbox_id, error=type(error).__name__)
                report = self._process([poisoned])
            total = total.plus(report)
        return total


def process_batch(
    store: Store,
    *,
    translate: Translate,
    limit: int = MESSAGES_MAX,
    accepts_simulators: bool = False,
) -> IntakeReport:
    """Process up to `limit` messages in one unit; for tests and tools. `Intake` adapts by itself."""
    intake = Intake(store, translate, accepts_simulators=accepts_simulators)
    intake._size = limit  # noqa: SLF001 - the same module
    return intake.run_once(limit)


def _same_run_count(device_id: int, translation: Translation) -> int:
    """How often the most frequent run of a message occurs in it."""
    observations = translation.observations
    if len(observations) <= SAME_RUN_MAX:
        return 0
    return max(Counter(run_key(device_id, one) for one in observations).values())


def _tubes(claim: _Claim) -> frozenset[str]:
    observations = claim.message.translation.observations if claim.message else ()
    return frozenset(one.specimen for one in observations)


def _may_move_gates(claim: _Claim) -> bool:
    """Whether a control may be in it: marked as one, or under a number that is not one of ours."""
    observations = claim.message.translation.observations if claim.message else ()
    return any(one.kind is SubjectKind.CONTROL or not is_ours(one.specimen) for one in observations)


def _hold(unit: Unit, claim: _Claim) -> None:
    """Hold a message as a whole, with an alarm where it is our own failure."""
    reason = claim.hold_reason or Reason.PROCESSING_FAILED
    mark_inbox(
        unit.session,
        [
            {
                "id": claim.inbox_id,
                "state": InboxState.HELD,
                "processed_at": unit.now,
                "hold_reason": reason.value,
                "verdict": {"error": claim.error},
            }
        ],
    )
    if reason is Reason.PROCESSING_FAILED:
        row = alarm(
            "processing_failed", f"inbox:{claim.inbox_id}", {"error": claim.error}, unit.now
        )
        insert_rows(unit.session, Alarm, [row])
        unit.publish("alarm", "new")
    unit.audit("hold", "inbox", claim.inbox_id, after={"reason": reason.value})
    unit.publish("inbox", claim.inbox_id)


def _report(effects: Effects, *, claimed: int, also_held: int) -> IntakeReport:
    outcomes = effects.outcomes
    held = sum(outcome.hold_reason is not None for outcome in outcomes)
    return IntakeReport(
        claimed=claimed,
        processed=len(outcomes) - held,
        held=held + also_held,
        observations=sum(outcome.observations for outcome in outcomes),
        released=sum(outcome.released for outcome in outcomes),
        controls=sum(outcome.controls for outcome in outcomes),
        resent=sum(outcome.resent for outcome in outcomes),
        unreadable=sum(outcome.unreadable for outcome in outcomes),
    )
