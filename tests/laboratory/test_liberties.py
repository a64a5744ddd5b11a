"""What an analyzer does beside the standard: in the journal of each connection, and once in the log."""

import socket

import structlog
from sqlalchemy import select

from lis.store.traffic_rows import Journal
from tests.laboratory.conftest import wait_for

ENQ, ACK, EOT = b"\x05", b"\x06", b"\x04"


def keep_alive(address):
    """A connection that only asks, twice, whether we live."""
    with socket.create_connection(address, timeout=10) as line:
        for _ in range(2):
            line.sendall(ENQ)
            assert line.recv(1) == ACK
            line.sendall(EOT)


def noted(laboratory):
    with laboratory.store.read() as session:
        return session.scalars(select(Journal.note).where(Journal.note.like("tolerated%"))).all()


def test_a_liberty_is_journalled_once_a_connection_and_logged_once_a_link(laboratory):
    with structlog.testing.capture_logs() as logs:
        opened = laboratory(("c111", "roche-cobas-c111", "tcp"))
        for count in (1, 2):
            keep_alive(opened.address("c111"))
            wait_for(lambda count=count: len(noted(opened)) == count)

    assert noted(opened) == ["tolerated: keep_alive"] * 2
    said = [entry for entry in logs if entry["event"] == "liberty_taken"]
    assert [(entry["link"], entry["liberty"]) for entry in said] == [("c111", "keep_alive")]
