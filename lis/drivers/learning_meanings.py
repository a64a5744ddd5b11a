"""What the texts at the confirmed places mean: flags, states, read modes, controls, letters, who the sender is.

A text that the standard explains is proposed with that meaning; any other one with `unknown`. Nobody but a person
with the instrument's manual can say what `X1` asks of us.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from lis.domain.messages import IdReadMode, Protocol, ResultStatus
from lis.drivers.learning_evidence import (
    EVIDENCE_MAX,
    Choice,
    CodeSeen,
    Confidence,
    Question,
    Samples,
    Seen,
    choice,
    places,
    question,
    record_of,
)
from lis.drivers.profile import (
    ASTM_CONTROLS,
    ASTM_FLAGS,
    ASTM_STATUSES,
    HL7_FLAGS,
    HL7_STATUSES,
    FieldRule,
    FlagMeaning,
)
from lis.drivers.taking_apart import Context
from lis.wire.astm_record import Record
from lis.wire.path import FieldPath

UNKNOWN: Final = "unknown"
YES, NO = "yes", "no"
BLANKS, NOTHING = "blanks", "none"
STANDARD_MARKS: Final = "|\\^&"  # LIS02-A2 5.4.4
LETTERS_MAX: Final = 30  # different flags of one instrument; more are no flags

FLAGS: Final = {Protocol.ASTM: ASTM_FLAGS, Protocol.HL7: HL7_FLAGS}
STATUSES: Final = {Protocol.ASTM: ASTM_STATUSES, Protocol.HL7: HL7_STATUSES}
CONTROLS: Final = {Protocol.ASTM: ASTM_CONTROLS, Protocol.HL7: (FieldRule("SPM-11.1", "Q"),)}
"""LIS02-A2 8.4 and 6.12; HL7 table 0369: Q is a control specimen."""
CHARSETS: Final = ("latin-1", "utf-8", "cp1251", "gb18030")

_CONTROL_WORD: Final = re.compile(r"(?i)(qc|ctrl|control|cal|calib)[a-z0-9 _-]*")
_COMMA: Final = re.compile(r"[<>]?=?\s*-?\d+,\d+")


def values_at(contexts: Sequence[Context], expression: str) -> list[tuple[Seen, str]]:
    """Of every row the text at the first place of the expression that holds one; "" where none does."""
    alternatives = [
        [FieldPath.parse(part) for part in alternative.split("+")]
        for alternative in expression.split()
    ]
    return [_value_at(context, alternatives) for context in contexts]


def _value_at(context: Context, alternatives: list[list[FieldPath]]) -> tuple[Seen, str]:
    for paths in alternatives:
        text = "^".join(context.text(path) for path in paths).strip("^")
        if text.strip():
            return Seen(record_of(context, paths[0]), text), text
    return Seen(context.name, ""), ""


def parts_of(expression: str) -> list[str]:
    """Every place that an expression names."""
    return [part for part in re.split(r"[\s+]+", expression) if part]


def codes_seen(samples: Samples, answers: Mapping[str, str]) -> tuple[CodeSeen, ...]:
    """Every test code with its units: what somebody must enter into the catalog."""
    codes = [text.strip() for _, text in values_at(samples.rows, answers["test"])]
    units = [text.strip() for _, text in values_at(samples.rows, answers["unit"])]
    found: dict[str, dict[str, int]] = {}
    for code, unit in zip(codes, units, strict=True):
        counted = found.setdefault(code, {})
        counted[unit] = counted.get(unit, 0) + 1
    return tuple(
        CodeSeen(code=code, units=tuple(counted), count=sum(counted.values()))
        for code, counted in found.items()
    )


def meanings_asked(samples: Samples, answers: Mapping[str, str], known: str) -> Iterator[Question]:
    """What the texts at the places of `answers` mean. `known` is the driver that claims the header already."""
    yield _identity(samples, answers, known)
    yield from _read_mode(samples, answers)
    yield _padding(samples, answers)
    flags = list(_flags(samples, answers["flags"]))
    statuses = list(_statuses(samples, answers["status"]))
    yield from flags
    yield from statuses
    unknown = [one for one in (*flags, *statuses) if one.answer == UNKNOWN]
    yield Question(
        name="standard_tables", answer=NO if unknown else YES, options=(YES, NO)
    )  # an instrument that leaves the tables once may do so again
    yield _controls(samples)
    yield _charset(samples)
    yield _decimal_comma(samples, answers["value"])
    if samples.protocol is Protocol.ASTM:
        yield _delimiters(samples)
        yield from _queries(samples)


def _identity(samples: Samples, answers: Mapping[str, str], known: str) -> Question:
    found = []
    for place in parts_of(answers["sender_name"]):
        one = choice(samples.headers, place)
        if one is not None and one.confidence is Confidence.EVERY and len(one.seen) == 1:
            rule = f"{place}={one.seen[0].text.strip()}"
            found.append(_with_answer(one, rule))
    asked = question("identity", "", found)
    if known:
        return Question(name="identity", answer="", choices=asked.choices)
    return asked


def _with_answer(found: Choice, answer: str, confidence: Confidence | None = None) -> Choice:
    return Choice(
        answer=answer,
        confidence=confidence or found.confidence,
        seen=found.seen,
        count=found.count,
        rows=found.rows,
    )


def _read_mode(samples: Samples, answers: Mapping[str, str]) -> Iterator[Question]:
    """A single letter behind the specimen id, in the same field (S16)."""
    path = FieldPath.parse(parts_of(answers["specimen"])[0])
    behind = [
        other
        for other in places(samples.rows, path.record, (path.field,))
        if (FieldPath.parse(other).component or 0) > (path.component or 1)
    ]
    found = [choice(samples.rows, other, _is_one_letter) for other in behind]
    asked = question("id_mode", "", found)
    yield asked
    where = answers.get("id_mode", asked.answer)
    options = (*(mode.value for mode in IdReadMode), UNKNOWN)
    for text, entry in _letters(values_at(samples.rows, where) if where else ()):
        yield Question(name=f"id_mode.{text}", answer=UNKNOWN, choices=(entry,), options=options)


def _is_one_letter(text: str) -> bool:
    return len(text) == 1 and text.isalpha()


def _letters(values: Iterable[tuple[Seen, str]]) -> Iterator[tuple[str, Choice]]:
    """Each different text with where it was seen."""
    found: dict[str, list[Seen]] = {}
    rows = 0
    for seen, text in values:
        rows += 1
        if text.strip() and (text.strip() in found or len(found) < LETTERS_MAX):
            found.setdefault(text.strip(), []).append(seen)
    for text, where in found.items():
        yield (
            text,
            Choice(
                answer=text,
                confidence=Confidence.EVERY if len(where) == rows else Confidence.SOME,
                seen=tuple(where[:EVIDENCE_MAX]),
                count=len(where),
                rows=rows,
            ),
        )


def _padding(samples: Samples, answers: Mapping[str, str]) -> Question:
    values = values_at(samples.rows, answers["specimen"])
    padded = [seen for seen, text in values if text != text.strip(" ")]
    options = (NOTHING, BLANKS)
    if not padded:
        return Question(name="padding", answer=NOTHING, options=options)
    found = Choice(
        answer=BLANKS,
        confidence=Confidence.EVERY if len(padded) == len(values) else Confidence.SOME,
        seen=tuple(padded[:EVIDENCE_MAX]),
        count=len(padded),
        rows=len(values),
    )
    return Question(name="padding", answer=BLANKS, choices=(found,), options=options)


def _flags(samples: Samples, expression: str) -> Iterator[Question]:
    meanings = FLAGS[samples.protocol]
    options = (*(meaning.value for meaning in FlagMeaning), UNKNOWN)
    values = []
    for context in samples.rows:
        for place in parts_of(expression):
            path = FieldPath.parse(place)
            seen = record_of(context, path)
            values += [(Seen(seen, text), text) for text in context.repeats(path)]
    for text, entry in _letters(values):
        known = meanings.get(text)
        answer = known.value if known is not None else UNKNOWN
        yield Question(name=f"flag.{text}", answer=answer, choices=(entry,), options=options)


def _statuses(samples: Samples, expression: str) -> Iterator[Question]:
    meanings = STATUSES[samples.protocol]
    options = (*(status.value for status in ResultStatus), UNKNOWN)
    values = values_at(samples.rows, expression)
    for text, entry in _letters(values):
        known = meanings.get(text)
        answer = known.value if known is not None else UNKNOWN
        yield Question(name=f"status.{text}", answer=answer, choices=(entry,), options=options)
    if empty := [seen for seen, text in values if not text]:
        found = Choice(
            answer=UNKNOWN,
            confidence=Confidence.SOME,
            seen=tuple(empty[:1]),
            count=len(empty),
            rows=len(values),
        )
        yield Question(name="status_missing", answer=UNKNOWN, choices=(found,), options=options)


def _controls(samples: Samples) -> Question:
    """The standard's own signs, and fields whose text sounds like a control: only a person can tell."""
    rules = list(CONTROLS[samples.protocol])
    if samples.protocol is Protocol.HL7 and choice(samples.headers, "MSH-11.1", _is_q):
        rules.append(FieldRule("MSH-11.1", "Q"))  # no table has it; several makers mark controls so
    standard = rule_text(rules)
    found = [one for rule in rules if (one := choice(samples.rows, rule.path, _is_q)) is not None]
    choices = [_with_answer(one, standard) for one in found[:1]]
    choices = choices or [Choice(answer=standard, confidence=Confidence.STANDARD)]
    records = ("P", "O") if samples.protocol is Protocol.ASTM else ("PID", "OBR", "SPM")
    for record in records:
        for place in places(samples.rows, record):
            one = choice(samples.rows, place, _sounds_like_control)
            if one is not None:
                answer = f"{standard}; {place}={one.seen[0].text.strip()}"
                choices.append(_with_answer(one, answer, Confidence.HINT))
    return Question(name="controls", answer=standard, choices=tuple(choices))


