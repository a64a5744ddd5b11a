"""What the drivers make of single rows: each promise with the record that could break it."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.messages import (
    IdReadMode,
    Lane,
    Protocol,
    Reason,
    ReportedObservation,
    ResultStatus,
    SubjectKind,
    Translation,
    ValueBasis,
)
from lis.domain.quantity import Comparator
from lis.drivers import identify, lane_of, protocol_of, registry, translate
from lis.drivers.instrument_time import read_time

RECEIVED_AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
C111_HEAD = r"H|\^&|||lab^Roche^c111^4.2^1^13999|||||host|RSUPL^REAL|P|1|20261122080000"
C111_ORDER = "O|1||10000017^^2||S||||||N|||||||||||20261122080000|||F"
XP_HEAD = r"H|\^&|||XP-100^00-13^^^^A7000^BS649542||||||||E1394-97"
GX_HEAD = r"H|@^\|id-1||site 9^GeneXpert^4.8|||||host||P|1394-97|20261122080000"
GX_CALL = "R|1|^MTB-RIF^^Xpert^Xpert MTB-RIF Ultra^4^MTB^"
GX_TAIL = "|||||F||op|20261122070000|20261122083000|X^1^module-7^cart-1^lot-5^20270101"
BC_HEAD = r"MSH|^~\&|Mindray|BC-5380|||20261122080000||ORU^R01|7|P|2.3.1||||||UNICODE"


def read(key: str, *records: str, zone: str = "UTC", charset: str = "") -> Translation:
    raw = b"".join(record.encode("utf-8") + b"\r" for record in records)
    profile = registry.get(key)
    return translate(profile, raw, zone=ZoneInfo(zone), charset=charset, received_at=RECEIVED_AT)


def c111(*records: str, order: str = C111_ORDER) -> Translation:
    return read("roche-cobas-c111", C111_HEAD, "P|1", order, *records, "L|1|N")


def one(translation: Translation) -> ReportedObservation:
    [observation] = translation.observations
    return observation


def result(
    value: str = "5.1", flags: str = "N", status: str = "F", time: str = "20261122075900"
) -> str:
    return f"R|1|^^^413|{value}|g/L||{flags}||{status}||op1||{time}"


# ------------------------------------------------------------------ flags, states, values


def test_an_unknown_flag_holds_that_row_and_no_other() -> None:
    rows = c111(result(flags="ZZ"), result(flags="H")).observations

    assert rows[0].holds == (Reason.UNKNOWN_FLAG,)
    assert rows[0].flags == ("ZZ",)
    assert rows[1].holds == ()
    assert not rows[1].is_abnormal_flagged


def test_a_flag_beyond_high_and_low_asks_a_person_to_look() -> None:
    assert one(c111(result(flags=r"H\A"))).is_abnormal_flagged
    assert one(c111(result(flags=r"H\A"))).flags == ("H", "A")


@pytest.mark.parametrize(
    ("letter", "status"),
    [
        ("F", ResultStatus.FINAL),
        ("P", ResultStatus.PRELIMINARY),
        ("C", ResultStatus.CORRECTED),
        ("X", ResultStatus.CANCELLED),
    ],
)
def test_a_known_state_is_translated(letter: str, status: ResultStatus) -> None:
    row = one(c111(result(status=letter)))

    assert (row.status, row.holds) == (status, ())


@pytest.mark.parametrize("letter", ["W", "N", "M", "", "final"])
def test_a_state_without_a_meaning_is_held_and_never_final(letter: str) -> None:
    row = one(c111(result(status=letter)))

    assert Reason.UNKNOWN_STATUS in row.holds
    assert row.status is ResultStatus.REGISTERED


@pytest.mark.parametrize(
    ("text", "comparator", "number"),
    [
        ("40.13", None, Decimal("40.13")),
        (" 5.5 ", None, Decimal("5.5")),
        ("<0.1", Comparator.LESS, Decimal("0.1")),
        ("*****", None, None),
        ("1e3", None, Decimal("1E+3")),
    ],
)
def test_the_value_stays_verbatim_beside_its_number(
    text: str, comparator: Comparator | None, number: Decimal | None
) -> None:
    value = one(c111(result(value=text))).value

    assert (value.text, value.comparator, value.number) == (text, comparator, number)


def test_a_row_without_a_value_or_a_code_is_kept_with_its_reason() -> None:
    row = one(c111("R|1|^^^||g/L||N||F||||20261122075900"))

    assert set(row.holds) == {Reason.NO_TEST_CODE, Reason.NO_VALUE}


@pytest.mark.parametrize("time", ["20261399", "soon", "20261122", "2026112225"])
def test_a_time_that_is_no_moment_is_held(time: str) -> None:
    row = one(c111(result(time=time)))

    assert row.observed_at is None
    assert row.holds == (Reason.UNREADABLE_TIME,)


def test_a_missing_time_is_no_time_and_no_invention() -> None:
    assert one(c111(result(time=""))).observed_at is None
    assert one(c111(result(time=""))).holds == ()


# ------------------------------------------------------------------ comments, images, structure


def test_an_instrument_flag_in_a_comment_asks_to_look() -> None:
    row = one(c111(result(), "C|1|I|111^? QC|I"))

    assert row.is_abnormal_flagged
    assert row.comment == "111^? QC"


def test_an_empty_comment_says_nothing() -> None:
    row = one(c111(result(), "C|1|I||I"))

    assert not row.is_abnormal_flagged
    assert row.comment == ""


def test_absorbances_become_a_reference_on_their_result() -> None:
    rows = c111(result(), "M|1|RR^BM^c111^1|-21|1", result(), "M|1|RR^BM^c111^1|3|4").observations

    assert [row.attachments for row in rows] == [("M|1",), ("M|2",)]
    assert [row.record for row in rows] == ["R|1", "R|2"]


def test_a_comment_on_the_order_stands_at_each_of_its_results() -> None:
    rows = c111("C|1|L|clotted|G", result(), result()).observations

    assert [row.comment for row in rows] == ["clotted", "clotted"]
    assert not rows[0].is_abnormal_flagged


def test_a_record_nobody_knows_is_filed_and_the_rest_goes_on() -> None:
    translation = c111("Z|1|what", result())

    assert [entry.record for entry in translation.unreadable] == ["Z|1"]
    assert translation.unreadable[0].raw == "Z|1|what"
    assert len(translation.observations) == 1


def test_records_before_the_first_header_are_unreadable() -> None:
    translation = read("roche-cobas-c111", result(), C111_HEAD, C111_ORDER, result())

    assert [entry.reason for entry in translation.unreadable] == [Reason.UNREADABLE_RECORD]
    assert [row.record for row in translation.observations] == ["R|2"]


def test_a_result_without_an_order_has_no_specimen_and_is_held() -> None:
    row = one(read("roche-cobas-c111", C111_HEAD, result()))

    assert row.holds == (Reason.NO_SPECIMEN_ID,)


def test_a_second_patient_does_not_inherit_the_first_ones_specimen() -> None:
    rows = read("roche-cobas-c111", C111_HEAD, "P|1", C111_ORDER, result(), "P|2", result())

    assert [row.specimen for row in rows.observations] == ["10000017", ""]


def test_the_header_names_sender_serial_and_time() -> None:
    translation = c111(result())

    assert (translation.sender.name, translation.sender.serial) == ("c111", "13999")
    assert translation.sent_at == datetime(2026, 11, 22, 8, tzinfo=UTC)
    assert translation.processing_id == "P"


def test_test_traffic_says_so() -> None:
    head = C111_HEAD.replace("|P|1|", "|T|1|")

    assert read("roche-cobas-c111", head, C111_ORDER, result()).processing_id == "T"


@pytest.mark.parametrize(
    ("head", "order"),
    [
        (C111_HEAD.replace("|P|1|", "|Q|1|"), C111_ORDER),
        (C111_HEAD, C111_ORDER.replace("||||||N|", "||||||Q|")),
    ],
)
def test_a_control_is_told_from_a_patient(head: str, order: str) -> None:
    row = one(read("roche-cobas-c111", head, order, result()))

    assert row.kind is SubjectKind.CONTROL
    assert row.control is not None


# ------------------------------------------------------------------ XP-100


def xp(order: str, row: str = "R|1|^^^^WBC^1|  5.5|10*3/uL||N||||||20261122075900|") -> Translation:
    return read("sysmex-xp-100", XP_HEAD, "P|1", order, row.rstrip("|"), "L|1|N")


@pytest.mark.parametrize(
    ("letter", "mode", "holds"),
    [
        ("B", IdReadMode.BARCODE, ()),
        ("M", IdReadMode.TYPED, ()),
        ("A", IdReadMode.AUTOMATIC, ()),
        ("", IdReadMode.UNSTATED, ()),
        ("Z", IdReadMode.UNSTATED, (Reason.ID_NOT_FROM_BARCODE,)),
    ],
)
def test_how_the_id_was_read_is_kept(
    letter: str, mode: IdReadMode, holds: tuple[Reason, ...]
) -> None:
    row = one(xp(f"O|1||^^      10000017^{letter}||||||||N||||||||||||||F"))

    assert (row.specimen, row.read_mode, row.holds) == ("10000017", mode, holds)


def test_the_state_of_the_order_counts_where_results_carry_none() -> None:
    row = one(xp("O|1||^^10000017^B||||||||N||||||||||||||P"))

    assert row.status is ResultStatus.PRELIMINARY


@pytest.mark.parametrize(
    ("sent", "factor", "basis"),
    [
        ("1", Decimal(1), ValueBasis.UNDILUTED),
        ("5", Decimal(5), ValueBasis.UNKNOWN),
        ("x", None, ValueBasis.UNKNOWN),
        ("0", None, ValueBasis.UNKNOWN),
    ],
)
def test_a_dilution_nobody_explained_is_not_trusted(
    sent: str, factor: Decimal | None, basis: ValueBasis
) -> None:
    order = "O|1||^^10000017^B||||||||N||||||||||||||F"
    row = one(xp(order, f"R|1|^^^^WBC^{sent}|5.5|10*3/uL||N||||||20261122075900"))

    assert (row.dilution, row.basis) == (factor, basis)


# ------------------------------------------------------------------ GeneXpert


def gx(*records: str, charset: str = "") -> Translation:
    order = "O|1|10000017||^^^MTB-RIF|R|20261122070000|||||||||ORH||||||||||F"
    return read("cepheid-genexpert", GX_HEAD, "P|1", order, *records, "L|1|N", charset=charset)


def test_a_row_behind_a_result_names_it_and_takes_what_it_does_not_say() -> None:
    call, cycle = gx(
        GX_CALL + "|DETECTED^" + GX_TAIL, "R|2|^MTB-RIF^^Xpert^^^rpoB1^Ct|^24.7|||"
    ).observations

    assert (call.test, call.value.text, call.part_of) == ("MTB-RIF^Xpert", "DETECTED", "")
    assert (cycle.test, cycle.value.number, cycle.part_of) == (
        "MTB-RIF^Xpert^rpoB1^Ct",
        Decimal("24.7"),
        "R|1",
    )
    assert (cycle.status, cycle.observed_at) == (call.status, call.observed_at)
    assert (cycle.run, cycle.module, cycle.reagent_lot) == ("cart-1", "module-7", "lot-5")


def test_a_row_behind_a_result_shares_its_doubt() -> None:
    tail = GX_TAIL.replace("|F|", "|W|")
    _, cycle = gx(
        GX_CALL + "|DETECTED^" + tail, "R|2|^MTB-RIF^^Xpert^^^rpoB1^Ct|^24.7|||"
    ).observations

    assert Reason.UNKNOWN_STATUS in cycle.holds


def test_a_misspelt_row_is_filed_under_no_neighbour() -> None:
    _, stray = gx(
        GX_CALL + "|DETECTED^" + GX_TAIL, "R|2|^MTB-RI^^Xpert^^^rpoB1^|INVALID^|||"
    ).observations

    assert (stray.test, stray.part_of) == ("MTB-RI^Xpert^rpoB1^", "")
    assert Reason.UNKNOWN_STATUS in stray.holds


def test_a_call_with_a_number_gives_both() -> None:
    call, number = gx(GX_CALL + "|DETECTED^1.5E3" + GX_TAIL, "C|1|I|Notes^^seen|I").observations

    assert (call.test, call.value.text) == ("MTB-RIF^Xpert", "DETECTED")
    assert (number.test, number.value.number) == ("MTB-RIF^Xpert^quantity", Decimal("1.5E3"))
    assert call.record != number.record
    assert call.comment == number.comment == "Notes^^seen"


def test_a_single_result_assay_has_its_result_code_alone() -> None:
    row = one(gx("R|1|^^^COVID^Xpress^1^SARS-CoV-2^|^28.5" + GX_TAIL))

    assert (row.test, row.value.text) == ("COVID", "28.5")


def test_a_note_of_the_operator_is_no_flag_but_an_error_is() -> None:
    assert not one(gx(GX_CALL + "|POS^" + GX_TAIL, "C|1|I|Notes^^x|I")).is_abnormal_flagged
    assert one(gx(GX_CALL + "|INVALID^" + GX_TAIL, "C|1|I|Error^5007^probe|I")).is_abnormal_flagged


@pytest.mark.parametrize(
    ("record", "specimens", "wants_all", "is_cancel"),
    [
        ("Q|1|^10000017||||||||||O@N", ("10000017",), False, False),
        ("Q|1|pat^10000017@^10000025||||||||||O@N", ("10000017", "10000025"), False, False),
        ("Q|1|10000017||||||||||O@N", ("10000017",), False, False),
        ("Q|1|ALL||||||||||O@N", (), True, False),
        ("Q|1|||||||||||A", (), False, True),
    ],
)
def test_a_query_names_its_specimens(
    record: str, specimens: tuple[str, ...], *, wants_all: bool, is_cancel: bool
) -> None:
    [query] = read("cepheid-genexpert", GX_HEAD, record, "L|1|N").queries

    assert (query.specimens, query.wants_all, query.is_cancel) == (specimens, wants_all, is_cancel)
    assert query.record == "Q|1"


def test_text_is_read_in_the_charset_it_was_written_in() -> None:
    note = "C|1|I|Notes^^Müller|I"
    assert one(gx(GX_CALL + "|POS^" + GX_TAIL, note)).comment == "Notes^^Müller"
    assert one(gx(GX_CALL + "|POS^" + GX_TAIL, note, charset="latin-1")).comment != "Notes^^Müller"
    raw = "\r".join([GX_HEAD, "O|1|10000017", GX_CALL + "|POS^" + GX_TAIL, note]).encode("latin-1")
    profile = registry.get("cepheid-genexpert")
    row = one(translate(profile, raw, zone=UTC, received_at=RECEIVED_AT))
    assert row.comment == "Notes^^Müller"


# ------------------------------------------------------------------ Mindray BC


def bc(*segments: str, head: str = BC_HEAD) -> Translation:
    order = "OBR|1||10000017|00001^Automated Count^99MRC||20261122070000|20261122075900"
    return read("mindray-bc", head, "PID|1||LOT77^^^^MR", order, *segments)


WBC = "OBX|1|NM|6690-2^WBC^LN||9.55|10*9/L|4.00-10.00|{flags}|||F"


def test_a_count_is_read_with_its_interval_and_flags() -> None:
    row = one(bc(WBC.format(flags="L~A")))

    assert (row.test, row.value.number, row.unit) == ("6690-2", Decimal("9.55"), "10*9/L")
    assert (row.flags, row.is_abnormal_flagged, row.interval_text) == (
        ("L", "A"),
        True,
        "4.00-10.00",
    )
    assert row.observed_at == datetime(2026, 11, 22, 7, 59, tzinfo=UTC)


def test_an_alarm_stands_at_every_result_of_its_count() -> None:
    alarm = "OBX|2|IS|12014^Left Shift?^99MRC||T||||||F"
    rows = bc(WBC.format(flags="N"), alarm, WBC.format(flags="N")).observations

    assert [row.flags for row in rows] == [("N", "12014"), ("N", "12014")]
    assert all(row.is_abnormal_flagged for row in rows)
    assert not one(bc(WBC.format(flags="N"), alarm.replace("|T|", "|F|"))).is_abnormal_flagged


def test_settings_remarks_and_images_are_no_results() -> None:
    row = one(
        bc(
            "OBX|1|IS|08001^Take Mode^99MRC||O||||||F",
            "OBX|2|NM|30525-0^Age^LN||40|yr|||||F",
            "OBX|3|ST|01001^Remark^99MRC||pale||||||F",
            WBC.format(flags="N"),
            "NTE|1||looked at",
            "OBX|5|ED|15008^WBC Histogram^99MRC||^Image^BMP^Base64^AAAA||||||F",
        )
    )

    assert row.record == "OBX|4"
    assert row.comment == "pale\nlooked at"
    assert row.attachments == ("OBX|5",)


def test_a_value_edited_by_hand_is_held() -> None:
    row = one(bc(WBC.format(flags="N") + "||E"))

    assert row.holds == (Reason.EDITED_ON_ANALYZER,)


@pytest.mark.parametrize(
    ("head", "code"),
    [(BC_HEAD.replace("|7|P|", "|7|Q|"), "00001"), (BC_HEAD, "00003"), (BC_HEAD, "00006")],
)
def test_a_control_run_never_looks_like_a_patient(head: str, code: str) -> None:
    order = f"OBR|1||6|{code}^LJ QCR^99MRC||20261122070000|20261122075900"
    level = "OBX|1|IS|05001^Qc Level^99MRC||M||||||F"
    row = one(read("mindray-bc", head, "PID|1||LOT77^^^^MR", order, level, WBC.format(flags="")))

    assert row.kind is SubjectKind.CONTROL
    assert row.control is not None
    assert (row.control.material, row.control.lot, row.control.level) == ("6", "LOT77", "M")


def test_the_mean_of_control_runs_is_no_measurement() -> None:
    order = "OBR|1||6|00008^XR QCR Mean^99MRC"
    assert read("mindray-bc", BC_HEAD, order, WBC.format(flags="")).observations == ()


def test_a_query_of_a_counter_names_its_specimen() -> None:
    head = BC_HEAD.replace("ORU^R01", "ORM^O01")
    [query] = read("mindray-bc", head, "ORC|RF||10000017||IP").queries

    assert query.specimens == ("10000017",)
    assert query.echo[0] == "7"


def test_two_messages_in_one_block_keep_their_rows_apart() -> None:
    order = "OBR|1||{}|00001^Automated Count^99MRC||20261122070000|20261122075900"
    rows = read(
        "mindray-bc",
        *(BC_HEAD, order.format(1), WBC.format(flags="N")),
        *(BC_HEAD.replace("|7|P|", "|8|P|"), order.format(2), WBC.format(flags="N")),
    ).observations

    assert [(row.record, row.specimen) for row in rows] == [("OBX|1", "1"), ("2/OBX|1", "2")]


def test_a_block_without_a_header_is_one_unreadable_entry() -> None:
    [entry] = read("mindray-bc", "OBX|1|NM|6690-2|").unreadable

    assert (entry.record, entry.reason) == ("MSH|1", Reason.UNREADABLE_RECORD)


# ------------------------------------------------------------------ time


def test_local_time_is_read_in_the_zone_of_the_instrument() -> None:
    row = one(read("roche-cobas-c111", C111_HEAD, C111_ORDER, result(), zone="Europe/Moscow"))

    assert row.observed_at == datetime(2026, 11, 22, 4, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("received_at", "expected_hour"),
    [
        (datetime(2026, 10, 25, 0, 45, tzinfo=UTC), 0),
        (datetime(2026, 10, 25, 1, 45, tzinfo=UTC), 1),
    ],
)
def test_the_hour_that_summer_time_repeats_is_the_last_one_that_has_been(
    received_at: datetime, expected_hour: int
) -> None:
    moment = read_time("20261025023000", ZoneInfo("Europe/Berlin"), received_at=received_at)

    assert moment == datetime(2026, 10, 25, expected_hour, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["00010101000000", "99991231235959"])
def test_the_ends_of_the_calendar_are_no_accident(text: str) -> None:
    for zone in ("Asia/Tokyo", "America/New_York"):
        read_time(text, ZoneInfo(zone), received_at=RECEIVED_AT)


# ------------------------------------------------------------------ any bytes


SEEDS = [
    "\r".join([C111_HEAD, "P|1", C111_ORDER, result(), "C|1|I||I", "M|1|x", "L|1|N"]).encode(),
    "\r".join(
        [GX_HEAD, "P|1", "O|1|1", GX_CALL + "|A^1" + GX_TAIL, "R|2|^MTB-RIF^^Xpert^^^a^b|^1", "L|1"]
    ).encode(),
    "\r".join([BC_HEAD, "PID|1", "OBR|1||1", WBC, "NTE|1||x", "OBX|2|ED|1", "ORC|RF||1"]).encode(),
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    raw = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 12))):
        place = draw(st.integers(0, len(raw) - 1)) if raw else 0
        match draw(st.integers(0, 2)):
            case 0 if raw:
                raw[place] = draw(st.integers(0, 255))
            case 1:
                raw[place:place] = draw(st.binary(max_size=8))
            case _:
                del raw[place : place + draw(st.integers(1, 40))]
    return bytes(raw)


@given(raw=mutated() | st.binary(max_size=300))
def test_any_bytes_give_a_translation(raw: bytes) -> None:
    identify(raw)
    protocol_of(raw)
    for protocol in Protocol:
        assert lane_of(protocol, raw) in Lane
    for key in registry.profiles():
        profile = registry.get(key)
        translation = translate(profile, raw, zone=UTC, received_at=RECEIVED_AT)
        records = [row.record for row in translation.observations]
        assert len(records) == len(set(records))
        for row in translation.observations:
            f"{row.value.text}{row.specimen}{row.comment}".encode()  # storable text
