"""Patterns of accession numbers: what they make, and that two sites never make the same number (S17)."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lis.domain.accession import DEFAULT_PATTERN, AccessionPattern
from lis.domain.errors import Malformed
from lis.domain.ids import AccessionNumber, check_digit

PATTERNS = st.builds(
    lambda before, after, width: f"{before}YY{after}{'N' * width}",
    st.from_regex(r"([1-9][0-9]?)?", fullmatch=True),
    st.from_regex(r"[0-9]{0,3}", fullmatch=True),
    st.integers(4, 7),
).filter(lambda text: 8 <= len(text) + 1 <= 16)


def test_the_usual_pattern_is_the_year_and_seven_digits():
    made = AccessionPattern.parse(DEFAULT_PATTERN).number(year=2026, serial=1)
    assert made.text == "260000001" + check_digit("260000001")


def test_a_site_has_digits_of_its_own():
    made = AccessionPattern.parse("YY12NNNNNN").number(year=2026, serial=34)
    assert made.text.startswith("2612000034")


@pytest.mark.parametrize(
    "text", ["", "NNNNNNNN", "YYNNN", "0YYNNNNNN", "YYNNNNAA", "YY NNNNNN", "YYNNNNNNNNNNNNNNNN"]
)
def test_what_is_no_pattern_is_refused_with_what_was_expected(text):
    with pytest.raises(Malformed) as refused:
        AccessionPattern.parse(text, where="site a: accession")
    assert "site a: accession" in str(refused.value)


def test_a_serial_too_long_is_refused_and_never_cut():
    pattern = AccessionPattern.parse("YYNNNNNN")
    assert pattern.number(year=2026, serial=999_999)
    with pytest.raises(Malformed, match="6 digits"):
        pattern.number(year=2026, serial=1_000_000)


def test_S17_the_same_number_comes_again_after_a_hundred_years_at_the_soonest():
    pattern = AccessionPattern.parse(DEFAULT_PATTERN)
    made = {pattern.number(year=year, serial=7).text for year in range(2026, 2100)}
    assert len(made) == 74


@given(PATTERNS, PATTERNS, st.integers(1, 9_999), st.integers(1, 9_999), st.integers(2010, 2099))
def test_S17_sites_that_cannot_meet_never_make_the_same_number(one, other, mine, theirs, year):
    first, second = AccessionPattern.parse(one), AccessionPattern.parse(other)
    assume(one != other and not first.may_meet(second))
    assume(mine <= first.serial_max and theirs <= second.serial_max)
    made = first.number(year=year, serial=mine), second.number(year=year, serial=theirs)
    assert made[0] != made[1]


def test_S17_patterns_that_can_make_the_same_number_are_told():
    assert AccessionPattern.parse("YYNNNNNNN").may_meet(AccessionPattern.parse("YY1NNNNNN"))
    assert not AccessionPattern.parse("YY2NNNNNN").may_meet(AccessionPattern.parse("YY1NNNNNN"))
    same = AccessionPattern.parse("YY1NNNNNN")
    assert not same.may_meet(AccessionPattern.parse("YY1NNNNNN"))  # one counter serves both


@given(PATTERNS, st.integers(2010, 2099), st.integers(1, 9_999))
def test_every_number_is_read_back_and_never_starts_with_zero(text, year, serial):
    made = AccessionPattern.parse(text).number(year=year, serial=serial)
    assert AccessionNumber.parse(made.text) == made
    assert made.text[0] != "0"
