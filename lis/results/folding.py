"""The fold: messages in inbox order over facts plus the effects of earlier messages (S12).

No SQL: `Fold` holds the facts of a batch, takes one message at a time and collects what is to be written.
Because each message sees exactly the facts it would have seen alone, a batch of n messages gives the same
verdicts as n batches of one; a failing control followed by a patient in one batch holds the patient.
A control is folded into its gate first, then every unreleased result of that gate is asked again, before
the next message is looked at.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lis.domain.catalog import InstrumentTest, Test
from lis.domain.control import GateExcuse, GateKey, GateVerdict
from lis.domain.lifecycle import WORK_ORDER, WorkOrderEvent, WorkOrderState
from lis.domain.messages import Reason, ReportedObservation, SubjectKind
from lis.domain.repeat_rules import NO_RULES, RepeatRules
from lis.domain.result_facts import DeviceFacts, StoredRun
from lis.qc.recording import ControlFold
from lis.qc.recording import Outcome as ControlOutcome
from lis.results.autoverification import has_right_unit
from lis.results.batch import BatchFacts, Message, mapping_of
from lis.results.bench import Bench
from lis.results.dilution import back_calculated
from lis.results.effects import Effects, Outcome, critical_call, unreadable_row
from lis.results.judging import Judgement, Origin, Surroundings, judge
from lis.results.observation_row import (
    control_judgement,
    control_surroundings,
    observation_row,
    split_supplements,
)
from lis.results.repeat_facts import with_repeats
from lis.results.runs import RunKind, run_key
from lis.results.standing import Standing, new_standing
from lis.results.timing import MeasuredAt, judge_time
from lis.results.verdicts import held
from lis.results.watching import DeviceWatch

TEST_PROCESSING_IDS = frozenset({"T", "D"})  # S14: MSH-11 and H.12 alike


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """One value with what its message and the catalog say about it."""

    reported: ReportedObservation
    message: Message
    device: DeviceFacts
    entry: InstrumentTest
    test: Test | None
    measured: MeasuredAt
    other_positions: frozenset[str]
    supplements: Sequence[ReportedObservation] = ()


class Fold:
    """The state of one batch."""

    def __init__(
        self,
        *,
        facts: BatchFacts,
        controls: ControlFold,
        ids: Iterator[int],
        new_public_id: Callable[[], str],
        now: datetime,
        accepts_simulators: bool,
        repeat_rules: RepeatRules = NO_RULES,
    ) -> None:
        self._facts = facts
        self._repeat_rules = repeat_rules
        self._controls = controls
        self._ids = ids
        self._new_public_id = new_public_id
        self._now = now
        self._accepts_simulators = accepts_simulators
        self._bench = Bench(facts, controls, now)
        self._types = frozenset(test.specimen_type for test in facts.catalog.tests.values())
        self.effects = Effects(standings=self._bench.standings)
        self._watch = DeviceWatch(facts, self.effects, now)

    def add(self, message: Message) -> Outcome:
        """Fold one message."""
        device = self._facts.devices[message.device_id]
        outcome = Outcome(inbox_id=message.inbox_id)
        self.effects.outcomes.append(outcome)
        if self._is_test_traffic(message, device):
            outcome.hold_reason = Reason.TEST_TRAFFIC
            return outcome
        self._watch.note(message, device)
        self._acknowledge(message)
        released: list[Standing] = []
        touched: set[tuple[int, str]] = set()
        own, supplements = split_supplements(message.translation.observations)
        places = positions_of(own)
        for reported in own:
            behind = supplements.get(reported.record, ())
            item = self._item(reported, message, behind, places, device.clock_offset_s)
            level = self._controls.is_control(message.device_id, reported)
            if level is not None:
                touched |= self._control(
                    item, level if isinstance(level, Reason) else None, outcome
                )
            elif (standing := self._patient(item, outcome)) is not None:
                released.append(standing)
        for record in message.translation.unreadable:
            self.effects.unreadable.append(unreadable_row(message.inbox_id, record, self._now))
            outcome.unreadable += 1
        for pair in sorted(touched):
            released += self._bench.ask_gate_again(pair)
        outcome.released = len(released)
        self.effects.groups += self._bench.groups(released)
        return outcome

    def _item(
        self,
        reported: ReportedObservation,
        message: Message,
        supplements: Sequence[ReportedObservation],
        places: Mapping[str, frozenset[str]],
        offset_before_s: int | None,
    ) -> _Item:
        device = self._facts.devices[message.device_id]
        test, entry = mapping_of(self._facts.catalog, device.driver, reported)
        others = places.get(reported.specimen, frozenset()) | self._earlier_places(device, reported)
        return _Item(
            reported=reported,
            message=message,
            device=device,
            entry=entry,
            test=test,
            supplements=supplements,
            other_positions=others - {reported.position} if reported.position else frozenset(),
            measured=judge_time(
                observed_at=reported.observed_at,
                sent_at=message.translation.sent_at,
                received_at=message.received_at,
                offset_before_s=offset_before_s,
            ),
        )

    def _earlier_places(self, device: DeviceFacts, reported: ReportedObservation) -> set[str]:
        """Where this analyzer found the number before (S16)."""
        specimen = self._facts.specimens.get(reported.specimen)
        return self._facts.positions.get((device.id, specimen.id), set()) if specimen else set()

    # --- the message as a whole -----------------------------------------------------------------

    def _is_test_traffic(self, message: Message, device: DeviceFacts) -> bool:
        if message.translation.processing_id in TEST_PROCESSING_IDS:
            return True
        return device.is_simulator and not self._accepts_simulators

    def _acknowledge(self, message: Message) -> None:
        for public_id in message.translation.acknowledged_orders:
            known = self._facts.acknowledged.get(public_id)
            if known is not None:
                self._move_order(known[0], known[1], WorkOrderEvent.ACKNOWLEDGE)
        self.effects.progress += [(message.device_id, one) for one in message.translation.progress]

    def _move_order(
        self, work_order_id: int, stored: WorkOrderState, event: WorkOrderEvent
    ) -> None:
        state = self.effects.work_orders.get(work_order_id, stored)
        if not WORK_ORDER.allows(state, event):
            return
        moved = WORK_ORDER.apply(state, event)
        if moved is not state:
            self.effects.work_orders[work_order_id] = moved

    # --- controls -------------------------------------------------------------------------------

    def _control(
        self, item: _Item, reason: Reason | None, outcome: Outcome
    ) -> set[tuple[int, str]]:
        """Record a control; returns the (device, test) whose gate changed."""
        reason = self._control_reason(item, reason)
        if reason is None and item.test is not None:
            recorded = self._controls.record(
                device_id=item.device.id,
                inbox_id=item.message.inbox_id,
                observation=item.reported,
                analysed_at=item.measured.at,
                test_code=item.test.code,
            )
            if recorded.outcome is ControlOutcome.STORED:
                outcome.controls += 1
                return {(item.device.id, item.test.code)}
            if recorded.outcome is ControlOutcome.RESENT:
                outcome.resent += 1
                return set()
            reason = recorded.reason
        self._hold_control(item, reason or Reason.UNKNOWN_CONTROL, outcome)
        return set()

    def _control_reason(self, item: _Item, reason: Reason | None) -> Reason | None:
        """Why a control may not speak for a gate, before `lis.qc` looks at its value (S22, S23)."""
        if reason is not None:
            is_patients = item.reported.specimen in self._facts.specimens
            is_marked = item.reported.kind is SubjectKind.CONTROL
            return Reason.PATIENT_UNDER_CONTROL_ID if is_marked and is_patients else reason
        if item.device.quarantine_reason:
            return Reason.DEVICE_MISMATCH
        if item.test is None:
            return Reason.UNKNOWN_TEST
        if not has_right_unit(item.reported, item.entry.unit):
            self._unit_changed(item, item.test)
            return Reason.UNIT_CHANGED
        is_closed = self._watch.is_quarantined(item.device.id, item.test.code)
        return Reason.TEST_QUARANTINED if is_closed else None

    def _unit_changed(self, item: _Item, test: Test) -> None:
        self._watch.note_unit(
            item.message,
            item.device,
            test=test.code,
            code=item.reported.test,
            expected=item.entry.unit,
            got=item.reported.unit,
        )

    def _hold_control(self, item: _Item, reason: Reason, outcome: Outcome) -> None:
        """Keep it as a held row without a patient: visible, and never part of a gate."""
        if self._facts.runs_by_key.get(run_key(item.device.id, item.reported)):
            outcome.resent += 1
            return
        verdict = held("control", reason, specimen=item.reported.specimen)
        judged = control_judgement(item.measured, verdict)
        around = control_surroundings(item.device, item.test)
        self._store(item, around, judged, item.reported.reagent_lot, outcome)

    # --- patients -------------------------------------------------------------------------------

    def _patient(self, item: _Item, outcome: Outcome) -> Standing | None:
        """Judge one patient value; returns it when it was released."""
        item = replace(item, reported=back_calculated(item.reported))
        key, gate, excuse = self._gate(item)
        around = self._surroundings(item, gate, excuse)
        origin = _origin(item.message)
        judged = judge(item.reported, item.measured, origin, around)
        if judged.run.kind is RunKind.RESEND:
            outcome.resent += 1
            return None
        judged, spoke = with_repeats(self._repeat_rules, judged, item.reported, around)
        if Reason.UNIT_CHANGED in judged.rules.holds and item.test is not None:
            self._unit_changed(item, item.test)
        if Reason.NUMBER_SEEN_TWICE in judged.rules.holds:
            self._number_seen_twice(item, around)
        lot = key.reagent_lot if key else item.reported.reagent_lot
        standing = self._store(item, around, judged, lot, outcome)
        if spoke:
            self.effects.repeats.append((standing.id, spoke))
        return standing if standing.released_at is not None else None

    def _number_seen_twice(self, item: _Item, around: Surroundings) -> None:
        """Two tubes may carry this number: what waits of it waits for a person, and so says an alarm."""
        specimen = around.specimen
        assert specimen is not None, "a number that meets no tube is unknown, not doubled"
        self._bench.doubt(specimen.id, Reason.NUMBER_SEEN_TWICE, rule="one_tube")
        self._watch.alarm("number_seen_twice", item.device.name, {"specimen": specimen.accession})

    def _gate(self, item: _Item) -> tuple[GateKey | None, GateVerdict | None, GateExcuse | None]:
        if item.test is None or item.measured.at is None:
            return None, None, None
        key = self._controls.key_for(
            item.device.id, item.test.code, item.reported, item.measured.at
        )
        verdict = self._controls.verdict(key, item.measured.at)
        return key, verdict, self._controls.excuse(key, verdict, item.measured.at)

    def _surroundings(
        self, item: _Item, gate: GateVerdict | None, excuse: GateExcuse | None
    ) -> Surroundings:
        facts, reported = self._facts, item.reported
        specimen = facts.specimens.get(reported.specimen) if reported.specimen else None
        code = item.test.code if item.test else ""
        return Surroundings(
            device=item.device,
            test=item.test,
            expected_unit=item.entry.unit,
            method=item.entry.method,
            specimen=specimen,
            person=facts.people.get(specimen.patient_id) if specimen else None,
            orders=facts.orders.get(specimen.id, ()) if specimen else (),
            same_key=facts.runs_by_key.get(run_key(item.device.id, reported), ()),
            # values of codes that nobody mapped are no runs of each other
            same_test=facts.runs_by_tube.get((specimen.id, code), ()) if specimen and code else (),
            past=facts.past.get((specimen.patient_id, code), ()) if specimen and code else (),
            gate=gate,
            excuse=excuse,
            known_types=self._types,
            other_positions=item.other_positions,
            is_quarantined=self._watch.is_quarantined(item.device.id, code),
        )

    def _store(
        self,
        item: _Item,
        around: Surroundings,
        judged: Judgement,
        reagent_lot: str,
        outcome: Outcome,
    ) -> Standing:
        row = observation_row(
            key=next(self._ids),
            public_id=self._new_public_id(),
            now=self._now,
            reported=item.reported,
            origin=_origin(item.message),
            around=around,
            judged=judged,
            reagent_lot=reagent_lot,
            catalog_version_id=self._facts.catalog.version_id,
            supplements=item.supplements,
        )
        bound, order = judged.match.specimen, judged.match.order
        standing = new_standing(row, judged, bound.collected_from if bound else None)
        self._bench.place(standing, judged)
        self.effects.rows[row["id"]] = row
        self._facts.add_run(_as_run(row, item.message, standing))
        if order is not None:
            self._move_order(order.work_order_id, order.state, WorkOrderEvent.RESULT)
            self._facts.move_order(
                order, self.effects.work_orders.get(order.work_order_id, order.state)
            )
        if judged.is_critical:
            self.effects.calls.append(critical_call(row, judged, self._now))
        outcome.observations += 1
        outcome.held += standing.released_at is None
        outcome.ids.append(row["id"])
        return standing


def _origin(message: Message) -> Origin:
    return Origin(
        inbox_id=message.inbox_id,
        received_at=message.received_at,
        raw_sha256=message.sha256,
        sender_serial=message.translation.sender.serial,
    )


def _as_run(row: Mapping[str, Any], message: Message, standing: Standing) -> StoredRun:
    """The new row as later messages of the batch will see it."""
    return StoredRun(
        id=row["id"],
        run_key=row["run_key"],
        specimen_id=row["specimen_id"],
        test=row["test_code"],
        reported=row["reported"],
        unit=row["reported_unit"],
        flags=tuple(row["reported_flags"]),
        status=row["reported_status"],
        record=row["record"],
        inbox_id=row["inbox_id"],
        created_at=row["created_at"],
        bench_state=standing.bench_state,
        version=row["version"],
        is_chosen=standing.is_chosen,
        raw_sha256=message.sha256,
        is_session_closed=message.is_session_closed,
        device_id=row["device_id"],
        position=row["position"],
    )


def positions_of(
    observations: Sequence[ReportedObservation],
) -> dict[str, frozenset[str]]:
    """Every position in which one message places each number (S16)."""
    places: dict[str, set[str]] = {}
    for reported in observations:
        if reported.position:
            places.setdefault(reported.specimen, set()).add(reported.position)
    return {specimen: frozenset(found) for specimen, found in places.items()}
