"""Slips to observations: what fits is told, and what does not fit holds everything on the slip."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.messages import Lane, Protocol, Reason, ResultStatus, Translation
from lis.drivers import identify, lane_of, order_records, protocol_of, registry, translate
from lis.drivers.generic import STANDARD
from lis.drivers.instrument_time import plain_time
from lis.wire.printout import block_of

PROFILE = registry.get("arkray-spotchem-el")
RECEIVED_AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
HEAD = "26/11/02 08:40 ID# 20000081   [B. Plasma] "
NA = "Na       141  mmol/L "


def read(text: str, zone: str = "UTC") -> Translation:
    raw = block_of(text.encode("latin-1"))
    return translate(PROFILE, raw, zone=ZoneInfo(zone), received_at=RECEIVED_AT)


def test_a_slip_is_final_and_dated_in_the_zone_of_the_instrument() -> None:
    [found] = read(HEAD + NA, zone="Europe/Moscow").observations

    assert (found.specimen, found.test, found.value.text, found.unit) == (
        "20000081",
        "Na",
        "141",
        "mmol/L",
    )
    assert found.status is ResultStatus.FINAL
    assert found.observed_at == datetime(2026, 11, 2, 5, 40, tzinfo=UTC)
    assert found.holds == ()


@pytest.mark.parametrize("mark", ["H", "*", "E-3", "?", "Na"])
@pytest.mark.parametrize("place", [HEAD + "{} " + NA, HEAD + NA + "{}", HEAD + NA + "{} " + NA])
def test_a_mark_that_nobody_explained_holds_the_whole_slip(mark: str, place: str) -> None:
    said = read(place.format(mark))

    assert said.observations
    assert all(Reason.UNREADABLE_RECORD in found.holds for found in said.observations)
    assert [entry.raw for entry in said.unreadable] == [mark]


def test_another_unit_is_not_taken_for_the_known_one() -> None:
    said = read(HEAD + "Na 141 mEq/L")
    assert said.observations == ()
    assert [entry.reason for entry in said.unreadable] == [Reason.UNREADABLE_RECORD]


def test_a_day_that_is_none_is_held() -> None:
    [found] = read((HEAD + NA).replace("26/11/02", "26/13/02")).observations
    assert (found.observed_at, found.holds) == (None, (Reason.UNREADABLE_TIME,))
    assert plain_time("26/11/02  08:40", "%y/%m/%d %H:%M") == "20261102084000"
    assert plain_time("20261102084000", "%y/%m/%d %H:%M") == ""


def test_the_layout_tells_whose_slip_it_is() -> None:
    slip = block_of((HEAD + NA).encode())
    other = block_of(b"26/11/02 GLU 5.1")

    assert (identify(slip), identify(other)) == (PROFILE.key, None)
    assert {protocol_of(slip), protocol_of(other)} == {Protocol.PRINTOUT}
    assert lane_of(Protocol.PRINTOUT, slip) is Lane.RESULT
    assert order_records(PROFILE, [], at=RECEIVED_AT, control_id="1") == ()


def test_without_a_layout_a_slip_is_unreadable_and_said_so() -> None:
    slip = block_of((HEAD + NA).encode())
    said = translate(STANDARD[Protocol.PRINTOUT], slip, zone=UTC, received_at=RECEIVED_AT)

    assert said.observations == ()
    assert [entry.reason for entry in said.unreadable] == [Reason.UNREADABLE_RECORD]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_exception(raw: bytes) -> None:
    for profile in (PROFILE, STANDARD[Protocol.PRINTOUT]):
        said = translate(profile, raw, zone=UTC, received_at=RECEIVED_AT)
        assert said.observations or said.unreadable
    identify(raw)


@given(st.text(alphabet="HLE*?!#", min_size=1, max_size=5), st.integers(0, 3))
def test_no_added_word_goes_unnoticed(word: str, place: int) -> None:
    rows = [NA, "K 4.1 mmol/L ", "Cl 103 mmol/L "]
    rows.insert(place, word + " ")
    said = read(HEAD + "".join(rows))

    assert len(said.observations) == 3
    assert all(Reason.UNREADABLE_RECORD in found.holds for found in said.observations)
