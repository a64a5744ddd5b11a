"""What LAW analyzers say, and what we answer: each rule of the reference with the message that could break it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.messages import (
    HostQuery,
    IdReadMode,
    OrderedTest,
    OrderProgress,
    ProgressKind,
    Reason,
    ReportedObservation,
    SpecimenOrders,
    SubjectKind,
    Translation,
    ValueBasis,
)
from lis.drivers import order_records, registry, translate
from lis.drivers.law_orders import refused_query, split_answer, take_back
from lis.drivers.profile import Profile
from lis.wire.hl7 import Message
from lis.wire.hl7_ack import ErrorCode
from lis.wire.law_check import errors
from lis.wire.law_replies import is_negative, steps_of
from tests.conftest import CORPUS

RECEIVED_AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
AT = datetime(2026, 11, 22, 9, 0, 5, tzinfo=UTC)
LAW = [profile for profile in registry.profiles().values() if profile.law is not None]
PRO = registry.get("roche-cobas-pro")
TUBE = "2611000017"
STEP = "0190a1b2-0000-7000-8000-000000000001"
SUPPLEMENT = "^S_OTHER^Other_Supplemental^IHELAW"
profiles = pytest.mark.parametrize("profile", LAW, ids=lambda profile: profile.key)


def head(kind: str, transaction: str, control_id: str = "71") -> str:
    return (
        rf"MSH|^~\&|cobas pro||host||20261122080000+0000||{kind}|{control_id}|P|2.5.1"
        f"|||NE|AL||UNICODE UTF-8|||{transaction}"
    )


def read(*lines: str, key: str = "roche-cobas-pro") -> Translation:
    raw = b"".join(line.encode() + b"\r" for line in lines)
    return translate(registry.get(key), raw, zone=UTC, received_at=RECEIVED_AT)


def row(
    code: str = "20490",
    value: str = "32.2",
    *,
    number: int = 1,
    kind: str = "NM",
    run: str = "1",
    supplement: str = "",
    flag: str = "N^^HL70078",
    status: str = "F",
) -> str:
    return (
        f"OBX|{number}|{kind}|{code}^{code}^99ROC{supplement}|{run}|{value}|mg/L^^99ROC||{flag}|||{status}"
        "|||||op~REALTIME||c503^ROCHE~^ROCHE~1^ROCHE|20261122075900||||||||||RSLT"
    )


def oul(
    *rows: str,
    step: str = '""',
    state: str = "CM",
    role: str = "P",
    spm: str = f"{TUBE}&BARCODE",
    predilution: str = "^1^:^1",
    inventory: Sequence[str] = (),
    code: str = "20490",
) -> Translation:
    gap = "|" * 18
    return read(
        head("OUL^R22^OUL_R22", "LAB-29^IHE"),
        "PID|||||^^^^^^U|||U",
        f"SPM|1|{spm}||SERPLAS^^99ROC|||||||{role}^^HL70369",
        f"SAC|||{spm.replace('&', '^')}|||||||50120|2{gap}{predilution}",
        *inventory,
        f"OBR|1|{step}||{code}^^99ROC",
        f"ORC|SC||||{state}",
        *rows,
    )


def one(translation: Translation) -> ReportedObservation:
    [observation] = translation.observations
    return observation


def ask(name: str = "INIBAR^^99ROC", *fields: str, key: str = "roche-cobas-pro") -> HostQuery:
    asked = "|".join(fields or (TUBE, "50044", "3", "", "", "", "", "SERPLAS^^99ROC", "SC^^99ROC"))
    translation = read(
        head("QBP^Q11^QBP_Q11", "LAB-27R^ROCHE", "Q-1"),
        f"QPD|{name}|tag-1|{asked}",
        "RCP|I|1|R^^HL70394",
        key=key,
    )
    [query] = translation.queries
    return query


def answer(
    query: HostQuery | None, *entries: SpecimenOrders, profile: Profile = PRO
) -> tuple[bytes, ...]:
    return order_records(profile, entries, at=AT, control_id="Q5-0", query=query)


def work(*codes: str, specimen: str = TUBE, dilution: Decimal | None = None) -> SpecimenOrders:
    return SpecimenOrders(
        specimen=specimen,
        specimen_type="SER",
        patient_id="0190-patient",
        family_name="Ёлкина",
        given_name="Ия",
        birth_date="19800101",
        sex="F",
        tests=tuple(
            OrderedTest(work_order=f"{STEP[:-1]}{number}", test=code, dilution=dilution)
            for number, code in enumerate(codes, 1)
        ),
    )


# ------------------------------------------------------------------ questions


def test_LAW_R01_a_question_is_answered_by_a_reply_and_by_a_message_of_our_own() -> None:
    replies, orders = split_answer(answer(ask(), work("20490", "20340")))

    [reply], [order] = replies, orders
    assert Message.parse(reply).structure == "RSP_K11"
    assert Message.parse(order).structure == "OML_O33"
    assert Message.parse(reply).control_id != Message.parse(order).control_id


def test_LAB27_001_the_reply_is_understood_before_there_is_an_order() -> None:
    [reply], _ = split_answer(answer(ask(), work("20490")))
    msa = Message.parse(reply).first("MSA")

    assert msa is not None
    assert (msa.component(1), msa.component(2)) == ("AA", "Q-1")


def test_LAB27_003_the_order_is_an_initiation_and_asks_for_its_answer() -> None:
    _, [order] = split_answer(answer(ask(), work("20490")))
    header = Message.parse(order).header

    assert (header.component(15), header.component(16)) == ("NE", "AL")
    assert Message.parse(order).control_id == "Q5-0.1"


@profiles
def test_LAW_R02_no_work_is_four_segments_with_dc_and_the_role_u(profile: Profile) -> None:
    query = ask("WOS^Work Order Step^IHELAW", TUBE, key=profile.key)
    _, [order] = split_answer(
        answer(query, SpecimenOrders(specimen=TUBE, tests=()), profile=profile)
    )
    message = Message.parse(order)
    names = [segment.name for segment in message.segments]

    assert is_negative(message)
    assert names in (["MSH", "SPM", "SAC", "ORC"], ["MSH", "SPM", "ORC"])
    assert TUBE in order.decode()
    assert errors(message) == ()


def test_LAW_R03_and_LAB28_007_an_answer_carries_only_the_container_that_was_asked_for() -> None:
    _, orders = split_answer(answer(ask(), work("20490", "20340")))

    [message] = [Message.parse(order) for order in orders]
    assert len(message.all("SPM")) == 1
    spm = message.first("SPM")
    assert spm is not None
    assert spm.component(2, 1, sub=1) == TUBE


def test_everything_is_answered_container_by_container() -> None:
    query = ask("WOS_ALL^Work Order Step^IHELAW", "")
    _, orders = split_answer(
        answer(query, work("20490", specimen="2611000025"), work("20490", specimen="2611000033"))
    )

    assert query.wants_all
    assert [len(Message.parse(order).all("SPM")) for order in orders] == [1, 1]
    assert len({Message.parse(order).control_id for order in orders}) == 2


@pytest.mark.parametrize("name", ["INISEQ^^99ROC", "WOS_BY_RACK^Work Order Step^IHELAW"])
def test_S16_a_number_of_the_analyzers_own_is_nobodys_specimen(name: str) -> None:
    query = ask(name, "17", "50044", "3")
    _, [order] = split_answer(answer(query))

    assert query.specimens == ()
    assert not query.wants_all
    assert is_negative(Message.parse(order))


def test_a_question_that_nobody_knows_is_no_query() -> None:
    translation = read(
        head("QBP^Q11^QBP_Q11", "LAB-27^IHE"), "QPD|NEWQUERY^^99ROC|t|17", "RCP|I|1|R^^HL70394"
    )

    assert translation.queries == ()


def test_a_question_that_nobody_knows_is_refused_with_its_reason() -> None:
    asked = Message.parse(
        "\r".join([head("QBP^Q11^QBP_Q11", "LAB-27^IHE"), "QPD|NEW^^X|t|17", "RCP|I||R"]).encode()
    )
    reply = Message.parse(
        refused_query(PRO, asked, at=AT, control_id="R1", error=ErrorCode.TABLE_VALUE_NOT_FOUND)
    )
    msa, err = reply.first("MSA"), reply.first("ERR")

    assert msa is not None
    assert err is not None
    assert msa.component(1) == "AR"
    assert err.component(3) == "103"
    assert errors(reply) == ()


# ------------------------------------------------------------------ orders


@profiles
def test_every_order_keeps_to_the_framework_and_to_hl7(profile: Profile) -> None:
    query = ask("WOS^Work Order Step^IHELAW", TUBE, key=profile.key)
    payloads = answer(query, work("A1"), profile=profile)
    written = [*payloads, take_back(profile, work("A1"), at=AT, control_id="C1")]

    for payload in written:
        assert errors(Message.parse(payload)) == ()
        parse_message(payload.decode(), validation_level=VALIDATION_LEVEL.STRICT).validate()


@pytest.mark.parametrize(
    ("asked", "order"), [("LAB-27R^ROCHE", "LAB-28R^ROCHE"), ("LAB-27^IHE", "LAB-28^IHE")]
)
def test_an_order_speaks_in_the_words_of_its_question(asked: str, order: str) -> None:
    lines = (head("QBP^Q11^QBP_Q11", asked), f"QPD|INIBAR^^99ROC|t|{TUBE}", "RCP|I||R")
    [query] = read(*lines).queries
    reply, message = (Message.parse(payload) for payload in answer(query, work("20490")))

    assert reply.header.raw_field(21) == asked
    assert message.header.raw_field(21) == order


def test_a_cobas_pro_hears_rack_position_and_sample_type_of_its_question() -> None:
    _, [order] = split_answer(answer(ask(), work("20490", "20340")))
    message = Message.parse(order)
    spm, sac = message.first("SPM"), message.first("SAC")

    assert spm is not None
    assert sac is not None
    assert spm.raw_field(2) == f"{TUBE}&BARCODE"
    assert spm.raw_field(4) == "SERPLAS^^99ROC"
    assert spm.raw_field(27) == "SC^^99ROC"
    assert sac.raw_field(3) == f"{TUBE}^BARCODE"
    assert (sac.component(10), sac.component(11)) == ("50044", "3")
    assert [obr.raw_field(4) for obr in message.all("OBR")] == ["20490^^99ROC", "20340^^99ROC"]


def test_LAW_R06_and_LAB28_006_a_step_has_the_id_of_its_work_order_whenever_it_is_sent() -> None:
    first = split_answer(answer(ask(), work("20490", "20340")))[1][0]
    again = split_answer(answer(ask(), work("20490", "20340")))[1][0]

    assert first == again
    ids = [step_id for step_id, _ in steps_of(Message.parse(first))]
    assert ids == [test.work_order for test in work("20490", "20340").tests]


def test_LAW_R07_a_step_is_taken_back_under_its_own_id() -> None:
    message = Message.parse(take_back(PRO, work("20490"), at=AT, control_id="C9"))

    assert steps_of(message) == ((f"{STEP[:-1]}1", "CA"),)
    assert message.first("PID") is None
    assert message.control_id == "C9"


def test_LAW_R11_work_goes_out_unasked_as_one_message_for_each_container() -> None:
    orders = answer(None, work("20490"), work("20340", specimen="2611000025"))

    assert [Message.parse(order).structure for order in orders] == ["OML_O33", "OML_O33"]
    assert [errors(Message.parse(order)) for order in orders] == [(), ()]
    assert answer(None) == ()


def test_one_step_orders_all_results_of_a_test() -> None:
    profile = registry.get("roche-cobas-x800")
    [order] = answer(None, work("72828-7^CT", "72828-7^NG"), profile=profile)

    assert [obr.component(4) for obr in Message.parse(order).all("OBR")] == ["72828-7"]


def test_a_dilution_that_a_person_asked_for_is_a_ratio() -> None:
    [order] = answer(None, work("20490", dilution=Decimal("10.0")))
    tcd = Message.parse(order).first("TCD")

    assert tcd is not None
    assert tcd.raw_field(2) == "^1^:^10"


def test_what_is_not_known_is_not_written_as_something_likely() -> None:
    entry = SpecimenOrders(
        specimen=TUBE, specimen_type="XYZ", tests=(OrderedTest(work_order=STEP, test="1"),)
    )
    [order] = answer(None, entry)
    spm = Message.parse(order).first("SPM")

    assert spm is not None
    assert spm.raw_field(4) == '""'
    assert Message.parse(order).first("PID") is None


# ------------------------------------------------------------------ results


def test_LAW_R08_and_LAW_005_a_result_nobody_ordered_is_read_like_others() -> None:
    translation = oul(row(), step='""')

    assert one(translation).specimen == TUBE
    assert one(translation).read_mode is IdReadMode.BARCODE
    assert translation.progress == ()


def test_LAW_007_a_reflex_step_of_the_analyzers_own_is_read_like_others() -> None:
    translation = oul(row("20340"), step="")

    assert one(translation).test == "20340"
    assert translation.progress == ()


def test_LAW_R09_and_LAW_006_the_state_of_a_step_comes_with_or_without_values() -> None:
    started = oul(step=STEP, state="IP")
    done = oul(row(status="C"), step=STEP)
    stopped = oul(step=STEP, state="CA")

    assert started.progress == (OrderProgress(step_id=STEP, kind=ProgressKind.STARTED),)
    assert started.observations == ()
    assert done.progress == (OrderProgress(step_id=STEP, kind=ProgressKind.COMPLETED),)
    assert one(done).status.value == "corrected"
    assert stopped.progress == (OrderProgress(step_id=STEP, kind=ProgressKind.STOPPED),)


def test_LAW_R12_a_control_has_no_patient_and_says_which_it_is() -> None:
    found = one(
        oul(
            row(),
            role="Q",
            spm="20391&CONTROL",
            inventory=["INV|20391^PCCC1^99ROC|OK^^HL70383|CO^^HL70384"],
        )
    )

    assert found.kind is SubjectKind.CONTROL
    assert found.control is not None
    assert (found.control.material, found.control.level) == ("20391", "PCCC1")


def test_LAW_R12_a_cobas_4800_marks_every_tube_so_only_its_inventory_tells_a_control() -> None:
    header = head("OUL^R22^OUL_R22", "LAB-29^IHE").replace("cobas pro", "cobas 4800 software 2.3")
    group = (
        'SPM|1|{tube}&ROCHE||""|||||||Q^^HL70369',
        "SAC|||{tube}",
        "{inventory}",
        'OBR||""||0A^0A^99ROC',
        "ORC|SC||||CM",
        'OBX|1|ST|0A^0A^99ROC|1.1|Invalid|||""|||F|||||op||C4800^Roche|20261122075900',
    )
    patient = [line.format(tube="VL1", inventory="TQ1|1") for line in group]
    control = [
        line.format(tube="HPC", inventory="INV|HPosCtrl^^99ROC|OK^^HL70383|CO^^HL70384")
        for line in group
    ]

    kinds = [
        (found.specimen, found.kind)
        for found in read(header, *control, *patient, key="roche-cobas-4800").observations
    ]
    assert kinds == [("HPC", SubjectKind.CONTROL), ("VL1", SubjectKind.PATIENT)]


def test_LAW_R13_a_flag_row_belongs_to_the_value_with_the_same_code_and_run() -> None:
    alarm = row(value="41^^99ROC", kind="CE", run="2", number=3)
    none = row(value="^^99ROC", kind="CE", run="1", number=2)
    first, second = oul(row(), none, row(value="33.0", run="2"), alarm).observations

    assert (first.run, first.flags, first.holds) == ("1", ("N",), ())
    assert (second.run, second.flags) == ("2", ("N", "41"))
    assert second.holds == (Reason.UNKNOWN_FLAG,)


def test_LAW_R13_a_flag_row_without_its_value_is_seen_and_goes_to_nobody() -> None:
    alarm = row("20340", "41^^99ROC", kind="CE", run="7", number=2)
    value, stray = oul(row(), alarm).observations

    assert value.holds == ()
    assert stray.part_of == ""
    assert stray.test.startswith("20340")


def test_LAW_R14_only_the_row_of_the_test_is_the_result() -> None:
    rows = (
        row(),
        row("PT", "20261122075000", kind="DTM", number=3, supplement=SUPPLEMENT),
        row("QCSTATE", "2^^99ROC", kind="CE", number=4, supplement=SUPPLEMENT),
        row("DIL", "1", number=5, supplement="^S_RAW^Raw^IHELAW"),
    )
    result, *behind = oul(*rows).observations

    assert (result.test, result.part_of) == ("20490", "")
    assert [entry.test for entry in behind] == ["20490^PT", "20490^QCSTATE", "20490^DIL"]
    assert {entry.part_of for entry in behind} == {result.record}


def test_a_supplement_that_could_belong_to_two_tests_is_a_row_of_its_own() -> None:
    stray = row("PT", "1", number=3, supplement=SUPPLEMENT, run="9")
    *_, last = oul(row(), row("20340", run="2"), stray).observations

    assert last.part_of == ""
    assert last.test.startswith("PT")


@pytest.mark.parametrize(
    ("predilution", "dilution", "factor", "basis"),
    [
        ("^1^:^1", "^1^:^1", Decimal(1), ValueBasis.UNDILUTED),
        ("^1^:^1", "^1^:^10", Decimal(10), ValueBasis.UNKNOWN),
        ("^1^:^5", "^1^:^1", Decimal(5), ValueBasis.UNKNOWN),
        ("^1^:^5", "^1^:^10", Decimal(50), ValueBasis.UNKNOWN),
        ("", "^1^:^0", None, ValueBasis.UNKNOWN),
        ("", "ten", None, ValueBasis.UNKNOWN),
        ("", "", None, ValueBasis.UNDILUTED),
    ],
)
def test_S25_a_dilution_is_a_factor_and_never_assumed_to_be_in_the_value(
    predilution: str, dilution: str, factor: Decimal | None, basis: ValueBasis
) -> None:
    found = one(oul(row(), f"TCD|20490^^99ROC|{dilution}", predilution=predilution))

    assert (found.dilution, found.basis) == (factor, basis)


def test_the_lot_is_that_of_the_tests_own_reagent() -> None:
    inventory = [
        "INV|1|OK^^HL70383~CURRENT^^99ROC|SPR|1|1|1||||||20281130||||654893",
        "INV|1|OK^^HL70383~CURRENT^^99ROC|R1|1|1|1||||||20281130||||661052",
    ]

    assert one(oul(row(), *inventory)).reagent_lot == "661052"


def test_two_quotation_marks_are_nothing() -> None:
    found = one(oul(row(flag='""')))

    assert (found.flags, found.holds) == ((), ())


def test_an_unknown_flag_holds_its_result() -> None:
    assert one(oul(row(flag="10^^99ROC~112^^99ROC"))).holds == (Reason.UNKNOWN_FLAG,)


def test_an_id_that_was_not_read_from_a_barcode_is_held() -> None:
    assert Reason.ID_NOT_FROM_BARCODE in one(oul(row(), spm=f"{TUBE}&MANUAL")).holds


def test_the_real_cobas_pro_message_says_what_was_keyed_by_hand() -> None:
    found = [
        path
        for path in sorted((CORPUS / "hl7" / "medplum__medplum").rglob("*"))
        if path.is_file() and b"OUL^R22" in path.read_bytes()
    ]
    if not found:
        pytest.skip("no corpus; set LIS_CORPUS")
    result, *behind = translate(
        PRO, found[0].read_bytes(), zone=UTC, received_at=RECEIVED_AT
    ).observations

    assert (result.test, result.value.text, result.value.number) == (
        "20490",
        "32.2",
        Decimal("32.2"),
    )
    assert (result.unit, result.flags, result.status.value) == ("mg/L", ("N",), "final")
    assert (result.run, result.module, result.reagent_lot) == ("1", "c503^1", "256616")
    assert (result.dilution, result.basis) == (Decimal(1), ValueBasis.UNDILUTED)
    assert result.read_mode is IdReadMode.BARCODE
    assert result.observed_at == datetime(2018, 2, 22, 15, 8, 42, tzinfo=UTC)
    assert len(behind) == 5
    assert {entry.part_of for entry in behind} == {result.record}


@given(
    rows=st.lists(
        st.sampled_from(["OBX", "TCD", "INV", "NTE", "ORC", "SPM", "SAC", "OBR", "PID"]),
        max_size=25,
    ),
    text=st.text(max_size=20),
)
def test_any_row_of_segments_is_read_without_a_crash(rows: list[str], text: str) -> None:
    plain = text.replace("\r", "").replace("\n", "")
    lines = [f"{name}|1|{plain}|{plain}|{plain}|{plain}" for name in rows]
    for profile in LAW:
        raw = "\r".join([head("OUL^R22^OUL_R22", "LAB-29^IHE"), *lines]).encode()
        translate(profile, raw, zone=UTC, received_at=RECEIVED_AT)
