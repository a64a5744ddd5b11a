"""The product against HL7 analyzers that share no line of code with it."""

from datetime import timedelta

import pytest

from lis.app.clock import SystemClock
from lis.domain.catalog_mapping import CodeMapping, with_mappings
from lis.store.code_queries import catalog_document
from lis.store.definitions import DefinitionKind, put_definition
from tests.foreign.hl7_analyzers import MindrayBc, MindrayBs
from tests.foreign.line import Line

WBC = ("WBC", "7.4", "10*3/uL")


def moment(minutes_ago=0):
    return f"{SystemClock().now() - timedelta(minutes=minutes_ago):%Y%m%d%H%M%S}"


def stored(opened):
    return [(row.test_code, row.reported.strip()) for row in opened.observations()]


@pytest.fixture
def counter(laboratory):
    opened = laboratory(("bc-1", "mindray-bc", "tcp"))
    analyzer = MindrayBc(Line.call(*opened.address("bc-1")))
    yield opened, analyzer
    analyzer.close()


def test_a_mindray_counter_asks_measures_and_is_acknowledged(counter):
    opened, analyzer = counter
    tube = opened.order("CBC")["WB"]
    assert analyzer.query(tube, moment()) in {"CBC", "CBC+5DIFF"}
    analyzer.send_count(tube, [WBC], moment())
    opened.settled(2)
    assert stored(opened) == [("WBC", "7.4")]


def test_a_mindray_counter_hears_that_there_is_nothing_to_do(counter):
    _, analyzer = counter
    assert analyzer.query("1900000014", moment()) is None


def teach(opened, driver, codes):
    """Put a catalog into force that knows these codes of the driver: {code: (test, unit)}."""
    with opened.store.unit("author") as unit:
        entries = [
            CodeMapping(driver=driver, code=code, test=test, unit=unit_text)
            for code, (test, unit_text) in codes.items()
        ]
        body = with_mappings(catalog_document(unit.session, unit.now), entries, "taught")
        put_definition(unit, DefinitionKind.CATALOG, "taught", body, unit.now, "approver")


@pytest.fixture
def chemistry(laboratory):
    opened = laboratory(("bs-1", "mindray-bs", "tcp"))
    teach(opened, "mindray-bs", {"2": ("GLU", "mmol/L"), "7": ("CREA", "umol/L")})
    analyzer = MindrayBs(Line.call(*opened.address("bs-1")))
    yield opened, analyzer
    analyzer.close()


def test_a_mindray_chemistry_analyzer_gets_its_channels_in_two_messages(chemistry):
    opened, analyzer = chemistry
    tube = opened.order("GLU", "CREA")["SER"]
    assert sorted(analyzer.query(tube, moment())) == ["2", "7"]


def test_a_mindray_chemistry_analyzer_hears_that_nothing_was_found(chemistry):
    _, analyzer = chemistry
    assert analyzer.query("1900000014", moment()) is None


def test_a_mindray_chemistry_analyzer_takes_a_query_back_and_asks_again(chemistry):
    opened, analyzer = chemistry
    tube = opened.order("GLU")["SER"]
    analyzer.cancel(tube, moment())
    assert analyzer.query(tube, moment()) == ["2"]
