"""What each ASTM dialect hears when it asks: records typed by hand from the sources that its profile names."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from lis.domain.messages import HostQuery, OrderedTest, SpecimenOrders
from lis.drivers import order_records, registry, translate
from lis.drivers.profile import Profile
from lis.wire.astm_record import Message

AT = datetime(2026, 11, 22, 6, 30, tzinfo=UTC)
ANNA = {
    "patient_id": "4711",
    "family_name": "Test",
    "given_name": "Anna",
    "birth_date": "19800102",
    "sex": "F",
    "collected_at": datetime(2026, 11, 22, 5, 0, tzinfo=UTC),
}


def ordered(specimen: str, *codes: str, specimen_type: str = "SER") -> SpecimenOrders:
    tests = tuple(OrderedTest(work_order=code, test=code) for code in codes)
    return SpecimenOrders(specimen=specimen, tests=tests, specimen_type=specimen_type, **ANNA)


def asked(profile: Profile, header: str, question: str) -> HostQuery:
    """The query as the driver reads it from the instrument's records."""
    raw = "\r".join((header, question, "L|1|N", "")).encode()
    [query] = translate(profile, raw, zone=UTC, received_at=AT).queries
    return query


def answer(profile: Profile, query: HostQuery, *orders: SpecimenOrders) -> list[str]:
    records = order_records(profile, orders, at=AT, control_id="M1", query=query)
    return [record.decode() for record in records]


# ------------------------------------------------------------------ cobas c311

C311 = registry.get("roche-cobas-c311")
C311_HEAD = r"H|\^&|||c311^1|||||host|TSREQ^REAL|P|1"
C311_ASKS = "Q|1|^^              20000013^3^50002^002^^S1^SC||ALL||||||||O"


def test_c311_gets_its_padded_id_and_its_rack_fields_back() -> None:
    query = asked(C311, C311_HEAD, C311_ASKS)

    assert answer(C311, query, ordered("20000013", "717", "418")) == [
        r"H|\^&|||host^1|||||c311|TSDWN^REPLY|P|1",
        "P|1",
        r"O|1|              20000013|3^50002^002^^S1^SC|^^^717^\^^^418^|R||||||A||||1||||||||||O",
        "L|1|N",
    ]


def test_c311_that_asked_in_vain_gets_an_order_without_tests() -> None:
    query = asked(C311, C311_HEAD, C311_ASKS)

    assert answer(C311, query, SpecimenOrders(specimen="20000013", tests=())) == [
        r"H|\^&|||host^1|||||c311|TSDWN^REPLY|P|1",
        "P|1",
        "O|1|              20000013|3^50002^002^^S1^SC||R||||||A||||1||||||||||O",
        "L|1|N",
    ]


def test_c311_hears_nothing_after_it_took_its_query_back() -> None:
    query = asked(C311, C311_HEAD, C311_ASKS.replace("||||||||O", "||||||||A"))

    assert query.is_cancel
    assert answer(C311, query) == []


@pytest.mark.parametrize(("sample", "descriptor"), [("S2", "2"), ("S5", "5"), ("S0", "")])
def test_c311_gets_the_descriptor_of_the_sample_type_it_named(sample: str, descriptor: str) -> None:
    query = asked(C311, C311_HEAD, C311_ASKS.replace("S1", sample))

    records = answer(C311, query, ordered("20000013", "717"))

    assert Message.parse([record.encode() for record in records]).records[2].field(16) == descriptor


def test_c311_that_asks_for_a_tube_without_a_number_gets_nobodys_orders() -> None:
    query = asked(C311, C311_HEAD, "Q|1|^^                      ^4^50002^003^^S1^SC||ALL||||||||O")

    assert (query.specimens, query.wants_all) == (("",), False)
    assert answer(C311, query, SpecimenOrders(specimen="", tests=()))[2] == (
        "O|1|                      |4^50002^003^^S1^SC||R||||||A||||1||||||||||O"
    )


# ------------------------------------------------------------------ cobas e411

E411 = registry.get("roche-cobas-e411")
E411_HEAD = r"H|\^&|||cobas-e411^1|||||host|TSREQ^REAL|P|1"
E411_ASKS = "Q|1|^^000004^40^0^5^^S1^SC||ALL||||||||O"


