"""What the ASTM instruments of grade spec say that their captures do not show: one fact of a source, one test."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import pytest

from lis.domain.messages import Reason, ReportedObservation, Translation, ValueBasis
from lis.drivers import identify, instruments, registry, translate
from lis.drivers.profile import Grade, Profile
from simulators.models_astm_spec import MODELS

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
KEYS = sorted(MODELS)


def read(key: str, *records: str) -> Translation:
    raw = "".join(line + "\r" for line in (*records, "L|1|N")).encode()
    return translate(registry.get(key), raw, zone=UTC, received_at=AT)


def only(reading: Translation) -> ReportedObservation:
    [row] = reading.observations
    return row


def holds(row: ReportedObservation) -> set[Reason]:
    return set(row.holds)


# ------------------------------------------------------------------ every one of them


@pytest.mark.parametrize("key", KEYS)
def test_a_profile_without_captures_of_an_instrument_claims_no_more_than_a_document(
    key: str,
) -> None:
    evidence = registry.get(key).evidence

    assert {one.grade for one in evidence} == {Grade.SPEC}
    assert all(len(one.source) > 5 for one in evidence)
    assert [one.covers for one in evidence].count("all") == 1


@pytest.mark.parametrize("key", KEYS)
def test_a_profile_says_what_it_does_not_claim(key: str) -> None:
    [module] = {
        name
        for name in instrument_modules()
        if getattr(import_module(name), "PROFILE", None) is registry.get(key)
    }

    assert "Not claimed:" in str(import_module(module).__doc__)


def instrument_modules() -> Sequence[str]:
    folder = Path(instruments.__path__[0])
    return [f"{instruments.__name__}.{path.stem}" for path in sorted(folder.glob("[a-z]*.py"))]


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (r"H|\^&|||H7600^1|||||host|RSUPL^BATCH|P|1", "roche-cobas-c311"),
        (r"H|\^&|||cobas-e411^1|||||host|RSUPL^REAL|P|1", "roche-cobas-e411"),
        (r"H|\^&|||    XN-10^00-22^11112^^^^BB34567||||||||E1394-97", "sysmex-xn"),
        (r"H|\^&|||XN-330^00-11^11090^^^^BD634545||||||||E1394-97", "sysmex-xn-l"),
        (
            r"H|\^&|||ARCHITECT^9.45^F3452430028^H1P1O1R1C1Q1L1|||||||P|1|20250613131519",
            "abbott-architect",
        ),
        (r"H|\^&|||ACCESS^573061|||||LIS||P|1|20240522084809", "beckman-access-2"),
        (r"H|\^&||PSWD|Maglumi 1000|||||Lis||P|E1394-97|20240522", "snibe-maglumi"),
        (r"H|\^&|||CS-1600^00-21^12812^^^CS-1600^BQ203979||||||||E1394-97", "sysmex-cs"),
        (r"H|\^&|||ABXP400|||||||P|E1394-97|20150603131350", "horiba-pentra-400"),
    ],
)
def test_the_headers_of_the_sources_name_their_instrument(header: str, key: str) -> None:
    raw = "\r".join((header, "P|1", "L|1|N", "")).encode()

    assert identify(raw) == key


# ------------------------------------------------------------------ Roche

C311 = r"H|\^&|||c311^1|||||host|RSUPL^REAL|P|1"
C311_ORDER = (
    r"O|1|              20000013|3^50005^005^^S1^SC|^^^717/|R||20261102094800||||N||||1"
    r"|||||||20261102094800|||F"
)


def test_c311_alarm_zero_says_nothing_and_another_number_is_an_alarm() -> None:
    row = r"R|1|^^^717/|298|mg/dl||N||F||ADMIN|||P1"

    silent = only(read("roche-cobas-c311", C311, "P|1", C311_ORDER, row, "C|1|I|0|I"))
    alarmed = only(read("roche-cobas-c311", C311, "P|1", C311_ORDER, row, "C|1|I|43|I"))

    assert not silent.is_abnormal_flagged
    assert alarmed.is_abnormal_flagged


def test_c311_takes_a_diluted_value_for_one_that_nobody_may_multiply() -> None:
    row = only(
        read("roche-cobas-c311", C311, "P|1", C311_ORDER, r"R|1|^^^717/5|298|mg/dl||N||F|||||P1")
    )

    assert (row.test, row.dilution, row.basis) == ("717", Decimal(5), ValueBasis.UNKNOWN)


def test_c311_never_takes_a_blank_number_for_all_tubes() -> None:
    header = r"H|\^&|||c311^1|||||host|TSREQ^REAL|P|1"
    [query] = read(
        "roche-cobas-c311", header, f"Q|1|^^{' ' * 22}^0^50002^002^^S1^SC||ALL||||||||O"
    ).queries

    assert not query.wants_all


@pytest.mark.parametrize(
    ("code", "basis"),
    [
        ("10/1/not", ValueBasis.UNDILUTED),
        ("10/2/not", ValueBasis.UNKNOWN),
        ("10/1/5", ValueBasis.UNKNOWN),
    ],
)
def test_e411_says_not_for_a_specimen_that_was_not_prediluted(code: str, basis: ValueBasis) -> None:
    header = r"H|\^&|||cobas-e411^1|||||host|RSUPL^REAL|P|1"
    order = r"O|1|20000013|1^50005^005^^S1^SC|^^^10^|R||||||N||||1|||||||20261102094800|||F"
    row = only(read("roche-cobas-e411", header, "P|1", order, rf"R|1|^^^{code}|2.1|uIU/ml||N||F"))

    assert (row.test, row.basis) == ("10", basis)


@pytest.mark.parametrize("key", ["roche-cobas-c311", "roche-cobas-e411"])
def test_cobas_wants_one_stream_of_text(key: str) -> None:
    quirks = registry.get(key).quirks

    assert (quirks.record_per_frame, quirks.text_limit_bytes) == (False, 240)


# ------------------------------------------------------------------ Sysmex

XN = r"H|\^&|||XN-10^00-22^11112^^^^BB34567||||||||E1394-97"


def xn(order: str, row: str) -> ReportedObservation:
    return only(read("sysmex-xn", XN, "P|1", order, row))


def xn_order(mode: str = "B", specimen: str = "20000013") -> str:
    return rf"O|1||2^1^{specimen}^{mode}|^^^^WBC|||||||N||||||||||||||F"


def test_xn_way_of_reading_an_id_that_no_source_names_is_held() -> None:
    row = xn(xn_order(mode="C"), r"R|1|^^^^WBC^1|6.16|10*3/uL||N||F||||20261102094800")

    assert holds(row)
    assert not holds(xn(xn_order(), r"R|1|^^^^WBC^1|6.16|10*3/uL||N||F||||20261102094800"))


def test_xn_state_that_no_source_names_is_held() -> None:
    row = xn(xn_order(), r"R|1|^^^^WBC^1|6.16|10*3/uL||N||Z||||20261102094800")

    assert holds(row) == {Reason.UNKNOWN_STATUS}


def test_xn_alarm_that_is_not_in_the_table_stays_to_be_seen() -> None:
    row = xn(xn_order(), r"R|1|^^^^New_Alarm||||A||F||||20261102094800")

    assert row.test == "New_Alarm"


def test_xn_number_that_could_not_be_computed_is_no_number() -> None:
    row = xn(xn_order(), r"R|1|^^^^WBC^1|----|10*3/uL||A||F||||20261102094800")

    assert row.value.number is None
    assert row.is_abnormal_flagged


def test_cs_percentage_of_the_specimen_is_no_factor() -> None:
    header = r"H|\^&|||CS-2500^01-70^21768^^^Rezus^BV981798||||||||E1394-97"
    order = "O|1||000000^02^     6550049260^B^||R||||||N"

    def at(percent: str) -> ReportedObservation:
        row = rf"R|1|^^^041^PT INN~sec^{percent}^A^^^|  10.6|sec||N||||||20261102092900"
        return only(read("sysmex-cs", header, "P|1", order, row))

    assert (at("100.00").dilution, at("100.00").basis) == (None, ValueBasis.UNDILUTED)
    assert (at("50.00").dilution, at("50.00").basis) == (None, ValueBasis.UNKNOWN)


# ------------------------------------------------------------------ Abbott

ARCHITECT = r"H|\^&|||ARCHITECT^9.45^F3452430028^H1P1O1R1C1Q1L1|||||||P|1|20261102131519"


@pytest.mark.parametrize("flags", ["EXP", "A^1-2s", "CNTL^<", "LOW^EXP"])
def test_architect_flags_stand_in_the_components_of_their_field(flags: str) -> None:
    order = r"O|1|20000013|20000013^U265^1|^^^580^Assay^UNDILUTED^P|R||||||||||||||||||||F"
    value = (
        rf"R|1|^^^580^Assay^UNDILUTED^P^47004BE00^00788^^F|0.1|S/CO||{flags}||F||||20261102130000"
    )
    row = only(read("abbott-architect", ARCHITECT, "P|1", order, value))

    assert row.flags == tuple(flags.split("^"))


@pytest.mark.parametrize("word", ["UNDILUTED", "STANDARD"])
def test_architect_has_words_for_a_specimen_as_it_is(word: str) -> None:
    assert word in registry.get("abbott-architect").quirks.undiluted


def test_architect_protocol_that_nobody_explained_is_no_factor() -> None:
    order = r"O|1|20000013|20000013^U265^1|^^^580^Assay^AUTO DIL^P|R||||||||||||||||||||F"
    value = r"R|1|^^^580^Assay^AUTO DIL^P^47004BE00^00788^^F|0.1|S/CO||||F||||20261102130000"
    row = only(read("abbott-architect", ARCHITECT, "P|1", order, value))

    assert (row.dilution, row.basis) == (None, ValueBasis.UNKNOWN)


# ------------------------------------------------------------------ nobody multiplies what nobody explained


@pytest.mark.parametrize("key", KEYS)
def test_no_document_says_that_a_diluted_value_is_multiplied(key: str) -> None:
    profile: Profile = registry.get(key)

    assert not profile.fields.dilution or profile.basis_when_diluted is ValueBasis.UNKNOWN
