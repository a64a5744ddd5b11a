"""`lis bench lists`: how long the desk waits for a search, the work plan and the outstanding list.

A store of the asked size, seeded in bulk, behind the real server on loopback; one signed-in client; every figure
is an HTTP request until its whole answer. Half of the numbers that are searched exist. The query plans of the
statements behind the figures go to stderr: a figure without its plan says nothing about the next laboratory.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy import event, func, insert, select
from sqlalchemy.orm import Session

from lis.access.users import create_user
from lis.app.clock import SystemClock
from lis.cli.bench_timing import Figure, alone
from lis.cli.bench_worklist import PASSWORD, Client, serve_store
from lis.cli.output import note
from lis.cli.scale_seed import Scale, seed_scale
from lis.domain.catalog import Catalog
from lis.domain.roles import Role
from lis.orders.lookup import look_up
from lis.orders.reads import list_requisitions
from lis.orders.workplan import codes_in, sections_of
from lis.store.definitions import catalog_in_force
from lis.store.order_rows import ServiceRequest, Specimen
from lis.store.people_rows import Patient, PatientIdentifier, Site
from lis.store.seed.demo_catalog import put_demo_catalog
from lis.store.unit import Store
from lis.store.workplan_queries import tubes_with_work, unfinished_tests

TESTS_PER_ORDER: Final = 5
OPEN_ORDERS: Final = 4_000  # 20,000 open tests: what a regional centre has under way
OPEN_SHARE: Final = 10  # but not more than one order of so many
REQUESTS: Final = 60  # for each figure
WARM_UP: Final = 3
IDENTIFIERS_AT_ONCE: Final = 10_000
SEED: Final = 11


def figures(*, orders: int, url: str = "") -> list[Figure]:
    """Measure with that many orders; five values behind each that is done."""
    with tempfile.TemporaryDirectory(prefix="lis-bench-") as folder:
        store = Store.open(url or f"sqlite:///{Path(folder) / 'lis.db'}", clock=SystemClock())
        try:
            catalog, made = _seed(store, orders)
            words = _words(store)
            with serve_store(store) as port:
                client = Client(port)
                client.sign_in("technician")
                measured = [
                    alone(f"{what}_p95_ms", _p95(client, paths), "ms")
                    for what, paths in _paths(catalog, words).items()
                ]
                client.close()
            _tell_plans(store, catalog, words)
        finally:
            store.close()
    return [*made, *measured]


def _seed(store: Store, orders: int) -> tuple[Catalog, list[Figure]]:
    started = time.perf_counter()
    store.create_all()
    with store.unit("bench") as unit:
        unit.session.add(Site(name="main", timezone="Europe/Moscow"))
        put_demo_catalog(unit, effective_from=unit.now)
        create_user(
            unit,
            login="technician",
            name="Technician",
            password=PASSWORD,
            roles=frozenset({Role.TECHNICIAN}),
        )
    with store.read() as session:
        catalog = catalog_in_force(session, store.clock.now())
    scale = Scale(
        orders=orders,
        open_orders=min(OPEN_ORDERS, orders // OPEN_SHARE),
        tests_per_order=TESTS_PER_ORDER,
        has_values=True,
    )
    seeded = seed_scale(store, catalog, scale)
    _identify(store)
    note(f"seeded in {time.perf_counter() - started:.0f} s: {seeded.people} people")
    return catalog, [
        alone("orders", seeded.orders, "rows"),
        alone("observations", seeded.observations, "rows"),
        alone("tubes", seeded.tubes, "rows"),
    ]


def _identify(store: Store) -> None:
    """A record number for everybody."""
    with store.engines.write.begin() as connection:
        highest = connection.scalar(select(func.max(Patient.id))) or 0
        for first in range(1, highest + 1, IDENTIFIERS_AT_ONCE):
            last = min(first + IDENTIFIERS_AT_ONCE, highest + 1)
            rows = [
                {"patient_id": key, "system": "MR", "value": f"MR{key:07d}", "issuer": ""}
                for key in range(first, last)
            ]
            connection.execute(insert(PatientIdentifier), rows)
        connection.exec_driver_sql("ANALYZE patient_identifier")


def _words(store: Store) -> dict[str, list[str]]:
    """What people type, drawn from the whole of the store."""
    dice = random.Random(SEED)  # noqa: S311 - a draw, not a secret
    with store.read() as session:
        tubes = _drawn(session, Specimen.id, Specimen.accession, dice)
        placers = _drawn(session, ServiceRequest.id, ServiceRequest.placer_number, dice)
        fillers = _drawn(session, ServiceRequest.id, ServiceRequest.filler_number, dice)
        names = _drawn(session, Patient.id, Patient.family_name, dice)
        people = _drawn(session, PatientIdentifier.id, PatientIdentifier.value, dice)
    half = REQUESTS // 2
    return {
        "search_accession": tubes[:half] + [f"{one}9" for one in tubes[half:]],
        "search_placer": placers[:half] + [f"{one}X" for one in placers[half:]],
        "search_filler": fillers[:half] + [f"{one}X" for one in fillers[half:]],
        "search_identifier": people[:half] + [f"{one}X" for one in people[half:]],
        "search_name_prefix": [name[: dice.randint(2, 5)].upper() for name in names],
    }


def _drawn(session: Session, key: Any, column: Any, dice: random.Random) -> list[str]:
    highest = session.scalar(select(func.max(key))) or 1
    wanted = [dice.randint(1, highest) for _ in range(REQUESTS)]
    known = {row[0]: row[1] for row in session.execute(select(key, column).where(key.in_(wanted)))}
    return [known[one] for one in wanted]


def _paths(catalog: Catalog, words: dict[str, list[str]]) -> dict[str, list[str]]:
    found = {
        what: [f"/api/v1/lookup?{urlencode({'text': one})}" for one in typed]
        for what, typed in words.items()
    }
    mixed = [one for typed in words.values() for one in typed[:: len(words)]]
    found["order_list_search"] = [f"/api/v1/orders?{urlencode({'text': one})}" for one in mixed]
    found["order_list"] = ["/api/v1/orders"] * REQUESTS
    sections = ("", *sections_of(catalog))
    found["workplan"] = [
        f"/api/v1/workplan?section={sections[number % len(sections)]}" for number in range(REQUESTS)
    ]
    found["outstanding"] = ["/api/v1/outstanding?minutes=60"] * (REQUESTS // 3)
    return found


def _p95(client: Client, paths: Sequence[str]) -> float:
    for path in paths[:WARM_UP]:
        client.ask("GET", path)
    taken = [_timed(lambda path=path: client.ask("GET", path)) for path in paths]  # type: ignore[misc]  # a lambda's default
    return statistics.quantiles(taken, n=20)[-1]


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


# --- plans --------------------------------------------------------------------------------------


def _tell_plans(store: Store, catalog: Catalog, words: dict[str, list[str]]) -> None:
    """The plan of every statement behind a figure, once each, to stderr."""
    at = store.clock.now()
    told: set[str] = set()
    with store.read() as session:
        for what, typed in words.items():
            with _plans(session, what, told):
                look_up(session, catalog, typed[0], at=at, language="en")
        with _plans(session, "order_list_search", told):
            list_requisitions(session, text=words["search_name_prefix"][0])
        tests = codes_in(catalog, sections_of(catalog)[0])
        with _plans(session, "workplan", told):
            tubes_with_work(session, tests=tests, limit=100)
        with _plans(session, "outstanding", told):
            unfinished_tests(session, tests=tests, received_before=at, limit=100)


@contextmanager
def _plans(session: Session, what: str, told: set[str]) -> Iterator[None]:
    """Collect the statements of the block, then tell the plan of each."""
    ran: list[tuple[str, Any]] = []
    connection = session.connection()

    def keep(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        ran.append((statement, values))

    event.listen(connection, "before_cursor_execute", keep)
    try:
        yield
    finally:
        event.remove(connection, "before_cursor_execute", keep)
    is_sqlite = connection.dialect.name == "sqlite"
    for statement, values in {sql: (sql, given) for sql, given in ran}.values():
        if statement in told:
            continue
        told.add(statement)
        table = statement.partition("FROM ")[2].split()[0]
        note(f"plan of {what}, {table}:")
        if is_sqlite:
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values):
                note(f"    {row[-1]}")
        else:
            for row in connection.exec_driver_sql(f"EXPLAIN {statement}", values):
                note(f"    {row[0]}")
