"""Work orders for a LAW analyzer: the reply to its question, and the message that carries the steps.

    question -> RSP^K11, then one OML^O33 for each container it asked for       (LAW-R01, R02, R03)
    nobody asked -> OML^O33 with new steps, or with steps to take back          (LAW-R07, R11)

The first payload of an answer is the RSP: it goes back on the connection of the question, at once. The others are
messages of our own and have control ids of their own: who sends them waits for an ORL^O34 with this MSA-2 and
repeats the same bytes until one comes. `split_answer` tells the two apart.

A question for everything where there is nothing gets the reply alone: no container is there to say it of.

What we know of a container goes out; what we do not know is written as "not known" (two quotation marks), never
as something likely. A question that names no id we could know is answered with "nothing to do": a place on a rack
is nobody's specimen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lis.domain.messages import HostQuery, OrderedTest, SpecimenOrders
from lis.drivers.law_queries import asked_message
from lis.drivers.law_style import HL7_SPECIMEN_TYPES, LawStyle
from lis.drivers.profile import Profile
from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import DELETED, Message
from lis.wire.hl7_ack import AckCode, ErrorCode, Hl7Error
from lis.wire.hl7_writer import Value
from lis.wire.law_messages import (
    Head,
    Specimen,
    Step,
    Subject,
    nothing_to_do,
    query_reply,
    work_order,
)

SENDER = ("LIS", "")
_TYPES = "HL70487"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What the question says of the container, to be said back."""

    container: str = ""
    rack: str = ""
    position: str = ""
    specimen_type: Value = None
    container_type: Value = None


def write_orders(
    profile: Profile,
    orders: Sequence[SpecimenOrders],
    *,
    at: datetime,
    control_id: str,
    query: HostQuery | None = None,
) -> tuple[bytes, ...]:
    """The answer to a question, or new steps that nobody asked for; `at` is local time of the analyzer."""
    if query is None:
        wanted = [entry for entry in orders if entry.tests]
        return tuple(
            _order(profile, entry, _Place(), at=at, control_id=f"{control_id}.{number}")
            for number, entry in enumerate(wanted, 1)
        )
    try:
        asked = asked_message(query)
    except RemoteProtocolError:
        return ()  # the question was too long to be repeated: it is held with its bytes
    head = _head(at, control_id, asked, _reply_profile(profile, asked))
    reply = query_reply(head, asked)
    place = _place(asked)
    entries: Sequence[SpecimenOrders] = orders
    if not query.wants_all and not orders:
        entries = (SpecimenOrders(specimen=place.container, tests=()),)
    if query.wants_all:
        place = _Place()
    written = [
        _order(profile, entry, place, at=at, control_id=f"{control_id}.{number}", asked=asked)
        for number, entry in enumerate(entries, 1)
    ]
    return (reply, *written)


def take_back(profile: Profile, entry: SpecimenOrders, *, at: datetime, control_id: str) -> bytes:
    """OML^O33 with ORC-1 CA for each step; the same ids that were given."""
    return _order(profile, entry, _Place(), at=at, control_id=control_id, control="CA")


def refused_query(
    profile: Profile, asked: Message, *, at: datetime, control_id: str, error: ErrorCode
) -> bytes:
    """RSP^K11 to a question that we do not understand: AR with the reason, and nothing follows."""
    head = _head(at, control_id, asked, _reply_profile(profile, asked))
    return query_reply(head, asked, code=AckCode.AR, status="AR", error=Hl7Error(code=error))


def split_answer(payloads: Sequence[bytes]) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """What goes back on the connection of the question, and what we send as messages of our own."""
    messages = [(payload, Message.parse(payload).code) for payload in payloads]
    replies = tuple(payload for payload, code in messages if code != "OML")
    return replies, tuple(payload for payload, code in messages if code == "OML")


def _style(profile: Profile) -> LawStyle:
    assert profile.law is not None, "only LAW profiles write LAW"
    return profile.law


def _order(
    profile: Profile,
    entry: SpecimenOrders,
    place: _Place,
    *,
    at: datetime,
    control_id: str,
    asked: Message | None = None,
    control: str = "NW",
) -> bytes:
    style = _style(profile)
    head = _head(at, control_id, asked, _order_profile(style, asked))
    if not entry.tests:
        return nothing_to_do(head, _unknown(style, entry.specimen, place))
    steps = [_step(profile, test, entry.priority, control) for test in _once(profile, entry)]
    subject = _subject(entry) if style.sends_patient and control == "NW" else None
    return work_order(head, _specimen(style, entry, place), steps, subject)