def test_e411_gets_the_answer_that_its_manual_prints_on_page_51() -> None:
    orders = ordered("000004", "10", "30", "40")
    diluted = (orders.tests[0], replace(orders.tests[1], dilution=Decimal(2)), orders.tests[2])
    query = asked(E411, E411_HEAD, E411_ASKS)

    assert answer(E411, query, replace(orders, tests=diluted)) == [
        r"H|\^&|||host^1|||||cobas-e411|TSDWN^REPLY|P|1",
        "P|1",
        r"O|1|000004|40^0^5^^S1^SC|^^^10^\^^^30^2\^^^40^|R||||||A||||1||||||||||O",
        "L|1|N",
    ]


def test_e411_gets_the_empty_answer_that_its_manual_prints_on_page_51() -> None:
    query = asked(E411, E411_HEAD, E411_ASKS)

    assert answer(E411, query) == [
        r"H|\^&|||host^1|||||cobas-e411|TSDWN^REPLY|P|1",
        "P|1",
        "O|1|000004|40^0^5^^S1^SC||R||||||A||||1||||||||||O",
        "L|1|N",
    ]


def test_e411_cancels_what_was_not_answered_in_time() -> None:
    query = asked(E411, E411_HEAD, E411_ASKS.replace("||||||||O", "||||||||A"))

    assert (query.specimens, query.is_cancel) == (("000004",), True)
    assert answer(E411, query) == []


# ------------------------------------------------------------------ Sysmex XN and XN-L

XN_HEAD = r"H|\^&|||    XN-10^00-22^11001^^^^AW000002||||||||E1394-97"
XN_ASKS = "Q|1|2^5^              20000013^B||||20261122063000||||||N"


@pytest.mark.parametrize("key", ["sysmex-xn", "sysmex-xn-l"])
def test_xn_gets_back_rack_position_number_and_how_it_was_read(key: str) -> None:
    profile = registry.get(key)
    query = asked(profile, XN_HEAD, XN_ASKS)

    assert answer(profile, query, ordered("20000013", "WBC", "HGB", specimen_type="BLD")) == [
        r"H|\^&|||LIS||||||||E1394-97",
        "P|1|||4711|^Anna^Test||19800102|F",
        r"O|1|2^5^              20000013^B||^^^^WBC\^^^^HGB||20261122063000|||||N||||||||||||||Q",
        "L|1|N",
    ]


def test_xn_is_told_that_there_is_no_order() -> None:
    profile = registry.get("sysmex-xn")
    query = asked(profile, XN_HEAD, XN_ASKS)

    assert answer(profile, query) == [
        r"H|\^&|||LIS||||||||E1394-97",
        "P|1",
        "O|1|2^5^              20000013^B||||20261122063000|||||N||||||||||||||Y",
        "L|1|N",
    ]


# ------------------------------------------------------------------ Abbott ARCHITECT

ARCHITECT = registry.get("abbott-architect")
ARCHITECT_HEAD = r"H|\^&|||ARCHITECT^9.45^F3450000002^H1P1O1R1C1Q1L1|||||||P|1|20261122063000"
ARCHITECT_ASKS = "Q|1|^20000013||^^^ALL||||||||O"


def test_architect_gets_its_orders() -> None:
    query = asked(ARCHITECT, ARCHITECT_HEAD, ARCHITECT_ASKS)

    assert answer(ARCHITECT, query, ordered("20000013", "580", "21")) == [
        r"H|\^&|||LIS|||||ARCHITECT||P|1|20261122063000",
        "P|1|4711|||Test^Anna||19800102|F",
        r"O|1|20000013||^^^580\^^^21|R|20261122063000|||||A||||||||||||||Q",
        "L|1|F",
    ]


def test_architect_gets_its_question_back_when_there_is_nothing() -> None:
    query = asked(ARCHITECT, ARCHITECT_HEAD, ARCHITECT_ASKS)

    assert answer(ARCHITECT, query) == [
        r"H|\^&|||LIS|||||ARCHITECT||P|1|20261122063000",
        "Q|1|^20000013||^^^ALL||||||||X",
        "L|1|F",
    ]


# ------------------------------------------------------------------ Beckman Coulter

ACCESS = registry.get("beckman-access-2")
ACCESS_HEAD = r"H|\^&|||ACCESS^575002|||||LIS||P|1|20261122063000"
DXH = registry.get("beckman-dxh")
DXH_HEAD = "H|\\!~|(0:0-144#123, 571)||DxH|||||LIS||P|LIS2-A|20261122063000"


