"""Messages that are well formed and absurd: each ends as a held row or a clear refusal, and the next one is taken."""

import random

import pytest

from lis.domain.lifecycle import BenchState
from lis.store.order_rows import ServiceRequest, Specimen
from lis.store.people_rows import Patient
from lis.store.rows import InboxState
from tests.hostile.peers import Peer, astm_analyzer, astm_report, order, oru, says
from tests.laboratory.conftest import wait_for

LARGE_WAIT_S = 240.0  # ten thousand values; an ordinary message has thirty
ARABIC = "٥.٥"
MISCHIEF = "<script>alert(1)</script>\u202e|^~\\&\x00\x1b'; DROP TABLE patient;--"


def long_text(size=10_000):
    """Text that no index can compress."""
    return "".join(random.Random(1).choices("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=size))


NOT_NUMBERS = {
    "a number beyond all numbers": "1e999999",
    "not a number": "NaN",
    "infinity": "Infinity",
    "Arabic digits": ARABIC,
    "forty digits and more": "1234567890" * 5,
    "a formula": "=1+1",
    "a script": "<script>alert(1)</script>",
    "SQL": "5'; DROP TABLE observation;--",
    "a mark that turns the line": "\u202e5.5",
    "a blank inside": "5 .5",
    "an underscore": "5_5",
    "a fullwidth digit": "５",
    "nothing": "",
    "ten thousand characters": long_text(),
}


@pytest.fixture
def opened(laboratory):
    return laboratory(("bc-1", "mindray-bc", "tcp"), emr=True)


def deliver(opened, *payloads):
    """Send, and wait until each was looked at; the link must still answer afterwards."""
    with Peer(opened.address("bc-1")) as peer:
        answers = [says(peer.ask(payload)) for payload in payloads]
        assert says(peer.ask(oru("1900000014", control="after"))) == "AA"
    opened.settled(len(payloads) + 1)
    return answers


def first_row(opened):
    return opened.observations()[0]


def test_values_that_are_no_numbers_are_kept_as_text_and_never_released(opened):
    tube = opened.order("CBC")["WB"]
    answers = deliver(
        opened,
        *(
            oru(tube, value, control=str(number))
            for number, value in enumerate(NOT_NUMBERS.values())
        ),
    )
    rows = [row for row in opened.observations() if row.specimen_text == tube]
    assert answers == ["AA"] * len(NOT_NUMBERS)
    assert [row.reported for row in rows] == list(NOT_NUMBERS.values())
    assert {row.value for row in rows} == {None}
    assert {row.bench_state for row in rows} == {BenchState.HELD}


@pytest.mark.parametrize(
    "value", ["1e999", "-1e999", "9" * 40, "0." + "0" * 37 + "1", "-5.5", "<1e-999", "+.5e+12"]
)
def test_numbers_of_any_size_are_kept_verbatim_and_held(opened, value):
    tube = opened.order("CBC")["WB"]
    deliver(opened, oru(tube, value))
    assert first_row(opened).reported == value
    assert first_row(opened).bench_state is BenchState.HELD


@pytest.mark.parametrize(
    "at",
    [
        "00010101000000",
        "99991231235959",
        "00000000000000",
        "20269999999999",
        "20261122",
        "yesterday",
    ],
)
def test_analysis_times_nobody_can_believe_hold_the_result(opened, at):
    tube = opened.order("CBC")["WB"]
    deliver(opened, oru(tube, at=at))
    assert first_row(opened).bench_state is BenchState.HELD


@pytest.mark.parametrize("at", ["00010101000000", "99991231235959", "00010101000000+1400"])
def test_an_instrument_clock_in_the_year_1_or_9999_holds_the_result_with_its_reason(opened, at):
    tube = opened.order("CBC")["WB"]
    message = oru(tube).split(b"|", 7)
    message[6] = at.encode()
    deliver(opened, b"|".join(message))
    inbox = opened.inbox()[0]
    assert inbox.hold_reason != "processing_failed"
    assert first_row(opened).bench_state is BenchState.HELD


@pytest.mark.parametrize(
    "specimen",
    [
        long_text(),
        "0",
        "-1",
        "' OR 1=1;--",
        "<b>",
        "\u202e26",
        "٢٦٠٠٠٠٠٠١٣",
        "26\x000000013",
        "\ud7ff" * 50,
    ],
)
def test_a_specimen_id_that_is_none_is_held_and_matched_to_nobody(opened, specimen):
    opened.order("CBC")
    deliver(opened, oru(specimen))
    assert first_row(opened).specimen_id is None
    assert first_row(opened).bench_state is BenchState.HELD


def test_a_unit_a_test_and_a_flag_of_ten_thousand_characters_are_held(opened):
    tube = opened.order("CBC")["WB"]
    text = long_text()
    flag = oru(tube, control="3").replace(b"|N|||F", f"|{text}|||F".encode())
    deliver(opened, oru(tube, unit=text), oru(tube, test=text, control="2"), flag)
    assert {row.bench_state for row in opened.observations()} == {BenchState.HELD}
    assert len([row for row in opened.observations() if row.specimen_text == tube]) >= 2


def test_NUL_in_every_field_stops_nobody_else(opened):
    tube = opened.order("CBC")["WB"]
    good = oru(tube, control="good")
    with_nul = oru(
        f"{tube}\x00", "5\x00.5", control="7\x007", test="WBC\x00^W\x00BC^LN", unit="\x00"
    )
    assert deliver(opened, with_nul, good) == ["AA", "AA"]
    rows = [
        row for row in opened.observations() if row.specimen_text == tube and row.reported == "5.5"
    ]
    assert rows


def test_mischief_in_every_field_is_text(opened):
    opened.order("CBC")
    escaped = r"<script>alert(1)</script>\X00\\F\\S\ \R\ \E\ \T\ '; DROP TABLE inbox;--" + "\u202e"
    deliver(
        opened, oru(escaped, escaped, test=f"{escaped}^{escaped}", unit=escaped, control=escaped)
    )
    assert first_row(opened).bench_state is BenchState.HELD


@pytest.mark.parametrize("control", ["", "x" * 10_000, long_text(), "\x00", "\u202e", "1\\X0D\\2"])
def test_any_control_id_is_answered(opened, control):
    deliver(opened, oru("1900000014", control=control))


@pytest.mark.parametrize(
    "charset", ["UNICODE UTF-8", "", "8859/5", "ISO IR87", "nonsense", "GB 18030-2000"]
)
def test_a_message_in_another_charset_than_it_says_is_taken_and_its_value_read(opened, charset):
    tube = opened.order("CBC")["WB"]
    payload = oru(tube, charset=charset).replace(b"PID|1", "PID|1||||Проверкин".encode("cp1251"))
    deliver(opened, payload)
    assert [row.reported for row in opened.observations() if row.specimen_text == tube] == ["5.5"]


def test_surrogates_in_any_encoding_kill_no_thread(opened):
    tube = opened.order("CBC")["WB"]
    payload = oru(tube, control="\\XEDA080\\").replace(
        b"PID|1", b"PID|1||||\xed\xa0\x80\\XEDA080\\"
    )
    gb = oru(tube, control="2", charset="GB18030").replace(b"PID|1", b"PID|1||||\x83\x36\xc7\x30")
    deliver(opened, payload, gb)


def test_every_byte_in_a_field_is_taken(opened):
    tube = opened.order("CBC")["WB"]
    every_byte = bytes(set(range(256)) - {0x1C, 0x0D})
    payload = oru(tube).replace(b"PID|1", b"PID|1||||" + every_byte)
    assert deliver(opened, payload) == ["AA"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ten_thousand_observations_in_one_message_are_all_kept(opened):
    tube = opened.order("CBC")["WB"]
    more = [f"OBX|{n}|NM|X{n}^X^LN||5.{n}|10*3/uL|||||F" for n in range(2, 10_001)]
    with Peer(opened.address("bc-1")) as peer:
        assert says(peer.ask(oru(tube, more=more))) == "AA"
    wait_for(lambda: opened.inbox()[0].state is not InboxState.NEW, LARGE_WAIT_S)
    assert len([row for row in opened.observations() if row.specimen_text == tube]) == 10_000


def test_ten_thousand_values_of_one_run_are_held_as_a_whole_and_delay_nobody(opened):
    tube = opened.order("CBC")["WB"]
    more = [f"OBX|{n}|NM|WBC^WBC^99MRC||5.{n}|10*3/uL|||||F" for n in range(2, 10_001)]
    deliver(opened, oru(tube, more=more))
    assert opened.inbox()[0].state is InboxState.HELD
    assert "one run" in opened.inbox()[0].verdict["error"]


def test_fields_and_repeats_without_end_are_taken(opened):
    tube = opened.order("CBC")["WB"]
    many_fields = "ZZZ" + "|x" * 200_000
    many_repeats = "PID|1||" + "~".join(["1^^^H^MR"] * 50_000)
    assert deliver(opened, oru(tube, more=[many_fields, many_repeats])) == ["AA"]


def test_more_segments_than_any_message_has_are_refused_and_kept(opened):
    payload = oru("1900000014", more=["NTE|1||x"] * 100_001)
    (answer,) = deliver(opened, payload)
    assert answer in {"AE", "AR"}
    assert opened.inbox()[0].raw == payload


# --- orders ---------------------------------------------------------------------------------------

ORDERS = {
    "no patient number and no name": order(patient="", name=""),
    "a number twice": order(patient="100^^^H^MR~100^^^H^MR"),
    "a number of ten thousand characters": order(patient=f"{long_text()}^^^H^MR"),
    "a name of ten thousand characters": order(name=long_text()),
    "a placer number of ten thousand characters": order(placer=long_text()),
    "an unknown test": order(code="NO-SUCH-TEST"),
    "a test of ten thousand characters": order(code=long_text()),
    "NUL in the name": order(name="Про\x00веркин"),
    "NUL written as an escape": order(name=r"Про\X00\веркин", patient=r"1\X00\0^^^H^MR"),
    "NUL in the placer number": order(placer=r"P\X00\1"),
    "NUL in the control id": order(control="1\x001"),
    "a birth date in Arabic digits": order(birth="١٩٨٠٠١٠١"),
    "born on the 99th of the 99th month": order(birth="19809999"),
    "born in the year 9999": order(birth="99991231"),
    "born in the year 0": order(birth="00000000"),
    "drawn in the year 1": order(collected="00010101000000+0000"),
    "drawn in the year 9999": order(collected="99991231235959+0000"),
    "the same order twice": order(more=["ORC|NW|P1^HIS", "OBR|1|P1^HIS||CBC^Name^L"]),
    "new and cancelled at once": order(more=["ORC|CA|P1^HIS", "OBR|1|P1^HIS||CBC^Name^L"]),
    "two hundred and one orders": order(
        more=[
            line for n in range(201) for line in (f"ORC|NW|X{n}^HIS", f"OBR|1|X{n}^HIS||CBC^Name^L")
        ]
    ),
    "an order control nobody knows": order().replace(b"ORC|NW", b"ORC|ZZ"),
    "a script for a name": order(name="<script>alert(1)</script>^\u202e"),
    "surrogates": order(name="\\XEDA080\\"),
    "no order at all": order().split(b"ORC")[0],
    "no patient": b"\r".join(p for p in order().split(b"\r") if not p.startswith(b"PID")),
    "a charset nobody knows": order(charset="KLINGON"),
    "a charset that cannot write the answer": order(charset="ASCII", placer="Ж\u202e1"),
}


@pytest.mark.parametrize("sort", ORDERS)
def test_an_absurd_order_is_answered_and_the_next_one_is_taken(opened, sort):
    with Peer(opened.address("his")) as peer:
        answer = says(peer.ask(ORDERS[sort]))
        assert says(peer.ask(order(control="after", placer="P-after", patient="7^^^H^MR"))) == "AA"
    messages = opened.settled(2)
    assert messages[1].state is InboxState.PROCESSED
    assert messages[0].state is (InboxState.PROCESSED if answer == "AA" else InboxState.HELD)
    assert messages[0].hold_reason or answer == "AA"


@pytest.mark.parametrize(
    "sort", [name for name in ORDERS if name.startswith(("born", "drawn", "a birth"))]
)
def test_a_result_for_an_order_with_absurd_dates_is_kept_with_a_reason(opened, sort):
    with Peer(opened.address("his")) as peer:
        peer.ask(ORDERS[sort])
    with opened.store.unit("anna") as unit:
        tube = unit.session.query(Specimen).one()
        accession = tube.accession
        assert unit.session.query(ServiceRequest).one()
        assert unit.session.query(Patient).one()
    deliver(opened, oru(accession))
    assert opened.inbox()[1].hold_reason != "processing_failed"
    assert first_row(opened).bench_state is BenchState.HELD


# --- ASTM ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["1e999999", "NaN", "9" * 200, "5\t.5", "=1+1", "\xd9\xa5", "-", "<", "<<5", "5,5"]
)
def test_absurd_values_over_ASTM_are_held(laboratory, value):
    opened = laboratory(("xp-1", "sysmex-xp-100", "tcp"))
    tube = opened.order("CBC")["WB"]
    analyzer = astm_analyzer(opened, "xp-1")
    analyzer.send_results([astm_report(tube, value)])
    analyzer.send_results([astm_report(tube, "5.5")])
    analyzer.close()
    opened.settled(2)
    assert first_row(opened).reported.strip() == value.strip()
    assert first_row(opened).bench_state is BenchState.HELD


def test_an_analyzer_that_asks_for_a_tube_with_an_absurd_number_is_answered(laboratory):
    opened = laboratory(("xp-1", "sysmex-xp-100", "tcp"))
    analyzer = astm_analyzer(opened, "xp-1")
    for specimen in ("9" * 5_000, "' OR 1=1", "<script>", "26\t1", long_text(3_000)):
        records = analyzer.query(specimen)
        assert not any(record.startswith("O|") for record in records)
    analyzer.close()
