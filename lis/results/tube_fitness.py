"""Can this tube give one more measurement? Pure; what nobody knows is not taken for granted (S35, S36)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from lis.domain.catalog import Test
from lis.domain.lifecycle import SpecimenState

_GONE: Final = frozenset({SpecimenState.REJECTED, SpecimenState.DISPOSED})
UL_OF: Final = {"uL": Decimal(1), "µL": Decimal(1), "mL": Decimal(1000), "ml": Decimal(1000)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tube:
    """The tube as it stands. `opened_from`: when its first measurement may have opened it, at the earliest."""

    state: SpecimenState
    specimen_type: str
    suspicion: str = ""
    opened_from: datetime | None = None
    quantity: Decimal | None = None
    quantity_unit: str = ""


def unfit(tube: Tube, test: Test, at: datetime) -> str:
    """Why the tube cannot give this test once more; "" if it can. Codes of lis.words, area `repeatpage`."""
    if tube.state in _GONE:
        return "specimen_not_live"
    if tube.state is SpecimenState.EXHAUSTED:
        return "no_volume"
    if tube.specimen_type != test.specimen_type:
        return "other_specimen_type"
    if tube.suspicion:
        return "specimen_suspect"
    if _has_too_little(tube, test):
        return "no_volume"
    if test.open_tube_stability:
        if tube.opened_from is None:
            return "stability_unknown"
        # where it stood since is not asked here, so the strictest storage counts
        hours = min(one.hours for one in test.open_tube_stability)
        if at - tube.opened_from > timedelta(hours=hours):
            return "not_stable"
    return ""


def _has_too_little(tube: Tube, test: Test) -> bool:
    if tube.quantity is None or tube.quantity_unit not in UL_OF or test.volume_ul is None:
        return False
    return tube.quantity * UL_OF[tube.quantity_unit] < test.volume_ul
