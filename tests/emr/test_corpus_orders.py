"""The order messages of the public corpus: taken and answered, or refused by name; sent three times, one final state."""

from zoneinfo import ZoneInfo

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_segment

from lis.emr.receiving import receive_message
from lis.store.order_rows import ServiceRequest, Specimen, WorkOrder
from lis.store.people_rows import Patient, PatientIdentifier
from lis.store.referral_rows import OrderChange, PatientMerge, PlacerOrder
from lis.store.traffic_rows import Inbox
from lis.wire.errors import ProtocolError
from lis.wire.hl7 import Message
from lis.wire.hl7_ack import required_acks
from lis.wire.hl7_batch import split_messages

KINDS = {"ORM", "OML", "ADT"}
REFUSED = {
    "expected ORC with OBR": "a test of an HL7 reader, with segments that are no order",
    "expected a PID segment": "likewise: an order of nobody",
    "expected a patient identifier": "an admission that names nobody",
    "which says that": "an answer of a laboratory, not an order",
    "expected ADT^": "ADT^O01 is no event of the standard",
}


@pytest.fixture(scope="module")
def messages(corpus):
    found = []
    for path in sorted((corpus / "hl7").rglob("*")):
        if path.is_file() and path.name != "SOURCES.md":
            found += [raw for raw in _messages_of(path.read_bytes()) if _kind(raw) in KINDS]
    return list(dict.fromkeys(found))


def _messages_of(raw):
    try:
        return split_messages(raw)
    except ProtocolError:
        return []


def _kind(raw):
    try:
        return Message.parse(raw).code
    except ProtocolError:
        return ""


def tell(store, catalog, raw):
    with store.unit("his") as unit:
        kept = Inbox(
            link_id=1, received_at=unit.now, protocol="hl7", lane="request", raw=raw, sha256=b""
        )
        unit.session.add(kept)
        unit.session.flush()
        return receive_message(
            unit,
            catalog,
            raw,
            emr="his",
            site_id=1,
            inbox_id=kept.id,
            zone=ZoneInfo("UTC"),
            accepts_test_traffic=True,
        )


ROWS = (ServiceRequest, Specimen, WorkOrder, Patient, PatientIdentifier)
SAID = (PlacerOrder, OrderChange, PatientMerge)


def state(store):
    """Every row of what was asked for and of whom, as text; versions too: a resend touches nothing."""
    with store.read() as session:
        return [repr(row) for kind in (*ROWS, *SAID) for row in session.query(kind).order_by("id")]


def test_every_order_of_the_corpus_is_taken_or_refused_by_name(store, catalog, messages):
    assert len([raw for raw in messages if _kind(raw) in {"ORM", "OML"}]) >= 20
    taken = 0
    for raw in messages:
        reply = tell(store, catalog, raw)
        taken += reply.is_accepted
        assert reply.is_accepted or any(words in reply.reason for words in REFUSED), reply.reason
    assert len(messages) - taken <= 13


def test_every_message_of_the_corpus_is_answered_as_its_sender_asked(store, catalog, messages):
    for raw in messages:
        request, reply = Message.parse(raw), tell(store, catalog, raw)
        header = request.header
        asked = required_acks(header.component(15), header.component(16), ok=reply.is_accepted)
        answers = [Message.parse(payload) for payload in reply.payloads]
        codes = [answer.first("MSA").component(1) for answer in answers]
        if reply.is_accepted:
            assert codes == ["CA"] * asked.accept + ["AA"] * asked.application
        else:
            assert len(codes) == (asked.accept or asked.application)
        assert {answer.first("MSA").field(2) for answer in answers} <= {request.control_id}


def test_the_corpus_sent_three_times_ends_where_it_began(store, catalog, messages):
    for raw in messages:
        tell(store, catalog, raw)
    once = state(store)
    for _ in range(2):
        for raw in messages:
            tell(store, catalog, raw)
    assert state(store) == once


def test_an_independent_reader_finds_every_segment_of_every_answer_valid(store, catalog, messages):
    judged = 0
    for raw in messages:
        for payload in tell(store, catalog, raw).payloads:
            answer = Message.parse(payload)
            for segment in answer.segments:
                if segment.name in {"MSA", "ORC", "ERR"}:
                    parsed = parse_segment(
                        segment.raw,
                        version="2.5.1",
                        validation_level=VALIDATION_LEVEL.STRICT
                        if answer.version >= "2.5"
                        else VALIDATION_LEVEL.TOLERANT,
                    )
                    judged += parsed.name == segment.name
    assert judged > len(messages)
