"""Profiles are data that can be wrong: each path, pattern and key is read once here."""

import re
from dataclasses import fields, replace
from importlib.metadata import EntryPoint

import pytest

from lis.domain.errors import Malformed, NotFound
from lis.domain.messages import Protocol
from lis.drivers import registry
from lis.drivers.expressions import Expression, compiled
from lis.drivers.generic import STANDARD
from lis.drivers.profile import Evidence, Grade, Profile
from lis.drivers.supported import SUPPORTED, supported_page
from lis.wire.astm_record import Delimiters
from lis.wire.errors import LocalProtocolError
from lis.wire.path import FieldPath

PROFILES = [registry.get(key) for key in sorted(registry.profiles())]
EVERY = [*PROFILES, *STANDARD.values()]


def test_the_drivers_of_the_corpus_are_known() -> None:
    assert set(registry.keys()) >= {
        "cepheid-genexpert",
        "horiba-yumizen-h550",
        "immucor-galileo-echo",
        "mindray-bc",
        "ortho-vision",
        "roche-cobas-c111",
        "siemens-dca-vantage",
        "sysmex-xp-100",
    }


def test_an_unknown_driver_is_named_in_the_error() -> None:
    with pytest.raises(NotFound, match="no-such-driver"):
        registry.get("no-such-driver")


@pytest.mark.parametrize("profile", EVERY, ids=lambda profile: profile.name)
def test_every_path_and_pattern_of_a_profile_can_be_read(profile: Profile) -> None:
    assert set(compiled(profile.fields)) == {field.name for field in fields(profile.fields)}
    rules = [rule for _, rule in profile.rows]
    rules += [rule for group in profile.identity for rule in group]
    rules += [*profile.controls, *profile.query.match, *profile.quirks.flag_comments]
    for rule in rules:
        FieldPath.parse(rule.path)
        re.compile(rule.pattern)
    Expression.parse(profile.read_mode.path)
    Delimiters(*profile.quirks.delimiters)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.key)
def test_a_profile_names_what_it_rests_on(profile: Profile) -> None:
    assert profile.evidence
    assert all(entry.source for entry in profile.evidence)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", profile.key)


@pytest.mark.parametrize(
    ("key", "grade"),
    [
        ("roche-cobas-c111", Grade.CAPTURE),
        ("sysmex-xp-100", Grade.CAPTURE),
        ("cepheid-genexpert", Grade.CAPTURE),
        ("siemens-dca-vantage", Grade.CAPTURE),
        ("immucor-galileo-echo", Grade.CAPTURE),
        ("horiba-yumizen-h550", Grade.CAPTURE),
        ("ortho-vision", Grade.CAPTURE),
        ("mindray-bc", Grade.SPEC),
    ],
)
def test_a_grade_is_no_better_than_its_proof(key: str, grade: Grade) -> None:
    assert registry.get(key).grade is grade


def test_a_grade_for_a_part_does_not_raise_the_whole() -> None:
    profile = replace(
        registry.get("mindray-bc"),
        evidence=(Evidence(grade=Grade.FIELD, source="one field", covers="flags"),),
    )

    assert profile.grade is Grade.SPEC


def test_the_page_of_supported_instruments_is_fresh() -> None:
    assert SUPPORTED.read_text(encoding="utf-8") == supported_page(), (
        "run: python -m lis.drivers.supported"
    )


def test_a_wrong_path_fails_when_the_profile_is_read() -> None:
    with pytest.raises(LocalProtocolError):
        compiled(replace(PROFILES[0].fields, value="R4"))


def test_a_third_party_driver_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("other", "lis.drivers.generic:STANDARD", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    monkeypatch.setattr(
        EntryPoint, "load", lambda self: replace(PROFILES[0], key="other-maker-one")
    )
    registry.profiles.cache_clear()
    try:
        assert "other-maker-one" in registry.profiles()
        monkeypatch.setattr(EntryPoint, "load", lambda self: PROFILES[0])
        registry.profiles.cache_clear()
        with pytest.raises(Malformed, match="used once"):
            registry.keys()
        monkeypatch.setattr(EntryPoint, "load", lambda self: "no profile")
        registry.profiles.cache_clear()
        with pytest.raises(Malformed, match="a Profile"):
            registry.keys()
    finally:
        registry.profiles.cache_clear()


def test_only_the_protocol_decides_which_code_reads() -> None:
    assert {profile.protocol for profile in PROFILES} == set(Protocol)
