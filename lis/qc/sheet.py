"""One chart with everything around it: what a person sees who looks at one test on one device.

The page and its JSON endpoint both ask here. A sheet exists for every tile of the board, also before the first
control was measured: then it has no runs.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from lis.domain.catalog import Catalog
from lis.domain.control import GateExcuse
from lis.domain.errors import NotFound
from lis.qc.actions import grant_exception
from lis.qc.gate import level_order
from lis.qc.reads import RUNS_SHOWN, RunLine, Tile, TileState, board, exceptions, run_lines
from lis.store.gate_reading import excuse_of
from lis.store.unit import Unit

# An exception answers for a control that is not there (S02); nothing else needs one.
EXCUSABLE = frozenset({TileState.MISSING, TileState.OVERDUE, TileState.DUE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The tile as on the board, its newest runs oldest first, and the exceptions that are running."""

    tile: Tile
    unit: str
    lines: tuple[RunLine, ...]
    levels: tuple[str, ...]
    excuses: tuple[GateExcuse, ...]

    @property
    def can_be_excused(self) -> bool:
        """Whether a named person may answer for this gate now."""
        return self.tile.state in EXCUSABLE


def read_sheet(
    session: Session,
    catalog: Catalog,
    *,
    device_id: int,
    test_code: str,
    at: datetime,
    language: str,
    runs: int = RUNS_SHOWN,
) -> Sheet:
    """The sheet of one tile; raises `NotFound` for a pair that is not on the board."""
    pair = (device_id, test_code)
    tiles = board(session, catalog, at=at, language=language)
    tile = next((one for one in tiles if (one.device_id, one.test) == pair), None)
    if tile is None:
        raise NotFound("chart", f"{device_id}/{test_code}")
    test = catalog.tests.get(test_code)
    lines = run_lines(session, device_id=device_id, test_code=test_code, runs=runs)
    levels = {point.level for line in lines for point in line.points}
    return Sheet(
        tile=tile,
        unit=test.unit if test else "",
        lines=tuple(lines),
        levels=tuple(sorted(levels, key=level_order)),
        excuses=tuple(one for one in exceptions(session, at) if (one.device_id, one.test) == pair),
    )


def answer_for_gate(
    unit: Unit, catalog: Catalog, *, device_id: int, test_code: str, reason: str, hours: int
) -> GateExcuse:
    """Grant an exception of some hours for a tile of the board; nobody answers for what nobody sees."""
    read_sheet(
        unit.session,
        catalog,
        device_id=device_id,
        test_code=test_code,
        at=unit.now,
        language="en",
        runs=1,
    )
    ends_at = unit.now + timedelta(hours=hours)
    return excuse_of(
        grant_exception(
            unit, device_id=device_id, test_code=test_code, reason=reason, ends_at=ends_at
        )
    )
