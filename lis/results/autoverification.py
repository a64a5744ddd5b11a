"""May this result leave without a person?

Theory of operation. `autoverify` asks every rule of `RULES`, in order, and keeps what each one said: also
of the rules that passed, and of those after the first objection (promise 5). The result may go only
if no verdict objects. Rules are plain functions of frozen facts; what a rule compares with comes from the
catalog version in force, whose rule version stands in the verdict.

    can we trust what it says   reading, status, sender, clock, run, unit, dilution, instrument flags
    whose is it                 the verdicts of `lis.results.matching`, kept in front
    was the bench in control    qc_gate (S01), specimen_condition (S04)
    is the value believable     measurable, absurd, measuring_range, interval, verification_limits, delta
    must a person see it        critical (S09), never_automatic (S06), automatic_release

A missing thing is "not evaluable", never "passed". A test without rules is held: nobody has said what
would be safe.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lis.domain.catalog import Test, ValueType
from lis.domain.control import GateAnswer, GateExcuse, GateVerdict, QcPolicy
from lis.domain.messages import Reason, ReportedObservation, ResultStatus, ValueBasis
from lis.results.delta import delta
from lis.results.facts import ResultFacts
from lis.results.interpretation import UNCOMPARABLE_BASES
from lis.results.value_rules import (
    absurd,
    critical,
    interval,
    measurable,
    measuring_range,
    verification_limits,
)
from lis.results.verdicts import (
    RuleVerdict,
    held,
    not_applicable,
    not_evaluable,
    noted,
    passed,
    reasons_of,
    silent,
)

GATE_REASONS = {
    GateAnswer.MISSING: Reason.QC_MISSING,
    GateAnswer.OVERDUE: Reason.QC_OVERDUE,
    GateAnswer.REJECTED: Reason.QC_REJECTED,
}
EXCUSABLE = frozenset({GateAnswer.MISSING, GateAnswer.OVERDUE})  # S02: never a rejection
QC_REASONS = frozenset(GATE_REASONS.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoverification:
    """Every rule that spoke, and what follows."""

    verdicts: tuple[RuleVerdict, ...]
    holds: tuple[Reason, ...]

    @property
    def is_released(self) -> bool:
        return not self.holds


def autoverify(facts: ResultFacts) -> Autoverification:
    """Ask all rules. Pure: the same facts give the same verdicts on any day."""
    verdicts = (
        *facts.match.verdicts,
        *_reading(facts),
        *(rule(facts) for rule in RULES),
    )
    return Autoverification(verdicts=verdicts, holds=reasons_of(verdicts))


def judge_gate(*, test: Test, gate: GateVerdict | None, excuse: GateExcuse | None) -> RuleVerdict:
    """The gate belongs to the measurement (S01); asked again when late controls arrive (S11)."""
    rule = "qc_gate"
    if test.qc_policy is QcPolicy.INTERNAL:
        return not_applicable(rule, policy=test.qc_policy.value)
    if test.qc_policy is QcPolicy.NONE:
        if not test.qc_approver:  # S01: no control at all only with a named approver
            return held(rule, Reason.QC_MISSING, policy=test.qc_policy.value)
        return not_applicable(rule, policy=test.qc_policy.value, approver=test.qc_approver)
    if gate is None:
        return not_evaluable(rule, Reason.QC_MISSING)
    inputs: dict[str, Any] = {
        "before": gate.before.at.isoformat() if gate.before else None,
        "before_run": gate.before.run_id if gate.before else None,
        "after": gate.after.at.isoformat() if gate.after else None,
        "after_run": gate.after.run_id if gate.after else None,
    }
    if gate.is_open:
        return passed(rule, **inputs)
    if excuse is not None and gate.answer in EXCUSABLE:
        return passed(
            rule,
            exception=excuse.id,
            granted_by=excuse.granted_by,
            exception_reason=excuse.reason,
            **inputs,
        )
    return held(rule, GATE_REASONS[gate.answer], **inputs)


def regate(holds: tuple[Reason, ...], verdict: RuleVerdict) -> tuple[Reason, ...]:
    """The holds of an unreleased result after its gate was asked again.

    A rejection stays for ever: reopening, voiding or a lucky repeat frees nothing that was measured
    since the last accepted event (S01). Missing or overdue QC may be answered by a late-arriving
    control that was measured *before* the result; `gate_at` never lets a later control do so.
    """
    if Reason.QC_REJECTED in holds:
        return holds
    others = tuple(reason for reason in holds if reason not in QC_REASONS)
    return (*others, verdict.reason) if verdict.reason is not None else others


def _reading(facts: ResultFacts) -> tuple[RuleVerdict, ...]:
    """What the driver could read but not understand; one verdict for each."""
    if not facts.reported.holds:
        return (noted("reading"),)
    return tuple(
        held("reading", reason, value=facts.reported.value.text)
        for reason in dict.fromkeys(facts.reported.holds)
    )


def _status(facts: ResultFacts) -> RuleVerdict:
    status = facts.reported.status
    if status is ResultStatus.FINAL:
        return noted("status", "status", status.value)
    if status in (ResultStatus.PRELIMINARY, ResultStatus.REGISTERED):
        return held("status", Reason.PRELIMINARY_VALUE, status=status.value)
    if status in (ResultStatus.CORRECTED, ResultStatus.AMENDED):
        return held("status", Reason.EDITED_ON_ANALYZER, status=status.value)
    return held("status", Reason.NO_VALUE, status=status.value)


def _sender(facts: ResultFacts) -> RuleVerdict:
    known, said = facts.device.serial, facts.sender_serial
    if known and said and known != said:
        return held("sender", Reason.DEVICE_MISMATCH, expected=known, got=said)
    if facts.device.quarantine_reason:
        return held("sender", Reason.DEVICE_MISMATCH, quarantine=facts.device.quarantine_reason)
    return noted("sender", "serial", said)


def _clock(facts: ResultFacts) -> RuleVerdict:
    measured = facts.measured
    if measured.reason is not None:
        hours = measured.zone_hours
        return held("clock", measured.reason, offset_s=measured.offset_s, hours=hours)
    if measured.offset_s is None:
        return noted("clock")
    return noted("clock", "offset_s", str(measured.offset_s))


def _run(facts: ResultFacts) -> RuleVerdict:
    reason = facts.run.reason
    earlier = facts.run.earlier.id if facts.run.earlier else None
    if reason is not None:
        return held("run", reason, earlier=earlier)
    return noted("run", "kind", facts.run.kind.value)


def has_right_unit(reported: ReportedObservation, expected: str) -> bool:
    """Whether the unit is the catalog's. Words such as `Not Detected` need none: a number does (S23)."""
    is_word = reported.value.number is None and not reported.unit
    return is_word or reported.unit == expected


