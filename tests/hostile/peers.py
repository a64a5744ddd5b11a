"""Peers that do what no decent peer does: plain sockets, no code of lis, nothing that hides a byte."""

import random
import socket
import ssl
import time
from contextlib import suppress
from datetime import timedelta

from lis.app.clock import SystemClock
from tests.foreign.analyzer import QUICK, Analyzer
from tests.foreign.frames import ACK, ENQ, EOT
from tests.foreign.line import Line

VT, FS, CR = b"\x0b", b"\x1c", b"\r"
READ_BYTES = 65_536
WAIT_S = 10.0
LISTENING_S = 20.0  # a link that crashed comes back; how soon is measured where it matters


class Peer:
    """One TCP connection."""

    def __init__(self, address, wait_s=WAIT_S):
        self._socket = socket.create_connection(address, timeout=wait_s)
        self._unread = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self._socket.sendall(data)

    def try_send(self, data):
        """Whether the host took it; it may hang up meanwhile."""
        try:
            self._socket.sendall(data)
        except OSError:
            return False
        return True

    def read(self, wait_s=WAIT_S):
        """What comes next; b"" when the host hung up. Raises `TimeoutError`."""
        self._socket.settimeout(wait_s)
        try:
            return self._socket.recv(READ_BYTES)
        except ConnectionError:
            return b""

    def read_block(self, wait_s=WAIT_S):
        """The payload of the next MLLP block; None when the host hung up."""
        while FS not in self._unread:
            data = self.read(wait_s)
            if not data:
                return None
            self._unread += data
        block, self._unread = self._unread.split(FS, 1)
        return block.strip(b"\r").removeprefix(VT)

    def ask(self, payload, wait_s=WAIT_S):
        """One message, one answer."""
        self.send(VT + payload + FS + CR)
        return self.read_block(wait_s)

    def is_hung_up(self, wait_s=WAIT_S):
        """Wait until the host ends the connection; False when it does not."""
        over_at = time.monotonic() + wait_s
        while time.monotonic() < over_at:
            try:
                if not self.read(max(0.01, over_at - time.monotonic())):
                    return True
            except TimeoutError:
                return False
        return False

    def close(self):
        self._socket.close()


def garbage():
    """What arrives at an open port in a hospital, and what an attacker would add."""
    dice = random.Random(20_261_122)
    every_byte = bytes(range(256))
    return {
        "every byte": every_byte * 4,
        "every byte backwards": every_byte[::-1] * 4,
        "noise": dice.randbytes(8_192),
        "an HTTP request": b"GET / HTTP/1.1\r\nHost: lis\r\nAccept: */*\r\n\r\n",
        "a TLS hello": tls_hello(),
        "SMB": b"\x00\x00\x00\x85\xffSMB" + bytes(64),
        "half a frame": b"\x021H|\\^&|||half",
        "half a block": VT + b"MSH|^~\\&|half",
        "a block without MSH": VT + b"PID|1||nobody" + FS + CR,
        "an empty block": VT + FS + CR,
        "blocks of nothing": (VT + FS) * 200,
        "ENQs": ENQ * 300,
        "EOTs and ACKs": (EOT + ACK + b"\x15") * 200,
        "empty frames": b"\x02\x03\x02\x17" * 200,
        "line ends": b"\r\n" * 1_000,
        "zeros": bytes(4_096),
        "a header without an end": b"H|\\^&|||" + b"A" * 5_000,
    }


def tls_hello():
    """The first bytes a TLS client sends."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="lis")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


# --- decent messages, to see that the link still lives -------------------------------------------

HEADER = r"H|\^&|||XP-100^00-13^^^^A7869^BS649542||||||||E1394-97"


def stamp(*, minutes_ago=0):
    return f"{SystemClock().now() - timedelta(minutes=minutes_ago):%Y%m%d%H%M%S}"


def astm_report(tube, value="5.5", *, test="WBC", unit="10*3/uL", at=None, header=HEADER):
    return [
        header,
        "P|1",
        f"O|1||^^{tube:>15}^B|^^^^{test}|||||||N||||||||||||||F",
        f"R|1|^^^^{test}^1|{value}|{unit}||N||||               ||{at or stamp()}",
        "L|1|N",
    ]


def astm_analyzer(opened, name):
    if name in opened.cables:
        line = Line.on_serial(opened.cables[name].b)
    else:
        line = Line.call(*opened.address(name))
    return Analyzer(line, header=HEADER, timing=QUICK)


def oru(
    tube,
    value="5.5",
    *,
    control="1",
    test="WBC^WBC^99MRC",
    unit="10*3/uL",
    at=None,
    charset="UNICODE UTF-8",
    more=(),
):
    """A count of one value as a Mindray sends it."""
    at = at or stamp()
    segments = [
        f"MSH|^~\\&|Mindray|BC-5380|||{stamp()}||ORU^R01|{control}|P|2.3.1||||||{charset}",
        "PID|1",
        f"OBR|1||{tube}|00001^Automated Count^99MRC||{at}|{at}",
        f"OBX|1|NM|{test}||{value}|{unit}|4.00-10.00|N|||F",
        *more,
    ]
    return "\r".join([*segments, ""]).encode()


def order(
    *,
    control="1",
    placer="P1",
    code="CBC",
    patient="100^^^H^MR",
    name="Проверкин^Пётр",
    birth="19800101",
    collected="",
    charset="UNICODE UTF-8",
    more=(),
):
    """A referral as an EMR sends it."""
    segments = [
        f"MSH|^~\\&|HIS|H|LIS|L|{stamp()}||OML^O21^OML_O21|{control}|P|2.5.1||||||{charset}",
        f"PID|1||{patient}||{name}||{birth}|M",
        f"ORC|NW|{placer}^HIS",
        f"OBR|1|{placer}^HIS||{code}^Name^L|||{collected}",
        *more,
    ]
    return "\r".join([*segments, ""]).encode()


def says(reply):
    """MSA-1 of an answer."""
    msa = next(line for line in reply.split(b"\r") if line.startswith(b"MSA"))
    return msa.split(b"|")[1].decode()
