"""LIS2-A2 row by row (reference/astm.md, section 6), as a driver that keeps to the standard reads and writes it.

The rows about delimiters, escapes and the hierarchy alone are in tests/wire/test_astm_record.py.
"""

import asyncio
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from lis.domain.messages import (
    HostQuery,
    Lane,
    OrderedTest,
    Protocol,
    Reason,
    ReportedObservation,
    ResultStatus,
    SpecimenOrders,
    SubjectKind,
    Translation,
)
from lis.drivers import lane_of, order_records, translate
from lis.drivers.generic import STANDARD
from lis.drivers.instrument_time import read_time
from lis.wire.astm_frame import ACK, ENQ, EOT, NAK, blocks_of
from lis.wire.astm_link import LinkSettings
from lis.wire.astm_record import Message, Record, RecordWriter
from tests.drivers.test_astm_session import reply, serving
from tests.drivers.wires import Host

PROFILE = STANDARD[Protocol.ASTM]
RECEIVED_AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
HEAD = r"H|\^&|||maker^model|||||host||P|LIS2-A2|20261122110000"
ORDER = "O|1|4711||^^^GLU\\^^^UREA|R||||||||||S||||||||||F"
ALLOWED = bytes([7, 9, 11, 12, *range(0x20, 0x7F), *range(0x80, 0xFF)])


def read(*records: str | bytes, zone: str = "UTC") -> Translation:
    raw = b"".join((r.encode("latin-1") if isinstance(r, str) else r) + b"\r" for r in records)
    return translate(PROFILE, raw, zone=ZoneInfo(zone), received_at=RECEIVED_AT)


def message(*records: str, header: str = HEAD) -> Translation:
    return read(header, "P|1", *records, "L|1|N")


def one(translation: Translation) -> ReportedObservation:
    [observation] = translation.observations
    return observation


def answer(**query: object) -> list[Record]:
    """What a host writes for one tube, or for none, when it was asked."""
    tubes = [tube("4711")] if query.pop("has_work", True) else []
    asked = HostQuery(specimens=("4711",), echo=("model", "^4711"), record="Q|1", **query)  # type: ignore[arg-type]
    made = order_records(PROFILE, tubes, at=RECEIVED_AT, control_id="c1", query=asked)
    return list(Message.parse(made).records)


def tube(number: str, *tests: str) -> SpecimenOrders:
    ordered = tuple(
        OrderedTest(test=test, work_order=str(number))
        for number, test in enumerate(tests or ("GLU", "UREA"), 1)
    )
    return SpecimenOrders(specimen=number, tests=ordered, priority="S", specimen_type="S")


# ------------------------------------------------------------------------------- characters


def test_L2_01_every_allowed_character_passes_as_it_stands() -> None:
    plain = ALLOWED.translate(None, b"|\\^&")
    record = Record(b"C|1|I|" + plain + b"|G")
    assert record.field(4).encode("latin-1") == plain


@pytest.mark.parametrize("code", [*range(7), 8, 10, *range(14, 32), 127])
def test_L2_01_a_character_that_may_not_be_sent_leaves_as_an_escape(code: int) -> None:
    made = RecordWriter().record("C", "1", "I", chr(code))
    assert made == b"C|1|I|&X%02X&" % code
    assert Record(made).field(4) == chr(code)


def test_L2_02_the_letter_may_be_small_and_what_it_holds_keeps_its_case() -> None:
    small = one(read(HEAD, "p|1", ORDER.replace("O", "o", 1), "r|1|^^^gLu|5.1|mMol/L||N||F"))
    assert (small.test, small.unit, small.specimen) == ("gLu", "mMol/L", "4711")


# ------------------------------------------------------------------------------------ fields


@pytest.mark.parametrize("end", ["", "|", "||||", "|||||||||further|fields|of|a|later|standard"])
def test_L2_05_fields_left_out_and_fields_to_come_change_nothing(end: str) -> None:
    plain = one(message(ORDER, "R|1|^^^GLU|5.1|mmol/L||N||F"))
    assert one(message(ORDER, "R|1|^^^GLU|5.1|mmol/L||N||F" + end)) == plain


