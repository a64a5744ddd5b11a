"""The simulated speakers of HL7 dialects: what they write their drivers read, and they hear what they asked for."""

import asyncio
from datetime import UTC, datetime

import pytest

from lis.domain.clock import ManualClock
from lis.domain.messages import SubjectKind
from lis.drivers import identify, registry, translate
from lis.transport import memory_pair
from simulators.analyzer import Analyzer, AnalyzerSettings
from simulators.measuring import Measured
from simulators.models_hl7 import MODELS
from simulators.tubes import Tube
from simulators.writing import ControlIdentity, Instrument, Run, query_message, report_message
from tests.simulators.host import Host

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
ASKING = ["mindray-bs", "cepheid-genexpert-hl7"]


def instrument(key: str) -> Instrument:
    return Instrument.of(registry.get(key))


def written(key: str, control: ControlIdentity | None = None) -> tuple[Run, bytes]:
    own = instrument(key)
    rows = tuple(
        Measured(code=plan.code, text=(plan.answers or ("5.1",))[0], unit=plan.unit)
        for plan in own.model.plans
    )
    run = Run(specimen="20000072", rows=rows, at=AT, number=7, control=control)
    return run, report_message(own, run, sent_at=AT).payload


@pytest.mark.parametrize("key", MODELS)
def test_a_driver_reads_what_its_simulator_writes(key: str) -> None:
    run, payload = written(key)
    read = translate(registry.get(key), payload, zone=UTC, received_at=AT)

    assert identify(payload) == key
    assert [(row.specimen, row.test, row.value.text, row.unit) for row in read.observations] == [
        ("20000072", row.code, row.text, row.unit) for row in run.rows
    ]
    assert {row.kind for row in read.observations} == {SubjectKind.PATIENT}


@pytest.mark.parametrize("key", MODELS)
def test_Q1_a_simulated_control_is_read_as_a_control(key: str) -> None:
    _, payload = written(key, ControlIdentity(material="CTRL", lot="L1", level="M"))
    read = translate(registry.get(key), payload, zone=UTC, received_at=AT)

    assert {row.kind for row in read.observations} == {SubjectKind.CONTROL}
    assert len(read.observations) == len(instrument(key).model.plans)


@pytest.mark.parametrize("key", ASKING)
def test_a_simulated_question_is_understood(key: str) -> None:
    query = query_message(instrument(key), ["20000072"], number=9, sent_at=AT)
    [asked] = translate(registry.get(key), query.payload, zone=UTC, received_at=AT).queries

    assert (asked.specimens, asked.wants_all, asked.is_cancel) == (("20000072",), False, False)


@pytest.mark.parametrize(
    ("key", "ordered", "measured"),
    [
        ("mindray-bs", ("12",), ["12"]),
        ("cepheid-genexpert-hl7", ("MTB-RIF^MTB",), ["MTB-RIF^MTB", "MTB-RIF^RIF"]),
        ("mindray-bs", (), None),
        ("cepheid-genexpert-hl7", (), None),
    ],
)
async def test_an_analyzer_that_asks_measures_what_it_hears(
    key: str, ordered: tuple[str, ...], measured: list[str] | None
) -> None:
    host = Host(registry.get(key), orders={"20000072": ordered})
    ours, theirs = memory_pair()
    analyzer = Analyzer(
        instrument(key), clock=ManualClock(), seed=1, settings=AnalyzerSettings(asks=True)
    )
    analyzer.load([Tube(accession="20000072")])
    serving = asyncio.create_task(host.serve(theirs))
    working = asyncio.create_task(analyzer.attend(ours))
    await asyncio.wait_for(analyzer.until_done(), 10)
    await ours.close()
    await asyncio.wait({serving, working})

    codes = [[row.test for row in read.observations] for read in host.translations()]
    assert codes == ([] if measured is None else [measured])
    assert (analyzer.counts.queries, analyzer.counts.answers) == (1, 1)
