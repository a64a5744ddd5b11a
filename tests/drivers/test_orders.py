"""Orders as the instruments get them, in bytes written here by hand from the manuals' facts."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from lis.domain.messages import HostQuery, OrderedTest, Protocol, SpecimenOrders
from lis.drivers import order_records, registry
from lis.drivers.generic import STANDARD
from lis.drivers.profile import Nothing, OrderStyle
from lis.wire.hl7 import Message

AT = datetime(2026, 11, 22, 6, 30, tzinfo=UTC)
QUERY = HostQuery(specimens=("10000017",), echo=("site 9", "^10000017"), record="Q|1")
ORDERS = SpecimenOrders(
    specimen="10000017",
    tests=(
        OrderedTest(work_order="w1", test="MTB-RIF^Xpert"),
        OrderedTest(work_order="w2", test="MTB-RIF^RIF"),
    ),
    specimen_type="ORH",
    patient_id="4711",
    family_name="Test",
    given_name="Anna",
    birth_date="19800102",
    sex="F",
    collected_at=datetime(2026, 11, 22, 5, 0, tzinfo=UTC),
)
GENEXPERT = registry.get("cepheid-genexpert")
XP_100 = registry.get("sysmex-xp-100")
MINDRAY = registry.get("mindray-bc")


def test_genexpert_gets_one_order_for_all_results_of_a_cartridge() -> None:
    records = order_records(
        GENEXPERT, [ORDERS], at=AT, control_id="M1", query=QUERY, zone=ZoneInfo("Europe/Moscow")
    )

    assert records == (
        b"H|@^\\|M1||LIS|||||site 9||P|LIS2-A2|20261122093000",
        b"P|1|4711|||Test^Anna||19800102|F",
        b"O|1|10000017||^^^MTB-RIF|R|20261122093000|20261122050000||||A||||ORH||||||||||Q",
        b"L|1|F",
    )


def test_an_instrument_that_asked_in_vain_is_told_so() -> None:
    nothing = SpecimenOrders(specimen="10000017", tests=())

    records = order_records(GENEXPERT, [nothing], at=AT, control_id="M1", query=QUERY)

    assert [record[:5] for record in records] == [b"H|@^\\", b"L|1|I"]


@pytest.mark.parametrize("query", [None, replace(QUERY, is_cancel=True)])
def test_nobody_is_told_what_nobody_asked(query: HostQuery | None) -> None:
    assert order_records(GENEXPERT, (), at=AT, control_id="M1", query=query) == ()


def test_silence_is_an_answer_where_the_profile_says_so() -> None:
    profile = replace(GENEXPERT, orders=OrderStyle(nothing=Nothing.SILENCE))

    assert order_records(profile, (), at=AT, control_id="M1", query=QUERY) == ()


def test_the_standard_repeats_the_tests_in_one_order() -> None:
    tests = (
        OrderedTest(work_order="w1", test="413"),
        OrderedTest(work_order="w2", test="901", dilution=Decimal("10.0")),
    )
    orders = SpecimenOrders(specimen="10000017", tests=tests)

    records = order_records(registry.get("roche-cobas-c111"), [orders], at=AT, control_id="M1")

    assert records[1] == b"P|1"
    assert records[2].startswith(b"O|1|10000017||^^^413\\^^^901^10|R|20261122063000")
    assert records[2].endswith(b"|O")
    assert records[-1] == b"L|1|N"


def test_text_from_people_cannot_forge_a_field_or_stop_an_order() -> None:
    orders = replace(ORDERS, family_name="Te|st^\r", given_name="Анна")

    records = order_records(registry.get("roche-cobas-c111"), [orders], at=AT, control_id="M1")

    assert records[1] == b"P|1|4711|||Te&F&st&S&&X0D&^????||19800102|F"
    assert len(records) == 4


def test_hl7_without_a_way_to_order_says_nothing() -> None:
    assert order_records(STANDARD[Protocol.HL7], [ORDERS], at=AT, control_id="M1") == ()


ASKED = HostQuery(
    specimens=("10000017",), echo=("55", "BC-5380", "Mindray", "P", "2.3.1", "UNICODE")
)


@pytest.mark.parametrize(
    ("codes", "mode"), [(("6690-2", "718-7"), "CBC"), (("6690-2", "770-8"), "CBC+5DIFF")]
)
def test_mindray_gets_the_mode_that_measures_what_is_wanted(
    codes: tuple[str, ...], mode: str
) -> None:
    tests = tuple(OrderedTest(work_order=code, test=code) for code in codes)
    orders = replace(ORDERS, tests=tests)

    [payload] = order_records(MINDRAY, [orders], at=AT, control_id="M1", query=ASKED)

    reply = Message.parse(payload)
    assert (reply.code, reply.event, reply.version) == ("ORR", "O02", "2.3.1")
    assert reply.header.component(18) == "UNICODE"
    [[msa], [pid], [orc], [obr]] = [reply.all(name) for name in ("MSA", "PID", "ORC", "OBR")]
    assert (msa.component(1), msa.component(2)) == ("AA", "55")
    assert (orc.component(1), orc.component(2), obr.component(2)) == ("AF", "10000017", "10000017")
    assert (pid.component(3), pid.component(5), pid.component(8)) == ("4711", "Test", "Female")
    modes = {row.component(3, 2): row.component(5) for row in reply.all("OBX")}
    assert modes["Test Mode"] == mode


def test_mindray_that_asked_in_vain_gets_ar() -> None:
    [payload] = order_records(MINDRAY, (), at=AT, control_id="M1", query=ASKED)

    msa = Message.parse(payload).first("MSA")
    assert msa is not None
    assert (msa.component(1), msa.component(2)) == ("AR", "55")


def test_mindray_takes_no_orders_unasked() -> None:
    assert order_records(MINDRAY, [ORDERS], at=AT, control_id="M1") == ()
