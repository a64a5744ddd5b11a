"""The demo's laboratory: a real house in a temporary folder, simulated analyzers and a simulated EMR around it.

    EMR --OML--> house --orders--> analyzers (TCP, MLLP, serial)      tubes: the composition reads the
     ^                              |                                 accession numbers from the store,
     '--------ORU-- house <--results'                                 as a nurse reads them from labels

The house is the product, whole: nothing in it knows that its analyzers are simulated, except that their
devices are marked so (S14). Simulators run on an event loop and a thread of their own and count for themselves.
"""

import asyncio
import itertools
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lis.app.clock import SystemClock
from lis.app.settings import Settings, parse_settings
from lis.app.wiring import House, build_house
from lis.cli.demo_seed import DemoSeed, seed
from lis.cli.serving import HouseThread, free_port
from lis.domain.catalog import Catalog
from lis.domain.clock import Clock
from lis.drivers import registry
from lis.orders import OrderEntry, PatientEntry, RequisitionEntry, place_requisition
from lis.store.order_queries import (
    service_requests_by_placer,
    specimens_of_requisition,
    work_orders_of_specimens,
)
from lis.store.order_rows import Specimen, WorkOrder
from lis.store.traffic_queries import all_devices
from lis.store.unit import Store
from lis.transport import LinkAddress
from simulators.analyzer import Analyzer, AnalyzerSettings, Tube
from simulators.cases import Case
from simulators.emr import Emr
from simulators.emr_messages import OrderReply, Referral
from simulators.tubes import unissued_numbers
from simulators.workload import DAY_CASES, referral_of
from simulators.writing import Instrument

if TYPE_CHECKING:
    from lis.cli.null_modem import NullModem

HOST: Final = "127.0.0.1"
(NEVER_PRINTED,) = unissued_numbers(1, seed="demo")
EMR_NAME: Final = "his"
COLLECTED_BEFORE: Final = timedelta(minutes=40)
START_WAIT_S: Final = 15.0
LOOK_S: Final = 0.02

# name, driver, how it is connected, whether it asks the host about each tube
_WHOLE_FLEET: Final[tuple[tuple[str, str, str, bool], ...]] = (
    ("c111-1", "roche-cobas-c111", "tcp", False),
    ("c111-2", "roche-cobas-c111", "tcp", False),
    ("xp-1", "sysmex-xp-100", "serial", False),
    ("xpert-1", "cepheid-genexpert", "tcp", True),
    ("bc-1", "mindray-bc", "tcp", False),
)

# A pseudo-terminal is what POSIX has; elsewhere the demo goes without its serial analyzer.
FLEET: Final = tuple(one for one in _WHOLE_FLEET if one[2] != "serial" or os.name == "posix")

# A real day has odd moments: every so many patients one of these.
CASE_EVERY: Final = 5
WALK_IN_BORN: Final = "1985-03-20"


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterPatient:
    """What the counter gave a patient."""

    receipt_code: str
    birth_date: str