def test_L2_06_a_null_says_nothing_and_two_quotation_marks_say_delete() -> None:
    record = Record(b'P|1||4711||""|19700101')
    assert (record.verbatim(3), record.field(5), record.field(6)) == ("", "", '""')
    assert one(message(ORDER, "R|1|^^^GLU|5.1")).unit == ""
    assert one(message(ORDER, "R|1|^^^GLU||mmol/L||N||F")).holds == (Reason.NO_VALUE,)


def test_L2_07_no_field_and_no_record_is_too_long() -> None:
    text = "x" * 1_000_000
    observation = one(message(ORDER, f"R|1|^^^GLU|{text}|mmol/L||N||F"))
    assert observation.value.text == text
    assert len(one(message(ORDER, "R|1|^^^GLU|5.1|g/L||" + "N\\" * 5_000 + "N||F")).flags) == 5_001


# --------------------------------------------------------------------------------- hierarchy


def test_L2_08_a_result_without_its_order_is_held_also_behind_l() -> None:
    assert Reason.NO_SPECIMEN_ID in one(message("R|1|^^^GLU|5.1|g/L||N||F")).holds
    after = read(HEAD, "P|1", ORDER, "L|1|N", "R|1|^^^GLU|5.1|g/L||N||F")
    assert one(after).holds == (Reason.NO_SPECIMEN_ID,)


def test_L2_09_a_comment_and_a_makers_record_belong_to_the_record_before_them() -> None:
    read_ = message(
        *(ORDER, "C|1|I|of the order|G"),
        *("R|1|^^^GLU|5.1|g/L||N||F", "C|1|I|first|G", "C|2|I|second|G", "M|1|curve"),
        "R|2|^^^UREA|6.1|g/L||N||F",
    )
    first, second = read_.observations
    assert first.comment == "of the order\nfirst\nsecond"
    assert second.comment == "of the order"


@pytest.mark.parametrize("number", ["1", "7", "", "x"])
def test_L2_10_a_wrong_sequence_number_costs_nothing(number: str) -> None:
    read_ = read(
        *(HEAD, f"P|{number}", ORDER, f"R|{number}|^^^GLU|5.1|g/L||N||F"),
        *(f"R|{number}|^^^UREA|6.1|g/L||N||F", f"L|{number}|N"),
    )
    assert [(entry.record, entry.test) for entry in read_.observations] == [
        ("R|1", "GLU"),
        ("R|2", "UREA"),
    ]
    assert read_.unreadable == ()


def test_L2_10_our_own_numbers_start_again_under_each_higher_record() -> None:
    made = order_records(
        PROFILE, [tube("1", "A", "B"), tube("2", "C")], at=RECEIVED_AT, control_id="c"
    )
    numbers = [(item.type, item.field(2)) for item in Message.parse(made).records[1:]]
    assert numbers == [("P", "1"), ("O", "1"), ("P", "2"), ("O", "1"), ("L", "1")]


# ---------------------------------------------------------------------------- kinds of fields


def test_L2_11_a_test_is_named_by_its_local_code_and_the_rest_stays_in_the_raw_record() -> None:
    assert one(message(ORDER, "R|1|718-7^Hb^LN^HGB^1^x|5.1|g/L||N||F")).test == "HGB"
    [order] = [item for item in answer() if item.type == "O"]
    assert [order.component(5, 4, repeat) for repeat in (1, 2)] == ["GLU", "UREA"]
    assert order.components(5)[:3] == ("", "", "")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("20261122103000", datetime(2026, 11, 22, 7, 30, tzinfo=UTC)),
        ("202611221030", datetime(2026, 11, 22, 7, 30, tzinfo=UTC)),
        ("20261122103000+0500", datetime(2026, 11, 22, 5, 30, tzinfo=UTC)),
        ("20261122103000-0130", datetime(2026, 11, 22, 12, 0, tzinfo=UTC)),
        ("20261122", None),  # a day is no moment
        ("", None),
    ],
)
def test_L2_12_a_time_is_the_senders_unless_it_carries_an_offset(
    text: str, moment: datetime | None
) -> None:
    assert read_time(text, ZoneInfo("Europe/Moscow"), received_at=RECEIVED_AT) == moment


