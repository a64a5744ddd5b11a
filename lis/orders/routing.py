"""Which tubes and work orders a referral needs: pure, from catalog values to a plan.

One tube per specimen type; one work order per test. A test that two orderables share is measured once:
the second order points to the same measurement only if it lies on the same tube, so the plan keeps one
work order per (order, test) and the analyzer is asked once per (tube, test) by the host query.
"""

from dataclasses import dataclass

from lis.domain.catalog import Catalog, Test


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTest:
    """One test of one order, and the type of tube it needs."""

    order_index: int
    test: str
    specimen_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to make for a referral."""

    tests: tuple[PlannedTest, ...]
    specimen_types: tuple[str, ...]  # in order of first need
    unknown: tuple[int, ...]  # indexes of orders whose code the catalog does not know


def plan_orders(catalog: Catalog, codes: tuple[str, ...]) -> Plan:
    """Plan the tubes and work orders for these orderable codes."""
    tests: list[PlannedTest] = []
    unknown: list[int] = []
    for index, code in enumerate(codes):
        found: tuple[Test, ...] = catalog.tests_of(code)
        if not found:
            unknown.append(index)
        tests.extend(
            PlannedTest(order_index=index, test=test.code, specimen_type=test.specimen_type)
            for test in found
        )
    types = tuple(dict.fromkeys(planned.specimen_type for planned in tests))
    return Plan(tests=tuple(tests), specimen_types=types, unknown=tuple(unknown))
