"""An analyzer sends what it measured, as its instrument would, and counts what an observer would see."""

import asyncio
from dataclasses import replace

import pytest

from lis.domain.messages import OrderedTest, Protocol, Reason, SpecimenOrders, SubjectKind
from lis.drivers import identify, order_records, registry
from lis.transport import Pipe
from lis.wire.hl7_ack import AckCode
from simulators.analyzer import Analyzer
from simulators.answers import Worklist, read_astm_orders
from simulators.cases import CASE_REASONS, Case, supported_cases
from simulators.measuring import NORMAL_ONLY, ControlTarget
from simulators.tubes import ControlTube, Tube
from simulators.writing import ControlIdentity, Instrument
from tests.simulators.conftest import Bench
from tests.simulators.host import AT, Host

FIRST = ["cepheid-genexpert", "mindray-bc", "roche-cobas-c111", "sysmex-xp-100"]
CORPUS = ["siemens-dca-vantage", "immucor-galileo-echo", "ortho-vision", "horiba-yumizen-h550"]
KEYS = [*FIRST, *CORPUS]
TUBE = "2611000017"


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


@pytest.mark.parametrize("key", KEYS)
async def test_what_was_measured_is_what_the_driver_reads(key: str, bench: Bench):
    analyzer, host = analyzer_of(key, bench)
    analyzer.load([Tube(accession=TUBE), Tube(accession="2611000025")])
    await bench.work(analyzer, host)
    assert said(host) == logged(analyzer)
    assert analyzer.counts.results == analyzer.counts.results_acknowledged == len(said(host))
    assert analyzer.counts.acknowledged == analyzer.counts.messages == len(host.kept) == 2
    assert analyzer.counts.resent == analyzer.counts.refused == 0
    rows = [row for message in host.translations() for row in message.observations]
    assert {row.observed_at for row in rows} == {bench.clock.now()}
    assert not any(row.holds for row in rows)
    assert [row.unit for row in rows] == [r.unit for s in analyzer.log for r in s.run.rows]
    spelling = analyzer.instrument.model.flags
    flags = [[spelling.get(f, f) for f in r.flags] for s in analyzer.log for r in s.run.rows]
    assert [list(row.flags) for row in rows] == [[f for f in row if f] for row in flags]


@pytest.mark.parametrize("key", KEYS)
async def test_each_message_says_who_sent_it(key: str, bench: Bench):
    analyzer, host = analyzer_of(key, bench)
    analyzer.load([Tube(accession=TUBE)])
    await bench.work(analyzer, host)
    assert identify(host.kept[0]) == key
    sender = host.translations()[0].sender
    assert (sender.name, sender.serial) == (
        analyzer.instrument.identity.name,
        analyzer.instrument.identity.serial,
    )


@pytest.mark.parametrize("key", KEYS)
async def test_a_control_is_told_apart_from_patients(key: str, bench: Bench):
    analyzer, host = analyzer_of(key, bench)
    target = {
        plan.code: ControlTarget(mean=plan.mean, sd=plan.sd)
        for plan in analyzer.instrument.model.plans
    }
    identity = ControlIdentity(material="QC1", lot="77", level="L1")
    analyzer.load([ControlTube(specimen="QC1", targets=target, identity=identity)])
    await bench.work(analyzer, host)
    rows = host.translations()[0].observations
    assert {row.kind for row in rows} == {SubjectKind.CONTROL}
    assert {row.specimen for row in rows} == {"QC1"}
    assert analyzer.counts.controls == analyzer.counts.controls_acknowledged == len(rows)
    assert analyzer.counts.results == 0
    if key == "mindray-bc":
        assert {(row.control.lot, row.control.level) for row in rows if row.control} == {
            ("77", "L1")
        }


async def test_a_genexpert_asks_and_measures_exactly_what_it_was_told(bench: Bench):
    analyzer, host = analyzer_of("cepheid-genexpert", bench, asks=True)
    host.orders = {TUBE: ("MTB-RIF^Xpert",)}
    analyzer.load([Tube(accession=TUBE), Tube(accession="2611000025")])
    await bench.work(analyzer, host)
    # one order, one cartridge, all its results
    assert [test for _, test, _ in said(host)] == [
        "MTB-RIF^Xpert",
        "MTB-RIF^Trace",
        "MTB-RIF^RIF",
    ]
    assert {specimen for specimen, _, _ in said(host)} == {TUBE}
    assert analyzer.counts.queries == analyzer.counts.answers == 2
    assert analyzer.counts.nothing_to_do == 1


