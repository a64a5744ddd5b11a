"""Figures of `lis bench many`: two hundred analyzers at work, and what they kept while we were away.

    many_unacknowledged          messages sent and not acknowledged; 0, or the bench fails
    many_ack_p99_ms_*            one 20-result message each per 30 s, from handing a block to the kernel to its ACK
    many_memory_growth_mib_*     resident memory of the house, from the first messages to the last
    many_cpu_share_*             CPU seconds a second of the process that is the house: links, writer, intake
    many_unprocessed_*           messages that intake had not judged `WORK_SETTLE_S` after the last ACK
    drain_5000_s_*               5,000 messages that waited in the analyzers, from reconnecting to the last ACK
    drain_5000_processed_s_*     the same, until intake has judged the last one, or the settle time is over
    drain_5000_unprocessed_*     what was not judged by then
    drain_released_share_*       values of the drained messages that were released without a person
    drain_out_of_order           messages stored in another order than their analyzer sent them; 0

The whole house works: links, inbox, intake, sealer. Controls are accepted and each message is of a tube of its own
with the panel ordered; one in twenty is of a tube that nobody knows, and is held. The analyzer of the MLLP wire
measures eight tests: its other twelve codes are unknown and held with their reason. Each wire takes its turn with
all analyzers.

How long it takes: for each wire, placing the orders (some 3 ms a tube), half of `--seconds`, at most
`WORK_SETTLE_S`, the drain, and at most `DRAIN_SETTLE_S`. It says on stderr where it is.
"""

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from math import ceil
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from lis.cli.bench_house import LoadedHouse, accept_controls, open_house, place_orders
from lis.cli.bench_timing import Figure, alone
from lis.cli.output import note
from lis.store.observation_rows import Observation
from lis.store.rows import Inbox
from simulators.load_messages import Wire, accessions_of

ANALYZERS: Final = 200
PERIOD_S: Final = 30.0  # of one analyzer: a result of twenty values every half minute
STORED: Final = 5_000  # messages that waited, of all analyzers together
UNKNOWN_EVERY: Final = 20  # one tube in so many was never ordered here
WORK_SETTLE_S: Final = 60.0  # after the last ACK at the pace of work; a second on a quiet machine
DRAIN_SETTLE_S: Final = (
    300.0  # 100,000 values to judge at 2,000 a second, and a busy machine's factor of six
)
WARM_UP: Final = 2  # messages of each analyzer before memory is looked at
PLACED_AT_ONCE: Final = 500  # between two lines of progress
LOOK_S: Final = 0.05
PROGRESS_S: Final = 5.0
_NUMBER: Final = re.compile(rb"\d{8,16}")  # as long as an accession number may be
_RESIDENT: Final = re.compile(r"VmRSS:\s+(\d+) kB")

Say = Callable[[str], None]


