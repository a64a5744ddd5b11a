"""Nothing that was acknowledged is lost when the current fails: the product's own system calls, cut anywhere.

The house runs under strace with real sockets and real analyzers. Its calls are then played on a model of a disk
(`tests.durability.power`) and cut at every acknowledgement and at random places between. What is left is opened
with SQLite, as after a power failure, and must hold the bytes of every unit whose acknowledgement had left.
"""

import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulators.load_messages import Framing, MessageSource, Wire
from tests.conftest import ROOT
from tests.durability.analyzers import ACK, ENQ, NAK, Crew, Persistent, free_ports
from tests.durability.conftest import Say
from tests.durability.house_program import STORE
from tests.durability.power import TRACED, Disk, read_trace

AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
MESSAGES = {Wire.MLLP: 20, Wire.ASTM: 4}  # of each analyzer
RESULTS = {Wire.MLLP: 20, Wire.ASTM: 6}
ANALYZERS = 2  # on each wire
CUTS_MIN = 100
EVERY_NTH_CALL = 40  # cuts between acknowledgements
START_WAIT_S = 60.0
LOAD_WAIT_S = 120.0


@dataclass
class Verdict:
    """What a run of the harness saw."""

    cuts: int = 0
    acked: int = 0
    syncs: int = 0
    writes: int = 0
    checkpoint_writes: int = 0
    """Writes to the database file itself, after the first acknowledgement."""
    lost: dict[str, list[str]] = field(default_factory=lambda: {"synced only": [], "torn": []})


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_power_cut_loses_an_acknowledged_unit(
    strace: str, prepared: Path, tmp_path: Path, say: Say
):
    verdict = cut_everywhere(strace, prepared, tmp_path, "FULL")

    say(
        f"power cuts, FULL: {verdict.acked} ACKs, {verdict.syncs} syncs, {verdict.writes} writes of which "
        f"{verdict.checkpoint_writes} to the database file; {verdict.cuts} cuts, each twice: {lost_in(verdict)}"
    )
    assert verdict.cuts >= CUTS_MIN
    assert verdict.acked >= CUTS_MIN
    assert verdict.checkpoint_writes  # a checkpoint was under way between the cuts
    assert verdict.lost == {"synced only": [], "torn": []}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_the_harness_sees_a_loss_where_the_store_does_not_wait_for_the_disk(
    strace: str, prepared: Path, tmp_path: Path, say: Say, synchronous: str
):
    verdict = cut_everywhere(strace, prepared, tmp_path, synchronous)

    say(f"power cuts, {synchronous}: {verdict.cuts} cuts, each twice: {lost_in(verdict)}")
    assert len(verdict.lost["synced only"]) > CUTS_MIN / 2


def lost_in(verdict: Verdict) -> str:
    """A line for a person."""
    return ", ".join(f"{len(lost)} lose something ({how})" for how, lost in verdict.lost.items())


def cut_everywhere(strace: str, prepared: Path, tmp_path: Path, synchronous: str) -> Verdict:
    before = tmp_path / "before"
    shutil.copytree(prepared, before)
    trace = tmp_path / "trace"
    crew = run_traced(strace, prepared, trace, synchronous)
    blocks = {port: sent for one in crew.analyzers for port, sent in one.blocks.items()}
    disk = Disk.holding(prepared, before)
    verdict, dice = Verdict(), random.Random(7)
    required = Required(blocks)
    changes, written_before = 0, None
    for call in read_trace(trace):
        if not disk.play(call):
            continue
        changes += 1
        is_news = required.note(disk.sent)
        if is_news and written_before is None:
            written_before = disk.writes_to.get(STORE, 0)
        if is_news or (required.units and changes % EVERY_NTH_CALL == 0):
            verdict.cuts += 1
            for how, variant in (("synced only", None), ("torn", dice)):
                verdict.lost[how] += check(disk, tmp_path / "cut", required.units, variant)
    verdict.acked, verdict.syncs = required.acked, disk.syncs
    verdict.writes = sum(disk.writes_to.values())
    verdict.checkpoint_writes = disk.writes_to.get(STORE, 0) - (written_before or 0)
    return verdict


def run_traced(strace: str, folder: Path, trace: Path, synchronous: str) -> Crew:
    """Run a house under strace until every analyzer has its acknowledgements."""
    ports = free_ports(2 * ANALYZERS)
    mllp, astm = ports[:ANALYZERS], ports[ANALYZERS:]
    program = ["-m", "tests.durability.house_program", str(folder), synchronous]
    listed = [*map(str, mllp), "--", *map(str, astm)]
    options = ["-f", "-xx", "-s", "1000000", "-e", f"trace={TRACED}", "-e", "signal=none"]
    with subprocess.Popen(
        [strace, *options, "-o", str(trace), sys.executable, *program, *listed],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as house:
        assert house.stdout is not None
        assert house.stdin is not None
        assert house.stdout.readline() == b"up\n"
        crew = Crew(
            [analyzer(Wire.MLLP, number, port) for number, port in enumerate(mllp)]
            + [analyzer(Wire.ASTM, 10 + number, port) for number, port in enumerate(astm)]
        )
        crew.start(MESSAGES)
        crew.join(LOAD_WAIT_S)
        house.stdin.close()
        house.wait(START_WAIT_S)
    return crew


def analyzer(wire: Wire, number: int, port: int) -> Persistent:
    source = MessageSource(
        wire, analyzer=number, at=AT, results=RESULTS[wire], framing=Framing.RECORD
    )
    return Persistent(port, source, wire)


@dataclass
class Required:
    """What must be on the disk, by the acknowledgements that left."""

    blocks: dict[int, list[bytes]]  # by the peer's port: what was sent, in order
    units: list[bytes] = field(default_factory=list)
    acked: int = 0
    _seen: int = 0
    _answered: dict[int, int] = field(default_factory=dict)

    def note(self, sent: list[tuple[int, bytes]]) -> bool:
        """Whether a promise was made since the last look."""
        new, self._seen = sent[self._seen :], len(sent)
        before = self.acked
        for port, data in new:
            if port not in self.blocks:
                continue
            assert data != NAK, "a frame was refused: the count of answers would be off"
            place = self._answered.get(port, 0)
            self._answered[port] = place + 1
            block = self.blocks[port][place]
            if block == ENQ:
                continue
            assert data == ACK or b"\rMSA|AA|" in data, data
            self.units.append(block.strip(b"\x0b\x1c\r"))
            self.acked += 1
        return self.acked > before


def check(disk: Disk, target: Path, units: list[bytes], dice: random.Random | None) -> list[str]:
    """Cut now; what is missing afterwards, in words."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    disk.write_to(target, dice)
    try:
        with closing(sqlite3.connect(target / STORE)) as database:
            kept = [raw for (raw,) in database.execute("SELECT raw FROM inbox")]
            kept += [
                data
                for (data,) in database.execute(
                    "SELECT data FROM journal WHERE direction = 'in' AND data IS NOT NULL"
                )
            ]
            fault = database.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.DatabaseError as error:
        return [f"after {len(units)} ACKs: {error}"]
    whole = b"\0".join(kept)
    missing = sum(unit not in whole for unit in units)
    if missing or fault != "ok":
        return [f"after {len(units)} ACKs: {missing} missing, quick_check {fault}"]
    return []
