"""What a profile may say of values, as data: parts, words, interpretations, comparators, attachments with a kind."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.messages import AttachmentKind, Reason, ReportedObservation, Translation
from lis.domain.quantity import Comparator, ReportedValue
from lis.drivers import translate
from lis.drivers.generic import STANDARD, Protocol
from lis.drivers.profile import FieldRule, Profile, RowKind, ValuePart
from lis.wire.astm_record import record

RECEIVED_AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
PLAIN = STANDARD[Protocol.ASTM]
PAIRS = replace(PLAIN, fields=replace(PLAIN.fields, value="R.4.1", quantity="R.4.2"))
REACTIONS = replace(
    PLAIN,
    fields=replace(PLAIN.fields, value="R.4.1"),
    parts=(ValuePart("R.4.2", "2"), ValuePart("R.4.3", "3")),
    words=(FieldRule("R.4.2", ".+"),),
)
THREE_ROWS = replace(
    PLAIN,
    fields=replace(PLAIN.fields, test="R.3.4", supplement="R.3.9"),
    rows=(
        (RowKind.INTERPRETATION, FieldRule("R.3.9", "I")),
        (RowKind.SUPPLEMENT, FieldRule("R.3.9", "P")),
    ),
)
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=12).filter(
    lambda text: text.strip() == text
)


def read(profile: Profile, *records: bytes) -> Translation:
    head = (b"H|\\^&|||any", b"P|1", b"O|1|10000017")
    raw = b"".join(line + b"\r" for line in (*head, *records, b"L|1|N"))
    return translate(profile, raw, zone=UTC, received_at=RECEIVED_AT)


def row(test: str | tuple[str, ...], value: str | tuple[str, ...], *, flags: str = "") -> bytes:
    code = test if isinstance(test, tuple) else ("", "", "", test)
    return record("R", "1", code, value, "u", None, flags, None, "F")


def one(read: Translation) -> ReportedObservation:
    [observation] = read.observations
    return observation


# ------------------------------------------------------------------ a call and its number


@pytest.mark.parametrize(("call", "index"), [("-1", "0.567"), ("0", "0.98"), ("1", "12.4")])
def test_a_call_before_a_number_is_a_word_though_it_looks_like_one(call: str, index: str) -> None:
    result, number = read(PAIRS, row("117", (call, index))).observations

    assert (result.test, result.value) == ("117", ReportedValue(text=call))
    assert (number.test, number.value.number) == ("117^quantity", Decimal(index))
    assert number.record == "R|1|quantity"


def test_a_number_alone_is_a_number() -> None:
    assert one(read(PAIRS, row("117", "-1"))).value.number == Decimal(-1)


@given(
    TEXTS,
    st.decimals(allow_nan=False, allow_infinity=False, places=3, max_value=10**6, min_value=0),
)
def test_no_call_is_ever_a_number(call: str, index: Decimal) -> None:
    result, number = read(PAIRS, row("117", (call, str(index)))).observations

    assert (result.value.text, result.value.number) == (call, None)
    assert number.value.number == index


# ------------------------------------------------------------------ reactions in parts


@given(TEXTS, TEXTS, TEXTS)
def test_the_parts_of_a_reaction_stand_behind_it_as_sent(one_: str, two: str, three: str) -> None:
    result, *parts = read(REACTIONS, row("Anti-B", (one_, two, three))).observations

    assert (result.value.text, result.value.number, result.part_of) == (one_, None, "")
    assert [(p.record, p.test, p.value.text, p.part_of) for p in parts] == [
        ("R|1|2", "Anti-B^2", two, "R|1"),
        ("R|1|3", "Anti-B^3", three, "R|1"),
    ]
    assert not any(p.flags or p.holds or p.is_abnormal_flagged for p in parts)


def test_a_value_without_parts_has_none_behind_it() -> None:
    assert one(read(REACTIONS, row("Interp", "B Pos"))).value.text == "B Pos"
    assert one(read(REACTIONS, row("Count", "4.1"))).value.number == Decimal("4.1")


# ------------------------------------------------------------------ one result in several rows


ROWS = {
    "F": row(("", "", "", "241", "", "", "", "", "F"), "1.20"),
    "I": row(("", "", "", "241", "", "", "", "", "I"), "Reactive"),
    "P": row(("", "", "", "241", "", "", "", "", "P"), "31204"),
}


@given(st.permutations("FIP"))
def test_three_rows_of_one_result_are_one_result_in_any_order(order: list[str]) -> None:
    found = {o.test: o for o in read(THREE_ROWS, *(ROWS[kind] for kind in order)).observations}

    assert set(found) == {"241", "241^I", "241^P"}
    result = found["241"]
    assert (result.value.number, result.part_of, result.comment) == (
        Decimal("1.20"),
        "",
        "Reactive",
    )
    assert {found["241^I"].part_of, found["241^P"].part_of} == {result.record}


@given(st.permutations("IP"))
def test_rows_whose_result_never_comes_are_seen_for_themselves(order: list[str]) -> None:
    found = read(THREE_ROWS, *(ROWS[kind] for kind in order)).observations

    assert {o.part_of for o in found} == {""}
    assert {o.test for o in found} == {"241^I", "241^P"}


def test_a_row_waits_for_no_result_of_another_order() -> None:
    found = read(THREE_ROWS, ROWS["P"], b"O|2|10000025", ROWS["F"]).observations

    assert [(o.specimen, o.test, o.part_of) for o in found] == [
        ("10000017", "241^P", ""),
        ("10000025", "241", ""),
    ]


# ------------------------------------------------------------------ comparators and locales


@pytest.mark.parametrize("text", ["<1.20", "< 1.20", " <  1.20 "])
def test_a_blank_behind_a_comparator_is_no_matter(text: str) -> None:
    value = ReportedValue.read(text)
    assert (value.text, value.comparator, value.number) == (text, Comparator.LESS, Decimal("1.20"))


def test_a_comparator_may_have_a_place_of_its_own() -> None:
    apart = replace(PLAIN, fields=replace(PLAIN.fields, value="R.4.2", comparator="R.4.1"))

    value = one(read(apart, row("TSH", ("<", "0.01")))).value
    assert (value.text, value.comparator, value.number) == (
        "<0.01",
        Comparator.LESS,
        Decimal("0.01"),
    )
    assert one(read(apart, row("TSH", ("=", "0.01")))).value.text == "0.01"
    assert one(read(apart, row("TSH", ("<", "")))).holds == (Reason.NO_VALUE,)


@given(
    st.sampled_from(["less than", "under", "≤", "over"]),
    st.decimals(min_value=0, max_value=10**6, places=2),
)
def test_an_instruments_own_comparators_are_read_and_kept(sign: str, number: Decimal) -> None:
    signs = {"less than": "<", "under": "<", "≤": "<=", "over": ">"}
    value = ReportedValue.read(f"{sign} {number}", comparators=signs)

    assert value.text == f"{sign} {number}"
    assert (value.comparator, value.number) == (Comparator(signs[sign]), number)
    assert ReportedValue.read(f"{sign} {number}").number is None


@given(st.integers(0, 10**6), st.integers(0, 999))
def test_a_decimal_comma_is_read_where_the_profile_says_so(whole: int, part: int) -> None:
    text = f"{whole},{part:03}"
    comma = replace(PLAIN, quirks=replace(PLAIN.quirks, decimal_comma=True))

    assert one(read(comma, row("A1", text))).value.number == Decimal(f"{whole}.{part:03}")
    assert one(read(PLAIN, row("A1", text))).value.number is None
    assert one(read(PLAIN, row("A1", text))).value.text == text


@given(st.text(max_size=30))
def test_any_text_is_kept_and_any_number_is_finite(text: str) -> None:
    value = ReportedValue.read(text, decimal_comma=True, comparators={"under": "<"})
    assert value.text == text
    assert value.number is None or math.isfinite(value.number)


# ------------------------------------------------------------------ attachments, lots, details


CURVES = replace(
    PLAIN,
    fields=replace(
        PLAIN.fields,
        attachment="M.4",
        reagents="M.5.1",
        detail_test="M.4",
        detail_value="M.6",
    ),
    attachments=(
        (AttachmentKind.HISTOGRAM, FieldRule("M.3", "HISTOGRAM")),
        (AttachmentKind.IMAGE, FieldRule("M.3", "IMAGE")),
    ),
    details=(FieldRule("M.3", "WELL"),),
    reagents=(FieldRule("M.3", "REAGENT"),),
)


def test_an_attachment_before_the_first_result_belongs_to_it() -> None:
    first, second = read(
        CURVES,
        b"M|1|HISTOGRAM|RBC|",
        row("RBC", "4.1"),
        row("PLT", "200"),
        b"M|2|IMAGE|cells.png",
        b"M|3|OTHER|x",
    ).observations

    assert [(a.record, a.kind.value, a.name) for a in first.attached] == [
        ("M|1", "histogram", "RBC")
    ]
    assert [(a.record, a.kind.value, a.name) for a in second.attached] == [
        ("M|2", "image", "cells.png"),
        ("M|3", "unstated", "x"),
    ]
    assert second.attachments == ("M|2", "M|3")


def test_an_attachment_never_crosses_to_another_order() -> None:
    found = read(CURVES, b"M|1|HISTOGRAM|RBC", b"O|2|10000025", row("RBC", "4.1")).observations
    assert found[0].attached == ()


def test_reagent_lots_belong_to_every_result_of_their_order() -> None:
    lots = rb"M|1|REAGENT||L1^20261001\L2^20261002"
    found = read(CURVES, lots, row("RBC", "4"), row("PLT", "2"), b"O|2|10000025", row("K", "4"))

    assert [o.reagent_lot for o in found.observations] == ["L1 L2", "L1 L2", ""]
    assert [o.attached for o in found.observations] == [(), (), ()]


@given(st.lists(TEXTS, max_size=4))
def test_each_reading_of_a_makers_record_stands_behind_its_result(readings: list[str]) -> None:
    wells = [record("M", "1", "WELL", f"w{n}", None, text) for n, text in enumerate(readings)]
    result, *details = read(CURVES, row("ABO", "A"), *wells).observations

    assert [(d.record, d.test, d.value.text, d.part_of) for d in details] == [
        (f"M|{n + 1}", f"ABO^w{n}", text, "R|1") for n, text in enumerate(readings)
    ]
    assert len(result.attached) == len(readings)
    assert not any(d.attached for d in details)


def test_a_flagged_comment_on_an_order_flags_all_its_results() -> None:
    found = read(PLAIN, b"C|1|I|clot|I", row("A1", "1"), row("A2", "2")).observations
    assert [(o.comment, o.is_abnormal_flagged) for o in found] == [("clot", True)] * 2


def test_a_flag_may_stand_in_one_component_of_its_field() -> None:
    split = replace(PLAIN, fields=replace(PLAIN.fields, flags="R.7.1"))
    raw = b"R|1|^^^A1|1.2|u||H^x\\L^y||F"
    assert one(read(split, raw)).flags == ("H", "L")
