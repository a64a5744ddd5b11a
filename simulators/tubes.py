"""Tubes on a rack, and how the planned cases change what is measured on them.

A tube carries its cases with it, so whoever loads the rack decides where a situation is played. Each case changes
a row of its own where it can, so that one tube may play several and each can still be told apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lis.domain.ids import AccessionNumber
from lis.drivers.profile import FlagMeaning, Profile
from simulators.cases import Case, supported_cases
from simulators.dice import dice
from simulators.measuring import NORMAL_ONLY, ControlTarget, Measured, TestPlan, measure
from simulators.writing import ControlIdentity

__all__ = ["ControlTube", "Tube", "rows_with_cases", "unissued_numbers"]

UNKNOWN_CODE = "SIM-UNKNOWN"  # a channel no catalog has
UNKNOWN_FLAG = "SIM?"
CHANGED_UNIT = "sim/L"
STRAY_PREFIX = "99"  # accession numbers that nobody prints
WHOLE_TUBE = (Case.UNKNOWN_SPECIMEN, Case.CANCELLED_ORDER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tube:
    """A patient's tube. Without `tests` the analyzer asks the host, or measures all it can."""

    accession: str
    tests: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlTube:
    """One level of a control. `specimen` is the id under which the instrument reports it."""

    specimen: str
    targets: Mapping[str, ControlTarget]
    identity: ControlIdentity = field(default_factory=ControlIdentity)
    shift_sd: float = 0.0


def rows_with_cases(
    tube: Tube, rows: Sequence[Measured], *, profile: Profile, plans: Mapping[str, TestPlan]
) -> tuple[Measured, ...]:
    """The rows as the cases of the tube change them; cases that the profile cannot play are left out."""
    cases = frozenset(tube.cases) & frozenset(supported_cases(profile))
    changed = list(rows)
    for case in WHOLE_TUBE:
        if case in cases:
            changed = [_marked(row, case) for row in changed]
    if Case.UNKNOWN_FLAG in cases and changed:
        changed[0] = replace(_marked(changed[0], Case.UNKNOWN_FLAG), flags=(UNKNOWN_FLAG,))
    if Case.EDITED_ON_ANALYZER in cases and changed:
        changed[0] = _edited(changed[0], profile)
    if Case.UNIT_CHANGED in cases and changed:
        changed[-1] = replace(_marked(changed[-1], Case.UNIT_CHANGED), unit=CHANGED_UNIT)
    if Case.UNORDERED_TEST in cases:
        changed.extend(_unordered(tube, rows, plans))
    if Case.UNKNOWN_TEST in cases:
        changed.append(Measured(code=UNKNOWN_CODE, text="1", cases=(Case.UNKNOWN_TEST,)))
    return tuple(changed)


def _marked(row: Measured, case: Case) -> Measured:
    return replace(row, cases=(*row.cases, case))


def _edited(row: Measured, profile: Profile) -> Measured:
    mark = next(text for text, kind in profile.flags.items() if kind is FlagMeaning.EDITED)
    return replace(_marked(row, Case.EDITED_ON_ANALYZER), flags=(*row.flags, mark))


def _unordered(
    tube: Tube, rows: Sequence[Measured], plans: Mapping[str, TestPlan]
) -> list[Measured]:
    """One plain value of a test that is not among the rows, if there is one left."""
    measured = {row.code for row in rows}
    spare = next((plan for code, plan in plans.items() if code not in measured), None)
    if spare is None:
        return []
    row = measure(spare, seed="spare", specimen=tube.accession, run=1, shares=NORMAL_ONLY)
    return [_marked(row, Case.UNORDERED_TEST)]


def unissued_numbers(count: int, *, seed: object) -> tuple[str, ...]:
    """Well-formed accession numbers from a range that no laboratory of ours gives out."""
    serials = dice(seed, "strays").sample(range(1_000_000, 10_000_000), count)
    numbers = (AccessionNumber.from_serial(prefix=STRAY_PREFIX, serial=one) for one in serials)
    return tuple(str(number) for number in numbers)