async def test_a_mindray_counter_asks_and_counts_all_it_can(bench: Bench):
    analyzer, host = analyzer_of("mindray-bc", bench, asks=True)
    host.orders = {TUBE: ("WBC",)}
    analyzer.load([Tube(accession=TUBE), Tube(accession="2611000025")])
    await bench.work(analyzer, host)
    plans = analyzer.instrument.model.plans
    assert said(host) == logged(analyzer)
    assert [test for _, test, _ in said(host)] == [plan.code for plan in plans]
    assert analyzer.counts.nothing_to_do == 1


def test_orders_repeated_in_one_record_are_all_read():
    instrument = Instrument.of(registry.get("roche-cobas-c111"))
    tests = tuple(OrderedTest(work_order=code, test=code) for code in ("413", "901"))
    entry = SpecimenOrders(specimen=TUBE, tests=tests)
    records = order_records(instrument.profile, [entry], at=AT, control_id="A1")
    worklist = read_astm_orders(instrument, records)
    assert worklist == Worklist(tests={TUBE: ("413", "901")}, is_answer=False)


async def test_orders_that_nobody_asked_for_wait_for_their_tube(bench: Bench):
    async def until_ordered(_seconds: float) -> None:
        async with asyncio.timeout(5):
            while not analyzer.counts.orders:
                await asyncio.sleep(0)

    analyzer, host = analyzer_of("roche-cobas-c111", bench, sleep=until_ordered)
    tests = (OrderedTest(work_order="w1", test="901"),)
    entry = SpecimenOrders(specimen=TUBE, tests=tests)
    host.pushes = order_records(host.profile, [entry], at=AT, control_id="A1")
    analyzer.load([Tube(accession=TUBE)])
    await bench.work(analyzer, host)
    assert [test for _, test, _ in said(host)] == ["901"]
    assert analyzer.counts.orders == 1


async def test_an_analyzer_asks_again_on_the_next_link_when_the_host_hangs_up(bench: Bench):
    class HangsUp(Host):
        async def serve(self, pipe: Pipe) -> None:
            if self.connections == 0:
                self.connections += 1
                await pipe.receive()
                await pipe.close()
                return
            await super().serve(pipe)

    analyzer, _ = analyzer_of("cepheid-genexpert", bench, asks=True)
    host = HangsUp(analyzer.instrument.profile, orders={TUBE: ("MTB-RIF^Xpert",)})
    analyzer.load([Tube(accession=TUBE)])
    await bench.work(analyzer, host)
    assert (analyzer.counts.queries, analyzer.counts.answers) == (2, 1)
    assert len(host.kept) == 1


async def test_a_host_that_never_answers_does_not_keep_the_rack_for_ever(bench: Bench):
    line = replace(bench.settings.line, answer_wait_s=0.01)
    analyzer, host = analyzer_of("cepheid-genexpert", bench, asks=True, line=line)
    host.answers_queries = False
    analyzer.load([Tube(accession=TUBE)])
    await bench.work(analyzer, host)
    assert analyzer.counts.queries == 3
    assert analyzer.counts.nothing_to_do == 1
    assert not host.kept


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("case", list(Case))
async def test_each_case_marks_the_rows_that_must_wait(key: str, case: Case, bench: Bench):
    analyzer, host = analyzer_of(key, bench, shares=NORMAL_ONLY)
    plans = analyzer.instrument.model.plans
    analyzer.load([Tube(accession=TUBE, tests=(plans[0].code, plans[1].code), cases=(case,))])
    await bench.work(analyzer, host)
    expected = {reason for s in analyzer.log for row in s.run.rows for reason in row.expected}
    is_played = case in supported_cases(analyzer.instrument.profile)
    reason = CASE_REASONS[case] if is_played else None
    assert expected == ({reason} if reason else set())
    found = [row for message in host.translations() for row in message.observations]
    if case is Case.UNKNOWN_FLAG:
        assert Reason.UNKNOWN_FLAG in found[0].holds
    if case is Case.EDITED_ON_ANALYZER and is_played:
        assert found[0].holds == (Reason.EDITED_ON_ANALYZER,)
    if case is Case.UNORDERED_TEST:
        assert found[-1].test == plans[2].code


@pytest.mark.parametrize("key", KEYS)
async def test_a_second_run_has_equal_values_and_a_later_second(key: str, bench: Bench):
    analyzer, host = analyzer_of(key, bench)
    analyzer.load([Tube(accession=TUBE, cases=(Case.SECOND_RUN,))])
    await bench.work(analyzer, host)
    first, second = host.translations()
    assert [o.value for o in first.observations] == [o.value for o in second.observations]
    times = [m.observations[0].observed_at for m in (first, second)]
    assert times[0] is not None
    assert times[1] is not None
    assert times[0] < times[1]
    assert analyzer.counts.messages == 2


