"""What a crash leaves unfinished is evidence after the restart, and never a result."""

import socket
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime

from simulators.load_messages import Framing, MessageSource, Wire
from tests.durability.analyzers import ACK, ENQ, HOST, RETRY_S, Persistent
from tests.durability.house_program import STORE, Victim
from tests.durability.test_kills import await_processed, raw_of

AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
RESULTS = 8
FRAMES_BEFORE_THE_CRASH = 3
WAIT_S = 20.0


def test_an_open_astm_session_is_an_incomplete_message_after_a_crash(victim: Victim):
    victim.start()
    message = source().next()
    begun = message.blocks[:FRAMES_BEFORE_THE_CRASH]
    with closing(call(victim.ports["astm"][0])) as connection:
        for block in (ENQ, *begun):
            connection.sendall(block)
            assert connection.recv(1) == ACK
        victim.kill()

    victim.start()
    call(victim.ports["astm"][0]).close()  # recovery comes before links open

    with closing(sqlite3.connect(victim.folder / STORE)) as database:
        assert database.execute("SELECT raw, state FROM inbox").fetchall() == [
            (b"".join(begun), "incomplete")
        ]
        assert database.execute("SELECT count(*) FROM observation").fetchone() == (0,)


def test_the_message_that_is_sent_again_after_the_crash_counts_once(victim: Victim):
    victim.start()
    instrument = Persistent(victim.ports["astm"][0], source(), Wire.ASTM)
    message = source().next()
    with closing(call(instrument.port)) as connection:
        for block in (ENQ, *message.blocks[:FRAMES_BEFORE_THE_CRASH]):
            connection.sendall(block)
            assert connection.recv(1) == ACK
        victim.kill()

    victim.start()
    instrument.run(1)  # the same message, from its beginning

    await_processed(victim.folder)
    with closing(sqlite3.connect(victim.folder / STORE)) as database:
        complete = database.execute("SELECT raw FROM inbox WHERE state <> 'incomplete'").fetchall()
        assert complete == [(raw_of(message.blocks),)]
        assert database.execute("SELECT count(*) FROM observation").fetchone() == (RESULTS,)


def source() -> MessageSource:
    return MessageSource(Wire.ASTM, analyzer=3, at=AT, results=RESULTS, framing=Framing.RECORD)


def call(port: int) -> socket.socket:
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            return socket.create_connection((HOST, port), timeout=WAIT_S)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "the link does not open"
            time.sleep(RETRY_S)
