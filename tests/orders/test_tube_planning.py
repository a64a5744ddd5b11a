"""Which tubes a referral needs: examples, and what must hold for any catalog and any referral."""

from hypothesis import given
from hypothesis import strategies as st

from lis.domain import catalog as values
from lis.domain.catalog import Catalog, Container, Panel
from lis.orders.routing import plan_orders

NAMES = {"ru": "тест", "en": "test"}


def tube(code: str, *, volume_ul: int = 1000, dead_ul: int = 200, holds=("SER",)) -> Container:
    return Container(
        code=code,
        names=NAMES,
        volume_ul=volume_ul,
        dead_volume_ul=dead_ul,
        specimen_types=tuple(holds),
    )


def analyte(code: str, *, volume_ul: int | None = 100, material="SER", container="") -> values.Test:
    return values.Test(
        code=code,
        names=NAMES,
        unit="g/L",
        volume_ul=volume_ul,
        specimen_type=material,
        container=container,
    )


def catalog(tests, containers=(), panels=()) -> Catalog:
    return Catalog(
        version_id=1,
        version="1",
        tests={one.code: one for one in tests},
        panels={one.code: one for one in panels},
        instrument_tests=(),
        containers={one.code: one for one in containers},
    )


def test_tests_of_one_material_share_a_tube():
    plan = plan_orders(catalog([analyte("A"), analyte("B")], [tube("RED")]), ("A", "B"))
    (only,) = plan.tubes
    assert (only.container, only.tests, only.needed_ul) == ("RED", ("A", "B"), 200)


def test_a_full_tube_is_followed_by_a_second():
    tests = [analyte(code, volume_ul=300) for code in "ABC"]
    plan = plan_orders(catalog(tests, [tube("RED")]), ("A", "B", "C"))
    assert [one.tests for one in plan.tubes] == [("A", "B"), ("C",)]


def test_the_dead_volume_is_no_volume():
    tests = [analyte("A", volume_ul=500), analyte("B", volume_ul=500)]
    assert len(plan_orders(catalog(tests, [tube("RED", dead_ul=0)]), ("A", "B")).tubes) == 1
    assert len(plan_orders(catalog(tests, [tube("RED", dead_ul=1)]), ("A", "B")).tubes) == 2


def test_a_test_that_two_panels_share_is_drawn_and_measured_once():
    panels = [Panel(code=code, names=NAMES, tests=("A", "B")) for code in ("P", "Q")]
    plan = plan_orders(catalog([analyte("A"), analyte("B")], [tube("RED")], panels), ("P", "Q"))
    assert len(plan.tubes) == 1
    assert plan.tubes[0].needed_ul == 200
    assert len(plan.tests) == 4  # each order has its own work orders


def test_a_test_that_needs_more_than_a_tube_is_named():
    tests = [analyte("BIG", volume_ul=900), analyte("A")]
    plan = plan_orders(catalog(tests, [tube("RED")]), ("BIG", "A"))
    assert plan.too_large == ("BIG",)
    assert [one.tests for one in plan.tubes] == [("BIG",), ("A",)]


def test_without_containers_a_material_is_one_tube():
    tests = [analyte("A", volume_ul=None), analyte("B", material="WB"), analyte("C")]
    plan = plan_orders(catalog(tests), ("A", "B", "C"))
    assert [(one.specimen_type, one.tests) for one in plan.tubes] == [
        ("SER", ("A", "C")),
        ("WB", ("B",)),
    ]


def test_the_same_material_in_two_containers_is_two_tubes():
    tests = [analyte("A"), analyte("B", container="GREY")]
    plan = plan_orders(catalog(tests, [tube("RED"), tube("GREY")]), ("A", "B"))
    assert [(one.container, one.tests) for one in plan.tubes] == [("RED", ("A",)), ("GREY", ("B",))]


VOLUMES = st.lists(st.integers(1, 900), min_size=1, max_size=12)


@given(VOLUMES, st.data())
def test_every_test_has_one_tube_with_room_and_no_tube_is_one_too_many(volumes, data):
    tests = [analyte(f"T{index}", volume_ul=volume) for index, volume in enumerate(volumes)]
    codes = tuple(data.draw(st.lists(st.sampled_from([one.code for one in tests]), min_size=1)))
    plan = plan_orders(catalog(tests, [tube("RED")]), codes)
    by_code = {one.code: one.volume_ul or 0 for one in tests}
    for index, planned in enumerate(plan.tubes):
        assert planned.needed_ul == sum(by_code[code] for code in planned.tests)
        assert planned.needed_ul <= 800 or planned.tests in {(code,) for code in plan.too_large}
        for other in plan.tubes[index + 1 :]:
            assert planned.needed_ul + other.needed_ul > 800  # the two could not have been one
    assert {one.test for one in plan.tests} == set(codes)
    lies_on = {(one.test, one.tube) for one in plan.tests}
    assert len(lies_on) == len(set(codes))  # a test lies on one tube only
    assert all(test in plan.tubes[index].tests for test, index in lies_on)
