"""What people see of instruments and links: the board.

Read-only, in a fixed number of queries whatever the number of links; a test counts them. The worst state of
control is the worst tile of `lis.qc` on that device.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Final

from sqlalchemy.orm import Session

from lis.app.alarms import DESTINATION, alarm_line
from lis.app.board_models import AlarmLine, Board, LinkTile
from lis.app.silence_watch import SILENCE
from lis.domain.errors import NotFound
from lis.domain.instrument_state import InstrumentFacts, state_of
from lis.drivers import registry
from lis.qc.reads import Tile, TileState
from lis.qc.reads import board as qc_board
from lis.results.timing import CLOCK_TOLERANCE
from lis.store import queue_queries, traffic_queries
from lis.store.definitions import catalog_in_force
from lis.store.rows import Device, InboxState, Link

CRASHED: Final = "task_crashed"  # kind of the supervisor's alarm
LOCKED: Final = frozenset({TileState.REJECTED, TileState.MISSING, TileState.OVERDUE})
ALARMS_MAX: Final = 200  # more than a person reads; the rest comes when these are closed


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was read for all links at once."""

    at: datetime
    devices: Mapping[int, Device]
    heard: Mapping[int, datetime]
    today: Mapping[tuple[int, InboxState], int]
    waiting_messages: Mapping[tuple[int, InboxState], int]
    alarms: tuple[AlarmLine, ...]
    qc: Mapping[int, Sequence[Tile]]
    waiting: Mapping[str, int]
    dead: Mapping[str, int]
    errors: Mapping[str, str] = field(default_factory=dict)


def read_board(session: Session, *, at: datetime, zone: tzinfo, language: str) -> Board:
    """Every link with what a person must know of it, and every open alarm."""
    links = traffic_queries.all_links(session)
    facts = read_facts(session, links, at=at, zone=zone, language=language)
    ordered = sorted(links, key=lambda link: (link.purpose != "instrument", link.name))
    return Board(at=at, tiles=tuple(tile_of(link, facts) for link in ordered), alarms=facts.alarms)


def read_facts(
    session: Session, links: Sequence[Link], *, at: datetime, zone: tzinfo, language: str
) -> Facts:
    """Everything these links' tiles need, in a fixed number of queries."""
    midnight = at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    qc: dict[int, list[Tile]] = {}
    for tile in _qc_tiles(session, at, language):
        qc.setdefault(tile.device_id, []).append(tile)
    waiting: Counter[str] = Counter()
    for one in queue_queries.deliveries_waiting(session):
        waiting[one.destination] += one.count
    names = {link.name for link in links}
    return Facts(
        at=at,
        devices={device.id: device for device in traffic_queries.all_devices(session)},
        heard=traffic_queries.last_heard(session),
        today=traffic_queries.message_counts_since(session, midnight),
        waiting_messages=traffic_queries.waiting_counts(session),
        alarms=tuple(
            alarm_line(alarm, names)
            for alarm in traffic_queries.open_alarms(session, limit=ALARMS_MAX)
        ),
        qc=qc,
        waiting=waiting,
        dead=queue_queries.dead_counts(session),
        errors=queue_queries.failing_destinations(session),
    )


def _qc_tiles(session: Session, at: datetime, language: str) -> list[Tile]:
    """Control of all devices; a laboratory whose catalog is still missing has none, but has links."""
    try:
        catalog = catalog_in_force(session, at)
    except NotFound:
        return []
    return qc_board(session, catalog, at=at, language=language)


def tile_of(link: Link, facts: Facts) -> LinkTile:
    """One link as a tile."""
    device = facts.devices.get(link.device_id or 0)
    last = _latest(facts.heard.get(link.id), device.last_message_at if device else None)
    profile = registry.profiles().get(device.driver) if device else None
    destination = DESTINATION + link.name.removesuffix(":send")
    is_sender = link.purpose == "emr_send"
    tiles = facts.qc.get(device.id, ()) if device else ()
    worst, tests = _worst(tiles)
    counts = {state: facts.today.get((link.id, state), 0) for state in InboxState}
    offset = device.clock_offset_s if device else None
    error = facts.errors.get(destination, "") if is_sender else ""
    return LinkTile(
        link_id=link.id,
        name=link.name,
        purpose=link.purpose,
        address=link.address,
        peer=link.peer,
        state=_sender_state(error) if is_sender else _state(link, device, last, facts),
        link_state="" if is_sender else link.state,
        changed_at=link.changed_at,
        device=device.name if device else "",
        driver=device.driver if device else "",
        driver_name=profile.name if profile else "",
        grade=profile.grade.name.lower() if profile else "",
        last_at=last,
        age_s=age_s(facts.at, last),
        messages=sum(counts.values()),
        processed=counts[InboxState.PROCESSED],
        incomplete=counts[InboxState.INCOMPLETE],
        held=facts.waiting_messages.get((link.id, InboxState.HELD), 0),
        queue=facts.waiting_messages.get((link.id, InboxState.NEW), 0),
        alarms=sum(alarm.link == link.name for alarm in facts.alarms),
        clock_offset_s=offset,
        is_clock_off=offset is not None and abs(offset) > CLOCK_TOLERANCE.total_seconds(),
        quarantine_reason=device.quarantine_reason if device else "",
        qc=worst,
        qc_tests=tests,
        qc_locked=locked_tests(tiles),
        destination=destination if is_sender else "",
        waiting=facts.waiting.get(destination, 0) if is_sender else 0,
        dead=facts.dead.get(destination, 0) if is_sender else 0,
        delivery_error=error,
    )


def _state(link: Link, device: Device | None, last: datetime | None, facts: Facts) -> str:
    """The state by `lis.domain.instrument_state`; an EMR's link has none but its own."""
    if device is None:
        return link.state
    mine = [alarm for alarm in facts.alarms if alarm.link == link.name]
    known = InstrumentFacts(
        link=link.state,
        is_quarantined=bool(device.quarantine_reason),
        is_failing=any(
            alarm.kind == CRASHED
            and (link.changed_at is None or alarm.opened_at >= link.changed_at)
            for alarm in mine
        ),
        is_silent=any(
            alarm.kind == SILENCE and (last is None or alarm.opened_at >= last) for alarm in mine
        ),
        age_s=age_s(facts.at, last),
    )
    return state_of(known).value


def _sender_state(error: str) -> str:
    """A sender opens a connection when there is something to send: it has no state of its own."""
    return "retrying" if error else "ready"


def _worst(tiles: Sequence[Tile]) -> tuple[str, tuple[str, ...]]:
    order = list(TileState)
    if not tiles:
        return "", ()
    worst = min((tile.state for tile in tiles), key=order.index)
    return worst.value, tuple(sorted(tile.name for tile in tiles if tile.state is worst))


def locked_tests(tiles: Sequence[Tile]) -> tuple[str, ...]:
    """Tests whose gate is closed: their results are held until a control is accepted."""
    return tuple(sorted(tile.name for tile in tiles if tile.state in LOCKED))


def _latest(*moments: datetime | None) -> datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)


def age_s(at: datetime, since: datetime | None) -> int | None:
    """Whole seconds since then; never negative."""
    return None if since is None else max(0, int((at - since).total_seconds()))
