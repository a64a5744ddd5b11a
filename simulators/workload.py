"""What a simulated day consists of: who is ordered what, and where the planned situations are played.

The same number gives the same patient and the same orders. Nothing here knows a store or a catalog; the codes
are those of the demo catalog, and whoever composes the laboratory puts the tubes on analyzers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from simulators.cases import Case
from simulators.dice import dice
from simulators.emr_messages import OrderLine, Referral
from simulators.people import person

__all__ = ["DAY_CASES", "ORDER_SETS", "PLANNED_FAULTS", "PlannedFault", "referral_of"]

URGENT_SHARE = 0.15
COLLECTED_BEFORE_MIN = (20, 90)

# What the EMR orders, in turn.
ORDER_SETS: tuple[tuple[str, ...], ...] = (
    ("CBC",),
    ("GLU", "CREA", "CRP"),
    ("CBC", "GLU", "ALT"),
    ("WBC", "RBC", "HGB", "PLT"),
    ("K", "NA", "CREA"),
    ("MTBRIF",),
    ("CBC", "K", "ALB"),
)

# A living day has odd moments, one after the other.
DAY_CASES: tuple[Case, ...] = (
    Case.UNKNOWN_FLAG,
    Case.UNORDERED_TEST,
    Case.UNKNOWN_SPECIMEN,
    Case.SECOND_RUN,
    Case.UNIT_CHANGED,
    Case.UNKNOWN_TEST,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFault:
    """One case on the tubes of one patient; `driver` where only one protocol can say it."""

    case: Case
    orders: tuple[str, ...]
    driver: str = ""


_CHEMISTRY = ("GLU", "CREA", "CRP")
PLANNED_FAULTS: tuple[PlannedFault, ...] = (
    PlannedFault(case=Case.UNKNOWN_SPECIMEN, orders=_CHEMISTRY),
    PlannedFault(case=Case.UNKNOWN_TEST, orders=("CBC",)),
    PlannedFault(case=Case.UNKNOWN_FLAG, orders=("CBC",)),
    PlannedFault(case=Case.UNIT_CHANGED, orders=("K", "NA", "CREA")),
    PlannedFault(case=Case.UNORDERED_TEST, orders=_CHEMISTRY),
    PlannedFault(case=Case.EDITED_ON_ANALYZER, orders=("WBC", "HGB"), driver="mindray-bc"),
    PlannedFault(case=Case.SECOND_RUN, orders=_CHEMISTRY),
    PlannedFault(case=Case.SAME_MESSAGE_AGAIN, orders=("CBC",)),
    PlannedFault(case=Case.CUT_MESSAGE, orders=("CBC",)),
    PlannedFault(case=Case.CANCELLED_ORDER, orders=_CHEMISTRY),
)


def referral_of(number: int, *, seed: object, at: datetime, codes: Sequence[str] = ()) -> Referral:
    """The referral of the patient with that number; without `codes` the next order set."""
    throw = dice(seed, "referral", number)
    chosen = tuple(codes) or ORDER_SETS[number % len(ORDER_SETS)]
    return Referral(
        group=f"{seed}-{number}",
        person=person(number, seed=seed, today=at.date()),
        orders=tuple(
            OrderLine(placer_number=f"{seed}-{number}-{place}", code=code)
            for place, code in enumerate(chosen, 1)
        ),
        collected_at=at - timedelta(minutes=throw.randint(*COLLECTED_BEFORE_MIN)),
        priority="S" if throw.random() < URGENT_SHARE else "R",
    )
