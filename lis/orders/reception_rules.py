"""What reception is advised for one test on one tube, and what a person may decide against it. Pure (S35)."""

from dataclasses import dataclass
from typing import Final

from lis.domain.reception import ReceptionVerdict
from lis.orders.stability import Holds

_ADVICE: Final = {
    Holds.NOT_STATED: ReceptionVerdict.ACCEPT,
    Holds.STABLE: ReceptionVerdict.ACCEPT,
    Holds.EXPIRED: ReceptionVerdict.REJECT,
    Holds.UNKNOWN: None,  # a person decides
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedTest:
    """What a person decided of one test."""

    test: str
    verdict: ReceptionVerdict
    reason: str = ""


def advised(holds: Holds) -> ReceptionVerdict | None:
    """What is done if nobody says otherwise; None: somebody must."""
    return _ADVICE[holds]


def objection(holds: Holds, decided: DecidedTest | None, *, is_irreplaceable: bool) -> str:
    """Why this decision cannot stand, as a code of lis.words; "" if it can.

    A test past its time, or of which that is not known, is taken only as a deviation, with a reason, of a specimen that
    cannot be drawn again. Rejecting is always possible and always has a reason.
    """
    if decided is None:
        return "" if advised(holds) is ReceptionVerdict.ACCEPT else "decide_test"
    if decided.verdict is ReceptionVerdict.ACCEPT:
        return "" if advised(holds) is ReceptionVerdict.ACCEPT else "not_stable"
    if not decided.reason.strip():
        return "test_reason_needed"
    if decided.verdict is ReceptionVerdict.DEVIATE and not is_irreplaceable:
        return "only_irreplaceable"
    return ""
