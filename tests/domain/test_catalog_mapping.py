"""An instrument's codes get their tests: the next version of the catalog, and nothing else in it changes."""

import pytest

from lis.domain.catalog_mapping import CodeMapping, with_mappings
from lis.domain.errors import Malformed

ALB = {"driver": "c111", "code": "413", "test": "ALB", "unit": "g/L", "method": ""}
DOCUMENT = {"version": "1", "tests": [{"code": "ALB"}], "instrument_tests": [ALB]}


def read(text, units=None):
    return CodeMapping.parse(text, driver="c111", units=units or {}, where="mapping")


def test_a_mapping_names_code_test_and_unit():
    assert read("901=GLU:mmol/L") == CodeMapping(
        driver="c111", code="901", test="GLU", unit="mmol/L"
    )


def test_without_a_unit_the_one_that_was_seen_holds():
    assert read("901=GLU", {"901": "mmol/L"}).unit == "mmol/L"
    assert read("901=GLU").unit == ""


@pytest.mark.parametrize("text", ["901", "=GLU", "901=", "", "901:GLU"])
def test_anything_else_says_what_was_expected(text):
    with pytest.raises(Malformed, match="expected CODE=TEST"):
        read(text)


def test_a_code_with_a_new_meaning_loses_the_old_one_and_others_stay():
    changed = with_mappings(DOCUMENT, [read("413=ALBU:g/L"), read("901=GLU:mmol/L")], "2")
    assert changed["version"] == "2"
    assert changed["tests"] == DOCUMENT["tests"]
    assert [(one["code"], one["test"]) for one in changed["instrument_tests"]] == [
        ("413", "ALBU"),
        ("901", "GLU"),
    ]
    assert DOCUMENT["instrument_tests"] == [ALB]


def test_another_instruments_equal_code_is_another_code():
    other = CodeMapping.parse("413=GLU:mmol/L", driver="e411", units={}, where="mapping")
    assert len(with_mappings(DOCUMENT, [other], "2")["instrument_tests"]) == 2
