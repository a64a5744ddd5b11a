"""The rules every test lives under, and the services tests may ask for.

- Nothing is left behind: no thread, no asyncio task. Open files and sockets are warnings of the
  interpreter, and warnings are errors.
- Nothing leaves the machine: only loopback addresses may be connected to (`--allow-hosts` in
  pyproject).
- A service that is missing is a skip with its reason on a laptop, and a failure where
  `LIS_<SERVICE>=required` is set, as the project's CI does.
- Tests of the store ask for `store_url` and so run on SQLite and on PostgreSQL. How many passed on
  each is written down; `./check` compares, so PostgreSQL cannot silently fall behind.
"""

import asyncio
import json
import os
import socket
import threading
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import structlog
from hypothesis import HealthCheck, settings
from psycopg import sql

from lis.domain.clock import ManualClock
from lis.store.unit import Store

ROOT = Path(__file__).resolve().parents[1]
CORPUS = Path(os.environ.get("LIS_CORPUS", ROOT / "../shared/corpus"))
STORE_COUNTS = ".pytest_cache/store-tests.json"  # below the root; read by .ci/gates.py

POSTGRESQL_DEFAULT = "postgresql://root@127.0.0.1:5432/test"
MQTT_DEFAULT = "mqtt://127.0.0.1:1883"
CONNECT_TIMEOUT_S = 3  # loopback answers in milliseconds or not at all
THREAD_END_WAIT_S = 2.0  # a thread that was told to end may still be on its last lines

# --- property tests: how many examples ----------------------------------------------------------

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile(
    "ci",
    max_examples=200,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],  # CI machines are shared; slowness is no finding
)
settings.register_profile(
    "deep", max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("LIS_HYPOTHESIS", "ci" if os.environ.get("CI") else "dev"))


# --- nothing is left behind ---------------------------------------------------------------------


@pytest.fixture
def threads_of_the_tools() -> str:
    """How the names of threads begin that belong to a test tool, not to us; none by default."""
    return "pytest_"


@pytest.fixture(autouse=True)
def no_thread_left_behind(threads_of_the_tools: str) -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    started = set(threading.enumerate()) - before
    started = {thread for thread in started if not thread.name.startswith(threads_of_the_tools)}
    for thread in started:
        thread.join(THREAD_END_WAIT_S)
    left = [thread.name for thread in started if thread.is_alive()]
    assert not left, f"threads left behind: {left}"


@pytest.fixture(autouse=True)
def logs_as_by_default() -> Iterator[None]:
    """A command that a test ran in this process may have quietened the logs; the next test sees all."""
    yield
    structlog.reset_defaults()


@pytest.fixture
async def no_task_left_behind() -> AsyncIterator[None]:
    """Set up first and torn down last in every asyncio test, so it sees other fixtures too."""
    yield
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not left, f"asyncio tasks left behind: {left}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("asyncio") and isinstance(item, pytest.Function):
            item.fixturenames.insert(0, "no_task_left_behind")


# --- services -----------------------------------------------------------------------------------


