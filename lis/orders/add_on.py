"""May a test be added on a tube that is here already? Pure (S36).

A tube that is gone, is suspect, stands nobody knows where or holds too little is not used: the test gets a new tube, and
every reason is said. A closed tube is judged by the time since collection; an opened one also by the time since it was
opened, and a test that states nothing about open tubes is not measured from one.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from lis.domain.catalog import Storage, Test
from lis.domain.lifecycle import SpecimenState
from lis.orders.stability import Holds, Stay, judge_stability, stay_since

_HERE: Final = frozenset({SpecimenState.RECEIVED, SpecimenState.STORED})


class AgainstTube(StrEnum):
    """Why a new tube is needed."""

    NOT_HERE = "not_here"
    OTHER_MATERIAL = "other_material"
    SUSPECT = "suspect"
    STORAGE_UNKNOWN = "storage_unknown"
    VOLUME_UNKNOWN = "volume_unknown"
    TOO_LITTLE = "too_little"
    EXPIRED = "expired"
    TIME_UNKNOWN = "time_unknown"
    OPEN_NOT_STATED = "open_not_stated"
    OPEN_EXPIRED = "open_expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeHere:
    """The tube as it stands. `stays`: from collection until now; `remaining_ul`: what an analyzer can still reach."""

    state: SpecimenState
    specimen_type: str
    storage: Storage | None
    stays: tuple[Stay, ...]
    opened_at: datetime | None = None
    remaining_ul: int | None = None
    suspicion: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOnVerdict:
    """Whether the tube serves, and everything that speaks against it."""

    against: tuple[AgainstTube, ...]

    @property
    def needs_new_tube(self) -> bool:
        return bool(self.against)


def judge_add_on(test: Test, tube: TubeHere, *, at: datetime) -> AddOnVerdict:
    """Every reason why this test needs a tube of its own; none: the tube serves."""
    spoken = {
        AgainstTube.NOT_HERE: tube.state not in _HERE,
        AgainstTube.OTHER_MATERIAL: tube.specimen_type != test.specimen_type,
        AgainstTube.SUSPECT: bool(tube.suspicion),
        AgainstTube.STORAGE_UNKNOWN: tube.storage is None,
        AgainstTube.VOLUME_UNKNOWN: test.volume_ul is not None and tube.remaining_ul is None,
        AgainstTube.TOO_LITTLE: tube.remaining_ul is not None
        and tube.remaining_ul < (test.volume_ul or 0),
        **_time(test, tube, at),
    }
    return AddOnVerdict(against=tuple(reason for reason in AgainstTube if spoken.get(reason)))


def _time(test: Test, tube: TubeHere, at: datetime) -> dict[AgainstTube, bool]:
    closed = judge_stability(test.stability, tube.stays)
    spoken = {
        AgainstTube.EXPIRED: closed is Holds.EXPIRED,
        AgainstTube.TIME_UNKNOWN: closed is Holds.UNKNOWN,
    }
    if tube.opened_at is not None:
        open_stay = stay_since(tube.opened_at, tube.opened_at, at, tube.storage)
        opened = judge_stability(test.open_tube_stability, (open_stay,))
        spoken[AgainstTube.OPEN_NOT_STATED] = opened is Holds.NOT_STATED
        spoken[AgainstTube.OPEN_EXPIRED] = opened in {Holds.EXPIRED, Holds.UNKNOWN}
    return spoken
