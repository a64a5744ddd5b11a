"""A broken network: slow peers, cut peers, silent peers, too many peers. Nothing is lost, nothing doubled."""

import random

import pytest

from lis.store.rows import InboxState
from tests.foreign.frames import ACK, ENQ, EOT, NAK, build_frame, session_frames
from tests.hostile.peers import (
    CR,
    FS,
    VT,
    Peer,
    astm_analyzer,
    astm_report,
    order,
    oru,
    says,
    stamp,
)
from tests.laboratory.conftest import wait_for

CONNECTIONS = 200


@pytest.fixture
def store_url(tmp_path):
    return f"sqlite:///{tmp_path / 'lis.db'}"  # these tests are about bytes, not about the store


@pytest.fixture
def opened(laboratory):
    return laboratory(("xp-1", "sysmex-xp-100", "tcp"), ("bc-1", "mindray-bc", "tcp"), emr=True)


def stored(opened, tube):
    return [row.reported for row in opened.observations() if row.specimen_text.strip() == tube]


# --- cut at every byte ------------------------------------------------------------------------------


def test_a_connection_cut_at_every_byte_of_an_MLLP_message_loses_and_doubles_nothing(opened):
    tube, at = opened.order("CBC")["WB"], stamp(minutes_ago=1)
    block = VT + oru(tube, at=at) + FS + CR
    for length in range(len(block)):
        with Peer(opened.address("bc-1")) as peer:
            peer.try_send(block[:length])
    with Peer(opened.address("bc-1")) as peer:
        assert says(peer.ask(oru(tube, at=at))) == "AA"
    wait_for(lambda: stored(opened, tube) == ["5.5"])
    states = {row.state for row in opened.settled(1)}
    assert states <= {InboxState.INCOMPLETE, InboxState.HELD, InboxState.PROCESSED}


def test_a_connection_cut_at_every_byte_of_an_ASTM_session_loses_and_doubles_nothing(opened):
    tube = opened.order("CBC")["WB"]
    records = astm_report(tube, at=stamp(minutes_ago=1))
    pieces = [ENQ, *(build_frame(frame) for frame in session_frames(iter(records))), EOT]
    for number, piece in enumerate(pieces):
        for length in range(0, len(piece) + 1, 7):
            with Peer(opened.address("xp-1")) as peer:
                for whole in pieces[:number]:
                    peer.send(whole)
                    assert peer.read() == ACK
                peer.try_send(piece[:length])
    analyzer = astm_analyzer(opened, "xp-1")
    analyzer.send_results([records])
    analyzer.close()
    wait_for(opened.observations)
    opened.settled(1)
    assert [value.strip() for value in stored(opened, tube)] == ["5.5"]


# --- slow, silent and deaf ---------------------------------------------------------------------------


def test_a_message_that_comes_one_byte_at_a_time_is_taken(opened):
    tube = opened.order("CBC")["WB"]
    with Peer(opened.address("bc-1")) as peer:
        for byte in VT + oru(tube) + FS:  # and no CR: some senders wait for the answer first
            peer.send(bytes([byte]))
        assert says(peer.read_block()) == "AA"


def test_a_peer_that_says_half_and_falls_silent_makes_room_for_the_next_one_at_once(opened):
    tube = opened.order("CBC")["WB"]
    with Peer(opened.address("bc-1")) as slow:
        slow.send(VT + b"MSH|^~\\&|slow")
        with Peer(opened.address("bc-1")) as peer:
            assert says(peer.ask(oru(tube), wait_s=3.0)) == "AA"
        assert slow.is_hung_up()


def test_a_peer_that_never_reads_its_answers_makes_room_for_the_next_one(opened):
    deaf = Peer(opened.address("bc-1"))
    blocks = (VT + oru("1900000014", control="deaf") + FS + CR) * 100
    deaf._socket.settimeout(0.5)
    while deaf.try_send(blocks):  # until both directions are full
        pass
    with Peer(opened.address("bc-1")) as peer:
        assert says(peer.ask(oru("1900000014", control="heard"), wait_s=15.0)) == "AA"
    deaf.close()


def test_thirty_slow_peers_at_the_EMR_port_do_not_keep_a_decent_one_out(opened):
    slow = [Peer(opened.address("his")) for _ in range(30)]
    for peer in slow:
        peer.try_send(VT)
    with Peer(opened.address("his")) as peer:
        assert says(peer.ask(order(), wait_s=5.0)) == "AA"
    for peer in slow:
        peer.close()


# --- many -------------------------------------------------------------------------------------------


def asked(address, message):
    """The answer, or None when the host hung up."""
    with Peer(address) as peer:
        try:
            return peer.ask(message)
        except ConnectionError:
            return None


def test_two_hundred_connections_at_the_EMR_port_leave_it_alive(opened):
    for peer in [Peer(opened.address("his")) for _ in range(CONNECTIONS)]:
        peer.close()
    # As an EMR does: called again while the house still sees the others off, it is refused and comes back.
    assert says(wait_for(lambda: asked(opened.address("his"), order()))) == "AA"


def test_of_two_hundred_open_connections_the_newest_is_served(opened):
    peers = [Peer(opened.address("bc-1")) for _ in range(CONNECTIONS)]
    assert says(peers[-1].ask(oru("1900000014"))) == "AA"
    assert all(peer.is_hung_up(1.0) for peer in peers[:-1])
    for peer in peers:
        peer.close()


# --- resends ------------------------------------------------------------------------------------------


def test_random_resends_in_any_order_store_each_run_once(opened):
    dice = random.Random(4)
    tubes = [opened.order("CBC")["WB"] for _ in range(5)]
    messages = [
        oru(tube, f"{5 + number}.5", control=f"{tube}-{number}", at=stamp(minutes_ago=number + 1))
        for tube in tubes
        for number in range(3)
    ]
    sent = messages * 4
    dice.shuffle(sent)
    with Peer(opened.address("bc-1")) as peer:
        assert {says(peer.ask(message)) for message in sent} == {"AA"}
    opened.settled(len(messages))
    for tube in tubes:
        assert sorted(stored(opened, tube)) == ["5.5", "6.5", "7.5"]


def test_a_resend_gets_the_same_answer_to_the_byte(opened):
    message = order()
    with Peer(opened.address("his")) as peer:
        assert peer.ask(message) == peer.ask(message)
    assert len(opened.inbox()) == 1


def test_a_wrong_checksum_is_refused_until_it_is_right(opened):
    tube = opened.order("CBC")["WB"]
    frames = [build_frame(frame) for frame in session_frames(iter(astm_report(tube)))]
    spoilt = frames[2][:-4] + b"ZZ" + frames[2][-2:]
    with Peer(opened.address("xp-1")) as peer:
        for piece, answer in [
            (ENQ, ACK),
            (frames[0], ACK),
            (frames[1], ACK),
            *[(spoilt, NAK)] * 5,
            *[(frame, ACK) for frame in frames[2:]],
        ]:
            peer.send(piece)
            assert peer.read() == answer
        peer.send(EOT)
    opened.settled(1)
    assert [value.strip() for value in stored(opened, tube)] == ["5.5"]
