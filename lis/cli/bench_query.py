"""`lis bench query`: how long an analyzer waits for its orders, in a laboratory with a long history.

    query_first_order_p95_ms_*   from handing the Q frame (or QBP block) to the kernel until the first order frame (or the
                                 answer's block) is here; beside it the same in a laboratory that holds nothing else

One house with two analyzers on loopback sockets, the links as `lis serve` runs them: the question is kept with fsync, the
answer is computed, logged and committed before it is sent. First some tubes wait in an otherwise empty store and are
asked for; then the history is seeded (`lis.cli.scale_seed`) into the same store, and other tubes are asked for. The
statements of one question are explained on stderr.

Work is not routed meanwhile: tubes are asked for as an analyzer does that stands alone.
"""

import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, event

from lis.app.clock import SystemClock
from lis.app.settings import parse_settings
from lis.app.wiring import RunRole, build_house
from lis.cli.bench_timing import Figure, Peer, beside
from lis.cli.output import note
from lis.cli.scale_seed import OPEN_ORDERS, ORDERS_PER_TUBE, Profile, Scale, Seeded, seed_scale
from lis.cli.serving import HouseThread, free_port
from lis.domain.catalog import Catalog
from lis.drivers import registry
from lis.store.definitions import catalog_in_force
from lis.store.seed.demo_catalog import put_demo_catalog
from lis.store.unit import Store
from lis.wire.astm_frame import ACK, ENQ, EOT, STX, blocks_of
from simulators.writing import Instrument, query_message

ASKED: Final = 100  # questions of each analyzer in each laboratory
WARM_UP: Final = 5
LOOPBACK: Final = "127.0.0.1"
TIMEOUT_S: Final = 20.0
DRIVERS: Final = {"astm": "roche-cobas-c111", "mllp": "mindray-bc"}
PLAN_LINES_MAX: Final = 60

Say = Callable[[str], None]


