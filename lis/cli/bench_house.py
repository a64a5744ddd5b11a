"""A house under load: many analyzers on loopback sockets, driven by a process of their own.

The house is the product: links, inbox writer and, where asked for, intake and sealer, on the loop and in the
threads that `lis serve` uses. The load runs in another process (`simulators.load`), so that making messages and
reading acknowledgements costs the house nothing but a core.
"""

import hashlib
import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, select

from lis.app.clock import SystemClock
from lis.app.settings import parse_settings
from lis.app.wiring import ALL_ROLES, House, RunRole, build_house
from lis.cli.serving import HouseThread
from lis.domain.catalog import Catalog
from lis.domain.messages import Lane
from lis.drivers import registry
from lis.orders import (
    IdentifierEntry,
    OrderEntry,
    PatientEntry,
    RequisitionEntry,
    place_requisition,
)
from lis.store.control_rows import ControlLevel, ControlLot, ControlMaterial, Target
from lis.store.definitions import catalog_in_force
from lis.store.observation_rows import Observation
from lis.store.rows import Inbox, InboxState
from lis.store.seed.demo_catalog import put_demo_catalog
from lis.store.traffic_queries import all_devices
from lis.store.traffic_rows import Device
from lis.store.unit import Store, Unit
from simulators.load_messages import DRIVERS, Wire
from simulators.measuring import Measured
from simulators.models import model_of
from simulators.writing import ControlIdentity, Instrument, Run, report_message

