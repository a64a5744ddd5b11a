"""What ORC-1 says (HL7 table 0119), and how we answer each: one table, no code.

A control that is not in `CONTROLS` is refused by name. Those in `ANSWERS` are what a laboratory says to a hospital: a message
that carries one is no order, and taking it for a new one would measure what nobody asked for.
"""

from dataclasses import dataclass
from typing import Final

from lis.orders.entries import Outcome
from lis.orders.order_saying import Verb


@dataclass(frozen=True, slots=True)
class Control:
    """One code: what it asks, and the codes for yes and no."""

    verb: Verb
    done: str
    unable: str


CONTROLS: Final = {
    "NW": Control(Verb.PLACE, "OK", "UA"),
    "RO": Control(Verb.PLACE, "OK", "UA"),  # the order that replaces another
    "XO": Control(Verb.CHANGE, "XR", "UX"),
    "CA": Control(Verb.CANCEL, "CR", "UC"),
    "DC": Control(Verb.CANCEL, "DR", "UD"),
    "RP": Control(Verb.REPLACE, "RQ", "UM"),
    "RU": Control(Verb.REPLACE, "RQ", "UM"),
    "HD": Control(Verb.HOLD, "HR", "UH"),
    "RL": Control(Verb.RELEASE, "OR", "UR"),
    "SC": Control(Verb.NOTE, "OK", "UA"),  # what it asks stands in ORC-5: `STATUSES`
}
STATUSES: Final = {"CA": Verb.CANCEL, "DC": Verb.CANCEL, "HD": Verb.HOLD}  # table 0038
PRIOR: Final = "PR"  # a previous result that came with an order: no order itself

ANSWERS: Final = {
    "OK": "an order was accepted",
    "UA": "an order was not accepted",
    "XR": "a change was carried out",
    "UX": "a change was not carried out",
    "CR": "a cancel was carried out",
    "UC": "a cancel was not carried out",
    "DR": "a discontinuation was carried out",
    "UD": "a discontinuation was not carried out",
    "HR": "an order was put on hold",
    "UH": "an order was not put on hold",
    "OR": "a hold was released",
    "UR": "a hold was not released",
    "RQ": "a replacement was carried out",
    "UM": "a replacement was not carried out",
    "OC": "an order was cancelled by the laboratory",
    "OD": "an order was discontinued by the laboratory",
    "OE": "an order was released by the laboratory",
    "OF": "an order was refilled",
    "OH": "an order was put on hold by the laboratory",
    "NA": "a number was assigned",
    "RE": "results follow",
    "RR": "a request was received",
    "SR": "a status is answered",
    "XX": "an order was changed by the laboratory",
}

# ORC-5 of the answer (table 0038).
ORDER_STATUS: Final = {
    Outcome.ACCEPTED: "SC",
    Outcome.REPEATED: "SC",
    Outcome.HELD: "HD",
    Outcome.CANCELLED: "CA",
    Outcome.UNABLE: "IP",
    Outcome.UNKNOWN: "",
    Outcome.REFUSED: "CA",
}
_UNDONE: Final = frozenset({Outcome.UNABLE, Outcome.UNKNOWN, Outcome.REFUSED})


def said_back(control: str, outcome: Outcome) -> tuple[str, str]:
    """ORC-1 and ORC-5 of the answer."""
    known = CONTROLS[control]
    return known.unable if outcome in _UNDONE else known.done, ORDER_STATUS[outcome]
