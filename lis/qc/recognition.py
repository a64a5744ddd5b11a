"""Which control level was measured, against which target, and what its plan asks for (S22).

    id of a level in use, marked as control      -> that level
    id of a level in use, marked as patient      -> CONTROL_UNDER_PATIENT_ID, held
    other id, marked as control                  -> UNKNOWN_CONTROL, held; the caller asks whether the id is
                                                    a live accession and then says PATIENT_UNDER_CONTROL_ID
    other id, marked as patient                  -> not a control

An id that two lots in use share is decided by the lot in the message, else by nobody: held. A message that
names another lot than the one its id belongs to is held too, and so is one that names another level or
material of ours. So is a level without a target.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from lis.domain.control import ControlMeasurement, ControlTarget
from lis.domain.ids import bounded_key
from lis.domain.messages import (
    Reason,
    ReportedControl,
    ReportedObservation,
    ResultStatus,
    SubjectKind,
)
from lis.qc.gate import Plan
from lis.store import control_queries as queries
from lis.store.control_queries import LoadedLevel
from lis.store.rows import Target

FINAL_STATUSES = frozenset({ResultStatus.FINAL, ResultStatus.CORRECTED, ResultStatus.AMENDED})


class LoadedControls:
    """The levels of the lots in use, and their targets, as one unit reads them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.levels = queries.levels_in_use(session)
        self._levels = {level.level_id: level for level in self.levels}
        self._levels_by_id: dict[str, list[LoadedLevel]] = defaultdict(list)
        for level in self.levels:
            for specimen in level.specimen_ids:
                self._levels_by_id[specimen].append(level)
        self._level_names = {level.level for level in self.levels}
        self._materials = {level.material for level in self.levels}
        self._targets: dict[tuple[int, str], dict[int, list[Target]]] = {}
        """Device and test -> level -> its targets. All targets of a test in one list would be walked for
        every level of every other analyzer: with two hundred of them that was all that intake did."""

    def is_control_id(self, specimen: str) -> bool:
        """Whether an id belongs to a control level in use."""
        return specimen in self._levels_by_id

    def is_control(
        self,
        device_id: int,  # noqa: ARG002 - lots are loaded for the whole laboratory until devices differ
        reported: ReportedObservation,
    ) -> LoadedLevel | Reason | None:
        """The level that was measured, the reason to hold, or None for a patient's result (S22)."""
        levels = self._levels_by_id.get(reported.specimen, [])
        if reported.kind is not SubjectKind.CONTROL:
            return Reason.CONTROL_UNDER_PATIENT_ID if levels else None
        lot = reported.control.lot if reported.control else ""
        fitting = [level for level in levels if not lot or level.lot == lot]
        if len(fitting) != 1 or self._contradicts(reported.control, fitting[0]):
            return Reason.UNKNOWN_CONTROL
        return fitting[0]

    def _contradicts(self, said: ReportedControl | None, level: LoadedLevel) -> bool:
        """Whether the message names another level or material of ours; words we do not use say nothing."""
        if said is None:
            return False
        is_other_level = said.level != level.level and said.level in self._level_names
        is_other_material = said.material != level.material and said.material in self._materials
        return is_other_level or is_other_material

    def load_targets(self, gates: Collection[tuple[int, str]]) -> None:
        """Read the targets of some (device, test) pairs in one query; those read before are kept."""
        missing = set(gates) - self._targets.keys()
        if not missing:
            return
        for gate in missing:
            self._targets[gate] = defaultdict(list)
        devices_of: dict[str, set[int]] = defaultdict(set)
        for device_id, test in missing:
            devices_of[test].add(device_id)
        devices = {device_id for device_id, _ in missing}
        levels = [level.level_id for level in self.levels]
        for target in queries.targets_of(self._session, levels, devices_of, devices):
            own = devices_of[target.test_code]
            for device_id in own if target.device_id is None else own & {target.device_id}:
                self._targets[device_id, target.test_code][target.level_id].append(target)

    def target(
        self, level: LoadedLevel, device_id: int, test_code: str, at: datetime
    ) -> ControlTarget | None:
        """The target in force at `at`, or None when this level does not control this test."""
        self.load_targets({(device_id, test_code)})
        row = target_in_force(self._targets[device_id, test_code].get(level.level_id, ()), at)
        if row is None:
            return None
        return ControlTarget(
            lot_id=level.lot_id,
            level_id=level.level_id,
            level=level.level,
            mean=row.mean,
            sd=row.sd,
            target_id=row.id,
            material_id=level.material_id,
        )

    def levels_of(self, device_id: int, test_code: str, at: datetime) -> list[LoadedLevel]:
        """The levels that control this test on this device."""
        self.load_targets({(device_id, test_code)})
        return [
            self._levels[level_id]
            for level_id, targets in sorted(self._targets[device_id, test_code].items())
            if target_in_force(targets, at) is not None
        ]

    def plan(self, device_id: int, test_code: str, at: datetime) -> Plan:
        """The levels that a run of this test must hold."""
        levels = self.levels_of(device_id, test_code, at)
        return frozenset((level.material_id, level.level) for level in levels)


def run_key(
    device_id: int, test_code: str, observation: ReportedObservation, analysed_at: datetime
) -> str:
    """S19: instrument, specimen, test, time and run, as the instrument said them.

    The reported time, because the clock's offset is measured anew with every message and a resend must
    have the key of the original.
    """
    at = (observation.observed_at or analysed_at).astimezone(UTC).isoformat()
    return bounded_key(f"{device_id}|{observation.specimen}|{test_code}|{at}|{observation.run}|=")


def target_in_force(targets: Iterable[Target], at: datetime) -> Target | None:
    """Of one level's targets for one device the last that began by `at`; its own before a general one.

    A target whose SD is not above zero cannot judge anything and counts as absent.
    """
    best = max(
        (target for target in targets if target.effective_from <= at),
        key=lambda target: (target.device_id is not None, target.effective_from, target.id),
        default=None,
    )
    return best if best is not None and best.sd > 0 else None


def measurement_of(
    identity: str, observation: ReportedObservation, at: datetime, target: ControlTarget
) -> ControlMeasurement:
    """A reported control as a measurement; `identity` is its run key."""
    value = observation.value
    is_flagged = (
        observation.is_abnormal_flagged
        or bool(observation.holds)
        or observation.status not in FINAL_STATUSES
    )
    return ControlMeasurement(
        at=at,
        value=None if value.is_censored else value.number,
        target=target,
        is_flagged=is_flagged,
        key=identity + value.text,
        reported=value.text,
    )