def _unit(facts: ResultFacts) -> RuleVerdict:
    if facts.test is None:
        return silent("unit")
    if not has_right_unit(facts.reported, facts.expected_unit):
        return held(
            "unit", Reason.UNIT_CHANGED, expected=facts.expected_unit, got=facts.reported.unit
        )
    if facts.is_quarantined:
        return held("unit", Reason.TEST_QUARANTINED, unit=facts.reported.unit)
    return noted("unit", "unit", facts.reported.unit)


def _dilution(facts: ResultFacts) -> RuleVerdict:
    basis, factor = facts.reported.basis, facts.reported.dilution
    if basis in UNCOMPARABLE_BASES:
        return held("dilution", Reason.DILUTION_UNKNOWN, basis=basis.value, factor=factor)
    if basis is ValueBasis.UNDILUTED and factor is not None and factor != 1:
        # a factor is there, but nobody says whether the value already contains it
        return held("dilution", Reason.DILUTION_UNKNOWN, basis=basis.value, factor=factor)
    ordered = facts.match.order.dilution if facts.match.order is not None else None
    if factor is None and ordered is not None and ordered != 1:
        # diluted because a person asked for it, and the message does not say by how much
        return held("dilution", Reason.DILUTION_UNKNOWN, basis=basis.value, ordered=ordered)
    if factor is None:
        return noted("dilution", "basis", basis.value)
    if basis is ValueBasis.MULTIPLIED:
        value = facts.reported.value
        return passed(
            "dilution", basis=basis.value, factor=factor, raw=value.text, number=value.number
        )
    return passed("dilution", basis=basis.value, factor=factor)


def _instrument_flags(facts: ResultFacts) -> RuleVerdict:
    flags = facts.reported.flags
    shown = " ".join(flags)
    stopping = facts.test.rules.stop_flags if facts.test and facts.test.rules else frozenset()
    if facts.reported.is_abnormal_flagged or not stopping.isdisjoint(flags):
        return held("instrument_flags", Reason.INSTRUMENT_FLAG, flags=shown)
    return noted("instrument_flags", "flags", shown)


def _specimen_condition(facts: ResultFacts) -> RuleVerdict:
    rule = "specimen_condition"
    if facts.specimen is None:
        return silent(rule)
    if facts.specimen.suspicion:
        return held(rule, Reason.SPECIMEN_SUSPECT, suspicion=facts.specimen.suspicion)
    if (
        facts.test is not None
        and facts.test.needs_collection_time
        and (
            facts.specimen.collected_from is None or facts.specimen.collected_certainty == "unknown"
        )
    ):
        return held(rule, Reason.COLLECTION_UNKNOWN)
    return noted(rule)


def _qc_gate(facts: ResultFacts) -> RuleVerdict:
    if facts.test is None:
        return silent("qc_gate")
    return judge_gate(test=facts.test, gate=facts.gate, excuse=facts.excuse)


def _never_automatic(facts: ResultFacts) -> RuleVerdict:
    rule, test = "never_automatic", facts.test
    if test is None:
        return silent(rule)
    if test.value_type is ValueType.TEXT:
        return held(rule, Reason.NEVER_AUTOMATIC, why="text")
    if test.rules is not None and test.rules.is_never_automatic:
        return held(rule, Reason.NEVER_AUTOMATIC, version=test.rules.version)
    return noted(rule)


def _automatic_release(facts: ResultFacts) -> RuleVerdict:
    rule, test = "automatic_release", facts.test
    if test is None or test.rules is None:
        return held(rule, Reason.RULES_MISSING)
    if not test.rules.is_on:
        return held(rule, Reason.AUTOMATIC_OFF, version=test.rules.version)
    return passed(rule, version=test.rules.version)


RULES: tuple[Callable[[ResultFacts], RuleVerdict], ...] = (
    _status,
    _sender,
    _clock,
    _run,
    _unit,
    _dilution,
    _instrument_flags,
    _specimen_condition,
    _qc_gate,
    measurable,
    absurd,
    measuring_range,
    interval,
    verification_limits,
    delta,
    critical,
    _never_automatic,
    _automatic_release,
)
