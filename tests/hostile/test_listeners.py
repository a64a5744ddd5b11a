"""Whatever arrives at an open port, the link lives on, and the next decent message is taken."""

import pytest

from lis.store.rows import InboxState
from tests.hostile.peers import Peer, astm_analyzer, astm_report, garbage, order, oru, says
from tests.laboratory.conftest import wait_for


@pytest.fixture
def store_url(tmp_path):
    return f"sqlite:///{tmp_path / 'lis.db'}"  # these tests are about bytes, not about the store


@pytest.fixture
def opened(laboratory):
    return laboratory(
        ("xp-1", "sysmex-xp-100", "tcp"),
        ("xp-2", "sysmex-xp-100", "serial"),
        ("bc-1", "mindray-bc", "tcp"),
        emr=True,
    )


def throw(opened, link, data):
    with Peer(opened.address(link)) as peer:
        peer.try_send(data)


def tubes_stored(opened):
    return [row.specimen_text.strip() for row in opened.observations() if row.specimen_id]


@pytest.mark.parametrize("sort", garbage())
def test_garbage_on_the_astm_listener_leaves_the_link_alive_for_the_next_message(opened, sort):
    tube = opened.order("CBC")["WB"]
    throw(opened, "xp-1", garbage()[sort])
    analyzer = astm_analyzer(opened, "xp-1")
    analyzer.send_results([astm_report(tube)])
    analyzer.close()
    wait_for(lambda: tubes_stored(opened) == [tube])


@pytest.mark.parametrize("sort", garbage())
def test_garbage_on_the_mllp_listener_leaves_the_link_alive_for_the_next_message(opened, sort):
    tube = opened.order("CBC")["WB"]
    throw(opened, "bc-1", garbage()[sort])
    with Peer(opened.address("bc-1")) as peer:
        assert says(peer.ask(oru(tube))) == "AA"
    wait_for(lambda: tube in [row.specimen_text for row in opened.observations()])


@pytest.mark.parametrize("sort", garbage())
def test_garbage_on_the_emr_listener_leaves_the_link_alive_for_the_next_order(opened, sort):
    throw(opened, "his", garbage()[sort])
    with Peer(opened.address("his")) as peer:
        assert says(peer.ask(order())) == "AA"


@pytest.mark.parametrize("sort", garbage())
def test_garbage_on_the_serial_line_leaves_the_link_alive_for_the_next_message(opened, sort):
    tube = opened.order("CBC")["WB"]
    wait_for(lambda: opened.is_connected("xp-2"))
    analyzer = astm_analyzer(opened, "xp-2")
    analyzer._line.write(garbage()[sort] + b"\x04")
    while analyzer._line.read_byte(1.0):  # what the host says to garbage is not for us
        pass
    analyzer.send_results([astm_report(tube)])
    analyzer.close()
    wait_for(lambda: tubes_stored(opened) == [tube])


def test_all_garbage_in_a_row_on_one_connection_is_survived(opened):
    with Peer(opened.address("bc-1")) as peer:
        for data in garbage().values():
            peer.try_send(data)
    tube = opened.order("CBC")["WB"]
    with Peer(opened.address("bc-1")) as peer:
        assert says(peer.ask(oru(tube, control="after"))) == "AA"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"PID|1||x",
        b"MSH",
        b"MSH|",
        b"MSH|^",
        b"MSHx^~\\&|",
        b"\x00",
        b"MSH\xff^~\\&|A",
        b"\r\r\r",
    ],
)
def test_a_block_without_a_readable_header_is_never_answered_AA_and_is_kept(opened, payload):
    with Peer(opened.address("bc-1")) as peer:
        assert says(peer.ask(payload)) in {"AE", "AR"}
    assert payload in [row.raw for row in opened.settled(1)]


def test_a_message_of_an_unknown_type_is_refused_and_kept(opened):
    payload = oru("1").replace(b"ORU^R01", b"ZZZ^Z99")
    with Peer(opened.address("bc-1")) as peer:
        assert says(peer.ask(payload)) == "AR"
        assert says(peer.ask(oru("2", control="2"))) == "AA"
    assert opened.settled(2)[0].raw == payload


def test_half_a_block_and_a_lost_connection_is_kept_as_evidence_and_never_delivered(opened):
    tube = opened.order("CBC")["WB"]
    half = oru(tube)[:-30]
    with Peer(opened.address("bc-1")) as peer:
        peer.send(b"\x0b" + half)
    (row,) = opened.settled(1)
    assert (row.state, row.raw) == (InboxState.INCOMPLETE, half)
    assert opened.observations() == []
