"""Figures of `lis bench many`: two hundred analyzers at work, and what they kept while we were away.

    many_unacknowledged        messages sent and not acknowledged; 0, or the bench fails
    many_ack_p99_ms_*          one 20-result message each per 30 s, from handing a block to the kernel to its ACK
    many_memory_growth_mib     resident memory of the house, from the first messages to the last
    many_cpu_share             CPU seconds a second of the process that is the house: links, writer, intake
    drain_5000_s_*             5,000 messages that waited in the analyzers, from reconnecting to the last ACK
    drain_5000_processed_s_*   the same, until intake has judged the last one
    drain_out_of_order         messages stored in another order than their analyzer sent them; 0

The whole house works: links, inbox, intake, sealer. The tubes are unknown to it, so every value is held with
its reason; `lis bench intake` measures the way to a released result. Each wire takes its turn with all analyzers.
"""

import re
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from lis.cli.bench_house import LoadedHouse, open_house
from lis.cli.bench_timing import Figure, alone
from lis.store.rows import Inbox
from simulators.load_messages import ACCESSION_PREFIX, ACCESSION_WIDTH, Wire

ANALYZERS: Final = 200
PERIOD_S: Final = 30.0  # of one analyzer: a result of twenty values every half minute
STORED: Final = 5_000  # messages that waited, of all analyzers together
DRAIN_SETTLE_S: Final = 900.0  # 100,000 values, each judged and held; a busy machine needs minutes
WARM_UP: Final = 2  # messages of each analyzer before memory is looked at
_ACCESSION: Final = re.compile(
    rf"(?<!\d){ACCESSION_PREFIX}\d{{{ACCESSION_WIDTH + 1}}}(?!\d)".encode()
)
_RESIDENT: Final = re.compile(r"VmRSS:\s+(\d+) kB")


def figures(*, seconds: float, analyzers: int = ANALYZERS, stored: int = STORED) -> list[Figure]:
    """Measure both wires, each for half of `seconds`, then each draining `stored` messages."""
    found: list[Figure] = []
    disorder = 0
    with tempfile.TemporaryDirectory(prefix="lis-bench-") as folder:
        for wire in Wire:
            with open_house(Path(folder) / wire.value, wire, analyzers=analyzers) as loaded:
                found += _at_work(loaded, seconds / len(Wire))
                drained, out_of_order = _drain(loaded, stored // analyzers)
                found += drained
                disorder += out_of_order
    return [
        alone("many_unacknowledged", 0, "messages"),  # `load` raises otherwise
        *found,
        alone("drain_out_of_order", disorder, "messages"),
    ]


def _at_work(loaded: LoadedHouse, seconds: float) -> list[Figure]:
    loaded.load(messages=WARM_UP)
    loaded.await_processed()
    memory_kib, cpu_s, began = _resident_kib(), time.process_time(), time.monotonic()
    counted = loaded.load(seconds=seconds, per_second=loaded.analyzers / PERIOD_S)
    loaded.await_processed()
    share = (time.process_time() - cpu_s) / (time.monotonic() - began)
    grown_mib = (_resident_kib() - memory_kib) / 1024
    wire = loaded.wire.value
    return [
        alone(f"many_ack_p99_ms_{wire}", counted.ack_p99_ms, "ms"),
        alone(f"many_memory_growth_mib_{wire}", round(grown_mib, 1), "MiB"),
        alone(f"many_cpu_share_{wire}", round(share, 3), "CPU-s/s"),
        alone(f"many_messages_{wire}", counted.acked, "messages"),
    ]


def _drain(loaded: LoadedHouse, of_each: int) -> tuple[list[Figure], int]:
    """All analyzers call again with what they kept; how long, and how many came in another order."""
    with loaded.store.read() as session:
        before = session.scalar(select(func.max(Inbox.id))) or 0
    began = time.monotonic()
    loaded.load(messages=of_each)
    acknowledged_s = time.monotonic() - began
    loaded.await_processed(DRAIN_SETTLE_S)
    processed_s = time.monotonic() - began
    wire = loaded.wire.value
    drained = [
        alone(f"drain_5000_s_{wire}", round(acknowledged_s, 2), "s"),
        alone(f"drain_5000_processed_s_{wire}", round(processed_s, 2), "s"),
    ]
    return drained, _out_of_order(loaded, before, of_each)


def _out_of_order(loaded: LoadedHouse, after_id: int, of_each: int) -> int:
    """Messages behind a later one of the same analyzer, and any that are missing or there twice."""
    with loaded.store.read() as session:
        stored = session.execute(
            select(Inbox.device_id, Inbox.raw).where(Inbox.id > after_id).order_by(Inbox.id)
        ).all()
    by_device: dict[int | None, list[bytes]] = {}
    for device_id, raw in stored:
        named = _ACCESSION.search(raw)
        by_device.setdefault(device_id, []).append(named[0] if named else b"")
    wrong = sum(one >= other for came in by_device.values() for one, other in pairwise(came))
    return wrong + abs(loaded.analyzers * of_each - len(stored))


def _resident_kib() -> int:
    """Memory of this process that is in RAM; 0 where the system does not say."""
    status = Path("/proc/self/status")
    found = _RESIDENT.search(status.read_text()) if status.exists() else None
    return int(found[1]) if found else 0
