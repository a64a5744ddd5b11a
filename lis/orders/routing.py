"""Which tubes and work orders a referral needs: pure, from catalog values to a plan.

One work order per (order, test). A test that two orderables share lies on one tube and is measured once: the
analyzer is asked once per (tube, test) by the host query, and the volume is counted once.

Tests go to a container that holds their specimen type: the one the catalog names, else the first that fits. Tests of
one container share a tube until its usable volume (what it holds, less what no analyzer can reach) is full; then a
second tube is drawn. Tests are placed in the order asked, into the first tube with room: a person can follow it, and
no two tubes of a kind could have been one. A test that needs more than a tube holds gets one of its own and is named
in `too_large`; a container without a volume, or none at all, is never full.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from lis.domain.catalog import Catalog, Container, Test


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTest:
    """One test of one order, and the tube it lies on."""

    order_index: int
    test: str
    specimen_type: str
    tube: int  # index into `Plan.tubes`


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTube:
    """One tube to draw, and the tests it is for."""

    specimen_type: str
    container: str  # code of the catalog; "" where none is known
    tests: tuple[str, ...]
    needed_ul: int  # what the tests take, without the dead volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to make for a referral."""

    tests: tuple[PlannedTest, ...]
    tubes: tuple[PlannedTube, ...]  # in order of first need
    unknown: tuple[int, ...]  # indexes of orders whose code the catalog does not know
    too_large: tuple[str, ...] = ()  # tests that need more than their container holds

    @property
    def specimen_types(self) -> tuple[str, ...]:
        """The kinds of material, in order of first need."""
        return tuple(dict.fromkeys(tube.specimen_type for tube in self.tubes))


class _Tube:
    """A tube being filled."""

    def __init__(self, specimen_type: str, container: Container | None) -> None:
        self.kind = (specimen_type, container.code if container else "")
        self.usable_ul = usable_ul(container)
        self.tests: dict[str, int] = {}

    def takes(self, test: Test) -> bool:
        """Whether this test still fits; the first always does."""
        if not self.tests or self.usable_ul is None:
            return True
        return sum(self.tests.values()) + (test.volume_ul or 0) <= self.usable_ul

    def planned(self) -> PlannedTube:
        specimen_type, container = self.kind
        return PlannedTube(
            specimen_type=specimen_type,
            container=container,
            tests=tuple(self.tests),
            needed_ul=sum(self.tests.values()),
        )


def plan_orders(catalog: Catalog, codes: tuple[str, ...]) -> Plan:
    """Plan the tubes and work orders for these orderable codes."""
    tests: list[PlannedTest] = []
    tubes: list[_Tube] = []
    too_large: dict[str, None] = {}
    lies_on: dict[str, int] = {}
    for index, test in _asked(catalog, codes):
        if test.code not in lies_on:
            lies_on[test.code] = _place(tubes, test, container_of(catalog, test))
            usable = tubes[lies_on[test.code]].usable_ul
            if usable is not None and (test.volume_ul or 0) > usable:
                too_large[test.code] = None
        tests.append(
            PlannedTest(
                order_index=index,
                test=test.code,
                specimen_type=test.specimen_type,
                tube=lies_on[test.code],
            )
        )
    return Plan(
        tests=tuple(tests),
        tubes=tuple(tube.planned() for tube in tubes),
        unknown=tuple(i for i, code in enumerate(codes) if not catalog.tests_of(code)),
        too_large=tuple(too_large),
    )


def container_of(catalog: Catalog, test: Test) -> Container | None:
    """The container this test is drawn into; None if the catalog has none for its material."""
    if test.container:
        return catalog.containers.get(test.container)
    fitting = (
        one for one in catalog.containers.values() if test.specimen_type in one.specimen_types
    )
    return next(fitting, None)


def usable_ul(container: Container | None) -> int | None:
    """What an analyzer can reach of a full tube; None if that is not known."""
    if container is None or container.volume_ul <= container.dead_volume_ul:
        return None
    return container.volume_ul - container.dead_volume_ul


def _asked(catalog: Catalog, codes: tuple[str, ...]) -> Iterator[tuple[int, Test]]:
    for index, code in enumerate(codes):
        for test in catalog.tests_of(code):
            yield index, test


def _place(tubes: list[_Tube], test: Test, container: Container | None) -> int:
    kind = (test.specimen_type, container.code if container else "")
    fitting = (n for n, tube in enumerate(tubes) if tube.kind == kind and tube.takes(test))
    number = next(fitting, len(tubes))
    if number == len(tubes):
        tubes.append(_Tube(test.specimen_type, container))
    tubes[number].tests[test.code] = test.volume_ul or 0
    return number
