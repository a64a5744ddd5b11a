"""The JSON form of a catalog: both ways without loss, and no half-understood definition."""

import copy
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from importlib import resources
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.catalog import (
    AutoverificationRules,
    Catalog,
    DeltaLimit,
    Interval,
    Limits,
    PatientFacts,
    Sex,
    ValueType,
    choose_interval,
)
from lis.domain.catalog import Test as LaboratoryTest  # pytest would collect a class named Test
from lis.domain.catalog_document import catalog_from_document
from lis.domain.catalog_writing import CatalogDocuments, documents_of
from lis.domain.control import QcPolicy
from lis.domain.document_fields import age_text
from lis.domain.errors import Malformed
from lis.store.seed import demo_documents

DECIMALS = st.decimals("-999", "999", places=2, allow_nan=False)
LIMITS = st.lists(st.one_of(st.none(), DECIMALS), min_size=2, max_size=2).map(
    lambda pair: Limits(
        low=min(pair) if None not in pair else pair[0],
        high=max(pair) if None not in pair else pair[1],
    )
)
WORDS = st.frozensets(st.text(min_size=1, max_size=5), max_size=3)
RULES = st.builds(
    AutoverificationRules,
    version=st.just("r1"),
    is_on=st.booleans(),
    is_never_automatic=st.booleans(),
    measuring_range=LIMITS,
    absurd=LIMITS,
    verification=LIMITS,
    delta=st.none()
    | st.builds(
        DeltaLimit,
        percent=DECIMALS,
        absolute=st.none() | DECIMALS,
        window=st.integers(0, 10_000).map(lambda hours: timedelta(hours=hours)),
        releases_first=st.booleans(),
    ),
    releases_critical=st.booleans(),
    accepted_codes=WORDS,
    stop_flags=WORDS,
)
EDGES = st.lists(st.integers(1, 200_000), unique=True, max_size=4).map(sorted)


@st.composite
def bands(draw) -> tuple[Interval, ...]:
    made = []
    for sex in draw(st.sampled_from([(None,), (Sex.FEMALE, Sex.MALE)])):
        edges = [0, *draw(EDGES), None]
        for begin, end in pairwise(edges):
            limits = draw(LIMITS)
            made.append(
                Interval(
                    sex=sex,
                    age_from_h=begin or 0,
                    age_to_h=end,
                    low=limits.low,
                    high=limits.high,
                    text=draw(st.sampled_from(["", "see report"])),
                )
            )
    return tuple(made)


def one_test(rules: AutoverificationRules | None, intervals: tuple[Interval, ...]) -> Catalog:
    test = LaboratoryTest(
        code="K",
        names={"ru": "Калий", "en": "Potassium"},
        unit="mmol/L",
        section="chemistry",
        intervals=intervals,
        rules=rules,
    )
    return Catalog(
        version_id=7, version="c1+i1+r1", tests={"K": test}, panels={}, instrument_tests=()
    )


@given(rules=st.none() | RULES, intervals=bands())
def test_writing_and_reading_meet(rules, intervals):
    catalog = one_test(rules, intervals)
    written = documents_of(catalog, version="c1", interval_version="i1", rule_version="r1")
    as_stored = [orjson.loads(orjson.dumps(part)) for part in parts(written)]
    assert catalog_from_document(7, *as_stored) == catalog


def parts(documents: CatalogDocuments) -> tuple[dict[str, Any], ...]:
    return documents.catalog, documents.interval, documents.rule


def test_the_demo_catalog_survives_both_ways():
    catalog = catalog_from_document(1, *parts(demo_documents()))
    written = documents_of(
        catalog, version="demo-1", interval_version="demo-1", rule_version="demo-1"
    )
    assert catalog_from_document(1, *parts(written)) == catalog
    assert catalog.version == "demo-1"


# --- the demo catalog ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo() -> Catalog:
    return catalog_from_document(1, *parts(demo_documents()))


def test_every_demo_test_speaks_both_languages_to_patients(demo: Catalog):
    for test in demo.tests.values():
        assert set(test.names) == {"ru", "en"}
        assert set(test.plain_words) == {"ru", "en"}


def test_demo_panels_name_what_four_instruments_measure(demo: Catalog):
    measured = {entry.test for entry in demo.instrument_tests}
    ordered = {code for panel in demo.panels.values() for code in panel.tests}
    assert ordered <= measured
    assert {entry.driver for entry in demo.instrument_tests} == {
        "sysmex-xp-100",
        "mindray-bc",
        "roche-cobas-c111",
        "cepheid-genexpert",
    }
    assert len(demo.panels["CBC"].tests) == 20


def test_every_demo_number_has_limits_and_every_demo_answer_a_list(demo: Catalog):
    for test in demo.tests.values():
        assert test.rules is not None
        if test.value_type is ValueType.NUMERIC:
            assert test.decimals is not None
            assert test.intervals
            assert test.rules.absurd != Limits()
        else:
            assert test.rules.accepted_codes
            assert not test.rules.accepted_codes & test.critical_codes
            assert test.qc_policy is QcPolicy.INTERNAL


def test_verification_limits_lie_inside_the_absurd_and_critical_ones(demo: Catalog):
    for test in demo.tests.values():
        assert test.rules is not None
        for limit in (test.rules.verification.low, test.rules.verification.high):
            if limit is not None:
                assert test.rules.absurd.contains(limit), test.code
                assert test.critical.contains(limit), test.code