ANALYZERS: Final = 50
RESULTS: Final = 20  # of a message
LOOPBACK: Final = "127.0.0.1"
PORTS: Final = (15_000, 30_000)  # below the range that the kernel gives out itself
PORT_TRIES_MAX: Final = 50
SETTLE_S: Final = 120.0
CONTROLS_SETTLE_S: Final = 300.0  # two hundred analyzers, two levels, twenty tests
LOAD_MARGIN_S: Final = 60.0  # connecting, and answers under way
LOOK_S: Final = 0.02
SOURCE: Final = "bench"  # an EMR: its results go to the outbox
CONTROL_LEVELS: Final = ("L1", "L2")
CONTROL_SD_FACTOR: Final = (
    3  # the load's values lie within 2 SD of the plan: within 1 SD of this target
)
LINKS_ONLY: Final = frozenset({RunRole.LINKS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What the load generator counted."""

    acked: int
    messages_per_s: float
    ack_p50_ms: float
    ack_p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FullPath:
    """What became of the patients' messages."""

    controls: int  # inbox id of the last control's message
    results: int
    released: int
    seconds: float  # from the first message received to the last one processed


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedHouse:
    """An open house and the way to load it."""

    house: House
    wire: Wire
    port_base: int
    folder: Path
    analyzers: int = ANALYZERS

    @property
    def store(self) -> Store:
        return self.house.store

    @property
    def database(self) -> Path:
        return self.folder / "lis.db"

    def load(
        self,
        *,
        seconds: float = 0.0,
        messages: int = 1_000_000,
        per_second: float = 0.0,
        accessions: Sequence[str] = (),
    ) -> Loaded:
        """Send for so long, or so many messages of each analyzer; all must be acknowledged."""
        command = [sys.executable, "-m", "simulators.load", "--json"]
        command += ["--protocol", self.wire.value, "--port-base", str(self.port_base)]
        command += ["--analyzers", str(self.analyzers), "--results", str(RESULTS)]
        command += ["--messages", str(messages), "--seconds", str(seconds)]
        command += ["--per-second", str(per_second)]
        if accessions:
            listed = self.folder / "accessions"
            listed.write_text("\n".join(accessions), encoding="ascii")
            command += ["--accessions", str(listed)]
        done = subprocess.run(  # noqa: S603 - our own program
            command, capture_output=True, text=True, timeout=seconds + LOAD_MARGIN_S, check=False
        )
        if done.returncode:
            raise RuntimeError(f"the load was not acknowledged: {done.stdout}{done.stderr}")
        counted: dict[str, Any] = json.loads(done.stdout)
        return Loaded(
            acked=counted["acked"],
            messages_per_s=counted["messages_per_s"],
            ack_p50_ms=counted["ack_ms"]["p50"],
            ack_p99_ms=counted["ack_ms"]["p99"],
        )

    def await_processed(self, settle_s: float = SETTLE_S) -> None:
        """Until no message is new; raises when some still are after so long."""
        deadline = time.monotonic() + settle_s
        while self.unprocessed():
            if time.monotonic() > deadline:
                raise RuntimeError(f"messages are still new after {settle_s:g} s")
            time.sleep(LOOK_S)

    def unprocessed(self) -> int:
        """Messages that intake has not judged yet."""
        with self.store.read() as session:
            found = select(func.count()).select_from(Inbox).where(Inbox.state == InboxState.NEW)
            return int(session.execute(found).scalar_one())


@contextmanager
def open_house(
    folder: Path,
    wire: Wire,
    *,
    roles: frozenset[RunRole] = ALL_ROLES,
    analyzers: int = ANALYZERS,
) -> Iterator[LoadedHouse]:
    """A house with so many analyzers that listens; closed afterwards."""
    folder.mkdir()
    with ExitStack() as stack:
        port_base = _free_ports(analyzers)
        settings = _settings(folder, wire, port_base, analyzers)
        house = build_house(settings, clock=SystemClock())
        with house.store.unit("bench") as unit:
            put_demo_catalog(unit, effective_from=unit.now - timedelta(days=1))
            for device in all_devices(unit.session):
                device.has_reliable_barcode = True
        thread = HouseThread(house, roles)
        thread.start()
        stack.callback(thread.stop)
        yield LoadedHouse(
            house=house, wire=wire, port_base=port_base, folder=folder, analyzers=analyzers
        )


def accept_controls(loaded: LoadedHouse) -> None:
    """Targets for every controlled test, and one measured control a level on each analyzer."""
    with loaded.store.unit("bench") as unit:
        catalog = catalog_in_force(unit.session, unit.now)
        for device in all_devices(unit.session):
            _targets(unit, catalog, device)
            unit.session.add_all(_control_message(unit, device, level) for level in CONTROL_LEVELS)
        unit.publish("inbox", "controls")
    loaded.await_processed(CONTROLS_SETTLE_S)


def _control_message(unit: Unit, device: Device, level: str) -> Inbox:
    """As the analyzer would have sent it an hour ago."""
    instrument = Instrument.of(registry.get(device.driver))
    at = unit.now - timedelta(hours=1)
    rows = tuple(
        Measured(code=plan.code, text=f"{plan.mean:.{plan.decimals}f}", unit=plan.unit)
        for plan in instrument.model.plans[:RESULTS]
    )
    specimen, number = _control_id(level, device), device.id
    run = Run(specimen=specimen, rows=rows, at=at, number=number, control=ControlIdentity())
    raw = b"".join(record + b"\r" for record in report_message(instrument, run, sent_at=at).records)
    return Inbox(
        link_id=device.id,
        received_at=at,
        protocol=instrument.profile.protocol.value,
        lane=Lane.RESULT.value,
        raw=raw,
        sha256=hashlib.sha256(raw).digest(),
        device_id=device.id,
        driver=device.driver,
    )


def place_orders(loaded: LoadedHouse, count: int, *, per_unit: int = 10) -> list[str]:
    """Received tubes with one panel ordered that is all the analyzers measure; their accession numbers."""
    accessions: list[str] = []
    while len(accessions) < count:
        with loaded.store.unit("bench") as unit:
            catalog = catalog_in_force(unit.session, unit.now)
            panel = _panel(catalog, DRIVERS[loaded.wire])
            wanted = min(per_unit, count - len(accessions))
            accessions += [_place(unit, catalog, panel) for _ in range(wanted)]
    return accessions


def measure_full_path(loaded: LoadedHouse, accessions: Sequence[str]) -> FullPath:
    """Send one message a tube, as fast as they are acknowledged, and wait until all are processed."""
    with loaded.store.read() as session:
        controls = int(session.scalar(select(func.max(Inbox.id))) or 0)
    loaded.load(messages=len(accessions) // ANALYZERS, accessions=accessions)
    loaded.await_processed()
    ended = loaded.store.clock.now()
    with loaded.store.read() as session:
        began = session.scalars(
            select(func.min(Inbox.received_at)).where(Inbox.id > controls)
        ).one()
        ours = select(func.count()).where(Observation.inbox_id > controls)
        return FullPath(
            controls=controls,
            results=session.execute(ours).scalar_one(),
            released=session.execute(ours.where(Observation.released_at.is_not(None))).scalar_one(),
            seconds=(ended - began).total_seconds(),
        )


def _panel(catalog: Catalog, driver: str) -> str:
    """The smallest panel with all that the analyzers measure."""
    codes = [plan.code for plan in model_of(driver).plans[:RESULTS]]
    tests = {catalog.by_instrument_code[driver, code].test for code in codes}
    panels = [panel for panel in catalog.panels.values() if tests.issubset(panel.tests)]
    return min(panels, key=lambda panel: len(panel.tests)).code


def _place(unit: Unit, catalog: Catalog, panel: str) -> str:
    entry = RequisitionEntry(
        patient=PatientEntry(
            family_name="Нагрузкин",
            birth_date="1980-01-01",
            sex="M",
            identifiers=(IdentifierEntry(system="MR", value=unit.ids.new()),),
        ),
        orders=(OrderEntry(code=panel),),
        source=SOURCE,
        collected_at=unit.now - timedelta(hours=1),
        collected_certainty="exact",
        is_received=True,
    )
    return place_requisition(unit, catalog, entry, site_id=1).specimens[0].accession


def _targets(unit: Unit, catalog: Catalog, device: Device) -> None:
    """Targets wide enough that the load's values are accepted as controls."""
    material = ControlMaterial(name=f"Bench control {device.name}")
    unit.session.add(material)
    unit.session.flush()
    lot = ControlLot(material_id=material.id, lot=f"B{device.id}")
    unit.session.add(lot)
    unit.session.flush()
    for name in CONTROL_LEVELS:
        level = ControlLevel(lot_id=lot.id, level=name, specimen_ids=[_control_id(name, device)])
        unit.session.add(level)
        unit.session.flush()
        for plan in model_of(device.driver).plans[:RESULTS]:
            unit.session.add(
                Target(
                    level_id=level.id,
                    test_code=catalog.by_instrument_code[device.driver, plan.code].test,
                    mean=Decimal(str(plan.mean)),
                    sd=Decimal(str(plan.sd)) * CONTROL_SD_FACTOR,
                    effective_from=unit.now - timedelta(days=1),
                    author=unit.actor,
                    device_id=device.id,
                )
            )


def _control_id(level: str, device: Device) -> str:
    return f"QC{level}-{device.id}"


def _settings(folder: Path, wire: Wire, port_base: int, analyzers: int) -> Any:
    return parse_settings(
        {
            "store": {"url": f"sqlite:///{folder / 'lis.db'}"},
            "instrument": [
                {
                    "name": f"{wire.value}-{number}",
                    "driver": DRIVERS[wire],
                    "link": f"tcp-listen://{LOOPBACK}:{port_base + number}",
                    "timezone": "UTC",
                }
                for number in range(analyzers)
            ],
        },
        where="bench",
    )


def _free_ports(count: int) -> int:
    """The first of so many neighbouring ports that nobody has."""
    for _ in range(PORT_TRIES_MAX):
        base = random.randrange(*PORTS)  # noqa: S311 - not a secret
        if all(_is_free(base + number) for number in range(count)):
            return base
    raise OSError(f"no {count} neighbouring free ports on {LOOPBACK}")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
