"""Foreign decoders read what our simulated instruments write."""

import astm.codec
import pytest
from hl7apy.parser import parse_message

from lis.domain.clock import ManualClock
from lis.drivers import registry
from simulators.measuring import OUTCOME_SHARES, measure
from simulators.writing import Instrument, Run, query_message, report_message

ASTM_KEYS = ["roche-cobas-c111", "sysmex-xp-100"]  # python-astm knows default delimiters only
AT = ManualClock().now()


def run_of(instrument: Instrument) -> Run:
    rows = tuple(
        measure(plan, seed=1, specimen="2611000017", run=1, shares=OUTCOME_SHARES)
        for plan in instrument.model.plans
    )
    return Run(specimen="2611000017", rows=rows, at=AT, number=1)


@pytest.mark.parametrize("key", ASTM_KEYS)
def test_python_astm_reads_the_same_values(key: str):
    instrument = Instrument.of(registry.get(key))
    run = run_of(instrument)
    records = report_message(instrument, run, sent_at=AT).records
    decoded = [astm.codec.decode_record(record, "latin-1") for record in records]
    assert [record[0] for record in decoded][:3] == ["H", "P", "O"]
    results = [record for record in decoded if record[0] == "R"]
    place = 3 if key == "roche-cobas-c111" else 4
    assert [(r[2][place], str(r[3]).strip(), r[4]) for r in results] == [
        (row.code, row.text, row.unit) for row in run.rows
    ]
    assert decoded[-1][:3] == ["L", "1", "N"]


def test_hl7apy_reads_the_same_values_from_the_counter():
    instrument = Instrument.of(registry.get("mindray-bc"))
    run = run_of(instrument)
    payload = report_message(instrument, run, sent_at=AT).payload
    message = parse_message(payload.decode("utf-8"), find_groups=False)
    assert [(obx.obx_3.obx_3_1.value, obx.obx_5.value) for obx in message.obx] == [
        (row.code, row.text) for row in run.rows
    ]
    assert message.msh.msh_9.value == "ORU^R01"


def test_a_query_of_many_tubes_repeats_them():
    instrument = Instrument.of(registry.get("cepheid-genexpert"))
    records = query_message(instrument, ["1", "2"], number=1, sent_at=AT).records
    assert records[1].startswith(b"Q|1|^1@^2||ALL")
