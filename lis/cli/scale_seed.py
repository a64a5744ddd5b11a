"""A laboratory with a long history, written in bulk: what a bench or a test of scale starts from.

    people -> referrals (one tube each) -> orders of that tube -> work orders -> values of the finished ones

The newest `open_orders` orders wait for their analyzer, on received tubes; everything older was measured and released.
Rows go in by the driver's own bulk way (`executemany`, COPY), table by table, in the order of their keys, past the
units of work: nothing here is audited, so nothing here is for a real store. Every text is made up and says so.
Columns that are not named here get the default of their row class, so a new column needs no change here.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final

import orjson
from sqlalchemy import JSON, Connection, func, select, text
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from lis.domain.catalog import Catalog
from lis.domain.ids import AccessionNumber
from lis.domain.lifecycle import BenchState, RequestState, SpecimenState, WorkOrderState
from lis.domain.messages import ResultStatus
from lis.domain.names import folded
from lis.store.base import Base
from lis.store.observation_rows import Observation
from lis.store.order_rows import Requisition, ServiceRequest, Specimen, WorkOrder
from lis.store.people_rows import Patient
from lis.store.unit import Store

ORDERS: Final = 1_000_000
OPEN_ORDERS: Final = 20_000  # what a regional centre has under way
ORDERS_PER_TUBE: Final = 5
REFERRALS_PER_PERSON: Final = 4
TUBES_PER_BATCH: Final = 4_000
HISTORY: Final = timedelta(days=3 * 365)
OPEN_FOR: Final = timedelta(days=2)
ACCESSION_PREFIX: Final = "77"
PRIORITIES: Final = ("R",) * 8 + ("A", "S")
WARDS: Final = ("Scale ward 1", "Scale ward 2", "Scale ward 3", "")
_SYLLABLES: Final = ("ба", "ве", "го", "ду", "жи", "зо", "ку", "ле", "ма", "ню", "по", "ре")

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much there is."""

    orders: int = ORDERS
    open_orders: int = OPEN_ORDERS
    tests_per_order: int = 1  # work orders behind one order; more make panels of them
    has_values: bool = False  # one observation for every finished work order


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """What is there now."""

    people: int
    tubes: int
    orders: int
    work_orders: int
    observations: int
    open_accessions: tuple[str, ...]  # tubes that wait, oldest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What one kind of tube is taken for."""

    specimen_type: str
    tests: tuple[str, ...]


def seed_scale(
    store: Store,
    catalog: Catalog,
    scale: Scale,
    *,
    site_id: int = 1,
    device_id: int | None = None,
    profiles: Sequence[Profile] = (),
) -> Seeded:
    """Write that many orders into a store that has a site; `device_id` measured the finished ones."""
    chosen = tuple(profiles) or profiles_of(catalog, scale.tests_per_order * ORDERS_PER_TUBE)
    with store.engines.write.begin() as connection:
        writer = _Writer(connection, scale, chosen, site_id, device_id, store.clock.now())
        return writer.write()


def profiles_of(catalog: Catalog, size: int) -> tuple[Profile, ...]:
    """The catalog's tests by kind of tube, so many a tube; a short kind repeats none and stays short."""
    by_type: dict[str, list[str]] = {}
    for test in catalog.tests.values():
        by_type.setdefault(test.specimen_type, []).append(test.code)
    return tuple(
        Profile(specimen_type=kind, tests=tuple(codes[start : start + size]))
        for kind, codes in by_type.items()
        for start in range(0, len(codes), size)
    )