def _reply_profile(profile: Profile, asked: Message) -> tuple[str, str]:
    """MSH-21 of the question, said back."""
    name, authority = (asked.header.component(21, part) for part in (1, 2))
    return (name, authority) if name else _style(profile).query_profile


def _order_profile(style: LawStyle, asked: Message | None) -> tuple[str, str]:
    """A question in the framework's own words is followed by an order in the same."""
    is_plain = asked is not None and asked.header.component(21, 2) == "IHE"
    return ("LAB-28", "IHE") if is_plain else style.order_profile


def _head(at: datetime, control_id: str, asked: Message | None, profile: tuple[str, str]) -> Head:
    header = asked.header if asked is not None else None
    receiving = (header.component(3), header.component(4)) if header is not None else ("", "")
    return Head(
        control_id=control_id,
        at=at,
        sending=SENDER,
        receiving=receiving,
        processing_id=(asked.processing_id if asked is not None else "") or "P",
        profile=profile,
    )


def _place(asked: Message) -> _Place:
    qpd = asked.first("QPD")
    if qpd is None:
        return _Place()
    kinds = [[repeat.parts() for repeat in qpd.repeats(number)] or None for number in (10, 11)]
    container = qpd.component(3)
    return _Place(
        container="" if container == DELETED else container,
        rack=qpd.component(4),
        position=qpd.component(5),
        specimen_type=kinds[0],
        container_type=kinds[1],
    )


def _specimen(style: LawStyle, entry: SpecimenOrders, place: _Place) -> Specimen:
    echoed = style.echoes_place
    extras: list[tuple[int, Value]] = []
    if echoed and place.container_type:
        extras.append((27, place.container_type))
    return Specimen(
        entity=_entity(style, entry.specimen) if style.names_in_spm else None,
        container=_container(style, entry.specimen),
        type=(place.specimen_type if echoed else None) or _type(style, entry.specimen_type),
        collected_at=f"{entry.collected_at:%Y%m%d%H%M%S}" if entry.collected_at else "",
        extras=tuple(extras),
        container_extras=_rack(place) if echoed else (),
    )


def _unknown(style: LawStyle, specimen: str, place: _Place) -> Specimen:
    """Nothing to do: the id stands in SAC-3, and only where there is no SAC in SPM-2."""
    return Specimen(
        entity=DELETED if style.names_in_sac else _entity(style, specimen),
        container=_container(style, specimen),
        role="U",
        container_extras=_rack(place) if style.echoes_place else (),
    )


def _entity(style: LawStyle, specimen: str) -> Value:
    return (((specimen, style.spm_mark),)) if style.spm_mark else specimen


def _container(style: LawStyle, specimen: str) -> Value:
    if not style.names_in_sac:
        return None
    return (specimen, style.sac_mark) if style.sac_mark else specimen


def _rack(place: _Place) -> tuple[tuple[int, Value], ...]:
    return ((10, place.rack), (11, place.position)) if place.rack or place.position else ()


def _type(style: LawStyle, ours: str) -> Value:
    known = style.specimen_types.get(ours)
    if known is not None:
        return known
    return (ours, "", _TYPES) if ours in HL7_SPECIMEN_TYPES else DELETED


def _once(profile: Profile, entry: SpecimenOrders) -> Sequence[OrderedTest]:
    """One step for each code that can be ordered, though it may give several results."""
    once: dict[str, OrderedTest] = {}
    for test in entry.tests:
        once.setdefault(_ordered(profile, test.test), test)
    return tuple(once.values())


def _ordered(profile: Profile, code: str) -> str:
    until = profile.orders.code_until
    return code.split(until, 1)[0] if until else code


def _step(profile: Profile, test: OrderedTest, priority: str, control: str) -> Step:
    style = _style(profile)
    return Step(
        control=control,
        step_id=test.work_order,
        test=(_ordered(profile, test.test), "", style.coding),
        priority=(priority or "R") if style.sends_priority else "",
        details=_details(style, test),
    )


def _details(style: LawStyle, test: OrderedTest) -> Sequence[Value] | None:
    """TCD behind a step; a dilution that a person asked for stands in TCD-2 as a ratio."""
    if test.dilution is not None:
        return (("", "1", ":", f"{test.dilution.normalize():f}"),)
    return () if style.sends_details else None


def _subject(entry: SpecimenOrders) -> Subject:
    return Subject(
        patient_id=entry.patient_id,
        family_name=entry.family_name,
        given_name=entry.given_name,
        birth_date=entry.birth_date,
        sex=entry.sex,
    )
