"""Hearing messages about an order and about a person: any order, any number of times, the same registers."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.errors import Refused
from lis.orders.merging import Conflict, IdentityFacts, has_wrong_check_digit, merge_conflicts
from lis.orders.order_saying import (
    Content,
    OrderSaid,
    SenderHold,
    Verb,
    Wanted,
    hear,
    read_said,
    stamp_of,
    wanted,
)
from lis.orders.person_saying import FIELDS, fields_of, hear_person

AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
stamps = st.builds(
    lambda minute, number: stamp_of(AT + timedelta(minutes=minute), str(number)),
    st.integers(0, 3),
    st.integers(1, 12),
)
contents = st.builds(Content, code=st.sampled_from("AB"), notes=st.sampled_from(["", "x"]))
words = st.lists(st.tuples(st.sampled_from(Verb), stamps, contents), max_size=8)


def heard(messages):
    said = OrderSaid()
    for verb, stamp, content in messages:
        said = hear(said, verb, stamp, content)
    return said


@given(words, st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_of_messages_leaves_the_same_registers(messages, random):
    again = messages + random.choices(messages, k=3) if messages else []
    random.shuffle(again)
    assert heard(again) == heard(messages)


@given(words)
def test_registers_are_what_a_slow_look_through_all_messages_finds(messages):
    said = heard(messages)

    def newest(*verbs):
        return max((stamp for verb, stamp, _ in messages if verb in verbs), default="")

    assert said.placed == newest(Verb.PLACE)
    assert said.cancelled == newest(Verb.CANCEL, Verb.REPLACE)
    assert (said.held, said.freed) == (newest(Verb.HOLD), newest(Verb.RELEASE))
    spoken = [(stamp, what) for verb, stamp, what in messages if verb in {Verb.PLACE, Verb.CHANGE}]
    assert (said.content_at, said.content) == max(spoken, default=("", Content()))
    assert read_said(said.document()) == said


def test_a_stamp_sorts_by_moment_and_then_by_number():
    moscow = timezone(timedelta(hours=3))
    same = stamp_of(AT.astimezone(moscow), "9")
    assert same == stamp_of(AT, "9") < stamp_of(AT, "10") < stamp_of(AT + timedelta(seconds=1), "1")


NEW, LATER, LAST = (stamp_of(AT + timedelta(hours=hour), "1") for hour in range(3))


@pytest.mark.parametrize(
    ("messages", "settled", "expected"),
    [
        ([(Verb.PLACE, NEW)], (), Wanted()),
        ([(Verb.PLACE, NEW), (Verb.CANCEL, LATER)], (), Wanted(is_revoked=True)),
        ([(Verb.CANCEL, LATER)], (), Wanted(is_revoked=True)),
        ([(Verb.CANCEL, NEW), (Verb.PLACE, LATER)], (), Wanted(hold=SenderHold.AFTER_CANCEL)),
        ([(Verb.CANCEL, NEW), (Verb.PLACE, LATER)], ("ordered_after_cancel",), Wanted()),
        ([(Verb.CHANGE, NEW)], (), Wanted(hold=SenderHold.BEFORE_ORDER)),
        ([(Verb.CHANGE, LATER), (Verb.PLACE, NEW)], (), Wanted()),
        ([(Verb.PLACE, NEW), (Verb.HOLD, LATER)], (), Wanted(hold=SenderHold.HELD)),
        ([(Verb.PLACE, NEW), (Verb.HOLD, LATER), (Verb.RELEASE, LAST)], (), Wanted()),
        ([(Verb.PLACE, NEW), (Verb.REPLACE, LATER)], (), Wanted(is_revoked=True)),
        ([(Verb.PLACE, NEW), (Verb.NOTE, LATER)], (), Wanted()),
    ],
)
def test_what_the_sender_wants_follows_from_the_registers(messages, settled, expected):
    said = heard([(verb, stamp, Content(code="A")) for verb, stamp in messages])
    assert wanted(said, settled) == expected


news = st.lists(
    st.tuples(stamps, st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(["", "x", "y"]))),
    max_size=6,
)


@given(news, st.randoms(use_true_random=False))
def test_news_of_a_person_may_come_in_any_order_and_twice(messages, random):
    again = messages + messages[:2]
    random.shuffle(again)
    one, other = {}, {}
    for stamp, fields in messages:
        one = hear_person(one, stamp, fields)
    for stamp, fields in again:
        other = hear_person(other, stamp, fields)
    assert one == other


def test_E4_two_quotation_marks_delete_and_an_empty_field_keeps():
    said = hear_person({}, NEW, {"given_name": "Anna", "sex": "F"})
    said = hear_person(said, LATER, {"given_name": "", "sex": ""})
    assert fields_of(hear_person(said, LAST, {})) == {"given_name": "", "sex": "U"}


def test_a_field_nobody_knows_is_refused():
    with pytest.raises(Refused):
        hear_person({}, NEW, {"shoe_size": "43"})


@pytest.mark.parametrize(
    ("one", "other", "conflicts"),
    [
        ({"sex": "F"}, {"sex": "F"}, ()),
        ({"sex": "F"}, {"sex": "U"}, ()),
        ({"sex": "F"}, {"sex": "M"}, (Conflict.SEX,)),
        ({"blood": "A Rh+"}, {"blood": "a rh +"}, ()),
        ({"blood": "A"}, {"blood": ""}, ()),
        ({"blood": "A"}, {"blood": "B"}, (Conflict.BLOOD_GROUP,)),
        ({"sex": "F", "blood": "A"}, {"sex": "M", "blood": "B"}, tuple(Conflict)),
    ],
)
def test_S28_sex_and_blood_group_stop_a_merge_both_ways(one, other, conflicts):
    def facts(sex="U", blood=""):
        groups = frozenset({("ABO", blood)}) if blood else frozenset()
        return IdentityFacts(sex=sex, blood_groups=groups)

    assert merge_conflicts(facts(**one), facts(**other)) == conflicts
    assert merge_conflicts(facts(**other), facts(**one)) == conflicts


@given(st.integers(0, 10**12), st.sampled_from(["M10", "M11"]))
def test_a_number_has_one_right_check_digit_by_either_scheme(number, scheme):
    digits = [one for one in "0123456789" if not has_wrong_check_digit(str(number), one, scheme)]
    assert len(digits) == 1


@given(st.from_regex(r"[0-9]{2,10}", fullmatch=True), st.data())
def test_one_wrong_digit_is_always_found(number, data):
    place = data.draw(st.integers(0, len(number) - 1))
    other = data.draw(st.sampled_from([one for one in "0123456789" if one != number[place]]))
    changed = number[:place] + other + number[place + 1 :]
    right = next(one for one in "0123456789" if not has_wrong_check_digit(number, one, "M10"))
    assert has_wrong_check_digit(changed, right, "M10")


def test_without_a_scheme_a_check_digit_says_nothing():
    assert not has_wrong_check_digit("12345", "9", "")
    assert not has_wrong_check_digit("12345", "9", "NPI")
    assert not has_wrong_check_digit("AB-1", "9", "M10")
    assert has_wrong_check_digit("7992739871", "4", "M10")  # 79927398713, the usual example
    assert not has_wrong_check_digit("7992739871", "3", "M10")