def test_L2_13_name_value_with_unit_and_address_are_components() -> None:
    record = Record(b"P|1||||Doe^Jane^A^Jr^Dr||||||12 Main^Town^^10115^DE||||180^cm")
    assert record.components(6) == ("Doe", "Jane", "A", "Jr", "Dr")
    assert record.components(12) == ("12 Main", "Town", "", "10115", "DE")
    assert Record(b"O|1||||||||2.5^mL").components(10) == ("2.5", "mL")


# ------------------------------------------------------------------------------------ header


@pytest.mark.parametrize("letter", ["P", "T", "D", "Q"])
def test_L2_14_what_the_message_is_for_is_kept(letter: str) -> None:
    header = HEAD.replace("|P|LIS2", f"|{letter}|LIS2")
    read_ = message(ORDER, "R|1|^^^GLU|5.1|g/L||N||F", header=header)
    assert read_.processing_id == letter
    assert (one(read_).kind is SubjectKind.CONTROL) == (letter == "Q")


PASSWORD = LinkSettings(access_password=b"open sesame", sends_max=2)


async def test_L2_14_a_wrong_password_is_refused_and_the_sender_hears_nak() -> None:
    host = Host()
    async with serving(host, settings=PASSWORD) as pipe:
        for head in (b"H|\\^&||guess|maker", b"H|\\^&|||maker", b"H|\\^&||open sesame |maker"):
            assert await reply(pipe, ENQ) == ACK
            assert await reply(pipe, blocks_of([head])[0]) == NAK
            await pipe.send(EOT)
    assert host.shelf.units == []
    assert any(line.note == "refused: wrong access password" for line in host.shelf.lines)


async def test_L2_14_the_right_password_opens_also_where_the_header_is_cut() -> None:
    host = Host()
    records = [b"H|\\^&||open sesame|maker", b"P|1", b"L|1|N"]
    async with serving(host, settings=PASSWORD) as pipe:
        assert await reply(pipe, ENQ) == ACK
        for made in blocks_of(records, limit=7, record_per_frame=False):
            assert await reply(pipe, made) == ACK
        await pipe.send(EOT)
    assert [unit.is_complete for unit in host.shelf.units] == [True]


# ------------------------------------------------------------------------------------- order


def test_L2_15_an_order_repeats_its_tests_and_says_priority_action_and_report() -> None:
    [order] = [item for item in answer() if item.type == "O"]
    assert order.repeats(5) == ("^^^GLU", "^^^UREA")
    assert (order.field(3), order.field(6), order.field(12), order.field(26)) == (
        *("4711", "S", "A", "Q"),
    )


@pytest.mark.parametrize("letter", ["X", "C"])
def test_L2_15_an_order_without_results_is_no_result(letter: str) -> None:
    read_ = message(ORDER[:-1] + letter)
    assert (read_.observations, read_.unreadable) == ((), ())


def test_L2_16_each_result_takes_the_specimen_of_its_own_order() -> None:
    read_ = message(
        *(ORDER, "R|1|^^^GLU|5.1|g/L||N||F", "O|2|4712||^^^K", "R|1|^^^K|4.1|mmol/L||N||F"),
    )
    assert [(entry.specimen, entry.test) for entry in read_.observations] == [
        ("4711", "GLU"),
        ("4712", "K"),
    ]
    assert [item.field(3) for item in answer() if item.type == "O"] == ["4711"]


# ------------------------------------------------------------------------------------ result


@pytest.mark.parametrize("flag", ["L", "H", "LL", "HH", "<", ">", "N", "A", "U", "D", "B", "W"])
def test_L2_17_every_flag_of_the_standard_is_known(flag: str) -> None:
    observation = one(message(ORDER, f"R|1|^^^GLU|5.1|g/L||{flag}\\N||F"))
    assert observation.flags == (flag, "N")
    assert observation.holds == ()