@pytest.mark.parametrize("sex", [Sex.FEMALE, Sex.MALE])
@pytest.mark.parametrize("age_days", [0, 27, 28, 400, 2500, 6574, 6575, 20_000, 40_000])
def test_demo_bands_leave_no_gap(demo: Catalog, manual_clock, sex: Sex, age_days: int):
    at = manual_clock.now()
    patient = PatientFacts(sex=sex, birth=at - timedelta(days=age_days))
    for test in demo.tests.values():
        choice = choose_interval(test.intervals, patient, at)
        is_newborn_bilirubin = test.code == "TBIL" and age_days < 28
        expected = "no_band" if is_newborn_bilirubin else ""
        if test.intervals:
            assert choice.reason == expected, test.code


def test_the_demo_says_that_it_is_no_medicine():
    data = resources.files("lis.store.seed").joinpath("demo_catalog.json").read_bytes()
    assert "Not for clinical use" in orjson.loads(data)["note"]


# --- what is refused ----------------------------------------------------------------------------

Change = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], None]


def put(path: str, value: object) -> Change:
    """Set one place of the three documents: `catalog.tests.0.unit`."""

    def change(*documents: dict[str, Any]) -> None:
        where: Any = dict(zip(("catalog", "interval", "rule"), documents, strict=True))
        *steps, last = path.split(".")
        for step in steps:
            where = where[int(step) if step.isdigit() else step]
        where[int(last) if last.isdigit() else last] = value

    return change


CBC_BANDS = "interval.tests.HGB.bands"
REFUSED = {
    "a typing error": (put("rule.tests.K.is_onn", True), r"rule\.tests\.K: expected only"),
    "a float": (put("rule.tests.K.absurd.low", 4.5), r"rule\.tests\.K\.absurd\.low: .* as text"),
    "no number": (put("rule.tests.K.absurd.low", "4,5"), "decimal written as text"),
    "crossed limits": (put("rule.tests.K.absurd", {"low": "9", "high": "1"}), "not below"),
    "text for a flag": (put("rule.tests.K.is_on", "yes"), "true or false"),
    "no language": (put("catalog.tests.0.names", {"ru": "Лейкоциты"}), "ru and en"),
    "one language for patients": (put("catalog.tests.0.plain_words", {"en": "x"}), "ru and en"),
    "no code": (put("catalog.tests.0.code", " "), "not empty"),
    "no text": (put("catalog.tests.0.unit", 5), "expected a text"),
    "a value type that is none": (put("catalog.tests.0.value_type", "number"), "one of numeric"),
    "negative decimals": (put("catalog.tests.0.decimals", -1), "zero or more"),
    "decimals that are no number": (put("catalog.tests.0.decimals", True), "whole number"),
    "QC off without a name": (put("catalog.tests.0.qc", {"policy": "none"}), "an approver"),
    "a test twice": (put("catalog.tests.1.code", "WBC"), "each code once"),
    "a panel of unknown tests": (put("catalog.panels.0.tests", ["XXX"]), "in this catalog"),
    "a panel with a test twice": (put("catalog.panels.0.tests", ["K", "K"]), "each code once"),
    "an instrument's unknown test": (put("catalog.instrument_tests.0.test", "X"), "this catalog"),
    "an instrument's other unit": (put("catalog.instrument_tests.2.unit", "g/L"), "unit of HGB"),
    "an instrument code twice": (put("catalog.instrument_tests.1.code", "WBC"), "code once"),
    "intervals of an unknown test": (put("interval.tests.XXX", {}), r"interval\.tests"),
    "rules of an unknown test": (put("rule.tests.XXX", {}), r"rule\.tests"),
    "an unknown sex": (put(f"{CBC_BANDS}.0.sex", "X"), '"F", "M" or no sex'),
    "an age without unit": (put(f"{CBC_BANDS}.0.to", "28"), r'an age such as "36h"'),
    "an empty band": (put(f"{CBC_BANDS}.0.to", "0h"), "not empty"),
    "overlapping bands": (put(f"{CBC_BANDS}.0.to", "2y"), "do not overlap for sex F"),
    "a delta without limit": (put("rule.tests.K.delta", {"window_h": 1}), "percent or absolute"),
    "a list that is none": (put("catalog.panels", {}), "a list"),
    "an object that is none": (put("interval.tests", []), "an object"),
    "a band that is no object": (put(f"{CBC_BANDS}.0", "all"), "an object"),
    "a code that is no text": (put("catalog.panels.0.tests", [1]), "expected a text"),
    "no version": (put("catalog.version", ""), "not empty"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_document_is_refused_with_the_place_of(name):
    change, message = REFUSED[name]
    documents = copy.deepcopy(parts(demo_documents()))
    change(*documents)
    with pytest.raises(Malformed, match=message):
        catalog_from_document(1, *documents)


def test_defaults_hold_when_fields_are_absent():
    minimal = {
        "version": "1",
        "tests": [
            {
                "code": "K",
                "names": {"ru": "Калий", "en": "Potassium"},
                "specimen_type": "SER",
                "section": "chemistry",
                "qc": {"policy": "none", "approver": "Dr A", "window_h": 8},
            }
        ],
    }
    test = catalog_from_document(1, minimal).tests["K"]
    assert test.rules is None
    assert test.intervals == ()
    assert (test.qc_policy, test.qc_approver, test.qc_window) == (
        QcPolicy.NONE,
        "Dr A",
        timedelta(hours=8),
    )


@given(st.integers(0, 2_000_000))
def test_ages_are_written_exactly(hours):
    text = age_text(hours)
    documents = copy.deepcopy(parts(demo_documents()))
    documents[1]["tests"]["K"] = {"bands": [{"from": text, "low": "1"}]}
    catalog = catalog_from_document(1, *documents)
    assert catalog.tests["K"].intervals == (Interval(sex=None, age_from_h=hours, low=Decimal(1)),)