def _is_q(text: str) -> bool:
    return text == "Q"


def _sounds_like_control(text: str) -> bool:
    return _CONTROL_WORD.fullmatch(text) is not None


def rule_text(rules: Sequence[FieldRule]) -> str:
    """Rules about whole texts as a person writes them: `O.12=Q; H.12.1=Q`."""
    return "; ".join(f"{rule.path}={rule.pattern}" for rule in rules)


def _charset(samples: Samples) -> Question:
    if samples.raw.isascii():
        return Question(name="charset", answer=CHARSETS[0], options=CHARSETS)
    try:
        samples.raw.decode("utf-8")
    except UnicodeDecodeError:
        return Question(name="charset", answer=CHARSETS[0], options=CHARSETS)
    return Question(name="charset", answer="utf-8", options=CHARSETS)


def _decimal_comma(samples: Samples, expression: str) -> Question:
    """`1,234` may be a thousand: where a comma was seen, a person says what it is."""
    values = values_at(samples.rows, expression)
    with_comma = [seen for seen, text in values if _COMMA.fullmatch(text.strip())]
    choices: tuple[Choice, ...] = ()
    if with_comma:
        choices = (
            Choice(
                answer=YES,
                confidence=Confidence.HINT,
                seen=tuple(with_comma[:EVIDENCE_MAX]),
                count=len(with_comma),
                rows=len(values),
            ),
        )
    return Question(name="decimal_comma", answer=NO, choices=choices, options=(YES, NO))