@pytest.mark.parametrize(
    ("letter", "status"),
    [
        *[("F", ResultStatus.FINAL), ("V", ResultStatus.FINAL), ("R", ResultStatus.FINAL)],
        *[
            ("Q", ResultStatus.FINAL),
            ("C", ResultStatus.CORRECTED),
            ("P", ResultStatus.PRELIMINARY),
        ],
        *[("S", ResultStatus.PRELIMINARY), ("X", ResultStatus.CANCELLED)],
        ("I", ResultStatus.REGISTERED),
    ],
)
def test_L2_17_every_state_with_a_meaning_is_translated(letter: str, status: ResultStatus) -> None:
    observation = one(message(ORDER, f"R|1|^^^GLU|5.1|g/L||N||{letter}"))
    assert (observation.status, observation.holds) == (status, ())


@pytest.mark.parametrize("letter", ["M", "N", "W", "?"])
def test_L2_17_a_state_without_a_meaning_is_held(letter: str) -> None:
    observation = one(message(ORDER, f"R|1|^^^GLU|5.1|g/L||N||{letter}"))
    assert observation.holds == (Reason.UNKNOWN_STATUS,)


def test_L2_17_several_ranges_with_their_words_are_kept_as_sent() -> None:
    observation = one(message(ORDER, "R|1|^^^GLU|5.1|g/L|3.5 to 5.6^normal\\1 to 30^assay|N||F"))
    assert observation.interval_text == "3.5 to 5.6^normal\\1 to 30^assay"


@pytest.mark.parametrize("kind", ["G", "T", "P", "N", "I"])
@pytest.mark.parametrize("source", ["P", "L", "I"])
def test_L2_18_a_comment_of_any_source_and_kind_stands_at_its_result(
    source: str, kind: str
) -> None:
    read_ = message(ORDER, "R|1|^^^GLU|5.1|g/L||N||F", f"C|1|{source}|text|{kind}")
    assert one(read_).comment == "text"
    assert one(read_).is_abnormal_flagged == (kind == "I")  # a flag of the instrument


# ------------------------------------------------------------------------------------- query


def asked(record: str) -> HostQuery:
    [query] = read(HEAD, record, "L|1|N").queries
    return query


def test_L2_19_a_query_names_one_specimen_a_list_a_range_or_all() -> None:
    assert asked("Q|1|^4711||^^^ALL").specimens == ("4711",)
    assert asked("Q|1|pat^4711^x^y||ALL").specimens == ("4711",)
    assert asked("Q|1|^4711\\^4712\\^4713||ALL").specimens == ("4711", "4712", "4713")
    span = asked("Q|1|^4711|^4720|ALL")
    assert (span.specimens, span.range_end) == (("4711",), "4720")
    everything = asked("Q|1|ALL||||S|20261101|20261122|||||O")
    assert (everything.wants_all, everything.specimens) == (True, ())


@pytest.mark.parametrize("status", ["", "C", "P", "F", "X", "I", "S", "M", "R", "N", "O", "D"])
def test_L2_19_only_status_a_takes_a_query_back(status: str) -> None:
    assert not asked(f"Q|1|^4711||ALL||||||||{status}").is_cancel
    assert asked("Q|1|^4711||ALL||||||||A").is_cancel


async def test_L2_20_a_query_is_open_until_its_answer_ends_and_a_second_one_waits_its_turn() -> (
    None
):
    query = [HEAD.encode(), b"Q|1|^4711||ALL", b"L|1|N"]
    answers = {1: (b"H|\\^&", b"P|1", b"L|1|F"), 2: (b"H|\\^&", b"P|2", b"L|1|F")}
    host = Host(answers=answers)
    async with serving(host) as pipe:
        await pipe.send(ENQ)
        for made in [*blocks_of(query), *blocks_of(query, start=4)]:
            assert await pipe.receive() == ACK
            await pipe.send(made)
        assert await pipe.receive() == ACK
        await pipe.send(EOT)
        heard = b""
        while heard.count(EOT) < 2:
            async with asyncio.timeout(10):
                heard += await pipe.receive()
            if not heard.endswith(EOT):
                await pipe.send(ACK)
    assert host.asked == [1, 2]
    sessions = [b"".join([ENQ, *blocks_of(answers[number]), EOT]) for number in (1, 2)]
    assert heard == b"".join(sessions)


