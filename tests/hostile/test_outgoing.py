"""What people and peers wrote into texts stays text in what we send: no segment, field or frame is gained."""

import pytest
from sqlalchemy import select

from lis.domain.lifecycle import BenchState
from lis.domain.messages import ResultStatus
from lis.orders.placing import receive_specimen
from lis.store.observation_rows import Observation
from lis.store.order_rows import Specimen
from tests.hostile.peers import Peer, astm_analyzer, order, oru, says
from tests.laboratory.conftest import wait_for
from tests.laboratory.test_promises import put, to_the_emr

FORGED = r"X\X0D\OBX\F\99\F\NM\F\K\F\\F\9.9\X1C\\X0D\\X0B\MSH\F\\S\\R\\E\\T\\F\Y"  # CR, FS, VT and delimiters


@pytest.fixture
def opened(laboratory):
    return laboratory(("bc-1", "mindray-bc", "tcp"), ("xp-1", "sysmex-xp-100", "tcp"), emr=True)


@pytest.fixture
def tube(opened):
    """A received tube of a patient whose every text is a forgery."""
    forged = order(
        name=f"{FORGED}^{FORGED}^{FORGED}", patient=f"{FORGED}^^^{FORGED}^MR", placer=FORGED
    )
    with Peer(opened.address("his")) as peer:
        reply = peer.ask(forged)
    assert says(reply) == "AA"
    assert [line[:3] for line in reply.split(b"\r") if line] == [b"MSH", b"MSA", b"PID", b"ORC"]
    with opened.store.unit("anna") as unit:
        accession = unit.session.scalars(select(Specimen)).one().accession
        receive_specimen(unit, accession)
    return accession


def test_an_outgoing_ORU_gains_no_segment_through_any_text(opened, tube):
    with Peer(opened.address("bc-1")) as peer:
        assert says(peer.ask(oru(tube, FORGED, unit=FORGED))) == "AA"
    wait_for(opened.observations)
    with opened.store.unit("intruder") as unit:
        row = unit.session.scalars(select(Observation)).one()
        specimen = unit.session.scalars(select(Specimen)).one()
        row.specimen_id, row.patient_id = specimen.id, specimen.patient_id
        row.service_request_id, row.comment = 1, "a\rOBX|1|NM|K||9.9\x1c\r\x0bMSH|^~\\&|"
    put(opened, BenchState.RELEASED, ResultStatus.FINAL)
    sent = to_the_emr(opened)
    assert sent.count("\x0b") == sent.count("\x1c") == 1
    names = [line.lstrip("\x0b")[:3] for line in sent.split("\x1c")[0].split("\r") if line]
    assert names == ["MSH", "PID", "ORC", "OBR", "OBX", "NTE", "SPM"]


def test_an_analyzer_that_asks_gets_no_record_more_through_any_text(opened, tube):
    analyzer = astm_analyzer(opened, "xp-1")
    records = analyzer.query(tube)
    analyzer.close()
    assert [record[0] for record in records] == ["H", "P", "O", "L"]