@pytest.mark.parametrize("key", KEYS)
async def test_the_same_message_again_is_the_same_bytes_and_counts_once(key: str, bench: Bench):
    analyzer, host = analyzer_of(key, bench)
    analyzer.load([Tube(accession=TUBE, cases=(Case.SAME_MESSAGE_AGAIN,))])
    await bench.work(analyzer, host)
    assert len(host.kept) == 2
    assert host.kept[0] == host.kept[1]
    assert (analyzer.counts.messages, analyzer.counts.resent) == (1, 1)
    assert analyzer.counts.results == len(logged(analyzer))


@pytest.mark.parametrize("key", KEYS)
async def test_a_cut_message_is_sent_again_whole(key: str, bench: Bench):
    analyzer, host = analyzer_of(key, bench)
    analyzer.load([Tube(accession=TUBE, cases=(Case.CUT_MESSAGE,))])
    await bench.work(analyzer, host)
    assert said(host) == logged(analyzer)
    assert host.connections == 2
    assert (analyzer.counts.messages, analyzer.counts.resent) == (1, 1)
    if analyzer.instrument.profile.key in {"roche-cobas-c111", "mindray-bc"}:
        assert len(host.incomplete) == 1  # frames before the cut one were kept as evidence


async def test_a_refusal_for_good_is_never_sent_again(bench: Bench):
    analyzer, host = analyzer_of("mindray-bc", bench)
    host.mllp_answers = [AckCode.AR]
    analyzer.load([Tube(accession=TUBE), Tube(accession="2611000025")])
    await bench.work(analyzer, host)
    assert {specimen for specimen, _, _ in said(host)} == {"2611000025"}
    assert (analyzer.counts.refused, analyzer.counts.given_up, analyzer.counts.resent) == (1, 1, 0)


async def test_an_error_and_a_silence_are_tried_again(bench: Bench):
    analyzer, host = analyzer_of("mindray-bc", bench)
    host.mllp_answers = [AckCode.AE, None]
    analyzer.load([Tube(accession=TUBE)])
    await bench.work(analyzer, host)
    assert said(host) == logged(analyzer)
    assert (analyzer.counts.refused, analyzer.counts.resent) == (1, 2)
    assert host.connections == 2  # after silence the old connection is never used again


async def test_a_message_is_given_up_after_its_tries(bench: Bench):
    analyzer, host = analyzer_of("mindray-bc", bench, deliveries_max=2)
    host.mllp_answers = [AckCode.AE] * 5
    analyzer.load([Tube(accession=TUBE)])
    await bench.work(analyzer, host)
    assert (analyzer.counts.given_up, analyzer.counts.acknowledged) == (1, 0)


async def test_the_same_seed_measures_the_same_in_any_order(bench: Bench):
    tubes = [Tube(accession=TUBE), Tube(accession="2611000025")]
    logs = []
    for order in (tubes, tubes[::-1]):
        analyzer, host = analyzer_of("sysmex-xp-100", bench)
        analyzer.load(order)
        await bench.work(analyzer, host)
        logs.append(sorted(logged(analyzer)))
    assert logs[0] == logs[1]


async def test_the_cobas_ends_every_frame_but_the_last_with_etb(bench: Bench):
    analyzer, host = analyzer_of("roche-cobas-c111", bench)
    analyzer.load([Tube(accession=TUBE, tests=("413",))])
    await bench.work(analyzer, host)
    assert host.kept[0].count(b"\x17") == host.kept[0].count(b"\x02") - 1


@pytest.mark.parametrize("key", ["sysmex-xp-100", "cepheid-genexpert"])
async def test_some_instruments_send_a_message_in_one_frame(key: str, bench: Bench):
    analyzer, host = analyzer_of(key, bench)
    analyzer.load([Tube(accession=TUBE)])
    await bench.work(analyzer, host)
    assert host.kept[0].count(b"\x02") == 1


async def test_tubes_that_come_later_are_measured_too(bench: Bench):
    analyzer, host = analyzer_of("sysmex-xp-100", bench)
    await analyzer.until_done()  # nothing to do is done
    analyzer.load([Tube(accession=TUBE)])
    await bench.work(analyzer, host)
    analyzer.load([Tube(accession="2611000025")])
    await bench.work(analyzer, host)
    assert len(host.kept) == 2


async def test_a_crash_inside_the_analyzer_is_not_hidden(bench: Bench):
    async def broken(_seconds: float) -> None:
        raise ZeroDivisionError

    analyzer, host = analyzer_of("sysmex-xp-100", bench, sleep=broken)
    analyzer.load([Tube(accession=TUBE)])
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(5):
            await bench.work(analyzer, host)


def test_every_built_in_driver_has_a_simulator():
    for key in KEYS:
        assert Instrument.of(registry.get(key)).model.plans
    assert {p.protocol for p in map(registry.get, KEYS)} == {Protocol.ASTM, Protocol.HL7}