@dataclass(slots=True, kw_only=True)
class DemoLaboratory:
    """A running house with its surroundings."""

    house: House
    seed: DemoSeed
    clock: Clock
    analyzers: dict[str, Analyzer]
    emr: Emr
    emr_address: LinkAddress
    simulation: "SimulationThread"
    serial_ends: dict[str, str]
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _turns: dict[str, Iterator[str]] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return self.house.store

    def start_surroundings(self) -> None:
        """Let the EMR listen and the analyzers connect to the house's real addresses."""
        listening = {EMR_NAME, *(name for name, _, how, _ in FLEET if how == "tcp")}
        deadline_s = time.monotonic() + START_WAIT_S
        while not listening <= self.house.addresses.keys():
            if time.monotonic() > deadline_s:
                missing = ", ".join(sorted(listening - self.house.addresses.keys()))
                raise TimeoutError(f"links did not open within {START_WAIT_S:g} s: {missing}")
            time.sleep(LOOK_S)
        self.simulation.start(self._surroundings)

    async def _surroundings(self, stop: asyncio.Event) -> None:
        tasks = [asyncio.create_task(self.emr.listen(self.emr_address, stop))]
        for name, analyzer in self.analyzers.items():
            tasks.append(asyncio.create_task(analyzer.run(self._address_for(name), stop)))
        await asyncio.gather(*tasks)

    def _address_for(self, name: str) -> LinkAddress:
        if name in self.serial_ends:
            return LinkAddress.parse(f"serial://{self.serial_ends[name]}?baudrate=9600")
        return LinkAddress.parse(f"tcp-connect://{self.house.addresses[name]}")

    def measure_controls(self, *, shift_sd: float = 0.0, device: str = "") -> None:
        """Put every control on its analyzer; `shift_sd` spoils those of one device."""
        for name, tubes in self.seed.controls.items():
            moved = [replace(tube, shift_sd=shift_sd) if name == device else tube for tube in tubes]
            self.simulation.call(partial(self.analyzers[name].load, moved))

    async def until_measured(self) -> None:
        """Wait until every analyzer has sent what it was given."""
        await asyncio.gather(*(analyzer.until_done() for analyzer in self.analyzers.values()))

    async def admit(
        self, *, orders: tuple[str, ...] = (), cases: tuple[Case, ...] = (), on: str = ""
    ) -> OrderReply:
        """One patient: the EMR orders, the tubes go to the analyzers, or all to the one with that driver."""
        referral = referral_of(next(self._numbers), seed="demo", at=self.clock.now(), codes=orders)
        house = LinkAddress.parse(f"tcp-connect://{self.house.addresses[EMR_NAME]}")
        async with self.emr.calling(house) as desk:
            reply = await desk.place(referral)
            if Case.CANCELLED_ORDER in cases:
                await desk.cancel(referral)
        loads = await asyncio.to_thread(self._tubes_of, referral, cases, on)
        for name, tubes in loads.items():
            self.analyzers[name].load(tubes)
        return reply

    def walk_in(self) -> CounterPatient:
        """A patient at the counter: ordered on the form, with a receipt to open the results by."""
        now = self.clock.now()
        entry = RequisitionEntry(
            patient=PatientEntry(
                family_name="Примерова", given_name="Анна", birth_date=WALK_IN_BORN, sex="F"
            ),
            orders=tuple(OrderEntry(code=code) for code in ("CBC", "GLU", "CREA", "CRP")),
            source="form",
            requester="Demodoc",
            collected_at=now - COLLECTED_BEFORE,
            collected_certainty="exact",
            is_received=True,
        )
        with self.store.unit("demo") as unit:
            placed = place_requisition(unit, self.house.laboratory.catalog(), entry, site_id=1)
        for name, tubes in self._tubes_on(placed.requisition_id, ()).items():
            self.simulation.call(partial(self.analyzers[name].load, tubes))
        return CounterPatient(receipt_code=placed.receipt_code, birth_date=WALK_IN_BORN)

    def start_day(self, *, patients: int, pause_s: float, controls_every: int) -> None:
        """Let a day run beside the pages: controls, a morning's patients, then one at a time."""
        self.simulation.submit(self._day(patients, pause_s, controls_every))

    async def _day(self, patients: int, pause_s: float, controls_every: int) -> None:
        self.measure_controls()
        await self.until_measured()
        for number in itertools.count():
            cases = (
                (DAY_CASES[number // CASE_EVERY % len(DAY_CASES)],)
                if number % CASE_EVERY == 1
                else ()
            )
            await self.admit(cases=cases)
            if number % controls_every == controls_every - 1:
                self.measure_controls()
            if number >= patients:
                await asyncio.sleep(pause_s)

    def _tubes_of(
        self, referral: Referral, cases: tuple[Case, ...], on: str
    ) -> dict[str, list[Tube]]:
        """The tubes of an EMR's referral, found by its own number."""
        number = referral.orders[0].placer_number
        with self.store.read() as session:
            placed = service_requests_by_placer(session, number, self.emr.name)
        return self._tubes_on(placed[0].requisition_id, cases, on)

    def _tubes_on(
        self, requisition_id: int, cases: tuple[Case, ...], on: str = ""
    ) -> dict[str, list[Tube]]:
        """Which tube goes to which analyzer: the labels, and the rack."""
        catalog = self.house.laboratory.catalog()
        with self.store.read() as session:
            specimens = specimens_of_requisition(session, requisition_id)
            work = work_orders_of_specimens(session, (specimen.id for specimen in specimens))
        loads: dict[str, list[Tube]] = defaultdict(list)
        for specimen in specimens:
            tests = [row for row in work if row.specimen_id == specimen.id]
            name, tube = self._place(catalog, specimen, tests, cases=cases, on=on)
            loads[name].append(tube)
        return loads

    def _place(
        self,
        catalog: Catalog,
        specimen: Specimen,
        work: list[WorkOrder],
        *,
        cases: tuple[Case, ...],
        on: str,
    ) -> tuple[str, Tube]:
        """The analyzer that measures most of a tube's tests; equals take turns."""
        wanted = {row.test_code for row in work}
        able = {
            name: [
                catalog.by_instrument_test[driver, test].code
                for test in sorted(wanted)
                if (driver, test) in catalog.by_instrument_test
            ]
            for name, driver, _, _ in FLEET
        }
        most = max(len(codes) for codes in able.values())
        best = tuple(name for name, codes in able.items() if len(codes) == most)
        turn = self._turns.setdefault(",".join(best), itertools.cycle(best))
        name = _named(on) if on else next(turn)
        asks = next(does_ask for fleet_name, _, _, does_ask in FLEET if fleet_name == name)
        return name, Tube(
            accession=NEVER_PRINTED if Case.UNKNOWN_SPECIMEN in cases else specimen.accession,
            tests=() if asks else tuple(able[name]),
            cases=cases,
        )


class SimulationThread:
    """An event loop of its own for everything that is simulated."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._is_up = threading.Event()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="simulators")
        self._outcome: Future[None] | None = None
        self._endless: list[Future[Any]] = []

    def start(self, surroundings: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
        """Run until `stop`."""

        async def run() -> None:
            self._loop = asyncio.get_running_loop()
            self._stop = asyncio.Event()
            self._is_up.set()
            await surroundings(self._stop)

        self._outcome = self._executor.submit(lambda: asyncio.run(run()))
        self._is_up.wait(START_WAIT_S)

    def run(self, work: Coroutine[Any, Any, Any], *, timeout_s: float) -> Any:
        """Run a coroutine on the loop and wait for its result; raises `TimeoutError`."""
        assert self._loop is not None, "start first"
        if self._outcome is not None and self._outcome.done():
            work.close()
            self._outcome.result()  # raises what ended the simulators
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def submit(self, work: Coroutine[Any, Any, Any]) -> None:
        """Start a coroutine on the loop; it ends with the loop."""
        assert self._loop is not None, "start first"
        self._endless.append(asyncio.run_coroutine_threadsafe(work, self._loop))

    def call(self, function: Callable[[], None]) -> None:
        """Call something on the loop's thread."""
        assert self._loop is not None, "start first"
        self._loop.call_soon_threadsafe(function)

    def stop(self) -> None:
        """End all simulators."""
        for work in self._endless:
            work.cancel()
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._executor.shutdown(wait=True)


@contextmanager
def demo_laboratory(
    folder: Path, *, password: str, web_port: int = 0, language: str = "ru"
) -> Iterator[DemoLaboratory]:
    """A house with its surroundings; everything is closed when the block ends."""
    clock = SystemClock()
    with ExitStack() as stack:
        cables = _cables(stack)
        emr_port = free_port(HOST, 0)
        settings = _settings(
            folder, cables, emr_port=emr_port, web_port=web_port, language=language
        )
        house = build_house(settings, clock=clock, is_demo=True)
        with house.store.unit("demo") as unit:
            planted = seed(unit, all_devices(unit.session), password=password)
        thread = HouseThread(house)
        thread.start()
        stack.callback(thread.stop)
        simulation = SimulationThread()
        stack.callback(simulation.stop)
        yield DemoLaboratory(
            house=house,
            seed=planted,
            clock=clock,
            analyzers={
                name: _analyzer(name, driver, clock, asks=asks) for name, driver, _, asks in FLEET
            },
            emr=Emr(name=EMR_NAME, clock=clock),
            emr_address=LinkAddress.parse(f"tcp-listen://{HOST}:{emr_port}"),
            simulation=simulation,
            serial_ends={name: cable.b for name, cable in cables.items()},
        )


def _cables(stack: ExitStack) -> "dict[str, NullModem]":
    serial = [name for name, _, how, _ in FLEET if how == "serial"]
    if not serial:
        return {}
    from lis.cli.null_modem import NullModem  # needs a POSIX system

    return {name: stack.enter_context(NullModem()) for name in serial}


def _named(driver: str) -> str:
    return next(name for name, its_driver, _, _ in FLEET if its_driver == driver)


def _analyzer(name: str, driver: str, clock: Clock, *, asks: bool) -> Analyzer:
    instrument = Instrument.of(registry.get(driver))
    return Analyzer(
        instrument, clock=clock, seed=f"demo-{name}", settings=AnalyzerSettings(asks=asks)
    )


def _settings(
    folder: Path, cables: "dict[str, NullModem]", *, emr_port: int, web_port: int, language: str
) -> Settings:
    links = {
        name: f"serial://{cables[name].a}?baudrate=9600"
        if how == "serial"
        else f"tcp-listen://{HOST}:0"
        for name, _, how, _ in FLEET
    }
    return parse_settings(
        {
            "laboratory": {"name": "Demo laboratory", "language": language},
            "site": [{"name": "main", "timezone": "Europe/Moscow"}],
            "store": {"url": f"sqlite:///{folder / 'lis.db'}"},
            "web": {"listen": f"{HOST}:{web_port}"},
            "drivers": {"folder": str(folder / "drivers")},
            "instrument": [
                {"name": name, "driver": driver, "link": links[name], "timezone": "UTC"}
                for name, driver, _, _ in FLEET
            ],
            "emr": [
                {
                    "name": EMR_NAME,
                    "receive": f"tcp-listen://{HOST}:0",
                    "send": f"tcp-connect://{HOST}:{emr_port}",
                }
            ],
        },
        where="demo",
    )