def test_access_gets_its_orders() -> None:
    query = asked(ACCESS, ACCESS_HEAD, "Q|1|^20000013||ALL||||||||O")

    assert answer(ACCESS, query, ordered("20000013", "hLH", "CEA2")) == [
        r"H|\^&|||LIS|||||ACCESS^575002||P|1|20261122063000",
        "P|1|4711|||Test^Anna||19800102|F",
        r"O|1|20000013||^^^hLH\^^^CEA2|R||||||A||||Serum",
        "L|1|F",
    ]


def test_a_specimen_type_that_the_instrument_has_no_word_for_is_left_out() -> None:
    query = asked(ACCESS, ACCESS_HEAD, "Q|1|^20000013||ALL||||||||O")

    records = answer(ACCESS, query, ordered("20000013", "CEA2", specimen_type="UR"))

    assert records[2] == "O|1|20000013||^^^CEA2|R||||||A"


def test_dxh_gets_its_message_id_and_a_panel_in_its_own_delimiters() -> None:
    query = asked(DXH, DXH_HEAD, "Q|1|!20000013||ALL||||||||O")

    assert answer(DXH, query, ordered("20000013", "WBC", "HGB", specimen_type="BLD")) == [
        "H|\\!~|(0:0-144#123, 571)||DxH|||||LIS||P",
        "P|1||4711||||19800102|F",
        "O|1|20000013||!!!CD|R||||||N||||Whole blood",
        "L|1|N",
    ]


# ------------------------------------------------------------------ others that ask for one tube

IMMULITE = registry.get("siemens-immulite")
MAGLUMI = registry.get("snibe-maglumi")
MINDRAY = registry.get("mindray-bs-cl-astm")


def test_immulite_gets_each_test_in_an_order_of_its_own() -> None:
    query = asked(
        IMMULITE,
        r"H|\^&||PASSWORD|DPC|||||SYSTEM||P|1|20261122063000",
        "Q|1|^20000013||ALL||||||||O",
    )

    assert answer(IMMULITE, query, ordered("20000013", "TSH", "FT3")) == [
        r"H|\^&|||LIS|||||DPC||P|1",
        "P|1||||Test^Anna",
        "O|1|20000013||^^^TSH|R||20261122050000",
        "O|2|20000013||^^^FT3|R||20261122050000",
        "L|1|N",
    ]


def test_maglumi_gets_each_test_in_an_order_of_its_own() -> None:
    query = asked(
        MAGLUMI,
        r"H|\^&||PSWD|Maglumi User|||||Lis||P|E1394-97|20261122",
        "Q|1|^20000013||ALL||||||||O",
    )

    assert answer(MAGLUMI, query, ordered("20000013", "TSH II", "FT4 II")) == [
        r"H|\^&|||LIS|||||Maglumi User||P|E1394-97|20261122063000",
        "P|1",
        "O|1|20000013||^^^TSH II|R",
        "O|2|20000013||^^^FT4 II|R",
        "L|1|N",
    ]


MINDRAY_HEAD = r"H|\^&|||Mindry^^|||||||RQ|1394-97|20261122063000"


def test_mindray_gets_a_sample_answer_with_codes_in_the_first_component() -> None:
    query = asked(MINDRAY, MINDRAY_HEAD, "Q|221|^20000013||||||||||O")

    assert answer(MINDRAY, query, ordered("20000013", "GLU", "UREA")) == [
        r"H|\^&|||Mindry^^|||||||SA|1394-97|20261122063000",
        "P|1||4711||Test^Anna||19800102|F",
        r"O|1||20000013|GLU^^2^1\UREA^^2^1|R|20261122063000|20261122050000||||||||serum||||||||||Q",
        "L|1|N",
    ]


def test_mindray_hears_qa_when_the_sample_is_unknown() -> None:
    query = asked(MINDRAY, MINDRAY_HEAD, "Q|221|^20000013||||||||||O")

    assert answer(MINDRAY, query, SpecimenOrders(specimen="20000013", tests=())) == [
        r"H|\^&|||Mindry^^|||||||QA|1394-97|20261122063000",
        "L|1|I",
    ]


# ------------------------------------------------------------------ lists, ranges, everything

TOP = registry.get("werfen-acl-top")
TOP_HEAD = "H|@^\\|<147_19838><147_19839>||acltop|||||Lab 1||P|1394-97|20261122063000"


