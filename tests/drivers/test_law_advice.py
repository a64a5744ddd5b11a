"""What the message lab tells of a LAW message, beside what it says."""

from datetime import UTC, datetime

from lis.drivers.law_advice import advice
from lis.drivers.message_lab import documents_of, read_lab

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
HEAD = (
    r"MSH|^~\&|BA400|Biosystems|host||20261122080000||OUL^R22^OUL_R22|1|P|2.5.1|||ER|AL"
    "||UNICODE UTF-8|||LAB-29^IHE"
)
ROW = "OBX|1|NM|GLU^GLU^A400||5.1|mmol/L||NONE|||F|||||op||A400^B~8^B|20261122075900"
LINES = (HEAD, "SPM|1|2611000017||SER|||||||P", 'OBR||""||GLU^GLU^A400', "ORC|OK||||CM", ROW)
RAW = "\r".join(LINES).encode() + b"\r"


def test_the_lab_tells_what_a_maker_does_otherwise_and_reads_the_message_all_the_same() -> None:
    [document] = documents_of(read_lab(RAW, zone=UTC, at=AT))

    assert document["driver"] == "biosystems-ba400"
    assert [row["value"] for row in document["observations"]] == ["5.1"]
    assert {(one["place"], one["weight"]) for one in document["law"]} == {
        ("MSH|1-15", "note"),
        ("ORC|1-1", "error"),
        ("OBX|1-29", "error"),
    }


def test_other_messages_are_not_judged() -> None:
    other = RAW.replace(b"LAB-29^IHE", b"")

    assert advice(other) is None
    assert advice(b"no message") is None
    [document] = documents_of(read_lab(other, zone=UTC, at=AT))
    assert "law" not in document


def test_a_message_that_keeps_to_the_framework_has_no_finding() -> None:
    good = RAW.replace(b"|ER|AL", b"|NE|AL").replace(b"ORC|OK", b"ORC|SC")
    good = good.replace(b"20261122075900", b"20261122075900||||||||||RSLT")

    assert advice(good) == []
