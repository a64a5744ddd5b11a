"""Both languages are complete, and neither is a copy of the other."""

import re
import string
from pathlib import Path

import pytest

from lis.domain.messages import Reason
from lis.domain.roles import Role
from lis.words import LANGUAGES, messages, say
from lis.words.speaking import plural_form

# Reviewed: the same in both languages by nature (units, abbreviations, names of standards).
IDENTICAL = {
    line.strip()
    for line in Path(__file__).with_name("identical.txt").read_text(encoding="utf-8").splitlines()
    if line.strip() and not line.startswith("#")
}
PLURALS = ("one", "few", "many", "other")


def _stem(key: str) -> str:
    head, _, tail = key.rpartition(".")
    return head if tail in PLURALS else key


def _parameters(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_message_exists_in_every_language():
    stems = {language: {_stem(key) for key in messages(language)} for language in LANGUAGES}
    assert stems["ru"] == stems["en"]


@pytest.mark.parametrize("key", sorted(set(messages("ru")) & set(messages("en"))))
def test_languages_take_the_same_parameters_and_differ(key):
    russian, english = messages("ru")[key], messages("en")[key]
    assert _parameters(russian) == _parameters(english)
    assert russian.strip(), f"{key} is empty in Russian"
    if re.search(r"[^\W\d_]{3,}", re.sub(r"\{[^}]*\}", "", english)):
        assert russian != english or english in IDENTICAL, f"{key} is not translated"


def test_russian_messages_avoid_the_word_norm():
    # safety.md E: «референсный интервал», not «норма»
    for key, text in messages("ru").items():
        assert not re.search(r"\bнорм[аеуы]\b", text.lower()), f"{key}: {text}"


def test_plural_messages_have_every_form_their_language_needs():
    needed = {"ru": {"one", "few", "many"}, "en": {"one", "other"}}
    for language in LANGUAGES:
        forms: dict[str, set[str]] = {}
        for key in messages(language):
            head, _, tail = key.rpartition(".")
            if tail in PLURALS:
                forms.setdefault(head, set()).add(tail)
        for head, present in forms.items():
            assert needed[language] <= present, (
                f"{language}: {head} lacks {needed[language] - present}"
            )


@pytest.mark.parametrize(
    ("count", "form"),
    [
        (0, "many"),
        (1, "one"),
        (2, "few"),
        (5, "many"),
        (11, "many"),
        (12, "many"),
        (21, "one"),
        (22, "few"),
        (111, "many"),
    ],
)
def test_russian_plural_forms(count, form):
    assert plural_form("ru", count) == form


def test_unknown_key_and_parameter_show_themselves():
    assert say("en", "no.such.key") == "no.such.key"
    assert "{" not in say("en", "no.such.key", count=3)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("area", "codes"),
    [
        ("results.reason", [reason.value for reason in Reason]),
        ("results.reason_short", [reason.value for reason in Reason]),
        ("access.role", [role.value for role in Role]),
        (
            "worklist.why",
            [
                "no_intervals",
                "unknown_sex",
                "unknown_age",
                "uncertain_age",
                "no_band",
                "several_bands",
                "no_patient",
                "control",
                "unknown_test",
            ],
        ),
    ],
)
def test_every_code_that_a_person_may_meet_has_a_sentence(language, area, codes):
    missing = [code for code in codes if f"{area}.{code}" not in messages(language)]
    assert not missing
