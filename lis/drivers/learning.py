"""What captures of an unknown instrument show, put as questions to a person.

Theory of operation. The records of all captures are walked once; every row that may be a result (R, OBX) keeps what
stands above it. For each thing that a profile must know, the places where it may stand are tried on all rows. A
place that fits becomes a *choice*, with the records and texts that speak for it and how many of the rows do. The
best choice is proposed as the *answer*; a person confirms or changes it, and `learned_profile` builds the profile
from the answers.

Nothing is guessed. Where nothing was seen the standard's own place is proposed and says so (`standard`). What a
letter means that no standard knows (a flag, a state, how an id was read) is asked, with `unknown` proposed: then
such a row is held until somebody says what it means.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from lis.domain.messages import Protocol
from lis.drivers.learning_evidence import (
    CHOICES_MAX,
    ROW,
    ROWS_MAX,
    Choice,
    Confidence,
    Question,
    Samples,
    choice,
    order_of,
    places,
    question,
)
from lis.drivers.profile import ASTM_FIELDS, HL7_FIELDS
from lis.wire.path import FieldPath

STANDARD: Final = {Protocol.ASTM: ASTM_FIELDS, Protocol.HL7: HL7_FIELDS}

SPECIMEN_FIELDS: Final[dict[Protocol, dict[str, tuple[int, ...]]]] = {
    Protocol.ASTM: {"O": (3, 4)},
    Protocol.HL7: {"SPM": (2,), "OBR": (2, 3), "SAC": (3, 4), "ORC": (2, 3)},
}
ID_CHARACTERS_USUAL: Final = 5  # a laboratory's numbers have more, save in small ones

_ID: Final = re.compile(r"(?=.*\d)[A-Za-z0-9][A-Za-z0-9 _./+-]{2,49}")
_TIME: Final = re.compile(
    r"(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])([01]\d|2[0-3])[0-5]\d([0-5]\d)?(\.\d+)?([+-]\d{4})?"
)
_NUMBER: Final = re.compile(r"[<>]?=?\s*-?\d+([.,]\d+)?")
_MODEL: Final = re.compile(r"[A-Za-z][A-Za-z0-9 .+-]{1,40}")
_VERSION: Final = re.compile(r"[vV]?\d+([.-]\d+)+[A-Za-z0-9.-]*")
_SERIAL: Final = re.compile(r"[A-Za-z]{0,4}-?\d{4,}[A-Za-z0-9-]*")
_UNIT: Final = re.compile(r"(?=.*[A-Za-zµ%])[A-Za-z0-9µ%*^/.]{1,20}")


def fields_asked(samples: Samples) -> Iterator[Question]:
    """Where each value stands."""
    yield _specimen(samples)
    test = _test(samples)
    yield test
    value, quantity = _value(samples)
    yield value
    yield quantity
    yield _unit(samples, taken={value.answer, quantity.answer})
    yield _status(samples)
    yield _observed_at(samples)
    for name in ("flags", "interval", "operator", "specimen_type", "comment"):
        if standard := getattr(STANDARD[samples.protocol], name):
            yield question(name, standard, [choice(samples.rows, standard)])
    yield _dilution(samples, test.answer)
    yield from _sender(samples)


def _specimen(samples: Samples) -> Question:
    """A place that most rows have goes before one that all have: controls carry their names elsewhere."""
    standard = STANDARD[samples.protocol].specimen
    is_astm = samples.protocol is Protocol.ASTM
    numbers = SPECIMEN_FIELDS[samples.protocol]
    tried = [standard]
    for record, fields in numbers.items():
        tried += [_component(place) for place in places(samples.rows, record, fields)]
    if not is_astm:
        tried += [f"{place}.1" for place in tried]  # `id&BARCODE` (cobas pro)
    found = [choice(samples.rows, place, _is_id) for place in dict.fromkeys(tried)]
    known = [one for one in found if one is not None]
    known.sort(key=lambda one: (2 * one.count < one.rows, _is_short(one)))  # stable
    patient = ("P.3", "P.4") if is_astm else ("PID-3.1", "PID-2.1")
    hints = [choice(samples.rows, place, _is_id) for place in patient]
    hinted = [
        _hint(one) for one in hints if one is not None
    ]  # some send the specimen's number there
    choices = known or [Choice(answer=standard, confidence=Confidence.STANDARD)]
    return Question(
        name="specimen",
        answer=choices[0].answer,
        choices=(*choices[: CHOICES_MAX - len(hinted)], *hinted),
    )


def _is_short(found: Choice) -> bool:
    """Racks and positions have numbers too, but short ones."""
    return max(len(one.text.strip()) for one in found.seen) < ID_CHARACTERS_USUAL


def _is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def _component(place: str) -> str:
    """A field that was never cut is its own first component; cut one day, the id still stands first."""
    path = FieldPath.parse(place)
    return place if path.component else f"{place}.1"


def _test(samples: Samples) -> Question:
    standard = STANDARD[samples.protocol].test
    row = ROW[samples.protocol]
    ordered = _ordered(samples)
    ranked: list[tuple[tuple[bool, int, bool, int], Choice]] = []
    for number, place in enumerate(places(samples.rows, row, (3,))):
        found = choice(samples.rows, _component(place))
        if found is None:
            continue
        texts = {context.text(FieldPath.parse(found.answer)).strip() for context in samples.rows}
        is_ordered = bool(ordered) and texts <= ordered
        is_standard = found.answer == standard
        ranked.append(((not is_ordered, -len(texts), not is_standard, number), found))
    ranked.sort(key=lambda entry: entry[0])
    codes = [entry[1] for entry in ranked]
    return question("test", standard, [*_cut_at_slash(samples, codes[:1]), *codes])


def _cut_at_slash(samples: Samples, found: list[Choice]) -> list[Choice | None]:
    """`717/`, `117/1/not`: the code stands before the first slash (cobas c311 and e411)."""
    places = [one.answer for one in found]
    texts = [row.text(FieldPath.parse(place)) for place in places for row in samples.rows]
    if not texts or not all("/" in text[1:] for text in texts):
        return []
    return [choice(samples.rows, f"{place}/1") for place in places]


def _ordered(samples: Samples) -> set[str]:
    """Every component of every test that O.5 names: what is ordered is what is reported."""
    if samples.protocol is not Protocol.ASTM:
        return set()
    found: set[str] = set()
    for context in samples.rows[:ROWS_MAX]:
        record = context.records.get("O")
        if record is not None:
            for repeat in context.repeats(FieldPath("O", 5)):
                found.update(part.strip() for part in repeat.split("^") if part.strip())
    return found


def _value(samples: Samples) -> tuple[Question, Question]:
    standard = STANDARD[samples.protocol].value
    row, number = ("R", 4) if samples.protocol is Protocol.ASTM else ("OBX", 5)
    found = [choice(samples.rows, place) for place in places(samples.rows, row, (number,))]
    value = question("value", standard, found[:1])
    beside = [
        choice(samples.rows, one.answer, _is_number)
        for one in found[1:]
        if one is not None and _stands_beside(samples, value.answer, one.answer)
    ]
    return value, question("quantity", "", beside)


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _stands_beside(samples: Samples, value: str, other: str) -> bool:
    """A number where the value itself is a word or is not there; never a second number."""
    first, second = FieldPath.parse(value), FieldPath.parse(other)
    pairs = [(row.text(first).strip(), row.text(second).strip()) for row in samples.rows]
    return not any(_is_number(call) and _is_number(number) for call, number in pairs)


def _unit(samples: Samples, taken: set[str]) -> Question:
    standard = STANDARD[samples.protocol].unit
    row, number = ("R", 5) if samples.protocol is Protocol.ASTM else ("OBX", 6)
    own = places(samples.rows, row, (number,))[:1]
    if samples.protocol is Protocol.HL7:
        own = [_component(place) for place in own]
    found = [choice(samples.rows, place) for place in own]
    if not any(found):
        others = [place for place in places(samples.rows, row) if place not in taken]
        later = [choice(samples.rows, place, _is_unit) for place in others]
        found = [
            _hint(one) for one in later if one is not None and order_of(one.answer)[1] > number
        ]
    return question("unit", standard, found)


def _is_unit(text: str) -> bool:
    return len(text) > 1 and _UNIT.fullmatch(text) is not None


def _hint(found: Choice) -> Choice:
    return Choice(
        answer=found.answer,
        confidence=Confidence.HINT,
        seen=found.seen,
        count=found.count,
        rows=found.rows,
    )


def _status(samples: Samples) -> Question:
    standard = STANDARD[samples.protocol].status
    order = "O.26" if samples.protocol is Protocol.ASTM else "OBR-25"
    own, above = (choice(samples.rows, place, _is_letter) for place in (standard, order))
    if above is not None and (own is None or own.confidence is not Confidence.EVERY):
        both = choice(samples.rows, order, _is_letter, f"{standard} {order}")
        return question("status", standard, [both, own])
    return question("status", standard, [own, above])


def _is_letter(text: str) -> bool:
    return len(text) <= 2 and text.isalpha()


def _observed_at(samples: Samples) -> Question:
    is_astm = samples.protocol is Protocol.ASTM
    standard = "R.13" if is_astm else "OBX-14"
    others = ("R.12", "O.23", "O.8") if is_astm else ("OBX-19", "OBR-7", "OBR-8", "OBR-22")
    found = [choice(samples.rows, place, _is_time) for place in (standard, *others)]
    return question("observed_at", standard, found)


def _is_time(text: str) -> bool:
    return _TIME.fullmatch(text) is not None


def _dilution(samples: Samples, test: str) -> Question:
    """A number behind the code that was always 1: any other one will hold the value (S25)."""
    if samples.protocol is Protocol.HL7:
        return Question(name="dilution", answer="")
    path = FieldPath.parse(test.replace("+", " ").split()[-1])
    row = ROW[samples.protocol]
    behind = [
        place
        for place in places(samples.rows, row, (path.field,))
        if (FieldPath.parse(place).component or 0) > (path.component or 1)
    ]
    found = []
    for place in behind:
        one = choice(
            samples.rows, place, lambda text: re.fullmatch(r"\d+(\.\d+)?", text) is not None
        )
        if one is not None:
            is_one = {entry.text.strip() for entry in one.seen} == {"1"}
            found.append(one if is_one else _hint(one))
    return question("dilution", "", found)


def _sender(samples: Samples) -> Iterator[Question]:
    is_astm = samples.protocol is Protocol.ASTM
    tried = places(samples.headers, "H", (5,)) if is_astm else ["MSH-4.1", "MSH-3.1", "MSH-3.2"]
    parts = [_component(place) for place in tried]
    standard = STANDARD[samples.protocol]

    def named(name: str, fits: Callable[[str], bool], without: str = "") -> Question:
        tried = [place for place in parts if place != without]
        found = [choice(samples.headers, place, fits) for place in tried]
        return question(name, getattr(standard, name), found)

    if is_astm:
        name = named("sender_name", _is_model)
    else:
        found = [choice(samples.headers, place) for place in parts[:2]]
        name = question("sender_name", standard.sender_name, found)
    yield name
    yield named("sender_version", lambda text: _VERSION.fullmatch(text) is not None)
    serial = named("sender_serial", lambda text: _SERIAL.fullmatch(text) is not None, name.answer)
    yield _steady(serial, samples)
    yield question(
        "sent_at", standard.sent_at, [choice(samples.headers, standard.sent_at, _is_time)]
    )
    kind = choice(samples.headers, standard.processing_id)
    yield question("processing_id", standard.processing_id, [kind])


def _is_model(text: str) -> bool:
    return _MODEL.fullmatch(text) is not None and _SERIAL.fullmatch(text) is None


def _steady(asked: Question, samples: Samples) -> Question:
    """A number that changes between messages is no serial number."""
    steady = [
        one
        for one in asked.choices
        if len({context.text(FieldPath.parse(one.answer)) for context in samples.headers}) == 1
    ]
    return question("sender_serial", "", steady)
