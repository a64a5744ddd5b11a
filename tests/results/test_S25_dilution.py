"""S25: raw, multiplied or unknown; the factor is stored, and what is unknown waits."""

from decimal import Decimal

import pytest

from lis.domain.errors import Refused
from lis.domain.lifecycle import BenchState
from lis.domain.messages import ValueBasis
from lis.results.desk import Shown
from lis.results.limit import report_as_limit
from lis.results.reads import row as read_row
from lis.store.order_rows import WorkOrder


@pytest.fixture
def tube(laboratory):
    laboratory.controls("CREA")
    return laboratory.order("CREA")


def test_S25_a_value_that_is_already_multiplied_goes_with_its_factor(laboratory, observation, tube):
    laboratory.send(observation(tube, "70", basis=ValueBasis.CORRECTED, dilution=Decimal(10)))
    row = laboratory.one()
    assert row.bench_state is BenchState.RELEASED
    assert (row.value, row.dilution, row.basis) == (Decimal(70), Decimal(10), "corrected")


@pytest.mark.parametrize(
    ("basis", "factor"),
    [
        (ValueBasis.RAW, None),
        (ValueBasis.RAW, "0"),
        (ValueBasis.UNKNOWN, "10"),
        (ValueBasis.UNKNOWN, None),
        (ValueBasis.UNDILUTED, "10"),  # a factor without a word about it
    ],
)
def test_S25_raw_without_a_factor_and_unknown_are_held_and_never_multiplied(
    laboratory, observation, tube, basis, factor
):
    dilution = Decimal(factor) if factor else None
    laboratory.send(observation(tube, "20", basis=basis, dilution=dilution))
    row = laboratory.one()
    assert "dilution_unknown" in row.holds
    assert (row.reported, row.value, row.dilution) == ("20", Decimal(20), dilution)


def test_S25_an_undiluted_value_may_say_so(laboratory, observation, tube):
    laboratory.send(observation(tube, "70", dilution=Decimal(1)))
    assert laboratory.one().holds == []


def test_S25_a_diluted_repeat_that_does_not_say_its_factor_is_held(laboratory, observation, tube):
    with laboratory.store.unit("anna") as unit:
        for order in unit.session.query(WorkOrder):
            order.dilution = Decimal(10)
    laboratory.send(observation(tube, "70"))
    assert laboratory.one().holds == ["dilution_unknown"]


def test_S25_too_little_volume_is_reported_as_above_the_limit(laboratory, observation, tube):
    laboratory.send(observation(tube, ">500"))
    row = laboratory.one()
    assert "censored" in row.holds
    assert (row.reported, row.comparator, row.value) == (">500", ">", Decimal(500))


# --- too little volume --------------------------------------------------------------------------


def above_limit(laboratory, row, **how):
    with laboratory.store.unit("anna") as unit:
        catalog = laboratory.catalog()
        seen = read_row(unit.session, catalog, row.id)
        shown = Shown(observation_id=row.id, version=seen["row_version"], hash=seen["shown_hash"])
        return report_as_limit(
            unit, catalog, shown, **{"reason": "too little to dilute", "user": "anna"} | how
        )


def test_S25_a_person_reports_too_little_volume_as_above_the_limit(laboratory, observation, tube):
    laboratory.send(observation(tube, "730"))
    first = laboratory.one()
    assert "outside_measuring_range" in first.holds

    shown = above_limit(laboratory, first)

    old, new = laboratory.rows()
    assert (old.bench_state, old.reported) == (BenchState.SUPERSEDED, "730")
    assert (new.reported, new.comparator, new.value) == (">500", ">", Decimal(500))
    assert (new.version, new.previous_id, new.bench_state) == (2, old.id, BenchState.HELD)
    assert "censored" in new.holds
    assert "second_run" not in new.holds  # the replaced version is no rival
    assert shown["comment"] == "too little to dilute"


def test_S25_the_limit_of_a_multiplied_value_is_multiplied_too(laboratory, observation, tube):
    laboratory.send(observation(tube, "6000", basis=ValueBasis.CORRECTED, dilution=Decimal(10)))
    above_limit(laboratory, laboratory.one())
    assert laboratory.rows()[-1].reported == ">5000"


@pytest.mark.parametrize(
    ("value", "changes", "code"),
    [
        ("70", {"is_abnormal_flagged": True}, "not_above_limit"),
        ("730", {"unit": "mg/dL"}, "unit_changed"),
        ("730", {"basis": ValueBasis.RAW}, "dilution_unknown"),
        ("480", {"basis": ValueBasis.RAW, "dilution": Decimal(10)}, "not_above_limit"),
        ("*****", {}, "not_above_limit"),
    ],
)
def test_S25_nothing_else_is_reported_as_above_the_limit(
    laboratory, observation, tube, value, changes, code
):
    laboratory.send(observation(tube, value, **changes))
    with pytest.raises(Refused, match=code):
        above_limit(laboratory, laboratory.one())
    assert len(laboratory.rows()) == 1
