"""`lis listen` as a field engineer uses it: from outside, over a real port, with a file beside it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer

from lis.cli import listen as listening
from lis.cli.listen import CaptureFile, Listener, listen
from lis.domain.clock import ManualClock
from lis.domain.ids import InboxId
from lis.domain.messages import Lane, Protocol
from lis.domain.traffic import Direction, KeepFailed, Receipt, ReceivedUnit, TrafficLine
from lis.drivers import registry
from lis.transport import LinkAddress
from lis.wire.astm_frame import ACK, ENQ, EOT, NAK, blocks_of
from lis.wire.capture import read_any, read_capture
from lis.wire.mllp import frame

ROOT = Path(__file__).resolve().parents[2]
RECORDS = [rb"H|\^&|||x", b"P|1||\xc4", b"L|1|N"]
HL7 = b"MSH|^~\\&|a|b|c|d|20261122||ORU^R01|1|P|2.3.1\rOBX|1|ST|x||\xc4\r"
PROGRAM = "import sys; from lis.cli.listen import listen; sys.exit(listen(sys.argv[1], sys.argv[2] or None, None))"


class Running:
    """A listening process: what it prints, and a socket to it."""

    def __init__(
        self, folder: Path, driver: str = "", link: str = "tcp-listen://127.0.0.1:0"
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, link, driver],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdout is not None
        self.link = self.line()["link"]
        self.socket = socket.create_connection(("127.0.0.1", int(self.link.rpartition(":")[2])), 10)

    def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def talk(self, data: bytes) -> bytes:
        self.socket.sendall(data)
        return self.socket.recv(65_536)

    def session(self, blocks: list[bytes]) -> None:
        for block in [ENQ, *blocks]:
            assert self.talk(block) == ACK
        self.socket.sendall(EOT)

    def end(self) -> tuple[int, str]:
        self.socket.close()
        self.process.send_signal(signal.SIGTERM)
        rest, errors = self.process.communicate(timeout=20)
        assert rest == b""
        return self.process.returncode, errors.decode()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    process = Running(tmp_path)
    yield process
    if process.process.poll() is None:
        process.end()


def test_every_message_is_one_line_and_lies_in_the_file(running: Running, tmp_path: Path) -> None:
    assert running.link.startswith("tcp-listen://127.0.0.1:")
    running.session(blocks_of(RECORDS))

    assert running.line() == {
        "event": "message",
        "protocol": "astm",
        "complete": True,
        "records": ["H|\\^&|||x", "P|1||Ä", "L|1|N"],
    }
    code, errors = running.end()
    assert code == 0
    [file] = tmp_path.glob("listen-*.cap")
    assert file.name in errors
    assert [chunk.data for chunk in read_capture(file.read_bytes())][:3] == [
        ENQ,
        ACK,
        blocks_of(RECORDS)[0],
    ]
    assert len(read_any(file.read_bytes()).units) == 1


def test_a_keep_alive_prints_nothing_and_a_cut_message_its_whole_records(running: Running) -> None:
    assert running.talk(ENQ) == ACK
    running.socket.sendall(EOT)
    assert running.talk(ENQ) == ACK
    assert running.talk(blocks_of(RECORDS)[0].replace(b"x", b"y")) == NAK
    first, second, _ = blocks_of(RECORDS)
    assert running.talk(first) == ACK
    assert running.talk(second) == ACK
    running.socket.sendall(EOT)

    said = running.line()
    assert (said["complete"], said["records"]) == (False, ["H|\\^&|||x", "P|1||Ä"])


def test_hl7_is_known_by_its_first_byte(running: Running) -> None:
    assert b"MSA|AA|1" in running.talk(frame(HL7))

    said = running.line()
    assert (said["protocol"], said["complete"]) == ("hl7", True)
    assert said["records"] == [part.decode("latin-1") for part in HL7.split(b"\r")[:2]]


@pytest.mark.parametrize(
    ("link", "driver"), [("nonsense://x", ""), ("tcp-listen://127.0.0.1:0", "no-such")]
)
def test_a_wrong_link_or_driver_is_a_usage_error(
    link: str, driver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert listen(link, driver or None, None) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    assert listen("tcp-listen://127.0.0.1:0", None, tmp_path) == 2


def test_a_folder_cannot_be_listened_to(tmp_path: Path) -> None:
    assert listen("folder:///tmp", None, tmp_path / "x.cap") == 2


# ------------------------------------------------------------------ its parts


AT = datetime(2026, 11, 22, tzinfo=UTC)


def unit(raw: bytes, protocol: Protocol = Protocol.ASTM) -> ReceivedUnit:
    return ReceivedUnit(protocol=protocol, lane=Lane.RESULT, raw=raw, received_at=AT)


def listener(
    capture: CaptureFile, driver: str = "cepheid-genexpert", *, shows: bool = True
) -> Listener:
    return Listener(
        LinkAddress.parse("tcp-listen://127.0.0.1:0"),
        capture,
        profile=registry.get(driver) if driver else None,
        clock=ManualClock(),
        shows_content=shows,
    )


def test_a_full_disk_is_a_refusal(tmp_path: Path) -> None:
    full = tmp_path / "full.cap"
    full.symlink_to("/dev/full")  # takes no byte
    line = TrafficLine(at=AT, direction=Direction.IN, data=b"x")
    capture = CaptureFile(full)
    with full.open("ab", buffering=0) as capture._file, pytest.raises(KeepFailed, match="No space"):
        capture.append([line])


async def test_a_query_hears_that_there_is_nothing_to_do(tmp_path: Path) -> None:
    query = b"H|@^\\|1||s^GeneXpert^4\rQ|1|^20000013||||||||||O@N\rL|1|N\r"
    with CaptureFile(tmp_path / "x.cap") as capture:
        tool = listener(capture)
        [receipt] = await tool._keep((), (unit(query),))

        assert (await tool._answer(receipt))[-1] == b"L|1|I"
        assert await tool._answer(Receipt(inbox_id=InboxId(99))) == ()
        [receipt] = await tool._keep((), (unit(b"H|\\^&\rL|1\r"),))
        assert await tool._answer(receipt) == ()
        assert await listener(capture, "")._answer(receipt) == ()


async def test_capturing_shows_that_something_came_and_not_what(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    with CaptureFile(tmp_path / "x.cap") as capture:
        await listener(capture, shows=False)._keep((), (unit(b"H|\\^&\rP|1||name\rL|1\r"),))

    said = json.loads(capfdbinary.readouterr().out)
    assert (said["event"], said["complete"], said["count"]) == ("message", True, 3)
    assert "records" not in said


def test_an_earlier_capture_is_continued(tmp_path: Path) -> None:
    line = TrafficLine(at=AT, direction=Direction.IN, data=b"one")
    for _ in range(2):
        with CaptureFile(tmp_path / "x.cap") as capture:
            capture.append([line, TrafficLine(at=AT, direction=Direction.IN, data=b"")])

    assert [chunk.data for chunk in read_capture((tmp_path / "x.cap").read_bytes())] == [
        b"one",
        b"one",
    ]


def test_both_commands_are_registered() -> None:
    app = typer.Typer()
    listening.register(app)
    assert {command.name for command in app.registered_commands} == {"listen", "capture"}
