"""From captures and a person's answers to a profile.

`propose` asks where things stand (`learning`) and then what the texts at those places mean (`learning_meanings`);
answers that were given already are taken instead of the proposed ones, so that a changed place brings up the
letters that stand there. `profile_from` turns a proposal into a profile like any other.

An answer that is `unknown` leaves the text out of the tables: rows that carry it are held for a person. Who the
instrument is, is claimed only where no known driver claims the same header; else two drivers would answer to one
header, and a swapped cable would show no more (S23).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Final, TypeVar

from lis.domain.errors import Malformed
from lis.domain.messages import IdReadMode, Protocol, ResultStatus
from lis.drivers.driver import identify
from lis.drivers.expressions import Expression
from lis.drivers.learning import STANDARD, fields_asked
from lis.drivers.learning_evidence import CodeSeen, Question, samples_of
from lis.drivers.learning_meanings import (
    BLANKS,
    FLAGS,
    STATUSES,
    UNKNOWN,
    YES,
    codes_seen,
    meanings_asked,
)
from lis.drivers.order_style import OrderStyle
from lis.drivers.profile import (
    HL7_ATTACHMENTS,
    Evidence,
    FieldMap,
    FieldRule,
    FlagMeaning,
    Grade,
    Profile,
    Query,
    Quirks,
    ReadMode,
)
from lis.drivers.profile_document import check_profile
from lis.wire.errors import LocalProtocolError

WHERE: Final = "answer"
UNSTATED: Final = "captures of unstated origin, shown to the message lab"
REQUIRED: Final = frozenset({"specimen", "test", "value"})
PLACES: Final = frozenset(field.name for field in fields(FieldMap)) | {"id_mode"}
RULES: Final = frozenset({"identity", "controls"})

MEANINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "flag": (*(meaning.value for meaning in FlagMeaning), UNKNOWN),
    "status": (*(status.value for status in ResultStatus), UNKNOWN),
    "id_mode": (*(mode.value for mode in IdReadMode), UNKNOWN),
}

Meaning = TypeVar("Meaning", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Everything to confirm, with the answers as they are now."""

    protocol: Protocol
    questions: tuple[Question, ...]
    codes: tuple[CodeSeen, ...]
    rows: int
    known_driver: str  # a driver that claims the header already; "" = none

    @property
    def answers(self) -> dict[str, str]:
        """The answer of every question by its name."""
        return {one.name: one.answer for one in self.questions}


def propose(
    protocol: Protocol, units: Sequence[bytes], answers: Mapping[str, str] | None = None
) -> Proposal:
    """What the messages of one instrument show. Raises `Malformed` for an answer that is none."""
    given = dict(answers or {})
    samples = samples_of(protocol, units)
    if not samples.rows:
        raise Malformed(expected="at least one result record", got="none", where="capture")
    known = next((key for unit in units if (key := identify(unit))), "")
    places = [_answered(one, given) for one in fields_asked(samples)]
    current = {one.name: one.answer for one in places}
    if "id_mode" in given:
        current["id_mode"] = given["id_mode"]
        _check_answer(Question(name="id_mode", answer=given["id_mode"]))
    meanings = [_answered(one, given) for one in meanings_asked(samples, current, known)]
    questions = (*places, *meanings)
    names = [one.name for one in questions]
    if strange := sorted(
        name for name in set(given) - set(names) - _optional(names) if not is_letter(name)
    ):
        raise Malformed(expected=f"one of {', '.join(names)}", got=strange[0], where=WHERE)
    return Proposal(
        protocol=protocol,
        questions=questions + tuple(_more(given, names)),
        codes=codes_seen(samples, current),
        rows=len(samples.rows),
        known_driver=known,
    )


def _optional(names: Sequence[str]) -> set[str]:
    """Places that nothing was seen for; a person may name them from the manual."""
    return {field.name for field in fields(FieldMap)} - set(names)


def _more(given: Mapping[str, str], names: Sequence[str]) -> list[Question]:
    """What the captures do not show and the manual says: other places, and other letters."""
    more = [Question(name=name, answer="") for name in given if name in _optional(names)]
    for name in given:
        if is_letter(name) and name not in names:
            options = MEANINGS[name.partition(".")[0]]
            more.append(Question(name=name, answer=UNKNOWN, options=options))
    return [_answered(one, given) for one in more]


def is_letter(name: str) -> bool:
    """Whether the question is what one text means: `flag.X1`."""
    prefix, mark, text = name.partition(".")
    return bool(mark and text) and prefix in MEANINGS


def _answered(asked: Question, given: Mapping[str, str]) -> Question:
    answer = given.get(asked.name)
    if answer is None or answer == asked.answer:
        return asked
    answered = replace(asked, answer=answer if asked.name == "delimiters" else answer.strip())
    _check_answer(answered)
    return answered