def figures(*, orders: int, url: str = "", say: Say = note) -> list[Figure]:
    """Measure both analyzers in the small and in the large laboratory; `url` must name an empty store."""
    with (
        tempfile.TemporaryDirectory(prefix="lis-bench-") as folder,
        _house(url or f"sqlite:///{Path(folder) / 'lis.db'}") as (store, ports),
    ):
        catalog = _furnish(store)
        profiles = [_profile(catalog, driver) for driver in DRIVERS.values()]
        tubes = (ASKED + WARM_UP) * len(DRIVERS)
        waiting = Scale(orders=tubes * ORDERS_PER_TUBE, open_orders=tubes * ORDERS_PER_TUBE)
        small = _ask_all(store, ports, seed_scale(store, catalog, waiting, profiles=profiles))
        say(f"{orders} orders are being seeded")
        began = time.perf_counter()
        scale = Scale(orders=orders, open_orders=min(OPEN_ORDERS, orders // 2))
        seeded = seed_scale(store, catalog, scale, profiles=profiles)
        say(f"{seeded.orders} orders, {seeded.tubes} tubes in {time.perf_counter() - began:.0f} s")
        large = _ask_all(store, ports, seeded, explain=say)
    return [_figure(wire, small[wire], large[wire]) for wire in DRIVERS]


def _figure(wire: str, small: Sequence[float], large: Sequence[float]) -> Figure:
    peer = Peer(name="empty laboratory", version="", value=_p95(small))
    return beside(f"query_first_order_p95_ms_{wire}", _p95(large), "ms", peer)


@contextmanager
def _house(url: str) -> Iterator[tuple[Store, dict[str, int]]]:
    ports = {wire: free_port(LOOPBACK, 0) for wire in DRIVERS}
    instruments = [
        {
            "name": wire,
            "driver": driver,
            "link": f"tcp-listen://{LOOPBACK}:{ports[wire]}",
            "timezone": "UTC",
        }
        for wire, driver in DRIVERS.items()
    ]
    settings = parse_settings({"store": {"url": url}, "instrument": instruments}, where="bench")
    house = build_house(settings, clock=SystemClock())
    thread = HouseThread(house, frozenset({RunRole.LINKS}))
    thread.start()
    try:
        yield house.store, ports
    finally:
        thread.stop()


def _furnish(store: Store) -> Catalog:
    with store.unit("bench") as unit:
        put_demo_catalog(unit, effective_from=unit.now - timedelta(days=1))
        unit.session.flush()
        return catalog_in_force(unit.session, unit.now)


def _profile(catalog: Catalog, driver: str) -> Profile:
    """A tube with what that analyzer measures."""
    tests = [
        catalog.tests[entry.test] for entry in catalog.instrument_tests if entry.driver == driver
    ]
    kind = tests[0].specimen_type
    codes = [test.code for test in tests if test.specimen_type == kind]
    return Profile(specimen_type=kind, tests=tuple(codes[:ORDERS_PER_TUBE]))


def _ask_all(
    store: Store, ports: dict[str, int], seeded: Seeded, *, explain: Say | None = None
) -> dict[str, list[float]]:
    """Milliseconds by wire; tubes of the two kinds follow each other."""
    taken: dict[str, list[float]] = {}
    for place, (wire, driver) in enumerate(DRIVERS.items()):
        tubes = seeded.open_accessions[place :: len(DRIVERS)][: ASKED + WARM_UP]
        instrument = Instrument.of(registry.get(driver))
        ask = _ask_astm if wire == "astm" else _ask_mllp
        with closing(_connect(ports[wire])) as line:
            if explain is not None and place == 0:
                with _explained(store.engines.write, explain):
                    ask(line, instrument, tubes[0], 0)
            times = [ask(line, instrument, tube, number) for number, tube in enumerate(tubes, 1)]
        taken[wire] = times[WARM_UP:]
    return taken


def _connect(port: int) -> socket.socket:
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            line = socket.create_connection((LOOPBACK, port), timeout=TIMEOUT_S)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return line


def _ask_astm(line: socket.socket, instrument: Instrument, tube: str, number: int) -> float:
    """One question; the time until the first frame with an order."""
    asked = query_message(instrument, (tube,), number=number, sent_at=SystemClock().now())
    blocks = blocks_of(asked.records)
    _hand(line, ENQ)
    began = 0.0
    for block in blocks:
        if b"Q|" in block:
            began = time.perf_counter()
        _hand(line, block)
    line.sendall(EOT)
    _expect(line, ENQ)
    line.sendall(ACK)
    taken = 0.0
    while (frame := _frame(line)) != EOT:
        if not taken and b"O|" in frame:
            taken = (time.perf_counter() - began) * 1000
        line.sendall(ACK)
    assert taken, f"no orders for {tube}"
    return taken


def _ask_mllp(line: socket.socket, instrument: Instrument, tube: str, number: int) -> float:
    """One question; the time until the block with the orders."""
    asked = query_message(instrument, (tube,), number=number, sent_at=SystemClock().now()).payload
    began = time.perf_counter()
    line.sendall(b"\x0b" + asked + b"\x1c\r")
    while True:
        block = _until(line, b"\x1c\r")
        if b"\rORC|" in block or b"\rOBR|" in block or b"\rDSP|" in block:
            return (time.perf_counter() - began) * 1000


def _hand(line: socket.socket, data: bytes) -> None:
    line.sendall(data)
    _expect(line, ACK)


def _expect(line: socket.socket, wanted: bytes) -> None:
    got = line.recv(1)
    if got != wanted:
        raise RuntimeError(f"expected {wanted!r}, got {got!r}")


def _frame(line: socket.socket) -> bytes:
    first = line.recv(1)
    return first + _until(line, b"\n") if first == STX else first


def _until(line: socket.socket, end: bytes) -> bytes:
    found = bytearray()
    while not found.endswith(end):
        piece = line.recv(1)
        if not piece:
            raise RuntimeError(f"the house hung up after {bytes(found)!r}")
        found += piece
    return bytes(found)


@contextmanager
def _explained(engine: Engine, say: Say) -> Iterator[None]:
    """Say how the store runs every SELECT of what happens inside."""
    seen: list[tuple[str, Any]] = []

    def note_statement(_c: Any, _k: Any, statement: str, values: Any, _x: Any, _m: bool) -> None:
        if statement.startswith("SELECT"):
            seen.append((statement, values))

    event.listen(engine, "before_cursor_execute", note_statement)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", note_statement)
    prefix = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    lines: dict[str, None] = {}
    with engine.connect() as connection:
        for statement, values in dict(seen).items():
            for row in connection.exec_driver_sql(prefix + statement, values):
                lines[str(row[-1])] = None
    for text in list(lines)[:PLAN_LINES_MAX]:
        say(f"plan: {text}")


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]
