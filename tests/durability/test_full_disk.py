"""A full disk: nobody is acknowledged, the links live on, and keeping resumes alone when there is space again.

Two kinds of full: a limit on the size of files that is set on the running process from outside (works everywhere), and
a real small file system that is filled to the brim (needs the right to mount).
"""

import resource
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulators.load_messages import Framing, MessageSource, Wire
from tests.conftest import absent
from tests.durability.analyzers import Crew, Persistent, free_ports
from tests.durability.conftest import Say, prepare
from tests.durability.house_program import STORE, Victim
from tests.durability.test_kills import await_processed, raw_of

AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
RESULTS = 8
WAIT_S = 30.0
LOOK_S = 0.02
REFUSALS_SEEN = 5  # on each wire, before there is space again
DISK = "size=12m"
BALLAST_STEP_BYTES = 4096


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_full_disk_refuses_and_resumes_where_files_may_not_grow(victim: Victim, say: Say):
    victim.start()
    limit = resource.RLIMIT_FSIZE
    _, hard = resource.prlimit(victim.pid, limit)

    def fill() -> None:
        resource.prlimit(victim.pid, limit, (1, hard))

    def empty() -> None:
        resource.prlimit(victim.pid, limit, (hard, hard))

    say(f"full disk (file size limit): {refuse_and_resume(victim, fill, empty, is_tight=True)}")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_full_disk_refuses_and_resumes_on_a_full_file_system(tmp_path: Path, say: Say):
    with small_disk(tmp_path / "disk") as disk:
        folder = disk / "house"
        prepare(folder)
        ports = free_ports(4)
        victim = Victim(folder, {"mllp": ports[:2], "astm": ports[2:]})
        ballast = disk / "ballast"
        victim.start()
        try:
            # a log that starts anew finds its own old space: then a commit may still succeed
            done = refuse_and_resume(
                victim, lambda: fill_up(ballast), ballast.unlink, is_tight=False
            )
        finally:
            victim.kill()
    say(f"full disk (tmpfs): {done}")


def refuse_and_resume(
    victim: Victim, fill: Callable[[], None], empty: Callable[[], None], *, is_tight: bool
) -> dict[str, int]:
    crew = Crew(
        [
            Persistent(port, source(wire, 10 * place + number), wire)
            for place, wire in enumerate(Wire)
            for number, port in enumerate(victim.ports[wire.value])
        ]
    )
    crew.start()
    try:
        wait_for(lambda: all(one.acked for one in crew.analyzers))
        fill()
        wait_for(lambda: all(one.refusals >= REFUSALS_SEEN for one in crew.analyzers))
        while_full = [len(one.acked) for one in crew.analyzers]
        calls = [one.calls for one in crew.analyzers]
        wait_for(lambda: all(one.refusals >= 2 * REFUSALS_SEEN for one in crew.analyzers))
        if is_tight:  # no ACK while full
            assert [len(one.acked) for one in crew.analyzers] == while_full
        empty()
        wait_for(
            lambda: all(
                len(one.acked) > before
                for one, before in zip(crew.analyzers, while_full, strict=True)
            )
        )
        assert [one.calls for one in crew.analyzers] == calls  # the links lived on
    finally:
        crew.finish(WAIT_S)
    await_processed(victim.folder)
    return promised_is_there(victim.folder, crew)


def promised_is_there(folder: Path, crew: Crew) -> dict[str, int]:
    with closing(sqlite3.connect(folder / STORE)) as database:
        inbox = {raw for (raw,) in database.execute("SELECT raw FROM inbox")}
        runs = [key for (key,) in database.execute("SELECT run_key FROM observation")]
    acked = [message for one in crew.analyzers for message in one.acked]
    assert all(raw_of(message.blocks) in inbox for message in acked)
    assert len(runs) == len(set(runs)) == RESULTS * len(acked)
    return {"acked": len(acked), "refusals": sum(one.refusals for one in crew.analyzers)}


def source(wire: Wire, number: int) -> MessageSource:
    return MessageSource(wire, analyzer=number, at=AT, results=RESULTS, framing=Framing.RECORD)


def wait_for(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not look():
        assert time.monotonic() < deadline, f"not after {WAIT_S:g} s"
        time.sleep(LOOK_S)


@contextmanager
def small_disk(where: Path) -> Iterator[Path]:
    where.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", DISK, "none", str(where)], capture_output=True, check=False
    )
    if mounted.returncode:
        absent("MOUNT", f"no right to mount a small file system: {mounted.stderr.decode().strip()}")
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True)


def fill_up(ballast: Path) -> None:
    """Write until nothing fits any more."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(BALLAST_STEP_BYTES))
        except OSError:
            return