def _delimiters(samples: Samples) -> Question:
    for context in samples.headers[:1]:
        record = context.records["H"]
        text = _marks(record) if isinstance(record, Record) else STANDARD_MARKS
        count = len(samples.headers)
        found = Choice(
            answer=text,
            confidence=Confidence.EVERY,
            seen=(Seen(context.name, text),),
            count=count,
            rows=count,
        )
        return Question(name="delimiters", answer=text, choices=(found,))
    return Question(name="delimiters", answer=STANDARD_MARKS)


def _marks(record: Record) -> str:
    """What the header names; its escape sign may be missing, ours is needed to write."""
    named = record.delimiters
    return named.field + (named.to_text() + STANDARD_MARKS[-1])[:3]


def _queries(samples: Samples) -> Iterator[Question]:
    options = (YES, NO)
    if not samples.queries:
        yield Question(name="asks", answer=NO, options=options)
        return
    found = [
        choice(samples.queries, place, answer=str(FieldPath.parse(place).component or 1))
        for place in places(samples.queries, "Q", (3,))
    ]
    seen = tuple(Seen(context.name, context.text(FieldPath("Q", 3))) for context in samples.queries)
    count = len(samples.queries)
    entry = Choice(
        answer=YES,
        confidence=Confidence.EVERY,
        seen=seen[:EVIDENCE_MAX],
        count=count,
        rows=count,
    )
    yield Question(name="asks", answer=YES, choices=(entry,), options=options)
    yield question("query_component", "2", found)
