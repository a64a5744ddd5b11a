"""The corpus files against values keyed by hand; and every other file, without a crash."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lis.cli.message import read_messages
from lis.domain.clock import ManualClock
from lis.domain.messages import Protocol, ReportedObservation, Translation
from lis.drivers import identify, registry, translate
from lis.drivers.generic import STANDARD
from lis.wire.astm_assembly import decode_raw
from lis.wire.astm_record import Message
from lis.wire.capture import read_any
from lis.wire.redaction import NotRedactable, redacted
from tests.conftest import CORPUS
from tests.drivers.expected_corpus import (
    EXPECTED,
    NO_RESULTS,
    ORDERS,
    REFUSED,
    SPOTCHEM,
    WITHOUT_DRIVER,
    Expected,
)

RECEIVED_AT = datetime(2026, 11, 22, tzinfo=UTC)


def corpus_file(name: str) -> bytes:
    path = CORPUS / name
    if not path.exists():
        pytest.skip(f"no corpus file {name}; set LIS_CORPUS")
    return path.read_bytes()


def number_of(observation: ReportedObservation) -> str | None:
    number = observation.value.number
    return str(number) if number is not None else None


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def by_record(said: str | dict[str, str], record: str) -> str:
    return said[record] if isinstance(said, dict) else said


def check(read: Translation, expected: Expected) -> None:
    rows = [
        (o.record, o.test, o.value.text, number_of(o), o.unit, o.flags) for o in read.observations
    ]
    assert tuple(rows) == expected.rows
    assert {o.record: o.part_of for o in read.observations if o.part_of} == expected.supports
    holds = {o.record: tuple(h.value for h in o.holds) for o in read.observations if o.holds}
    assert holds == expected.holds
    for o in read.observations:
        assert digest(o.specimen) == by_record(expected.specimen_sha256, o.record)
        assert o.kind.value == expected.kind
    assert read.unreadable == ()
    check_states(read, expected)
    check_circumstances(read, expected)


def check_states(read: Translation, expected: Expected) -> None:
    """State and time, but of rows whose header row could not be understood: those say neither."""
    stated = [
        o
        for o in read.observations
        if expected.status == "registered"
        or "unknown_status" not in expected.holds.get(o.record, ())
    ]
    times = {o.record: o.observed_at.isoformat() for o in stated if o.observed_at}
    said = expected.observed_at
    assert times == ({o.record: said for o in stated} if isinstance(said, str) else said)
    assert {o.status.value for o in stated} == {expected.status}


def check_circumstances(read: Translation, expected: Expected) -> None:
    rows = read.observations
    assert {name: {getattr(o, name) for o in rows} for name in expected.common} == {
        name: {text} for name, text in expected.common.items()
    }
    if expected.operator_sha256:
        assert {digest(o.operator) for o in rows} == {expected.operator_sha256}
    if expected.sender is None:
        return
    assert (read.sender.name, read.sender.version) == expected.sender
    assert (read.sent_at.isoformat() if read.sent_at else None) == expected.sent_at
    assert read.processing_id == expected.processing_id
    comments = {o.record: o.comment for o in rows if o.comment}
    assert set(comments) == set(expected.comments)
    for record, said in expected.comments.items():
        assert said in {comments[record], "#" + digest(comments[record])}
    assert {o.record: o.interval_text for o in rows if o.interval_text} == expected.intervals
    attached = {
        o.record: tuple((a.record, a.kind.value, a.name) for a in o.attached)
        for o in rows
        if o.attached
    }
    assert attached == expected.attached
    assert {o.control.level if o.control else "" for o in rows} == {expected.level}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_corpus_file_says_what_was_keyed_by_hand(name: str) -> None:
    raw, expected = corpus_file(name), EXPECTED[name]

    assert expected.driver is not None
    assert identify(raw) == expected.driver
    profile = registry.get(expected.driver)
    check(translate(profile, raw, zone=UTC, received_at=RECEIVED_AT), expected)


@pytest.mark.parametrize("name", WITHOUT_DRIVER)
def test_a_file_without_a_driver_is_read_by_the_letter_of_the_standard(name: str) -> None:
    raw, expected = corpus_file(name), WITHOUT_DRIVER[name]

    assert identify(raw) is None
    standard = STANDARD[Protocol.ASTM]
    check(translate(standard, raw, zone=UTC, received_at=RECEIVED_AT), expected)


@pytest.mark.parametrize("name", NO_RESULTS)
def test_what_a_host_sends_holds_no_result(name: str) -> None:
    [unit] = read_any(corpus_file(name)).units
    read = translate(STANDARD[Protocol.ASTM], unit, zone=UTC, received_at=RECEIVED_AT)

    assert len(decode_raw(unit)) == NO_RESULTS[name]
    assert (read.observations, read.unreadable, read.queries) == ((), (), ())


@pytest.mark.parametrize("name", ORDERS)
def test_the_orders_of_a_host_say_what_was_keyed_by_hand(name: str) -> None:
    message = Message.parse(decode_raw(read_any(corpus_file(name)).units[0]))
    orders = [
        (digest(order.field(3)), *(order.field(number) for number in (5, 6, 12, 16, 26)))
        for order in message.of_type("O")
    ]

    assert tuple(orders) == ORDERS[name]


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_message_is_refused_with_a_reason(name: str) -> None:
    [message] = read_messages(corpus_file(name), driver=None, zone=UTC, clock=ManualClock())

    assert message["observations"] == []
    assert {entry["reason"] for entry in message["unreadable"]} == {REFUSED[name]}


def test_every_astm_file_of_the_corpus_is_accounted_for() -> None:
    files = all_files()
    if not files:
        pytest.skip(f"no corpus at {CORPUS}; set LIS_CORPUS")
    found = {
        str(path.relative_to(CORPUS)) for path in files if path.is_relative_to(CORPUS / "astm")
    }

    assert found == {
        *(name for name in EXPECTED if name.startswith("astm/")),
        *WITHOUT_DRIVER,
        *NO_RESULTS,
        *REFUSED,
    }


@pytest.mark.parametrize("name", EXPECTED)
def test_the_message_lab_shows_a_corpus_file(name: str) -> None:
    [message] = read_messages(corpus_file(name), driver=None, zone=UTC, clock=ManualClock())

    assert message["driver"] == EXPECTED[name].driver
    shown = [(entry["record"], entry["test"], entry["value"]) for entry in message["observations"]]
    assert shown == [row[:3] for row in EXPECTED[name].rows]
    json.dumps(message)


def all_files() -> list[Path]:
    found = [path for kind in ("astm", "hl7") for path in sorted((CORPUS / kind).rglob("*"))]
    return [path for path in found if path.is_file() and path.name != "SOURCES.md"]


def test_no_corpus_file_makes_the_message_lab_fall() -> None:
    files = all_files()
    if not files:
        pytest.skip(f"no corpus at {CORPUS}; set LIS_CORPUS")
    for path in files:
        for message in read_messages(path.read_bytes(), driver=None, zone=UTC, clock=ManualClock()):
            assert message["driver"] in {None, *registry.keys()}, path
            json.dumps(message)


@pytest.mark.parametrize("key", registry.keys())
def test_no_driver_falls_over_the_messages_of_another(key: str) -> None:
    files = all_files()
    if not files:
        pytest.skip(f"no corpus at {CORPUS}; set LIS_CORPUS")
    for path in files:
        units = read_any(path.read_bytes()).units[:5]
        for unit in units:
            translate(registry.get(key), unit, zone=UTC, received_at=RECEIVED_AT)


def test_a_redacted_corpus_file_keeps_its_results_and_its_length() -> None:
    records = {name: said for name, said in EXPECTED.items() if said is not SPOTCHEM}
    for name, expected in records.items():
        raw = corpus_file(name)
        clean = redacted(raw)
        assert len(clean) == len(raw)
        assert identify(clean) == expected.driver
        read = translate(registry.get(expected.driver), clean, zone=UTC, received_at=RECEIVED_AT)
        shown = [(o.record, o.test, o.value.text) for o in read.observations]
        assert tuple(shown) == tuple(row[:3] for row in expected.rows)


def test_what_has_no_records_is_not_redacted() -> None:
    raw = corpus_file("astm/senaite.astm/spotchem_el.txt")

    with pytest.raises(NotRedactable):
        redacted(raw)
