"""Field addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.wire.astm_record import Message
from lis.wire.errors import LocalProtocolError
from lis.wire.hl7 import Message as Hl7Message
from lis.wire.path import FieldPath

ORDER = Message.parse([b"H|\\^&", b"O|1|4711||^^^A^1\\^^^B|R"]).records[1]
OBX = Hl7Message.parse(b"MSH|^~\\&|a\rOBX|1|NM|GLU^Glucose&x||5.5~6.0|mmol/L\r").segments[1]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("O.1", "O"),
        ("O.3", "4711"),
        ("O.5", "^^^A^1\\^^^B"),
        ("O.5.4", "A"),
        ("O.5[2].4", "B"),
        ("O.5[2]", "^^^B"),
        ("O.5[3]", ""),
        ("O.5[3].4", ""),
        ("O.26", ""),
        ("O.5.99", ""),
        ("O.6/1", "R"),
        ("O.6/2", ""),
    ],
)
def test_astm_paths(path: str, text: str) -> None:
    assert FieldPath.parse(path).read(ORDER) == text


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("R.3.4/1", "117"),
        ("R.3.4/2", "1"),
        ("R.3.4/3", "not"),
        ("R.3.4/4", ""),
        ("R.3.4", "117/1/not"),
    ],
)
def test_slashes_cut_a_text_into_pieces(path: str, text: str) -> None:
    record = Message.parse([b"H|\\^&", b"R|1|^^^117/1/not|2.0"]).records[1]

    assert FieldPath.parse(path).read(record) == text
    assert str(FieldPath.parse(path)) == path


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("OBX-5", "5.5~6.0"),
        ("OBX-5.1", "5.5"),
        ("OBX-5[2]", "6.0"),
        ("OBX-5[2].1", "6.0"),
        ("OBX-5[3]", ""),
        ("OBX-3.2.2", "x"),
        ("OBX-3.1", "GLU"),
        ("OBX-99", ""),
    ],
)
def test_hl7_paths(path: str, text: str) -> None:
    assert FieldPath.parse(path).read(OBX) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "R", "R.", "R.0", "R-3", "R.3.4.5", "R.3.", "r.3", "OBX.5", "OBX-0", "R.3[0]"),
        *("RR.3", "R.3.4 ", "R.1000", "OBX-5[1", "R.1٣", "OBX-5.1.2.3"),
    ],
)
def test_a_typing_error_says_what_was_expected(text: str) -> None:
    with pytest.raises(LocalProtocolError, match="field path"):
        FieldPath.parse(text)


def test_a_path_does_not_read_another_record() -> None:
    with pytest.raises(LocalProtocolError, match=r"R\.3\.4 cannot read a record 'O'"):
        FieldPath.parse("R.3.4").read(ORDER)
    with pytest.raises(LocalProtocolError, match=r"PID-3 cannot read a record 'OBX'"):
        FieldPath.parse("PID-3").read(OBX)


NUMBER = st.integers(1, 999)


@given(st.sampled_from(["R", "H", "OBX", "ZX1"]), NUMBER, NUMBER, st.none() | NUMBER)
def test_paths_are_written_as_they_are_read(
    record: str, field: int, repeat: int, component: int | None
) -> None:
    path = FieldPath(record, field, component, repeat)
    assert FieldPath.parse(str(path)) == path
