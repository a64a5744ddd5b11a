"""A profile as a document: what is written is read back, and what is wrong names file, key, expected and got."""

import tomllib
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.errors import Malformed
from lis.domain.messages import IdReadMode
from lis.drivers import registry
from lis.drivers.profile import FieldRule, FlagMeaning, Profile, ReadMode
from lis.drivers.profile_document import read_profile, write_profile

XP_100 = registry.get("sysmex-xp-100")
WHERE = "lab.toml"
DOCUMENT = write_profile(XP_100)


def said(profile: Profile) -> dict[str, object]:
    """All fields; profiles are compared by identity, their parts are not."""
    return {field.name: getattr(profile, field.name) for field in fields(profile)}


def as_data(key: str) -> Profile:
    return replace(registry.get(key), write_orders=None)


@pytest.mark.parametrize("key", registry.keys())
def test_every_profile_of_ours_comes_back_from_its_document(key: str) -> None:
    profile = as_data(key)

    assert said(read_profile(write_profile(profile), where=WHERE)) == said(profile)


def test_what_has_its_default_is_not_written() -> None:
    document = tomllib.loads(DOCUMENT)

    assert "hl7" not in document
    assert document["quirks"] == {"padding": " ", "sends_whole_message_in_one_frame": True}


def test_remarks_stand_above_the_document_and_change_nothing() -> None:
    text = write_profile(XP_100, remarks="codes seen:\n\nWBC 10*3/uL")

    assert text.startswith("# codes seen:\n#\n# WBC 10*3/uL\nkey = ")
    assert said(read_profile(text, where=WHERE)) == said(XP_100)


def test_a_profile_that_needs_a_function_is_no_document() -> None:
    profile = replace(XP_100, write_orders=lambda *_, **__: ())

    with pytest.raises(Malformed, match="write_orders: expected what a document can say"):
        write_profile(profile)


@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    flag=st.text(st.characters(exclude_categories=["Cs"])),
    source=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip),
)
def test_any_text_comes_back_as_it_was(text: str, flag: str, source: str) -> None:
    profile = replace(
        XP_100,
        flags={flag: FlagMeaning.LOOK},
        read_mode=ReadMode(path="O.4.4", modes={text: IdReadMode.TYPED}),
        evidence=(replace(XP_100.evidence[0], source=source),),
        quirks=replace(XP_100.quirks, padding=text),
    )

    assert said(read_profile(write_profile(profile), where=WHERE)) == said(profile)


@pytest.mark.parametrize(
    ("before", "after", "where", "expected", "got"),
    [
        ('protocol = "astm"', 'protocol = "serial"', "protocol", "one of astm, hl7", "'serial'"),
        ('version = "1"', "version = 1", "version", "a text", "1"),
        ('version = "1"\n', "", "version", "a value", "'nothing'"),
        ('key = "sysmex-xp-100"', 'key = "../x"', "key", "small letters", "'../x'"),
        ('name = "Sysmex XP-100"', 'name = " "', "name", "not empty", "''"),
        ('version = "1"', 'version = "1"\nfalgs = 1', WHERE, "one of key, name", "'falgs'"),
        ('test = "R.3.5"', 'test = "R.x"', "fields.test", "places of fields", "'R.x'"),
        ('test = "R.3.5"', 'test = ""', "fields.test", "a place", "''"),
        ('test = "R.3.5"', 'test = "OBX-3"', "fields.test", "a place of ASTM", "'OBX-3'"),
        ('pattern = "Q"', 'pattern = "("', "controls[0].pattern", "a regular expression", "'('"),
        ('path = "O.12"', 'path = "OBR-4"', "controls", "a place of ASTM", "'OBR-4'"),
        ('A = "automatic"', 'A = "by hand"', "read_mode.modes.A", "one of barcode", "'by hand'"),
        ('grade = "capture"', 'grade = "good"', "evidence[0].grade", "one of spec", "'good'"),
        ('padding = " "', "padding = true", "quirks.padding", "a text", "True"),
        ('padding = " "', 'heartbeats = "xx"', "quirks.heartbeats", "hexadecimal", "'xx'"),
        ("may_query = false", "may_query = 0", "orders.may_query", "true or false", "0"),
        ('key = "sysmex', 'write_orders = "x"\nkey = "sysmex', "write_orders", "nothing", "'x'"),
        ('version = "1"', 'version = "1"\ncharsets = ["klingon"]', "charsets", "charsets", "kl"),
        ('version = "1"', 'version = "1"\nrows = [["result"]]', "rows[0]", "a list of 2", "["),
        ("[fields]", "[fields", WHERE, "TOML", "line"),
    ],
)
def test_what_is_wrong_names_file_key_expected_and_got(
    before: str, after: str, where: str, expected: str, got: str
) -> None:
    assert before in DOCUMENT, DOCUMENT

    with pytest.raises(Malformed) as wrong:
        read_profile(DOCUMENT.replace(before, after, 1), where=WHERE)

    assert wrong.value.where.startswith(WHERE)
    assert where in wrong.value.where
    assert expected in wrong.value.expected
    assert got in repr(wrong.value.got)


def test_a_claim_without_a_source_is_refused() -> None:
    for evidence in ((), (replace(XP_100.evidence[0], source=" "),)):
        with pytest.raises(Malformed, match="evidence: expected at least one entry"):
            read_profile(write_profile(replace(XP_100, evidence=evidence)), where=WHERE)


def test_a_pattern_that_nobody_could_check_is_refused() -> None:
    profile = replace(XP_100, controls=(FieldRule("O.12", "Q" * 501),))

    with pytest.raises(Malformed, match="at most 500 characters"):
        read_profile(write_profile(profile), where=WHERE)


@given(st.text())
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    with pytest.raises(Malformed):
        read_profile(text, where=WHERE)


def test_a_document_of_unreasonable_size_is_refused_unread() -> None:
    with pytest.raises(Malformed, match="at most"):
        read_profile("#" * 1_000_001, where=WHERE)
