"""How an instrument wants its ASTM orders, as data: layouts of H, P and O, and what to say when there is nothing.

A *layout* gives each field of a record by its path a template. What stands in braces is put in, `^` divides
components, the rest is written as it stands; fields that a layout does not name stay empty:

    {"H.5": "host^1", "H.10": "{asker}", "H.11": "TSDWN^REPLY"}

    everywhere  {id} control id of the message    {time} now, local time of the instrument
    H           {sender} ourselves                {asked_id} H.3 of the query
                {asker} who asked: its serial number, else its name    {asker_name} its name
                {receiver} how the instrument called us (H.10 of the query)
    P           {patient_id} {family_name} {given_name} {birth_date} {sex}
    P and O     {specimen}, padded as the instrument pads
    O           {priority} {collected} {action} {specimen_type} {report_type} {tests}
                {asked} the repeat of Q.3 that named this specimen; {asked.8} its component 8
                {place} the components of that repeat behind the specimen: rack, position, container

`{tests}`, `{asked}` and `{place}` fill a field alone. When nobody asked, `{asked}` is the specimen where Q.3
would have it and `{place}` is empty. The defaults are LIS02-A2 chapters 6 to 8 and 12.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

STANDARD_HEADER: Mapping[str, str] = {
    "H.3": "{id}",
    "H.5": "{sender}",
    "H.10": "{asker}",
    "H.12": "P",
    "H.13": "LIS2-A2",
    "H.14": "{time}",
}
STANDARD_PATIENT: Mapping[str, str] = {
    "P.3": "{patient_id}",
    "P.6": "{family_name}^{given_name}",
    "P.8": "{birth_date}",
    "P.9": "{sex}",
}
STANDARD_ORDER: Mapping[str, str] = {
    "O.3": "{specimen}",
    "O.5": "{tests}",
    "O.6": "{priority}",
    "O.7": "{time}",
    "O.8": "{collected}",
    "O.12": "{action}",
    "O.16": "{specimen_type}",
    "O.26": "{report_type}",
}


class Nothing(Enum):
    """What an instrument wants to hear when there is no work for it."""

    TERMINATOR = "L|1|I"  # LIS02-A2 12.3: no information available from last query
    SILENCE = "nothing at all"
    EMPTY_ORDER = "an order without tests"  # cobas e411 manual, page 51; Sysmex XN
    QUESTION_BACK = "its Q record with status X"  # Abbott Architect


class OrderGrouping(Enum):
    """How the tests of one specimen are written."""

    ORDER_EACH = "one O record a test"
    REPEATS = "one O record, tests repeated in O.5"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStyle:
    """How orders are written to the instrument."""

    may_push: bool = False
    """Whether it takes orders it did not ask for."""
    may_query: bool = True
    grouping: OrderGrouping = OrderGrouping.REPEATS
    nothing: Nothing = Nothing.TERMINATOR
    test_component: int = 4
    """Where the maker's code stands in a test of O.5: LIS02-A2 5.6.1."""
    test_form: str = ""
    """A test of O.5 in full, `^^^{code}^{dilution}`. "": the code at `test_component`, a dilution behind it."""
    code_until: str = ""
    """The order names only what stands before this sign in a code: one order, several results."""
    code_pattern: str = ""
    code_ordered: str = ""
    """The order names this instead of a code that matches `code_pattern`: Sysmex CS measures 041 to 044 when
    040 is ordered."""
    action: str = "A"  # O.12: add to what is known of this specimen
    report_type: str = "O"  # O.26: order
    answer_report_type: str = "Q"  # O.26: response to query
    nothing_report_type: str = ""
    """O.26 of an order without tests; "" = as of an answer. Sysmex XN: Y, no order."""
    answer_end: str = "F"
    """L.3 behind orders that were asked for. LIS02-A2 12.3: last request finished; many send N."""
    sender: str = "LIS"
    header: Mapping[str, str] = field(default_factory=lambda: STANDARD_HEADER)
    nothing_header: Mapping[str, str] = field(default_factory=dict)
    """What H says otherwise when nothing was found. Mindray: H.12 QA instead of SA."""
    patient: Mapping[str, str] = field(default_factory=lambda: STANDARD_PATIENT)
    order: Mapping[str, str] = field(default_factory=lambda: STANDARD_ORDER)
    spelling: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By path: how the instrument spells a text there. What is not in it is left out, not guessed."""
    specimen_width: int = 0
    """The specimen is padded on the left with blanks to so many characters: cobas c311, 22."""

    def specimen_place(self, query_component: int) -> tuple[int, int]:
        """Field and component of O in which the instrument finds the specimen."""
        for path, template in self.order.items():
            if template == "{asked}":
                return int(path[2:]), query_component
            parts = template.split("^")
            if "{specimen}" in parts:
                return int(path[2:]), parts.index("{specimen}") + 1
        return 3, 1