def absent(service: str, reason: str) -> NoReturn:
    """Skip, or fail where the service is required."""
    if os.environ.get(f"LIS_{service}") == "required":
        pytest.fail(f"{service} is required here: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgresql_server() -> str:
    """Where databases may be made: LIS_TEST_POSTGRESQL, or the usual local server."""
    return os.environ.get("LIS_TEST_POSTGRESQL", POSTGRESQL_DEFAULT)


STORES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A store of its own, as an SQLAlchemy URL, without rows; `create_all` and `migrate` are quick.

    Making a PostgreSQL database takes most of a second, so one is made for the whole run, with its
    tables, and emptied after each test.
    """
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'lis.db'}"
    else:
        url = request.getfixturevalue("prepared_postgresql")
        yield url
        empty_all_tables(url)


@pytest.fixture(params=STORES)
def empty_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without even tables: for migrations and for restoring a backup."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'lis.db'}"
    else:
        yield from fresh_postgresql(request.getfixturevalue("postgresql_server"))


@pytest.fixture(scope="session")
def prepared_postgresql(postgresql_server: str) -> Iterator[str]:
    """One database with all tables, for the whole run."""
    for url in fresh_postgresql(postgresql_server):
        store = Store.open(url, clock=ManualClock())
        store.create_all()
        store.close()
        with psycopg.connect(postgresql_server, autocommit=True) as admin:  # nobody cuts its power
            name = sql.Identifier(urlsplit(url).path.lstrip("/"))
            admin.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(name))
        yield url


def empty_all_tables(url: str) -> None:
    """Remove all rows and start all counters anew; connections that a test left open are ended."""
    parts = urlsplit(url)
    plain = urlunsplit(parts._replace(scheme="postgresql"))
    with psycopg.connect(plain, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        names = [
            name
            for (name,) in connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
            )
        ]
        used = [
            name
            for name in names
            if connection.execute(
                sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(sql.Identifier(name))
            ).fetchone()
            == (True,)
        ]
        # Deleting a few rows is far quicker than TRUNCATE, which makes a new file for each table.
        with connection.transaction():
            connection.execute(
                "SET LOCAL session_replication_role = replica"
            )  # no foreign keys here
            for name in used:
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
            connection.execute(
                "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false) "
                "FROM pg_sequences WHERE last_value IS NOT NULL"
            )


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """An empty PostgreSQL database, for what only that store can do."""
    yield from fresh_postgresql(postgresql_server)


def fresh_postgresql(server: str) -> Iterator[str]:
    name = f"lis_test_{uuid.uuid4().hex}"
    try:
        admin = psycopg.connect(server, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)
    except psycopg.OperationalError as error:
        absent(
            "POSTGRESQL", f"no PostgreSQL ({str(error).splitlines()[0]}); set LIS_TEST_POSTGRESQL"
        )
    with admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        try:
            parts = urlsplit(server)
            yield urlunsplit(parts._replace(scheme="postgresql+psycopg", path=f"/{name}"))
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def mqtt_url() -> str:
    """A broker on loopback: LIS_TEST_MQTT, or the usual local one."""
    url = os.environ.get("LIS_TEST_MQTT", MQTT_DEFAULT)
    address = (urlsplit(url).hostname, urlsplit(url).port or 1883)
    try:
        with socket.create_connection(address, timeout=CONNECT_TIMEOUT_S):
            return url
    except OSError as error:
        absent("MQTT", f"no MQTT broker at {url} ({error}); apt-get install mosquitto")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Files that nobody here wrote, read in place and never copied into the tree."""
    if not CORPUS.is_dir():
        absent("CORPUS", f"CORPUS ABSENT: {CORPUS} is no folder; set LIS_CORPUS=path")
    return CORPUS.resolve()


@pytest.fixture
def manual_clock() -> ManualClock:
    return ManualClock()


# --- how many tests passed on which store -------------------------------------------------------

PASSED_ON = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[PASSED_ON] = Counter()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    callspec = getattr(item, "callspec", None)
    chosen = callspec.params if callspec else {}
    store = chosen.get("store_url") or chosen.get("empty_store_url")
    if store and report.when == "call" and report.passed:
        item.config.stash[PASSED_ON][store] += 1
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    passed = session.config.stash[PASSED_ON]
    told = getattr(
        session.config, "workeroutput", None
    )  # pytest-xdist: a worker tells the main process
    if told is not None:
        told["passed_on"] = dict(passed)
        return
    counts = session.config.rootpath / STORE_COUNTS
    counts.parent.mkdir(exist_ok=True)
    if session.config.getoption(
        "lf"
    ):  # what failed before is looked at once more: it adds to that run
        passed.update(json.loads(counts.read_text(encoding="utf-8")))
    counts.write_text(json.dumps(passed), encoding="utf-8")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Called in the main process when a worker of pytest-xdist has ended."""
    del error
    told = getattr(node, "workeroutput", {})  # a worker that crashed tells nothing
    node.config.stash[PASSED_ON].update(told.get("passed_on", {}))
