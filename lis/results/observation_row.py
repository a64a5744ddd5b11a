"""The stored form of one judged value. Every row names the same columns, for one bulk insert."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from lis.domain.catalog import Test
from lis.domain.messages import Reason, ReportedObservation
from lis.domain.result_facts import DeviceFacts
from lis.results.autoverification import Autoverification
from lis.results.interpretation import Interpretation
from lis.results.judging import Judgement, Origin, Surroundings
from lis.results.matching import Match
from lis.results.runs import RunDecision, RunKind, run_key
from lis.results.timing import MeasuredAt
from lis.results.verdicts import RuleVerdict, reasons_of

# What a row behind a result may say that makes the result itself doubtful; an empty row does not.
SPREADING = frozenset({Reason.UNKNOWN_FLAG, Reason.UNKNOWN_STATUS})


def observation_row(
    *,
    key: int,
    public_id: str,
    now: datetime,
    reported: ReportedObservation,
    origin: Origin,
    around: Surroundings,
    judged: Judgement,
    reagent_lot: str,
    catalog_version_id: int,
    supplements: Sequence[ReportedObservation] = (),
) -> dict[str, Any]:
    """The columns that do not move afterwards; `Standing.values` has the others."""
    bound, order, test = judged.match.specimen, judged.match.order, around.test
    earlier = judged.run.earlier if judged.run.kind is RunKind.EDITED else None
    value = reported.value
    return {
        "id": key,
        "public_id": public_id,
        "site_id": bound.site_id if bound else around.device.site_id,
        "created_at": now,
        "run_key": run_key(around.device.id, reported),
        "test_code": test.code if test else "",
        "instrument_code": reported.test,
        "reported": value.text,
        "version": earlier.version + 1 if earlier else 1,
        "previous_id": earlier.id if earlier else None,
        "inbox_id": origin.inbox_id,
        "record": reported.record,
        "specimen_text": reported.specimen,
        "specimen_id": bound.id if bound else None,
        "patient_id": bound.patient_id if bound else None,
        "service_request_id": order.service_request_id if order else None,
        "work_order_id": order.work_order_id if order else None,
        "read_mode": reported.read_mode.value,
        "position": reported.position,
        "comparator": value.comparator.value if value.comparator else "",
        "value": value.number,
        "unit": unit_of(test, reported.unit, around.expected_unit),
        "unit_ucum": test.ucum if test and reported.unit == around.expected_unit else "",
        "reported_unit": reported.unit,
        "reported_status": reported.status.value,
        "reported_flags": list(reported.flags),
        "flag": judged.interpretation.flag.value,
        "interval_text": judged.interpretation.interval_text,
        "interval_reason": judged.interpretation.interval_reason,
        "catalog_version_id": catalog_version_id,
        "comment": _comment(reported, around),
        "device_id": around.device.id,
        "method": around.method,
        "module": reported.module,
        "serial": origin.sender_serial,
        "reagent_lot": reagent_lot,
        "calibrator_lot": "",
        "control_lots": [],
        "operator": reported.operator,
        "analysed_at": judged.measured.at,
        "clock_offset_s": judged.measured.offset_s,
        "dilution": reported.dilution,
        "basis": reported.basis.value,
        "run": reported.run,
        "supplements": [_supplement(row) for row in supplements],
        "shown_hash": "",
        "signature": "",
    }


def split_supplements(
    observations: Sequence[ReportedObservation],
) -> tuple[list[ReportedObservation], dict[str, list[ReportedObservation]]]:
    """Results of their own, and the rows that stand behind one of them (Ct values, end points).

    A row that names a result which is not in the message stays a result of its own: nothing is lost.
    """
    records = {reported.record for reported in observations if not reported.part_of}
    own: list[ReportedObservation] = []
    behind: dict[str, list[ReportedObservation]] = {}
    for reported in observations:
        if reported.part_of in records:
            behind.setdefault(reported.part_of, []).append(reported)
        else:
            own.append(reported)
    return [_with_doubts(reported, behind.get(reported.record, ())) for reported in own], behind


def _with_doubts(
    reported: ReportedObservation, supplements: Sequence[ReportedObservation]
) -> ReportedObservation:
    """A flag or status that cannot be read behind a result holds the result (promise 3)."""
    doubts = [reason for row in supplements for reason in row.holds if reason in SPREADING]
    if not doubts:
        return reported
    return replace(reported, holds=tuple(dict.fromkeys((*reported.holds, *doubts))))


def _supplement(reported: ReportedObservation) -> dict[str, Any]:
    return {
        "record": reported.record,
        "code": reported.test,
        "value": reported.value.text,
        "unit": reported.unit,
        "flags": list(reported.flags),
        "holds": [reason.value for reason in reported.holds],
    }


def control_surroundings(device: DeviceFacts, test: Test | None) -> Surroundings:
    """A control that may not speak for a gate is kept without tube, patient or meaning (S22)."""
    return Surroundings(
        device=device,
        test=test,
        expected_unit="",
        method="",
        specimen=None,
        person=None,
        orders=(),
        same_key=(),
        same_test=(),
        past=(),
        gate=None,
        excuse=None,
        known_types=frozenset(),
    )


def control_judgement(measured: MeasuredAt, verdict: RuleVerdict) -> Judgement:
    """Nothing was judged but that it must wait."""
    return Judgement(
        measured=measured,
        match=Match(specimen=None, order=None, verdicts=()),
        run=RunDecision(kind=RunKind.FIRST),
        interpretation=Interpretation(interval_reason="control", is_comparable=False),
        rules=Autoverification(verdicts=(verdict,), holds=reasons_of((verdict,))),
    )


def _comment(reported: ReportedObservation, around: Surroundings) -> str:
    """S02: an exception that opened the gate is named on the report."""
    if around.excuse is None:
        return reported.comment
    return "\n".join(text for text in (reported.comment, around.excuse.reason) if text)


def unit_of(test: Test | None, reported: str, expected: str) -> str:
    """Our unit where the instrument sent what the catalog expects of it, else what it sent."""
    return test.unit if test is not None and reported == expected else reported