def figures(
    *, seconds: float, analyzers: int = ANALYZERS, stored: int = STORED, say: Say = note
) -> list[Figure]:
    """Measure both wires, each for half of `seconds`, then each draining `stored` messages."""
    found: list[Figure] = []
    disorder = 0
    with tempfile.TemporaryDirectory(prefix="lis-bench-") as folder:
        for wire in Wire:
            with open_house(Path(folder) / wire.value, wire, analyzers=analyzers) as loaded:
                turn = _Turn(loaded, say, accessions_of(0))
                found += turn.work(seconds / len(Wire))
                drained, out_of_order = turn.drain(stored // analyzers)
                found += drained
                disorder += out_of_order
    return [
        alone("many_unacknowledged", 0, "messages"),  # `load` raises otherwise
        *found,
        alone("drain_out_of_order", disorder, "messages"),
    ]


@dataclass(frozen=True, slots=True)
class _Turn:
    """One wire's turn."""

    loaded: LoadedHouse
    say_to: Say
    unknown: Iterator[str]
    """Numbers of tubes that nobody ordered."""

    def work(self, seconds: float) -> list[Figure]:
        """All analyzers at their pace for so long."""
        loaded, wire = self.loaded, self.loaded.wire.value
        self.say(f"{loaded.analyzers} analyzers listen; their controls are measured")
        accept_controls(loaded)
        tubes = self._tubes(WARM_UP)
        loaded.load(messages=WARM_UP, accessions=tubes)
        self._settle(WORK_SETTLE_S)
        tubes = self._tubes(ceil(seconds / PERIOD_S) + 1)
        self.say(f"at work for {seconds:g} s")
        memory_kib, cpu_s, began = _resident_kib(), time.process_time(), time.monotonic()
        counted = loaded.load(
            seconds=seconds, per_second=loaded.analyzers / PERIOD_S, accessions=tubes
        )
        left = self._settle(WORK_SETTLE_S)
        share = (time.process_time() - cpu_s) / (time.monotonic() - began)
        grown_mib = (_resident_kib() - memory_kib) / 1024
        return [
            alone(f"many_ack_p99_ms_{wire}", counted.ack_p99_ms, "ms"),
            alone(f"many_memory_growth_mib_{wire}", round(grown_mib, 1), "MiB"),
            alone(f"many_cpu_share_{wire}", round(share, 3), "CPU-s/s"),
            alone(f"many_messages_{wire}", counted.acked, "messages"),
            alone(f"many_unprocessed_{wire}", left, "messages"),
        ]

    def drain(self, of_each: int) -> tuple[list[Figure], int]:
        """All analyzers call again with what they kept; how long, and how many came in another order."""
        loaded, wire = self.loaded, self.loaded.wire.value
        tubes = self._tubes(of_each)
        with loaded.store.read() as session:
            before = session.scalar(select(func.max(Inbox.id))) or 0
        self.say(f"{len(tubes)} messages are drained")
        began = time.monotonic()
        loaded.load(messages=of_each, accessions=tubes)
        acknowledged_s = time.monotonic() - began
        left = self._settle(DRAIN_SETTLE_S)
        processed_s = time.monotonic() - began
        drained = [
            alone(f"drain_5000_s_{wire}", round(acknowledged_s, 2), "s"),
            alone(f"drain_5000_processed_s_{wire}", round(processed_s, 2), "s"),
            alone(f"drain_5000_unprocessed_{wire}", left, "messages"),
            alone(f"drain_released_share_{wire}", _released_share(loaded, before), ""),
        ]
        return drained, _out_of_order(loaded, before, tubes)

    def say(self, text: str) -> None:
        """Where the bench is."""
        self.say_to(f"{self.loaded.wire.value}: {text}")

    def _tubes(self, of_each: int) -> list[str]:
        """A tube for each message: ordered and received, but for a few that nobody knows."""
        count = of_each * self.loaded.analyzers
        tubes: list[str] = []
        while len(tubes) < count:
            wanted = min(PLACED_AT_ONCE, count - len(tubes))
            tubes += place_orders(self.loaded, wanted)
            self.say(f"orders placed for {len(tubes)} tubes of {count}")
        tubes[::UNKNOWN_EVERY] = islice(self.unknown, ceil(count / UNKNOWN_EVERY))
        return tubes

    def _settle(self, settle_s: float) -> int:
        """Wait until intake has judged everything, or so long; returns what it has not."""
        began = said = time.monotonic()
        while left := self.loaded.unprocessed():
            now = time.monotonic()
            if now - began > settle_s:
                self.say(f"{left} messages are unprocessed after {settle_s:g} s")
                break
            if now - said > PROGRESS_S:
                said = now
                self.say(f"{left} messages wait for intake")
            time.sleep(LOOK_S)
        return left


def _released_share(loaded: LoadedHouse, after_id: int) -> float:
    with loaded.store.read() as session:
        ours = select(func.count()).where(Observation.inbox_id > after_id)
        count = session.execute(ours).scalar_one()
        released = session.execute(ours.where(Observation.released_at.is_not(None))).scalar_one()
    return round(released / count, 3) if count else 0.0


def _out_of_order(loaded: LoadedHouse, after_id: int, tubes: Sequence[str]) -> int:
    """Messages behind a later one of the same analyzer, and any that are missing or there twice."""
    with loaded.store.read() as session:
        stored = session.execute(
            select(Inbox.device_id, Inbox.raw).where(Inbox.id > after_id).order_by(Inbox.id)
        ).all()
    places = {tube.encode(): place for place, tube in enumerate(tubes)}
    by_device: dict[int | None, list[int]] = {}
    for device_id, raw in stored:
        named = (places[text] for text in _NUMBER.findall(raw) if text in places)
        by_device.setdefault(device_id, []).append(next(named, -1))
    wrong = sum(one >= other for came in by_device.values() for one, other in pairwise(came))
    return wrong + abs(len(tubes) - len(stored))


def _resident_kib() -> int:
    """Memory of this process that is in RAM; 0 where the system does not say."""
    status = Path("/proc/self/status")
    found = _RESIDENT.search(status.read_text()) if status.exists() else None
    return int(found[1]) if found else 0
