"""The ASTM instruments of grade spec as simulators: what they measure, say and ask is what their drivers read."""

from dataclasses import replace

import pytest

from lis.domain.messages import Protocol, SubjectKind
from lis.drivers import identify, registry
from simulators.analyzer import Analyzer
from simulators.measuring import ControlTarget, Outcome
from simulators.models import models
from simulators.models_astm_spec import MODELS
from simulators.tubes import ControlTube, Tube
from simulators.writing import ControlIdentity, Instrument
from tests.simulators.conftest import Bench
from tests.simulators.host import Host

KEYS = sorted(MODELS)
ASKING = [key for key in KEYS if registry.get(key).orders.may_query]
TUBE = "2611000017"
OTHER = "2611000025"
FLAGGED = {Outcome.NORMAL: 0.1, Outcome.HIGH: 0.5, Outcome.FLAGGED: 0.4}


def analyzer_of(key: str, bench: Bench, **changes: object) -> tuple[Analyzer, Host]:
    profile = registry.get(key)
    settings = replace(bench.settings, **changes)
    analyzer = Analyzer(Instrument.of(profile), clock=bench.clock, seed=1, settings=settings)
    return analyzer, Host(profile)


def said(host: Host) -> list[tuple[str, str, str]]:
    return [
        (row.specimen, row.test, row.value.text.strip())
        for message in host.translations()
        for row in message.observations
    ]


def logged(analyzer: Analyzer) -> list[tuple[str, str, str]]:
    return [
        (sent.run.specimen, row.code, row.text) for sent in analyzer.log for row in sent.run.rows
    ]


def test_every_astm_driver_has_a_simulator() -> None:
    profiles = registry.profiles().values()
    astm = {profile.key for profile in profiles if profile.protocol is Protocol.ASTM}

    assert astm <= models().keys()


@pytest.mark.parametrize("key", KEYS)
async def test_what_was_measured_is_what_the_driver_reads(key: str, bench: Bench) -> None:
    analyzer, host = analyzer_of(key, bench)
    analyzer.load([Tube(accession=TUBE), Tube(accession=OTHER)])

    await bench.work(analyzer, host)

    assert said(host) == logged(analyzer)
    assert analyzer.counts.results == analyzer.counts.results_acknowledged == len(said(host))
    rows = [row for message in host.translations() for row in message.observations]
    assert not any(row.holds for row in rows)
    assert [row.unit for row in rows] == [r.unit for s in analyzer.log for r in s.run.rows]
    assert {identify(raw) for raw in host.kept} == {key}


@pytest.mark.parametrize("key", KEYS)
async def test_flags_are_spelled_and_read_as_the_instrument_has_them(
    key: str, bench: Bench
) -> None:
    analyzer, host = analyzer_of(key, bench, shares=FLAGGED)
    analyzer.load([Tube(accession=TUBE)])

    await bench.work(analyzer, host)

    spelling = analyzer.instrument.model.flags
    rows = [row for message in host.translations() for row in message.observations]
    sent = [row for entry in analyzer.log for row in entry.run.rows]
    for row, one in zip(rows, sent, strict=True):
        spelled = [spelling.get(flag, flag) for flag in one.flags]
        assert set(filter(None, spelled)) <= set(row.flags)
        assert not row.holds


@pytest.mark.parametrize("key", KEYS)
async def test_a_control_is_told_apart_from_patients(key: str, bench: Bench) -> None:
    analyzer, host = analyzer_of(key, bench)
    target = {
        plan.code: ControlTarget(mean=plan.mean, sd=plan.sd)
        for plan in analyzer.instrument.model.plans
        if not plan.answers
    }
    identity = ControlIdentity(material="QC1", lot="77", level="L1")
    analyzer.load([ControlTube(specimen="QC1", targets=target, identity=identity)])

    await bench.work(analyzer, host)

    rows = host.translations()[0].observations
    assert {(row.kind, row.specimen) for row in rows} == {(SubjectKind.CONTROL, "QC1")}
    assert len(rows) == len(target)


@pytest.mark.parametrize("key", ASKING)
async def test_it_asks_and_measures_exactly_what_it_was_told(key: str, bench: Bench) -> None:
    analyzer, host = analyzer_of(key, bench, asks=True)
    plans = analyzer.instrument.model.plans
    host.orders = {TUBE: (plans[0].code,)}
    analyzer.load([Tube(accession=TUBE), Tube(accession=OTHER)])

    await bench.work(analyzer, host)

    assert {specimen for specimen, _, _ in said(host)} == {TUBE}
    until = analyzer.instrument.profile.orders.code_until
    wanted = plans[0].code.split(until)[0] if until else plans[0].code
    panels = analyzer.instrument.model.panels.values()
    below = [plan.code for plan in plans if until and plan.code.split(until)[0] == wanted]
    measured = next(iter(panels), tuple(below) or (wanted,))
    assert tuple(test for _, test, _ in said(host)) == tuple(measured)
    assert analyzer.counts.queries == analyzer.counts.answers == 2
    assert analyzer.counts.nothing_to_do == 1
