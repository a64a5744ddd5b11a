"""Everything that writes HL7 to an instrument, judged by an independent reader of the standard's own tables.

Acknowledgements are judged in tests/wire/test_hl7_ack.py, what goes to and from a medical record system in tests/emr,
IHE LAW beside its own tables. hl7apy knows a structure by MSH-9 only: what is a maker's own (RSP^Z02 of the GeneXpert,
the order in a Mindray's ORR^O02) has no table, so each of its segments is judged for itself. A segment that we only
give back as it came (QRD, QPD) is the instrument's; the questions here are asked in the standard's spelling. A Mindray wants
components in the text of DSP-3 (`12^^^`) and a line for each of its 28 places, filled or not, where the standard asks
for one text: the copy that is judged leaves both out.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message, parse_segment

from lis.domain.messages import OrderedTest, Protocol, SpecimenOrders
from lis.drivers import order_records, registry, translate

AT = datetime(2026, 11, 22, 6, 30, tzinfo=UTC)
STRICT = VALIDATION_LEVEL.STRICT
EMPTY_LINE = re.compile(r"DSP\|\d+\r")
OWN_SEGMENTS = ("QPD|", "OBX|")
"""Beyond QPD-3 each query has fields of its own; the settings in a Mindray's answer leave OBX-4 empty, which 2.3.1
asks for where there are several rows of one code, and hl7apy always."""


@dataclass(frozen=True)
class Question:
    """How an instrument asks, and whether the standard has a structure for the answer with orders."""

    lines: tuple[str, ...]
    is_standard: bool


QUESTIONS = {
    "mindray-bs": Question(
        (
            r"MSH|^~\&|Mindray|BS-240|||20261122093000||QRY^Q02|5|P|2.3.1||||||8859/5",
            "QRD|20261122093000|R|D|1|||1^RD|20000072|OTH|ALL||T",
            "QRF|BS-240|20261122000000|20261122093000|||RCT|COR|ALL",
        ),
        is_standard=True,
    ),
    "mindray-bc": Question(
        (
            r"MSH|^~\&|Mindray|BC-5380|||20261122093000||ORM^O01|5|P|2.3.1||||||UNICODE",
            "ORC|RF||20000072||IP",
        ),
        is_standard=False,
    ),
    "cepheid-genexpert-hl7": Question(
        (
            r"MSH|^~\&|GX^GeneXpert^1||LIS||20261122093000||QBP^Z03^QBP_Z03|q-1|P|2.5",
            "QPD|Z03^HOST QUERY|tag-1||20000072",
        ),
        is_standard=False,
    ),
}
PEOPLE = [
    SpecimenOrders(
        specimen="20000072",
        tests=(OrderedTest(work_order="w1", test="12"),),
        specimen_type="SER",
        patient_id="4711",
        family_name="Иванова",
        given_name="Анна",
        birth_date="19800102",
        sex="F",
        collected_at=AT,
    ),
    SpecimenOrders(
        specimen="2|0^0~0&0\\72\r\n",
        tests=tuple(OrderedTest(work_order=f"w{n}", test=f"T^{n}|") for n in range(5)),
        patient_id="47|11",
        family_name="O'Te|st^\x0b\x1c",
        given_name="A&B",
        birth_date="1980",
        sex="U",
    ),
    SpecimenOrders(specimen="20000072", tests=()),
]


def answers(key: str, orders: SpecimenOrders) -> tuple[bytes, ...]:
    profile, raw = registry.get(key), "\r".join(QUESTIONS[key].lines).encode()
    [query] = translate(profile, raw, zone=UTC, received_at=AT).queries
    return order_records(profile, [orders], at=AT, control_id="Q1", query=query)


def judge_whole(text: str) -> None:
    assert parse_message(text, validation_level=STRICT).validate()


def judge_segments(text: str) -> None:
    header, *lines = text.split("\r")[:-1]
    version = header.split("|")[11]
    for line in lines:
        if not line.startswith(OWN_SEGMENTS):
            read = parse_segment(line, version=version, validation_level=STRICT)
            assert read.validate()


@pytest.mark.parametrize("key", QUESTIONS)
@pytest.mark.parametrize("orders", PEOPLE, ids=["plain", "hostile", "nothing to do"])
def test_hl7apy_finds_every_answer_to_an_instrument_valid(key: str, orders: SpecimenOrders) -> None:
    codec = "iso8859-5" if key == "mindray-bs" else "utf-8"
    payloads = answers(key, orders)

    assert payloads
    for payload in payloads:
        text = EMPTY_LINE.sub("", payload.decode(codec).replace("^^^\r", "\r"))
        if QUESTIONS[key].is_standard or (key == "mindray-bc" and not orders.tests):
            judge_whole(text)
        judge_segments(text)


def test_every_instrument_that_is_answered_in_HL7_is_judged() -> None:
    writers = {
        key
        for key, profile in registry.profiles().items()
        if profile.protocol is Protocol.HL7 and profile.write_orders and profile.law is None
    }
    assert writers == set(QUESTIONS)