def person_name(number: int) -> tuple[str, str]:
    """A family and a given name that nobody has."""
    base = len(_SYLLABLES)
    family = (
        _SYLLABLES[number % base]
        + _SYLLABLES[number // base % base]
        + _SYLLABLES[number // base**2 % base]
    )
    given = _SYLLABLES[number // 7 % base] + _SYLLABLES[number // 11 % base]
    return f"{family}{number // base**3 or ''}".capitalize(), given.capitalize()


class _Table:
    """One table: its columns, their defaults, and rows as the driver takes them."""

    def __init__(self, kind: type[Base], first_id: int, *, is_sqlite: bool) -> None:
        self.name = kind.__tablename__
        self.next_id = itertools.count(first_id)
        self.last_id = first_id - 1
        self.rows: list[Row] = []
        self._is_sqlite = is_sqlite
        self._template = {"id": 0, **_defaults(kind)}
        self.columns = tuple(self._template)

    def add(self, **values: Any) -> int:
        """One row; its key."""
        self.last_id = next(self.next_id)
        row = {**self._template, **values, "id": self.last_id}
        self.rows.append(tuple(map(self._plain, row.values())))
        return self.last_id

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Enum):
            return value.value
        if isinstance(value, datetime) and self._is_sqlite:
            return value.strftime("%Y-%m-%d %H:%M:%S.%f")
        return str(value) if isinstance(value, Decimal) else value


def _defaults(kind: type[Base]) -> dict[str, Any]:
    """Every column but the key, with the default of the row class; needed ones are None until named."""
    factories = {field.name: field.default_factory for field in dataclasses.fields(kind)}
    found: dict[str, Any] = {}
    for column in kind.__table__.columns:
        if column.name == "id":
            continue
        given = column.default
        value = given.arg if isinstance(given, ScalarElementColumnDefault) else None
        factory = factories[column.name]
        if value is None and factory is not dataclasses.MISSING:
            value = factory()
        is_json = isinstance(column.type, JSON) and value is not None
        found[column.name] = orjson.dumps(value).decode() if is_json else value
    return found


class _Writer:
    """Makes the rows tube by tube and writes them batch by batch."""

    def __init__(
        self,
        connection: Connection,
        scale: Scale,
        profiles: Sequence[Profile],
        site_id: int,
        device_id: int | None,
        now: datetime,
    ) -> None:
        self._connection, self._scale, self._profiles = connection, scale, profiles
        self._site_id, self._device_id, self._now = site_id, device_id, now.astimezone(UTC)
        self._is_sqlite = connection.dialect.name == "sqlite"
        kinds = (Patient, Requisition, Specimen, ServiceRequest, WorkOrder, Observation)
        self._tables = {kind: self._table(kind) for kind in kinds}
        self._first_serial = self._tables[Specimen].last_id + 1
        self._patient_id = 0
        self._waiting: list[str] = []

    def write(self) -> Seeded:
        begun = {kind: table.last_id for kind, table in self._tables.items()}
        orders = 0
        for number in itertools.count():
            if orders >= self._scale.orders:
                break
            orders += self._tube(number, orders)
            if number % TUBES_PER_BATCH == TUBES_PER_BATCH - 1:
                self._flush()
        self._flush()
        self._settle()
        made = {kind: table.last_id - begun[kind] for kind, table in self._tables.items()}
        return Seeded(
            people=made[Patient],
            tubes=made[Specimen],
            orders=made[ServiceRequest],
            work_orders=made[WorkOrder],
            observations=made[Observation],
            open_accessions=tuple(self._waiting),
        )

    def _table(self, kind: type[Base]) -> _Table:
        highest = self._connection.scalar(select(func.max(kind.__table__.c.id))) or 0
        return _Table(kind, highest + 1, is_sqlite=self._is_sqlite)

    def _tube(self, number: int, orders_before: int) -> int:
        """One referral with one tube; the number of its orders."""
        is_open = orders_before >= self._scale.orders - self._scale.open_orders
        at = self._now - self._age(orders_before, is_open=is_open)
        if number % REFERRALS_PER_PERSON == 0:
            self._patient_id = self._person(self._tables[Patient].last_id + 1, at)
        profile = self._profiles[number % len(self._profiles)]
        priority = PRIORITIES[number % len(PRIORITIES)]
        requisition = self._tables[Requisition].add(
            public_id=f"scale-q-{self._tables[Requisition].last_id + 1}",
            site_id=self._site_id,
            patient_id=self._patient_id,
            created_at=at,
            source="scale",
            ward=WARDS[number % len(WARDS)],
            priority=priority,
        )
        specimen = self._specimen(requisition, profile, at, is_open=is_open)
        size = self._scale.tests_per_order
        groups = [
            profile.tests[start : start + size] for start in range(0, len(profile.tests), size)
        ]
        for tests in groups:
            self._order(requisition, specimen, tests, at, is_open=is_open, priority=priority)
        return len(groups)

    def _age(self, orders_before: int, *, is_open: bool) -> timedelta:
        """What waits came in lately; what is done is spread over the years before."""
        scale = self._scale
        left = scale.orders - orders_before
        if is_open:
            return OPEN_FOR * (left / max(scale.open_orders, 1)) + timedelta(minutes=1)
        return OPEN_FOR + HISTORY * (left / scale.orders)

    def _person(self, key: int, at: datetime) -> int:
        family, given = person_name(key)
        return self._tables[Patient].add(
            public_id=f"scale-p-{key}",
            site_id=self._site_id,
            family_name=family,
            given_name=given,
            folded_name=folded(family, given, ""),
            birth_date=f"{1930 + key % 90}-{1 + key % 12:02}-{1 + key % 28:02}",
            sex="FM"[key % 2],
            created_at=at,
        )

    def _specimen(self, requisition: int, profile: Profile, at: datetime, *, is_open: bool) -> int:
        key = self._tables[Specimen].last_id + 1
        accession = str(AccessionNumber.from_serial(prefix=ACCESSION_PREFIX, serial=key, width=9))
        if is_open:
            self._waiting.append(accession)
        return self._tables[Specimen].add(
            public_id=f"scale-s-{key}",
            site_id=self._site_id,
            requisition_id=requisition,
            patient_id=self._patient_id,
            accession=accession,
            specimen_type=profile.specimen_type,
            created_at=at,
            collected_from=at,
            collected_to=at,
            collected_certainty="exact",
            received_at=at + timedelta(seconds=40),
            received_by="scale",
            state=SpecimenState.RECEIVED if is_open else SpecimenState.STORED,
        )

    def _order(
        self,
        requisition: int,
        specimen: int,
        tests: Sequence[str],
        at: datetime,
        *,
        is_open: bool,
        priority: str,
    ) -> None:
        key = self._tables[ServiceRequest].last_id + 1
        request = self._tables[ServiceRequest].add(
            public_id=f"scale-r-{key}",
            requisition_id=requisition,
            code=tests[0],
            filler_number=f"SCALE{key}",
            filler_authority="LIS",
            placer_number=f"SP{key}",
            placer_authority="scale",
            created_at=at,
            state=RequestState.ACTIVE if is_open else RequestState.COMPLETED,
            priority=priority,
        )
        for test in tests:
            order = self._tables[WorkOrder].add(
                public_id=f"scale-w-{self._tables[WorkOrder].last_id + 1}",
                service_request_id=request,
                specimen_id=specimen,
                test_code=test,
                created_at=at,
                device_id=None if is_open else self._device_id,
                state=WorkOrderState.PENDING if is_open else WorkOrderState.RESULTED,
                sent_at=None if is_open else at + timedelta(seconds=60),
            )
            if self._scale.has_values and not is_open:
                self._value(request, specimen, order, test, at + timedelta(minutes=20))

    def _value(self, request: int, specimen: int, order: int, test: str, at: datetime) -> None:
        key = self._tables[Observation].last_id + 1
        shown = f"{3 + key % 70 / 10:.1f}"
        self._tables[Observation].add(
            public_id=f"scale-o-{key}",
            site_id=self._site_id,
            created_at=at,
            run_key=f"scale:{key}",
            test_code=test,
            instrument_code=test,
            reported=shown,
            value=Decimal(shown),
            specimen_id=specimen,
            patient_id=self._patient_id,
            service_request_id=request,
            work_order_id=order,
            device_id=self._device_id,
            analysed_at=at,
            bench_state=BenchState.RELEASED,
            status=ResultStatus.FINAL,
            released_at=at,
            visible_from=at,
            validator="scale",
        )

    def _flush(self) -> None:
        for table in self._tables.values():
            if table.rows:
                _insert(self._connection, table.name, table.columns, table.rows)
                table.rows.clear()

    def _settle(self) -> None:
        """PostgreSQL counts its keys itself; both planners want to know how many rows there are."""
        for table in self._tables.values():
            if not self._is_sqlite:
                named = {"name": table.name, "last": max(table.last_id, 1)}
                self._connection.execute(
                    text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :last)"), named
                )
            self._connection.exec_driver_sql(f"ANALYZE {table.name}")


def _insert(
    connection: Connection, table: str, columns: Iterable[str], rows: Sequence[Row]
) -> None:
    """The fastest way in that each driver has."""
    names = ", ".join(columns)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(rows[0]))
        statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - names from the metadata
        connection.exec_driver_sql(statement, list(rows))
        return
    raw: Any = connection.connection.driver_connection
    with raw.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
