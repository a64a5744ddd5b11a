"""What a simulated instrument reads: the orders that a host gives, asked for or not.

ASTM: O records under their specimens; L says whether there was anything. HL7: ORR^O02, whose MSA says whether the
specimen is known; a Mindray counter knows no single tests, so an accepted answer means all it can count. QCK^Q02 with
DSR^Q03 and RSP^Z02 name each test.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lis.wire.astm_record import Message as AstmMessage
from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import Message as Hl7Message
from lis.wire.hl7_ack import Ack, read_ack
from lis.wire.hl7_writer import message, segment
from simulators.writing import Instrument

__all__ = [
    "Worklist",
    "acknowledgement_of",
    "own_codes",
    "read_acknowledgement",
    "read_astm_orders",
    "read_hl7_orders",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Worklist:
    """Codes to measure, by specimen. A specimen that is not in it has nothing to do."""

    tests: Mapping[str, tuple[str, ...]]
    is_answer: bool
    """Whether it ends a query; else the host sent it unasked."""
    steps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """LAW: the id of each step, by specimen and by the code that was ordered."""


NOTHING = Worklist(tests={}, is_answer=True)


def read_astm_orders(instrument: Instrument, records: Sequence[bytes]) -> Worklist:
    """The orders in a message of the host."""
    profile = instrument.profile
    style = profile.orders
    place = style.specimen_place(profile.query.component)
    found: dict[str, list[str]] = {}
    is_answer = False
    for record in AstmMessage.parse(records).records:
        if record.type == "O":
            specimen = record.component(*place).strip(profile.quirks.padding or None)
            codes = found.setdefault(specimen, [])
            count = len(record.repeats(5))
            codes += [record.component(5, style.test_component, n + 1) for n in range(count)]
        elif record.type == "L":
            # LIS02-A2 12.3, and whatever this instrument takes for the end of an answer
            is_answer = record.field(3) in {"F", "I", "Q", style.answer_end}
    tests = {specimen: own_codes(instrument, codes) for specimen, codes in found.items()}
    return Worklist(tests=tests, is_answer=is_answer)


def read_hl7_orders(instrument: Instrument, answer: Hl7Message) -> Worklist | None:
    """The orders in an answer of the host, by its type; None while more is to come."""
    if instrument.profile.law is not None:
        return None if answer.code == "RSP" and is_understood(answer) else NOTHING
    reader = _READERS.get(answer.code, _read_order_response)
    tests = reader(instrument, answer)
    return None if tests is None else Worklist(tests=tests, is_answer=True)


def is_understood(answer: Hl7Message) -> bool:
    """LAW: whether the orders will follow as a message of their own."""
    msa = answer.first("MSA")
    return msa is not None and msa.component(1) == "AA"


def _read_order_response(
    instrument: Instrument, answer: Hl7Message
) -> dict[str, tuple[str, ...]] | None:
    """ORR^O02: AA with a specimen in OBR-2 means count it; a counter knows no single tests."""
    msa, order = answer.first("MSA"), answer.first("OBR")
    if msa is None or msa.component(1) != "AA" or order is None:
        return {}
    return {order.component(2): tuple(plan.code for plan in instrument.model.plans)}


def _read_query_acknowledgement(
    _instrument: Instrument, answer: Hl7Message
) -> dict[str, tuple[str, ...]] | None:
    """QCK^Q02: OK means that worklists follow."""
    found = answer.first("QAK")
    return None if found is not None and found.component(2) == "OK" else {}


def _read_worklist(instrument: Instrument, answer: Hl7Message) -> dict[str, tuple[str, ...]] | None:
    """DSR^Q03: the specimen in line 21, the tests from line 29 on."""
    lines = {line.field(1): line for line in answer.all("DSP")}
    codes = [line.component(3) for number, line in lines.items() if int(number) >= FIRST_TEST_LINE]
    return {lines[SPECIMEN_LINE].component(3): own_codes(instrument, codes)}


def _read_orders_inside(
    instrument: Instrument, answer: Hl7Message
) -> dict[str, tuple[str, ...]] | None:
    """RSP^Z02: each SPM stands behind the OBR that it belongs to."""
    found: dict[str, list[str]] = {}
    code = ""
    for one in answer.segments:
        if one.name == "OBR":
            code = one.component(4)
        elif one.name == "SPM":
            found.setdefault(one.component(2), []).append(code)
    return {specimen: own_codes(instrument, codes) for specimen, codes in found.items()}


SPECIMEN_LINE, FIRST_TEST_LINE = "21", 29
_READERS: Mapping[str, Callable[[Instrument, Hl7Message], dict[str, tuple[str, ...]] | None]] = {
    "QCK": _read_query_acknowledgement,
    "DSR": _read_worklist,
    "RSP": _read_orders_inside,
}


def acknowledgement_of(answer: Hl7Message) -> bytes:
    """What an instrument says to a worklist: ACK^Q03."""
    name = ("ACK", answer.event)
    header = segment("MSH", *[""] * 4, "", "", name, answer.control_id, "P", answer.version)
    return message([header, segment("MSA", "AA", answer.control_id)])


def read_acknowledgement(payload: bytes) -> tuple[Hl7Message, Ack] | None:
    """A message that acknowledges one of ours; None for anything else."""
    try:
        message = Hl7Message.parse(payload)
        return message, read_ack(message)
    except RemoteProtocolError:
        return None


def own_codes(instrument: Instrument, ordered: Sequence[str]) -> tuple[str, ...]:
    """The instrument's result codes for what was ordered: one order may give several results."""
    until = instrument.profile.orders.code_until
    known = [plan.code for plan in instrument.model.plans]
    codes: dict[str, None] = {}
    for order in ordered:
        panel = instrument.model.panels.get(order, ())
        below = list(panel) or [code for code in known if until and code.split(until)[0] == order]
        codes |= dict.fromkeys(below or [order])
    return tuple(codes)