def _check_answer(asked: Question) -> None:
    name, answer, where = asked.name, asked.answer, f"{WHERE} {asked.name}"
    if asked.options and answer not in asked.options:
        raise Malformed(expected=f"one of {', '.join(asked.options)}", got=answer, where=where)
    if name in REQUIRED and not answer:
        raise Malformed(expected="a place", got="nothing", where=where)
    if name in PLACES:
        try:
            Expression.parse(answer)
        except LocalProtocolError as error:
            raise Malformed(expected=f"a place ({error})", got=answer, where=where) from error
    if name in RULES:
        rules_from(answer, where)
    if name == "query_component" and not re.fullmatch(r"[1-9]\d?", answer):
        raise Malformed(expected="the number of a component", got=answer, where=where)
    if name == "delimiters" and (len(answer) != 4 or len(set(answer)) != 4):
        raise Malformed(expected="four different signs", got=answer, where=where)


def rules_from(text: str, where: str) -> tuple[FieldRule, ...]:
    """`O.12=Q; H.12.1=Q` as rules about whole texts. Raises `Malformed`."""
    rules = []
    for part in (part.strip() for part in text.split(";") if part.strip()):
        place, mark, value = part.partition("=")
        try:
            if not mark or len(place.split()) != 1 or not Expression.parse(place).alternatives:
                raise LocalProtocolError("a place, the sign = and a text")
        except LocalProtocolError as error:
            expected = f"rules like O.12=Q; H.12.1=Q ({error})"
            raise Malformed(expected=expected, got=part, where=where) from error
        rules.append(FieldRule(place.strip(), re.escape(value.strip())))
    return tuple(rules)


def evidence_of(source: str, *, is_from_instrument: bool) -> Evidence:
    """Bytes of a real instrument are a capture, if somebody says so and whence; all else is a description."""
    if is_from_instrument and not source.strip():
        raise Malformed(
            expected="where and when the instrument sent it", got="nothing", where="source"
        )
    grade = Grade.CAPTURE if is_from_instrument else Grade.SPEC
    return Evidence(grade=grade, source=source.strip() or UNSTATED)


def profile_from(
    proposal: Proposal, *, key: str, name: str, evidence: Evidence, version: str = "1"
) -> Profile:
    """The profile that the answers describe. Raises `Malformed` with the name of a wrong answer."""
    answers = proposal.answers
    is_astm = proposal.protocol is Protocol.ASTM
    identity = rules_from(answers["identity"], f"{WHERE} identity")
    if identity and proposal.known_driver:
        raise Malformed(
            expected=f"no identity: driver {proposal.known_driver} claims this header already",
            got=answers["identity"],
            where=f"{WHERE} identity",
        )
    profile = Profile(
        key=key,
        name=name,
        protocol=proposal.protocol,
        version=version,
        identity=(identity,) if identity else (),
        fields=_fields(proposal),
        evidence=(evidence,),
        flags=_table(proposal, "flag.", FLAGS[proposal.protocol], FlagMeaning),
        statuses=_table(proposal, "status.", STATUSES[proposal.protocol], ResultStatus),
        read_mode=ReadMode(
            path=answers["id_mode"],
            modes=_table(proposal, "id_mode.", {}, IdReadMode),
        ),
        rows=() if is_astm else HL7_ATTACHMENTS,
        controls=rules_from(answers["controls"], f"{WHERE} controls"),
        query=Query(component=int(answers.get("query_component", "2"))),
        orders=OrderStyle(may_query=answers.get("asks") == YES),
        charsets=_charsets(answers["charset"]),
        quirks=Quirks(
            delimiters=answers.get("delimiters", "|\\^&"),
            padding=" " if answers["padding"] == BLANKS else "",
            decimal_comma=answers["decimal_comma"] == YES,
            status_missing=_missing(answers),
        ),
    )
    check_profile(profile, where=WHERE)
    return profile


def _fields(proposal: Proposal) -> FieldMap:
    known = {field.name for field in fields(FieldMap)}
    named = {name: text for name, text in proposal.answers.items() if name in known}
    return replace(STANDARD[proposal.protocol], **named)


def _table(
    proposal: Proposal, prefix: str, standard: Mapping[str, Meaning], kind: type[Meaning]
) -> dict[str, Meaning]:
    """What was said of the texts that were seen, on top of the standard's table if that holds here."""
    answers = proposal.answers
    table = dict(standard) if answers["standard_tables"] == YES else {}
    for name, answer in answers.items():
        if name.startswith(prefix):
            text = name.removeprefix(prefix)
            table.pop(text, None)
            if answer != UNKNOWN:
                table[text] = kind(answer)
    return table


def _missing(answers: Mapping[str, str]) -> ResultStatus | None:
    answer = answers.get("status_missing", UNKNOWN)
    return None if answer == UNKNOWN else ResultStatus(answer)


def _charsets(answer: str) -> tuple[str, ...]:
    return (answer,) if answer == "latin-1" else (answer, "latin-1")
