"""S25: a raw value of a diluted specimen is multiplied, exactly, only where profile and message say how."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.lifecycle import BenchState
from lis.domain.messages import IdReadMode, ReportedObservation, SubjectKind, ValueBasis
from lis.domain.quantity import Comparator, ReportedValue
from lis.results.dilution import FACTOR_MAX, back_calculated, multiplied
from lis.results.interpretation import shown_value, text_of
from lis.results.reads import row as read_row
from lis.store.observation_rows import CriticalCall

numbers = st.decimals(
    min_value=0, max_value=Decimal(10) ** 12, allow_nan=False, allow_infinity=False, places=6
)
factors = st.decimals(min_value=Decimal("0.001"), max_value=FACTOR_MAX, places=3)


@given(numbers, factors)
def test_the_product_is_exact(number, factor):
    product = multiplied(number, factor)
    (top, bottom), (a, b) = number.as_integer_ratio(), factor.as_integer_ratio()
    assert product is not None
    assert product.as_integer_ratio()[0] * bottom * b == top * a * product.as_integer_ratio()[1]


@given(st.sampled_from([one for one in ValueBasis if one is not ValueBasis.RAW]), numbers, factors)
def test_S25_only_a_value_that_the_profile_calls_raw_is_multiplied(basis, number, factor):
    reported = replace(_reported(f"{number:f}"), basis=basis, dilution=factor)
    assert back_calculated(reported) is reported


@given(numbers, factors, st.sampled_from(["", "<", ">", "<=", ">="]))
def test_S25_a_bound_stays_a_bound_and_the_text_stays_as_sent(number, factor, sign):
    reported = replace(_reported(f"{sign}{number:f}"), basis=ValueBasis.RAW, dilution=factor)
    made = back_calculated(reported)
    assert made.value.text == reported.value.text
    assert made.value.comparator == (Comparator(sign) if sign else None)
    assert (made.basis, made.dilution) == (ValueBasis.MULTIPLIED, factor)
    assert back_calculated(made) is made  # multiplied once, however often it is judged


@pytest.mark.parametrize("factor", [None, "0", "-2", "NaN", "Infinity", "1000001"])
def test_S25_no_credible_factor_multiplies_nothing(factor):
    dilution = None if factor is None else Decimal(factor)
    reported = replace(_reported("20"), basis=ValueBasis.RAW, dilution=dilution)
    assert back_calculated(reported) is reported


@pytest.mark.parametrize(
    ("text", "factor", "decimals", "shown"),
    [
        ("20.55", "10", 0, "206"),
        ("20.55", "10", None, "205.50"),
        (">500", "10", 0, ">5000"),
        ("<0,5", "4", None, "<2.0"),
        ("0.333", "3", 2, "1.00"),
    ],
)
def test_rounding_comes_last_and_by_the_test(text, factor, decimals, shown):
    value = ReportedValue.read(text, decimal_comma=True)
    reported = replace(_reported("1"), value=value, basis=ValueBasis.RAW, dilution=Decimal(factor))
    made = back_calculated(reported).value
    assert shown_value(text, made, decimals) == shown


@pytest.mark.parametrize("text", ["6,5", "6.50", ">500", "POS", "*****", " 7 "])
def test_what_was_not_multiplied_is_shown_as_sent(text):
    assert text_of(text, ReportedValue.read(text, decimal_comma=True)) == text


def test_S25_a_raw_value_is_stored_with_text_product_and_factor(laboratory, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "20", basis=ValueBasis.RAW, dilution=Decimal(10)))
    row = laboratory.one()
    assert (row.reported, row.value, row.dilution, row.basis) == (
        "20",
        Decimal(200),
        Decimal(10),
        "multiplied",
    )
    assert (row.bench_state, row.flag) == (BenchState.RELEASED, "H")  # judged by the product
    said = next(one for one in row.verdicts if one["rule"] == "dilution")
    assert (said["parameters"]["raw"], said["parameters"]["number"]) == ("20", "200")
    with laboratory.store.read() as session:
        assert read_row(session, laboratory.catalog(), row.id)["value"] == "200"


def test_S25_a_resend_of_a_raw_value_is_stored_once(laboratory, observation):
    tube = laboratory.order("CREA")
    value = observation(tube, "20", basis=ValueBasis.RAW, dilution=Decimal(10))
    laboratory.send(value)
    assert laboratory.send(value).resent == 1


def test_S25_the_reading_is_held_to_the_measuring_range_and_the_product_is_called(
    laboratory, observation
):
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "600", basis=ValueBasis.RAW, dilution=Decimal(10)))
    row = laboratory.one()
    assert "outside_measuring_range" in row.holds  # 600 is more than the 500 it can read
    (call,) = laboratory.all(CriticalCall)
    assert call.snapshot == "6000 umol/L HH"


def _reported(text):
    return ReportedObservation(
        record="R|1",
        kind=SubjectKind.PATIENT,
        specimen="1",
        read_mode=IdReadMode.BARCODE,
        test="iCREA",
        value=ReportedValue.read(text),
        unit="umol/L",
    )
