"""A simulated instrument that prints: what it measured is what the driver reads, and nobody answers it."""

import asyncio
from datetime import UTC, datetime

import pytest

from lis.domain.messages import Protocol
from lis.drivers import registry, translate
from lis.drivers.session import run_session
from lis.transport import LinkLost, memory_pair
from lis.wire.errors import LocalProtocolError
from simulators.faults import SLIP_FAULTS, Trouble, faults_of
from simulators.lines import Delivery, line_on
from simulators.measuring import NORMAL_ONLY, measure
from simulators.writing import Instrument, Outgoing, Run, query_message, report_message
from tests.drivers.wires import Host

AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
PROFILE = registry.get("arkray-spotchem-el")


@pytest.fixture
def slip() -> Outgoing:
    instrument = Instrument.of(PROFILE)
    rows = tuple(
        measure(plan, seed=1, specimen="26110017", run=1, shares=NORMAL_ONLY)
        for plan in instrument.model.plans
    )
    run = Run(specimen="26110017", rows=rows, at=AT, number=1)
    return report_message(instrument, run, sent_at=AT)


def test_what_was_measured_is_what_the_driver_reads(slip: Outgoing) -> None:
    read = translate(PROFILE, slip.payload, zone=UTC, received_at=AT)

    assert [(o.specimen, o.test, o.unit) for o in read.observations] == [
        ("26110017", "Na", "mmol/L"),
        ("26110017", "K", "mmol/L"),
        ("26110017", "Cl", "mmol/L"),
    ]
    assert {o.observed_at for o in read.observations} == {AT}
    assert not any(o.holds for o in read.observations)
    assert read.unreadable == ()


def test_it_asks_for_nothing() -> None:
    with pytest.raises(LocalProtocolError, match="asks for nothing"):
        query_message(Instrument.of(PROFILE), ["26110017"], number=1, sent_at=AT)


async def deliver(slip: Outgoing, trouble: Trouble | None = None) -> Host:
    host, (ours, theirs) = Host(), memory_pair()
    session = asyncio.create_task(
        run_session(
            ours,
            profile=PROFILE,
            keep=host.shelf.keep,
            answer=host.answer,
            clock=host.clock,
            on_event=host.events.append,
        )
    )
    pipe = trouble.wrap(theirs) if trouble is not None else theirs
    line = line_on(pipe, Instrument.of(PROFILE))
    assert await line.deliver(slip) is Delivery.ACKNOWLEDGED
    await pipe.close()
    await session
    return host


async def test_a_slip_is_delivered_when_it_is_sent(slip: Outgoing) -> None:
    host = await deliver(slip)

    assert [unit.raw for unit in host.shelf.units] == [slip.payload]


@pytest.mark.parametrize("fault", SLIP_FAULTS)
async def test_after_every_fault_the_slip_arrives_once(fault: str, slip: Outgoing) -> None:
    assert faults_of(Protocol.PRINTOUT) == SLIP_FAULTS
    host = await deliver(slip, Trouble(fault, Protocol.PRINTOUT, seed=1))

    assert [unit.raw for unit in host.shelf.units if unit.is_complete] == [slip.payload]


async def test_a_slip_that_was_cut_is_evidence(slip: Outgoing) -> None:
    host, (ours, theirs) = Host(), memory_pair()
    session = asyncio.create_task(
        run_session(
            ours,
            profile=PROFILE,
            keep=host.shelf.keep,
            answer=host.answer,
            clock=host.clock,
            on_event=host.events.append,
        )
    )
    with pytest.raises(LinkLost):
        await line_on(theirs, Instrument.of(PROFILE)).cut(slip)
    await session

    assert [unit.is_complete for unit in host.shelf.units] == [False]
