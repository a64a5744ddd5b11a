"""Whatever is sent, the house's memory stays bounded, and so does what it writes to disk."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.foreign.analyzer import QUICK, Analyzer
from tests.foreign.frames import ACK, ENQ
from tests.foreign.line import Line
from tests.hostile.peers import VT, Peer, astm_report, order, oru, says

ROOT = Path(__file__).resolve().parents[2]
HUGE_BYTES = 100 * 2**20  # the figure
TINY_BYTES = 2 * 2**20  # of things that are an event each: some hundred thousand
CHUNK = b"A" * 2**16
# The largest frame we take is 16 MiB; it may be in memory three times at once (collected, kept, written),
# and the allocator keeps some of what it had.
RSS_GROWTH_MAX_BYTES = 64 * 2**20
DISK_GROWTH_MAX_BYTES = 8 * 2**20  # evidence of garbage, not the garbage


class House:
    def __init__(self, database):
        self.database = database
        self._log = database.with_suffix(".log").open(
            "wb"
        )  # beside it: what is logged is written, too
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.house_process", str(database)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self.addresses = json.loads(self._first_json_line())

    def _first_json_line(self):
        return next(line for line in self._process.stdout if line.startswith(b"{"))

    def address(self, name):
        host, port = self.addresses[name].rsplit(":", 1)
        return host, int(port)

    def peak_bytes(self):
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def forget_peak(self):
        """Start measuring: the kernel's high-water mark begins anew."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")

    def disk_bytes(self):
        return sum(part.stat().st_size for part in self.database.parent.iterdir())

    def close(self):
        self._process.stdin.close()
        self._process.stdout.read()
        self._process.stdout.close()
        self._process.wait(30)
        self._log.close()


@pytest.fixture
def house(tmp_path):
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("memory of another process is measured through /proc")
    house = House(tmp_path / "lis.db")
    warm_up(house)
    house.forget_peak()
    yield house
    house.close()


def warm_up(house):
    """Everything was used once, so that growth is growth."""
    take_a_count(house, "warm")
    take_a_report(house)
    with Peer(house.address("his")) as peer:
        assert says(peer.ask(order())) == "AA"


def take_a_count(house, control):
    with Peer(house.address("bc-1")) as peer:
        assert says(peer.ask(oru("1900000014", control=control))) == "AA"


def take_a_report(house):
    with closing(Analyzer(Line.call(*house.address("xp-1")), timing=QUICK)) as analyzer:
        assert analyzer.send_results([astm_report("1900000014")]).frames


def pour(peer, start, chunk=CHUNK, size_bytes=HUGE_BYTES):
    """So many bytes behind `start`, as far as the host takes them."""
    peer.send(start)
    sent = 0
    while sent < size_bytes and peer.try_send(chunk):
        sent += len(chunk)
    return sent


BAD_FRAMES = b"\x021R|1|^^^WBC|5\r\x0300\r\n" * 3_000
POURS = {
    "a block of 100 MB at the analyzer's MLLP port": (
        "bc-1",
        VT + b"MSH|^~\\&|x|",
        CHUNK,
        HUGE_BYTES,
    ),
    "a block of 100 MB at the EMR's port": ("his", VT + b"MSH|^~\\&|x|", CHUNK, HUGE_BYTES),
    "100 MB outside any block": ("bc-1", b"", CHUNK, HUGE_BYTES),
    "100 MB in one ASTM frame": ("xp-1", ENQ + b"\x021H|\\^&|", CHUNK, HUGE_BYTES),
    "100 MB of ASTM records without frames": ("xp-1", b"H|\\^&|||", CHUNK, HUGE_BYTES),
    "100 MB of ASTM lines without end": (
        "xp-1",
        b"H|\\^&|||\r",
        b"R|1|^^^W|5|\r" * 5_000,
        HUGE_BYTES,
    ),
    "100 MB of noise at the ASTM port": ("xp-1", b"", CHUNK, HUGE_BYTES),
    "2 MB of ENQ": ("xp-1", b"", ENQ * 2**12, TINY_BYTES),
    "2 MB of STX": ("xp-1", ENQ, b"\x02" * 2**12, TINY_BYTES),
    "2 MB of frames with a wrong checksum": ("xp-1", ENQ, BAD_FRAMES, TINY_BYTES),
    "2 MB of NAK": ("xp-1", b"", b"\x15" * 2**12, TINY_BYTES),
}


@pytest.mark.parametrize("sort", POURS)
def test_memory_and_disk_stay_bounded_and_the_link_lives_on_after(house, sort):
    link, start, chunk, size_bytes = POURS[sort]
    before_bytes, on_disk_bytes = house.peak_bytes(), house.disk_bytes()
    with Peer(house.address(link)) as peer:
        pour(peer, start, chunk, size_bytes)
    {"bc-1": lambda: take_a_count(house, "after"), "xp-1": lambda: take_a_report(house)}.get(
        link, lambda: None
    )()
    grown_bytes = house.peak_bytes() - before_bytes
    written_bytes = house.disk_bytes() - on_disk_bytes
    assert grown_bytes <= RSS_GROWTH_MAX_BYTES
    assert written_bytes <= DISK_GROWTH_MAX_BYTES


def test_a_hundred_megabytes_in_one_frame_on_an_ASTM_session_are_refused_and_the_next_frame_is_taken(
    house,
):
    with Peer(house.address("xp-1")) as peer:
        peer.send(ENQ)
        assert peer.read() == ACK
        assert pour(peer, b"\x021H|\\^&|") == HUGE_BYTES
        peer.send(b"\x0300\r\n")
        assert peer.read() == b"\x15"
    take_a_report(house)
