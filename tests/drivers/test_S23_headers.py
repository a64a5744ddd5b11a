"""S23: what a header says about who is speaking, read by the driver of another instrument."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lis.domain.messages import Sender
from lis.drivers import registry, translate
from lis.drivers.observing import joined_sender
from lis.wire.capture import read_any

CAPTURES = Path(__file__).resolve().parents[1] / "captures"
AT = datetime(2026, 11, 2, 12, tzinfo=UTC)


def read(driver, capture):
    unit = read_any((CAPTURES / capture).read_bytes()).units[0]
    return translate(registry.get(driver), unit, zone=UTC, received_at=AT)


@pytest.mark.parametrize(
    ("driver", "capture", "foreign"),
    [
        ("sysmex-xp-100", "sysmex-xp-100/counts.cap", ""),
        ("sysmex-xp-100", "roche-cobas-c111/results.cap", "roche-cobas-c111"),
        ("roche-cobas-c111", "sysmex-xp-100/counts.cap", "sysmex-xp-100"),
        ("mindray-bc", "biosystems-ba400/results.cap", "biosystems-ba400"),
    ],
)
def test_S23_a_header_of_another_known_instrument_is_named(driver, capture, foreign):
    assert read(driver, capture).foreign_driver == foreign


def test_S23_one_row_of_another_instrument_shows_in_the_sender():
    said = [Sender(name="A", serial="1"), Sender(name="A", serial="2"), Sender(name="A")]
    assert joined_sender(said) == Sender(name="A", serial="1, 2")