def test_acl_top_asks_for_several_tubes_and_gets_those_that_have_work() -> None:
    query = asked(TOP, TOP_HEAD, "Q|1|^20000013@^20000021@^20000030||||||||||O@N")
    nothing = SpecimenOrders(specimen="20000021", tests=())
    orders = (
        ordered("20000013", "1551^s", "1551^Ratio", specimen_type="PLAS"),
        nothing,
        ordered("20000030", "1552^s", specimen_type="PLAS"),
    )

    assert query.specimens == ("20000013", "20000021", "20000030")
    assert answer(TOP, query, *orders) == [
        "H|@^\\|<147_19838><147_19839>||Lab 1|||||acltop||P|1394-97|20261122063000",
        "P|1||4711||Test^Anna||19800102|F",
        "O|1|20000013||^^^1551|R|20261122063000|||||A||||P||||||||||Q",
        "P|2||4711||Test^Anna||19800102|F",
        "O|1|20000030||^^^1552|R|20261122063000|||||A||||P||||||||||Q",
        "L|1|F",
    ]


def test_acl_top_that_asked_in_vain_is_told_so() -> None:
    query = asked(TOP, TOP_HEAD, "Q|1|^20000013||||||||||O@N")

    assert answer(TOP, query) == [
        "H|@^\\|<147_19838><147_19839>||Lab 1|||||acltop||P|1394-97|20261122063000",
        "L|1|I",
    ]


ASKING = [
    *("abbott-architect", "beckman-access-2", "beckman-dxh", "cepheid-genexpert"),
    *("mindray-bs-cl-astm", "roche-cobas-c311", "roche-cobas-e411", "siemens-immulite"),
    *("snibe-maglumi", "sysmex-xn", "sysmex-xn-l", "werfen-acl-top"),
]


def question(profile: Profile, first: str, last: str = "", *, status: str = "O") -> HostQuery:
    """Q.3 and Q.4 as the standard has them, in the dialect's delimiters."""
    field, repeat, component, escape = profile.quirks.delimiters
    before = component * (profile.query.component - 1)
    until = before + last if last else ""
    asks = "ALL" if first == "ALL" else before + first
    head = f"H{field}{repeat}{component}{escape}{field}M7{field}{field}analyzer"
    text = field.join(("Q", "1", asks, until, "ALL", *[""] * 7, status))
    return asked(profile, head, text)


def specimens_in(profile: Profile, records: list[str]) -> list[str]:
    message = Message.parse([record.encode() for record in records])
    place = profile.orders.specimen_place(profile.query.component)
    orders = [record.component(*place).strip() for record in message.of_type("O")]
    return list(dict.fromkeys(orders))


@pytest.mark.parametrize("key", ASKING)
def test_every_dialect_can_ask_for_a_range_and_gets_the_tubes_in_it(key: str) -> None:
    profile = registry.get(key)
    query = question(profile, "20000013", "20000030")

    assert (query.specimens, query.range_end) == (("20000013",), "20000030")
    records = answer(profile, query, ordered("20000013", "A"), ordered("20000021", "B"))
    assert specimens_in(profile, records) == ["20000013", "20000021"]


@pytest.mark.parametrize("key", ASKING)
def test_every_dialect_can_ask_for_everything(key: str) -> None:
    profile = registry.get(key)
    query = question(profile, "ALL")

    assert (query.specimens, query.wants_all) == ((), True)
    records = answer(profile, query, ordered("20000013", "A"), ordered("20000021", "B"))
    assert specimens_in(profile, records) == ["20000013", "20000021"]


@pytest.mark.parametrize("key", ASKING)
def test_every_dialect_can_take_its_query_back(key: str) -> None:
    profile = registry.get(key)
    query = question(profile, "20000013", status="A")

    assert (query.specimens, query.is_cancel) == (("20000013",), True)
    assert answer(profile, query) == []


@pytest.mark.parametrize("key", ASKING)
def test_every_dialect_gets_an_answer_that_begins_with_h_and_ends_with_l(key: str) -> None:
    profile = registry.get(key)
    query = question(profile, "20000013")

    found, nothing = answer(profile, query, ordered("20000013", "A")), answer(profile, query)

    for records in (found, nothing):
        assert (records[0][0], records[-1][0]) == ("H", "L")
    assert [record[0] for record in found] == ["H", "P", "O", "L"]


@pytest.mark.parametrize("key", ASKING)
def test_no_dialect_lets_a_name_forge_a_record(key: str) -> None:
    profile = registry.get(key)
    orders = replace(ordered("20000013", "A"), family_name="x\rO|9|y|||^^^B", given_name="|^\\@!")

    records = answer(profile, question(profile, "20000013"), orders)

    assert [record[0] for record in records] == ["H", "P", "O", "L"]
    assert not any("\r" in record for record in records)
