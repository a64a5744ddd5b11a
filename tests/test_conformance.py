"""Every requirement has a test that is named after it, and the page that says so is true."""

from tests.conformance import CANNOT_BE_TESTED, PAGE, missing, named_tests, page, requirements


def test_every_requirement_has_a_test_or_a_reason() -> None:
    assert missing() == []


def test_what_cannot_be_tested_is_a_requirement_and_has_no_test() -> None:
    assert set(CANNOT_BE_TESTED) <= set(requirements()) - set(named_tests())


def test_every_id_of_the_astm_rows_is_a_row() -> None:
    named = {key for key in named_tests() if key.startswith(("L1-", "L2-", "LAW-"))}
    assert named <= set(requirements())


def test_the_page_is_not_old() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.conformance --write"
