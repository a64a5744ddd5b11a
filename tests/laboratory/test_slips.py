"""An instrument that only prints, in a running house: its slip is kept, read and shown, and never answered."""

import socket
from datetime import timedelta

import pytest

from lis.app.clock import SystemClock
from lis.domain.messages import Protocol
from lis.drivers import registry
from lis.store.rows import InboxState
from simulators.measuring import Measured
from simulators.writing import Instrument, Run, report_message

DRIVER = "arkray-spotchem-el"
VALUES = (("Na", "141"), ("K", "4.1"), ("Cl", "103"))


def slip(specimen):
    at = SystemClock().now() - timedelta(minutes=5)
    rows = tuple(Measured(code=code, text=text, unit="mmol/L") for code, text in VALUES)
    run = Run(specimen=specimen, rows=rows, at=at, number=1)
    return report_message(Instrument.of(registry.get(DRIVER)), run, sent_at=at).payload


@pytest.fixture
def opened(laboratory):
    return laboratory(("el-1", DRIVER, "tcp"))


def test_a_slip_is_kept_and_its_values_are_told_as_printed(opened):
    tube = opened.order("GLU")["SER"]
    with socket.create_connection(opened.address("el-1"), timeout=5) as line:
        line.sendall(slip(tube) + b"\r\n")
        [message] = opened.settled(1)

    assert (message.protocol, message.driver) == (Protocol.PRINTOUT.value, DRIVER)
    found = opened.observations()
    assert [(o.instrument_code, o.reported, o.specimen_text) for o in found] == [
        (code, text, tube) for code, text in VALUES
    ]


def test_the_same_slip_again_is_no_second_result(opened):
    with socket.create_connection(opened.address("el-1"), timeout=5) as line:
        line.sendall(slip("20000081") * 2)
        opened.settled(2)

    assert len(opened.observations()) == len(VALUES)


def test_half_a_slip_is_evidence_and_never_a_result(opened):
    with socket.create_connection(opened.address("el-1"), timeout=5) as line:
        line.sendall(slip("20000082")[:50])
    [message] = opened.settled(1)

    assert message.state is InboxState.INCOMPLETE
    assert opened.observations() == []
