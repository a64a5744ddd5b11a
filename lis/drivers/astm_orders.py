"""Work orders as ASTM records, pushed or in answer to a query.

    H, for each specimen P and its O records, L

An answer always comes, also when there is nothing to do: an instrument that asked waits for it. How it wants
to hear "nothing", and where it wants each text, stands in the profile (`order_style`).

One instrument wants back what it said of the tube: its rack, its position, its own message id. The driver keeps
that in `HostQuery.echo`; here it meets the specimen it belongs to, by the id as it stood in Q.3.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from lis.domain.messages import HostQuery, OrderedTest, SpecimenOrders
from lis.drivers.order_style import Nothing, OrderGrouping, OrderStyle
from lis.drivers.profile import Profile
from lis.wire.astm_build import Components, Field
from lis.wire.astm_record import Delimiters, Record, RecordWriter

_PLACE = re.compile(r"\{([a-z_]+)(?:\.(\d+))?\}")
_Texts = dict[str, Field]


def order_records(
    profile: Profile,
    orders: Sequence[SpecimenOrders],
    *,
    at: datetime,
    control_id: str,
    query: HostQuery | None = None,
) -> tuple[bytes, ...]:
    """The records that hand `orders` to the instrument, or tell it that there are none.

    `at` is local time of the instrument. () = say nothing: no work and nobody asked, or the query was
    taken back, or the instrument wants silence.
    """
    style = profile.orders
    wanted = [entry for entry in orders if entry.tests]
    if not wanted and (query is None or query.is_cancel or style.nothing is Nothing.SILENCE):
        return ()
    layout = style.header if wanted else {**style.header, **style.nothing_header}
    is_told_by_order = not wanted and style.nothing is Nothing.EMPTY_ORDER
    if is_told_by_order:
        wanted = list(orders) or [_empty(specimen) for specimen in _asked_for(query)]
    page = _Page(profile, query)
    texts: _Texts = {**_echoed(query), "id": control_id, "sender": style.sender}
    texts["time"] = f"{at:%Y%m%d%H%M%S}"
    records = [page.record("H", layout, texts)]
    for number, entry in enumerate(wanted, 1):
        records += page.specimen(number, entry, texts)
    if not wanted and style.nothing is Nothing.QUESTION_BACK:
        records.append(page.question_back())
    records.append(page.end(is_empty=not wanted))
    return tuple(records)


def _empty(specimen: str) -> SpecimenOrders:
    return SpecimenOrders(specimen=specimen, tests=())


def _asked_for(query: HostQuery | None) -> tuple[str, ...]:
    return query.specimens if query is not None else ()


def _echoed(query: HostQuery | None) -> _Texts:
    """What the query said of itself; see `astm_driver` for the order."""
    echo = query.echo if query is not None else ()
    asker, _, asked_id, receiver, name = (*echo, "", "", "", "", "")[:5]
    return {"asker": asker, "asked_id": asked_id, "receiver": receiver, "asker_name": name}


class _Page:
    """Writes the records of one message."""

    def __init__(self, profile: Profile, query: HostQuery | None) -> None:
        self._profile = profile
        self._style = profile.orders
        self._is_answer = query is not None
        self._delimiters = Delimiters(*profile.quirks.delimiters)
        self._charset = profile.charsets[0]
        self._writer = RecordWriter(self._delimiters, self._charset)
        self._question = self._record_of(query)

    def specimen(self, number: int, entry: SpecimenOrders, texts: _Texts) -> list[bytes]:
        """P and O of one specimen."""
        style = self._style
        known = {**texts, **self._known(_writable(entry, self._charset))}
        records = [self.record("P", style.patient, known, number=number)]
        tests: list[Components] = list(dict.fromkeys(_test_id(style, test) for test in entry.tests))
        groups = [[test] for test in tests]
        if style.grouping is OrderGrouping.REPEATS or not tests:
            groups = [tests]
        for order, group in enumerate(groups, 1):
            field: Field = group[0] if len(group) == 1 else [*group]
            known["tests"] = field
            records.append(self.record("O", style.order, known, number=order))
        return records

    def end(self, *, is_empty: bool) -> bytes:
        code = "N"
        if self._is_answer:
            is_told_here = is_empty and self._style.nothing is Nothing.TERMINATOR
            code = Nothing.TERMINATOR.value[-1] if is_told_here else self._style.answer_end
        return self._writer.record("L", "1", code)

    def question_back(self) -> bytes:
        """The Q record as it came, its status X: the host has no such specimen."""
        asked = [self._question.components(3, n + 1) for n in range(len(self._question.repeats(3)))]
        return self._writer.record("Q", "1", [*asked], None, ("", "", "", "ALL"), *[None] * 7, "X")

    def record(
        self, letter: str, layout: Mapping[str, str], texts: _Texts, *, number: int = 0
    ) -> bytes:
        """One record by its layout; `number` is its sequence number."""
        fields: dict[int, Field] = {2: str(number)} if number else {}
        for path, template in layout.items():
            field = _filled(template, texts)
            spelling = self._style.spelling.get(path)
            if spelling is not None:
                field = spelling.get(field, "") if isinstance(field, str) else None
            if field:
                fields[int(path[2:])] = field
        return self._writer.record(
            letter, *(fields.get(place) for place in range(2, max(fields, default=1) + 1))
        )

    def _known(self, entry: SpecimenOrders) -> _Texts:
        style = self._style
        report_type = style.answer_report_type if self._is_answer else style.report_type
        if not entry.tests:
            report_type = style.nothing_report_type or report_type
        asked = self._asked(entry.specimen)
        return {
            "specimen": entry.specimen.rjust(style.specimen_width),
            "patient_id": entry.patient_id,
            "family_name": entry.family_name,
            "given_name": entry.given_name,
            "birth_date": entry.birth_date,
            "sex": entry.sex,
            "priority": entry.priority,
            "collected": f"{entry.collected_at:%Y%m%d%H%M%S}" if entry.collected_at else "",
            "action": style.action,
            "specimen_type": entry.specimen_type,
            "report_type": report_type,
            "asked": asked,
            "place": asked[self._profile.query.component :],
        }

    def _asked(self, specimen: str) -> tuple[str, ...]:
        """The components of the repeat of Q.3 that named `specimen`, the id as it was padded."""
        component = self._profile.query.component
        padding = self._profile.quirks.padding
        count = len(self._question.repeats(3))
        for repeat in range(1, count + 1):
            parts = self._question.components(3, repeat)
            named = parts[component - 1] if component <= len(parts) else ""
            if (named.strip(padding) if padding else named) == specimen:
                return parts
        return (*("",) * (component - 1), specimen.rjust(self._style.specimen_width))

    def _record_of(self, query: HostQuery | None) -> Record:
        verbatim = query.echo[1] if query is not None and len(query.echo) > 1 else ""
        mark = self._delimiters.field
        raw = f"Q{mark}1{mark}{verbatim}".encode(self._charset, errors="replace")
        return Record(raw, self._delimiters, self._charset)


def _filled(template: str, texts: _Texts) -> Field:
    """A template with its texts put in; a text that is not known leaves its place empty."""
    alone = _PLACE.fullmatch(template)
    if alone is not None:
        return _value(alone, texts)
    parts = tuple(
        _PLACE.sub(lambda match: _text(match, texts), part) for part in template.split("^")
    )
    if not any(parts):
        return None
    return parts if len(parts) > 1 else parts[0]


def _value(match: re.Match[str], texts: _Texts) -> Field:
    value = texts.get(match[1])
    if match[2] is None:
        return value
    number = int(match[2])
    is_there = isinstance(value, tuple) and number <= len(value)
    return value[number - 1] if is_there and isinstance(value, tuple) else ""


def _text(match: re.Match[str], texts: _Texts) -> str:
    value = _value(match, texts)
    return value if isinstance(value, str) else ""


def _writable(entry: SpecimenOrders, charset: str) -> SpecimenOrders:
    """A name in letters that the instrument cannot show must not keep it from its orders."""
    names = [
        name.encode(charset, errors="replace").decode(charset)
        for name in (entry.family_name, entry.given_name)
    ]
    return replace(entry, family_name=names[0], given_name=names[1])


def _test_id(style: OrderStyle, test: OrderedTest) -> tuple[str, ...]:
    """Components before the code stay empty: universal id, name, type (LIS02-A2 5.6.1)."""
    code = test.test.split(style.code_until, 1)[0] if style.code_until else test.test
    if style.code_pattern:
        code = re.sub(style.code_pattern, style.code_ordered, code)
    dilution = "" if test.dilution is None else _plain(test.dilution)
    if style.test_form:
        texts: _Texts = {"code": code, "dilution": dilution}
        return tuple(
            _PLACE.sub(lambda match: _text(match, texts), part)
            for part in style.test_form.split("^")
        )
    empty = ("",) * (style.test_component - 1)
    return (*empty, code, dilution) if dilution else (*empty, code)


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