def test_L2_20_a_query_that_was_taken_back_is_answered_with_silence() -> None:
    assert answer(has_work=False, is_cancel=True) == []


def test_L2_21_an_answer_ends_with_f_and_an_empty_one_with_i() -> None:
    assert answer()[-1].field(3) == "F"
    assert answer(has_work=False)[-1].field(3) == "I"
    unasked = order_records(PROFILE, [tube("1")], at=RECEIVED_AT, control_id="c")
    assert unasked[-1] == b"L|1|N"


@pytest.mark.parametrize("code", ["", "N", "T", "R", "E", "Q", "I", "F", "?"])
def test_L2_21_every_end_of_a_message_is_an_end(code: str) -> None:
    read_ = read(HEAD, "P|1", ORDER, "R|1|^^^GLU|5.1|g/L||N||F", f"L|1|{code}")
    assert (len(read_.observations), read_.unreadable) == (1, ())


# ------------------------------------------------------------------------- sessions, and more


async def test_L2_22_after_l_another_message_may_follow_with_its_own_delimiters() -> None:
    host = Host()
    first = [b"H|\\^&", b"O|1|4711", b"R|1|^^^GLU|1|g/L||N||F", b"L|1"]
    second = [b"H!~*&", b"O!1!4712", b"R!1!***GLU!2!g/L!!N!!F", b"L!1"]
    async with serving(host) as pipe:
        assert await reply(pipe, ENQ) == ACK
        for made in [*blocks_of(first), *blocks_of(second, start=5)]:
            assert await reply(pipe, made) == ACK
        await pipe.send(EOT)
    rows = [
        (entry.specimen, entry.test, entry.value.text)
        for unit in host.shelf.units
        for entry in translate(PROFILE, unit.raw, zone=UTC, received_at=RECEIVED_AT).observations
    ]
    assert rows == [("4711", "GLU", "1"), ("4712", "GLU", "2")]


async def test_L2_23_what_a_sender_repeats_after_a_lost_line_is_the_same_result_again() -> None:
    """Kept twice, read the same; that it is stored once is S19 (tests/results)."""
    host = Host()
    records = [HEAD.encode(), b"P|1", ORDER.encode(), b"R|1|^^^GLU|5.1|g/L||N||F", b"L|1|N"]
    async with serving(host) as pipe:
        assert await reply(pipe, ENQ) == ACK
        for made in blocks_of(records)[:4]:
            assert await reply(pipe, made) == ACK
        pipe.lose()
    async with serving(host) as pipe:
        assert await reply(pipe, ENQ) == ACK
        for made in blocks_of(records):
            assert await reply(pipe, made) == ACK
        await pipe.send(EOT)
    cut, whole = host.shelf.units
    assert (cut.is_complete, whole.is_complete) == (False, True)
    read_ = [translate(PROFILE, u.raw, zone=UTC, received_at=RECEIVED_AT) for u in (cut, whole)]
    assert read_[0].observations == read_[1].observations


def test_L2_24_a_makers_record_has_no_form_and_a_scientific_record_says_nothing_here() -> None:
    rows = (ORDER, "R|1|^^^GLU|5.1|g/L||N||F", "M|1|any^thing|&X00&|\\\\", "M", "S|1|proficiency")
    read_ = message(*rows)
    assert read_.unreadable == ()
    assert one(read_).test == "GLU"
    assert lane_of(Protocol.ASTM, "\r".join((HEAD, *rows, "L|1")).encode()) is Lane.RESULT
