"""The HL7 files of others that a dialect claims, keyed by hand; and that the rest is claimed by nobody.

All of them were written by their projects, not by instruments: they show shapes and raise no grade. Nothing of them
is repeated here but codes, numbers and units; specimen numbers stand as the first digits of their SHA-256.
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lis.domain.messages import Reason
from lis.drivers import identify, registry, translate
from lis.wire.hl7 import split_messages
from tests.conftest import CORPUS

FOLDER = CORPUS / "hl7/DIGI-UW__OpenELIS-Global-2/src/test/resources/testdata/hl7"
AT = datetime(2026, 11, 22, tzinfo=UTC)
FILES = sorted(
    path for path in (CORPUS / "hl7").rglob("*") if path.is_file() and path.name != "SOURCES.md"
)
CLAIMED = {
    "bc5380-cbc-result.hl7": "mindray-bc",
    "bs360e-chemistry-result.hl7": "mindray-bs",
    "cobas_pro_OUL_R22_2018.hl7": "roche-cobas-pro",
    "cobas_pro_QBP_Q11_2016.hl7": "roche-cobas-pro",
}

pytestmark = pytest.mark.skipif(not FILES, reason=f"no corpus at {CORPUS}; set LIS_CORPUS")


def test_a_chemistry_file_with_codes_where_no_analyzer_writes_them_is_held_row_by_row() -> None:
    raw = (FOLDER / "mindray/bs360e-chemistry-result.hl7").read_bytes()
    rows = translate(registry.get("mindray-bs"), raw, zone=UTC, received_at=AT).observations

    assert [(row.record, row.value.text, row.unit, row.status.value) for row in rows] == [
        ("OBX|1", "0.9", "mg/dL", "final"),
        ("OBX|2", "25", "U/L", "final"),
        ("OBX|3", "22", "U/L", "final"),
    ]
    assert {row.holds for row in rows} == {(Reason.NO_TEST_CODE,)}
    assert {row.observed_at for row in rows} == {None}  # OBR-7 is empty, the day stands in OBR-8
    ids = {hashlib.sha256(row.specimen.encode()).hexdigest()[:16] for row in rows}
    assert ids == {"f9212eac59b22178"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_of_others_is_claimed_by_the_right_dialect_or_by_none(path: Path) -> None:
    for raw in split_messages(path.read_bytes()):
        assert identify(raw) == CLAIMED.get(path.name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_dialect_falls_over_a_file_of_others(path: Path) -> None:
    for raw in split_messages(path.read_bytes())[:5]:
        for key in ("mindray-bs", "cepheid-genexpert-hl7", "genrui-kt", "sd-biosensor-f2400"):
            read = translate(registry.get(key), raw, zone=UTC, received_at=AT)
            assert read.driver == key
