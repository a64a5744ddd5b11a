"""What the tool proposes from captures, and that a learned profile reads like one written by hand."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.errors import Malformed
from lis.domain.messages import IdReadMode, Protocol, Reason, SubjectKind, Translation
from lis.drivers import registry, translate
from lis.drivers.learned_profile import Proposal, profile_from, propose
from lis.drivers.learning_evidence import Confidence
from lis.drivers.profile import Evidence, FieldRule, FlagMeaning, Grade, Profile
from lis.drivers.taking_apart import rows_of
from lis.wire.capture import read_any
from tests.conftest import CORPUS

XP_100 = CORPUS / "astm/senaite.astm/sysmex_xp100.txt"
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
EVIDENCE = Evidence(grade=Grade.CAPTURE, source="recorded at the bench")
needs_corpus = pytest.mark.skipif(not XP_100.exists(), reason="the corpus lies beside the checkout")

HEADER = rb"H|\^&|||Analyte 9^02-11^^^^Q4711|||||||P|1|20261122080000"
ORDER = b"O|1|20000021^3^B||^^^GLU\\^^^NA|R||||||||||SER|||||||20261122075900|||F"


def message(*rows: bytes, header: bytes = HEADER, order: bytes = ORDER) -> bytes:
    return b"\r".join([header, b"P|1", order, *rows, b"L|1|N", b""])


GLUCOSE = b"R|1|^^^GLU|5.5|mmol/L|3.9-6.1|N||F||anna||20261122075900"
SODIUM = b"R|2|^^^NA|151|mmol/L|136-145|H||F||anna||20261122075900"


def asked(*units: bytes, **answers: str) -> Proposal:
    return propose(Protocol.ASTM, units, answers)


def learned(proposal: Proposal, key: str = "lab-analyte-9") -> Profile:
    return profile_from(proposal, key=key, name="Analyte 9", evidence=EVIDENCE)


def read(profile: Profile, raw: bytes) -> Translation:
    return translate(profile, raw, zone=UTC, received_at=AT)


def test_every_place_is_proposed_with_the_records_that_show_it() -> None:
    proposal = asked(message(GLUCOSE, SODIUM))

    expected = {
        "specimen": "O.3.1",
        "test": "R.3.4",
        "value": "R.4",
        "unit": "R.5",
        "interval": "R.6",
        "flags": "R.7",
        "status": "R.9",
        "operator": "R.11",
        "observed_at": "R.13",
        "specimen_type": "O.16.1",
        "sender_name": "H.5.1",
        "sender_version": "H.5.2",
        "sender_serial": "H.5.6",
        "delimiters": "|\\^&",
        "id_mode": "O.3.3",
        "identity": "H.5.1=Analyte 9",
        "padding": "none",
        "flag.N": "normal",
        "flag.H": "outside_interval",
        "status.F": "final",
    }
    assert {name: proposal.answers[name] for name in expected} == expected
    [value] = [one for one in proposal.questions if one.name == "value"]
    assert value.choices[0].confidence is Confidence.EVERY
    assert [(seen.record, seen.text) for seen in value.choices[0].seen] == [
        ("R|1", "5.5"),
        ("R|2", "151"),
    ]
    assert [(one.code, one.units, one.count) for one in proposal.codes] == [
        ("GLU", ("mmol/L",), 1),
        ("NA", ("mmol/L",), 1),
    ]


def test_what_was_never_seen_is_the_standards_place_and_says_so() -> None:
    proposal = asked(message(b"R|1|^^^GLU|5.5"))

    [unit] = [one for one in proposal.questions if one.name == "unit"]
    assert (unit.answer, unit.choices[0].confidence) == ("R.5", Confidence.STANDARD)


def test_a_letter_that_no_standard_knows_is_held_until_somebody_says_what_it_means() -> None:
    raw = message(b"R|1|^^^GLU|5.5|mmol/L||N\\X7||F||||20261122075900")
    proposal = asked(raw)

    assert proposal.answers["flag.X7"] == "unknown"
    assert proposal.answers["standard_tables"] == "no"
    [held] = read(learned(proposal), raw).observations
    assert Reason.UNKNOWN_FLAG in held.holds
    said = asked(raw, **{"flag.X7": "look", "id_mode.B": "barcode"})
    [seen] = read(learned(said), raw).observations
    assert (seen.holds, seen.is_abnormal_flagged) == ((), True)


def test_how_the_id_was_read_is_asked_and_never_guessed() -> None:
    raw = message(GLUCOSE)

    [held] = read(learned(asked(raw)), raw).observations
    assert Reason.ID_NOT_FROM_BARCODE in held.holds
    [known] = read(learned(asked(raw, **{"id_mode.B": "barcode"})), raw).observations
    assert (known.read_mode, known.holds) == (IdReadMode.BARCODE, ())


def test_a_row_without_a_state_is_held_unless_a_person_says_what_it_is() -> None:
    order = b"O|1|20000021||^^^GLU"
    raw = message(b"R|1|^^^GLU|5.5|mmol/L", order=order)
    proposal = asked(raw)

    assert proposal.answers["status_missing"] == "unknown"
    [held] = read(learned(proposal), raw).observations
    assert Reason.UNKNOWN_STATUS in held.holds
    [final] = read(learned(asked(raw, status_missing="final")), raw).observations
    assert final.holds == ()


def test_a_changed_place_brings_up_the_letters_that_stand_there() -> None:
    raw = message(b"R|1|^^^GLU|5.5|mmol/L||N|A1|F||||20261122075900")

    assert "flag.A1" in asked(raw, flags="R.8").answers
    assert "flag.A1" not in asked(raw).answers


def test_the_state_of_an_order_stands_in_where_rows_have_none() -> None:
    raw = message(b"R|1|^^^GLU|5.5|mmol/L||N||||||20261122075900")

    assert asked(raw).answers["status"] == "R.9 O.26"


def test_blanks_around_an_id_and_the_delimiters_of_the_header_are_seen() -> None:
    header = HEADER.replace(rb"H|\^&", rb"H|@^\\"[:5])
    raw = message(GLUCOSE, header=header, order=b"O|1|     20000021||^^^GLU|R")
    proposal = asked(raw)

    assert (proposal.answers["padding"], proposal.answers["delimiters"]) == ("blanks", "|@^\\")
    assert read(learned(proposal), raw).observations[0].specimen == "20000021"


def test_a_number_behind_the_code_that_was_always_one_holds_any_other() -> None:
    raw = message(b"R|1|^^^GLU^1|5.5|mmol/L||N||F||||20261122075900")
    proposal = asked(raw)

    assert proposal.answers["dilution"] == "R.3.5"
    other = raw.replace(b"GLU^1", b"GLU^10")
    assert read(learned(proposal), other).observations[0].basis.value == "unknown"


def test_signs_of_a_control_are_shown_and_the_standards_own_is_kept() -> None:
    order = ORDER.replace(b"|SER|", b"|CTRL LOW|")
    raw = message(GLUCOSE, order=order)
    proposal = asked(raw)

    [controls] = [one for one in proposal.questions if one.name == "controls"]
    assert controls.answer == "O.12=Q; H.12.1=Q"
    hint = controls.choices[-1]
    assert hint.confidence is Confidence.HINT
    assert hint.answer == "O.12=Q; H.12.1=Q; O.16=CTRL LOW"
    [control] = read(learned(asked(raw, controls=hint.answer)), raw).observations
    assert control.kind is SubjectKind.CONTROL


def test_several_captures_speak_together() -> None:
    other = message(GLUCOSE.replace(b"GLU", b"UREA"), order=ORDER.replace(b"20000021", b"20000038"))

    proposal = asked(message(GLUCOSE), other)

    assert [one.code for one in proposal.codes] == ["GLU", "UREA"]
    [specimen] = [one for one in proposal.questions if one.name == "specimen"]
    assert [seen.record for seen in specimen.choices[0].seen] == ["O > R|1", "O > 2: R|1"]


def test_letters_and_places_from_the_manual_can_be_added() -> None:
    proposal = asked(message(GLUCOSE), **{"flag.ZZ": "edited", "module": "R.14"})
    profile = learned(proposal)

    assert profile.flags["ZZ"] is FlagMeaning.EDITED
    assert profile.fields.module == "R.14"


@pytest.mark.parametrize(
    ("name", "answer", "expected"),
    [
        ("value", "", "a place"),
        ("value", "R.four", "a place"),
        ("falgs", "R.7", "one of specimen"),
        ("flag.N", "fine", "one of normal"),
        ("controls", "O.12", "rules like"),
        ("delimiters", "|||", "four different signs"),
        ("asks", "maybe", "one of yes, no"),
    ],
)
def test_a_wrong_answer_is_refused_by_name(name: str, answer: str, expected: str) -> None:
    with pytest.raises(Malformed) as wrong:
        asked(message(GLUCOSE), **{name: answer})

    assert expected in wrong.value.expected


def test_a_place_of_another_protocol_is_refused() -> None:
    with pytest.raises(Malformed, match="a place of ASTM"):
        learned(asked(message(GLUCOSE), unit="OBX-6"))


def test_a_capture_without_results_teaches_nothing() -> None:
    with pytest.raises(Malformed, match="at least one result record"):
        asked(b"H|\\^&|||x\rL|1|N\r")


def test_a_header_that_a_known_driver_claims_cannot_be_claimed_again() -> None:
    header = rb"H|\^&|||XP-100^00-13^^^^A1||||||||E1394-97"
    raw = message(GLUCOSE, header=header)
    proposal = asked(raw)

    assert (proposal.known_driver, proposal.answers["identity"]) == ("sysmex-xp-100", "")
    with pytest.raises(Malformed, match="claims this header already"):
        learned(asked(raw, identity="H.5.1=XP-100"))
    assert learned(proposal).identity == ()


def test_an_identity_of_its_own_is_an_exact_text() -> None:
    assert learned(asked(message(GLUCOSE))).identity == ((FieldRule("H.5.1", r"Analyte\ 9"),),)


def test_a_code_before_a_slash_is_the_code() -> None:
    rows = (GLUCOSE.replace(b"GLU", b"717/"), SODIUM.replace(b"NA", b"989/2/not"))
    proposal = asked(message(*rows, order=b"O|1|20000021||^^^717|R"))

    assert proposal.answers["test"] == "R.3.4/1"
    assert [one.code for one in proposal.codes] == ["717", "989"]


def test_a_rack_is_no_specimen_though_every_row_has_one() -> None:
    quality = message(GLUCOSE, order=b"O|1|QC|U265^U265|^^^GLU|R")
    units = [message(GLUCOSE, order=b"O|1|20000021|R1^U265|^^^GLU|R"), quality, message(SODIUM)]

    assert asked(*units).answers["specimen"] == "O.3.1"


def test_a_number_of_the_patient_is_only_a_hint() -> None:
    raw = message(GLUCOSE, order=b"O|1|||^^^GLU|R").replace(b"P|1", b"P|1|20000021")
    [specimen] = [one for one in asked(raw).questions if one.name == "specimen"]

    assert specimen.answer == "O.3.1"
    assert [(one.answer, one.confidence) for one in specimen.choices[1:]] == [
        ("P.3", Confidence.HINT)
    ]


_place = st.from_regex(r"([ORHP]\.[1-9](\.[1-9])?|OBX-3)", fullmatch=True)
_answer = st.lists(_place, max_size=3).map(" ".join) | st.lists(_place, max_size=3).map("+".join)


@given(
    name=st.sampled_from(["specimen", "test", "flags", "status", "id_mode", "sender_name", "unit"]),
    answer=_answer,
)
def test_any_places_for_an_answer_are_taken_or_refused_in_words(name: str, answer: str) -> None:
    try:
        learned(asked(message(GLUCOSE, SODIUM), **{name: answer}))
    except Malformed:
        return


HL7 = (
    b"MSH|^~\\&|Novo|N-1|||20261122080000||ORU^R01|1|P|2.3.1||||||UNICODE\r"
    b"PID|1||4711\rOBR|1||20000013|^CBC||20261122070000\r"
    b"OBX|1|NM|6690-2^WBC^LN||9.5|10*9/L^x|4-10|N|||F|||20261122075900\r"
    b"OBX|2|NM|789-8^RBC^LN||4.5|10*12/L^x|4-6|L~Q|||F|||20261122075900\r"
    b"OBX|3|ED|15008^Image^99||^Image^BMP^Base64^Qk0=||||||F\r"
)


def test_hl7_is_learned_by_the_same_questions() -> None:
    proposal = propose(Protocol.HL7, [HL7])

    expected = {
        "specimen": "OBR-3.1",
        "test": "OBX-3.1",
        "value": "OBX-5",
        "unit": "OBX-6.1",
        "flags": "OBX-8",
        "status": "OBX-11",
        "observed_at": "OBX-14",
        "identity": "MSH-4.1=N-1",
        "flag.Q": "unknown",
    }
    assert {name: proposal.answers[name] for name in expected} == expected
    translation = read(learned(proposal), HL7)
    first, second = translation.observations
    assert (first.test, first.unit, first.specimen) == ("6690-2", "10*9/L", "20000013")
    assert second.holds == (Reason.UNKNOWN_FLAG,)


def test_a_message_marked_as_quality_control_is_no_patients() -> None:
    raw = HL7.replace(b"|1|P|2.3.1", b"|1|Q|2.3.1")
    proposal = propose(Protocol.HL7, [raw])

    assert proposal.answers["controls"] == "SPM-11.1=Q; MSH-11.1=Q"
    assert {one.kind for one in read(learned(proposal), raw).observations} == {SubjectKind.CONTROL}


@needs_corpus
def test_a_learned_profile_reads_the_xp_100_as_our_own_does() -> None:
    [unit] = read_any(XP_100.read_bytes()).units
    proposal = asked(unit, **{"id_mode.A": "automatic"})

    own = read(registry.get("sysmex-xp-100"), unit)
    other = read(learned(proposal, "lab-xp-100"), unit)

    assert len(other.observations) == 20
    assert other.observations == own.observations
    assert other.sender == own.sender
    assert replace(other, driver=own.driver, driver_version=own.driver_version) == own


@needs_corpus
def test_every_message_of_the_corpus_is_learned_or_refused_in_words() -> None:
    for path in sorted(path for path in CORPUS.glob("*/**/*") if path.is_file()):
        reading = read_any(path.read_bytes()[:200_000])
        if reading.protocol is None:
            continue
        try:
            proposal = propose(Protocol(reading.protocol), reading.units[:20])
            profile = learned(proposal)
        except Malformed:
            continue
        for unit in reading.units[:20]:
            read(profile, unit)
            rows_of(profile, unit)


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_records_are_learned_or_refused_in_words(rows: list[bytes]) -> None:
    raw = message(*(b"R|" + row.replace(b"\r", b"") for row in rows))

    try:
        profile = learned(asked(raw))
    except Malformed:
        return
    read(profile, raw)


@given(st.binary(max_size=300))
def test_any_bytes_behind_msh_are_learned_or_refused_in_words(rest: bytes) -> None:
    raw = b"MSH|^~\\&|a|b|||1||ORU^R01|1|P|2.3\rOBX|1|NM|" + rest

    try:
        profile = learned(propose(Protocol.HL7, [raw]))
    except Malformed:
        return
    rows_of(profile, raw)


def test_a_message_is_shown_field_by_field_with_what_is_read_there() -> None:
    raw = message(GLUCOSE)
    rows = rows_of(learned(asked(raw)), raw)

    [result] = [row for row in rows if row.name == "R|1"]
    cells = {cell.place: cell for cell in result.cells}
    assert (cells["R.4"].text, cells["R.4"].uses) == ("5.5", ("value",))
    assert [(part.place, part.uses) for part in cells["R.3"].parts] == [("R.3.4", ("test",))]
    assert not cells["R.2"].is_used
