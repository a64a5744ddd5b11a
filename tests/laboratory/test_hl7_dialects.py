"""HL7 dialects against a running house: sockets, store and orders as they are, on both stores."""

import pytest

from lis.store.observation_rows import Observation
from lis.store.rows import Inbox, InboxState
from lis.wire.hl7 import Message
from tests.hostile.peers import CR, FS, VT, Peer, oru, stamp

HEAD = r"MSH|^~\&|Mindray|BS-240|||{at}||{kind}|{number}|P|2.3.1||||||ASCII"
QRD = "QRD|{at}|R|D|1|||RD|{tube}|{what}|||T"


@pytest.fixture
def opened(laboratory):
    return laboratory(
        ("bs-1", "mindray-bs", "tcp"),
        ("bc-1", "mindray-bc", "tcp"),
        ("gx-1", "cepheid-genexpert-hl7", "tcp"),
    )


def question(number, *, tube="", what="OTH", kind="QRY^Q02"):
    at = stamp()
    lines = HEAD.format(at=at, kind=kind, number=number), QRD.format(at=at, tube=tube, what=what)
    return ("\r".join(lines) + "\r").encode()


def said(payload):
    answer = Message.parse(payload)
    return answer.code, answer.all("MSA")[0].component(1), answer.all("MSA")[0].component(2)


def test_a_chemistry_analyzer_that_asks_in_vain_hears_nf_and_the_log_says_why(opened):
    tube = opened.order("GLU")["SER"]
    with Peer(opened.address("bs-1")) as peer:
        answer = Message.parse(peer.ask(question(41, tube=tube)))

    assert (answer.code, answer.event, answer.control_id) == ("QCK", "Q02", "41")
    assert answer.all("QAK")[0].component(2) == "NF"  # the catalog knows no channel of it


def test_A6_a_question_that_comes_again_gets_the_same_bytes(opened):
    asked = question(42, tube="20000072")
    with Peer(opened.address("bs-1")) as peer:
        assert peer.ask(asked) == peer.ask(asked)

    assert len(opened.inbox()) == 1


def test_A4_a_question_that_nobody_understands_is_kept_held_and_refused_with_201(opened):
    with Peer(opened.address("bs-1")) as peer:
        answer = Message.parse(peer.ask(question(43, kind="QRY^Q09")))

    assert said(answer.raw) == ("ACK", "AR", "43")
    assert answer.all("MSA")[0].component(6) == "201"
    with opened.store.read() as session:
        [row] = session.query(Inbox).all()
        assert (row.state, row.hold_reason) == (InboxState.HELD, "no_query_understood")


def test_a_question_that_was_taken_back_is_acknowledged_and_logged(opened):
    cancel = (
        rf"MSH|^~\&|GX^GeneXpert^1||LIS||{stamp()}||QCN^J01^QCN_J01|q-3|P|2.5|||AL|NE"
        + "\rQID|tag-2|N/D\r"
    ).encode()
    with Peer(opened.address("gx-1")) as peer:
        assert said(peer.ask(cancel)) == ("ACK", "CA", "q-3")

    with opened.store.read() as session:
        [row] = session.query(Inbox).all()
        assert row.state is InboxState.PROCESSED


def test_Q1_a_control_under_the_number_of_a_tube_reaches_no_patient(opened):
    [tube] = opened.order("WBC").values()
    control = oru(tube, "5.5").replace(b"|P|2.3.1", b"|Q|2.3.1")
    with Peer(opened.address("bc-1")) as peer:
        peer.send(VT + control + FS + CR)
        assert said(peer.read_block())[1] == "AA"
    opened.settled(1)

    with opened.store.read() as session:
        assert session.query(Observation).filter(Observation.specimen_id.is_not(None)).count() == 0
