r"""The messages of IHE LAW (PaLM TF-2b, LAB-27, LAB-28 and LAB-29) as tables.

    LAB-27   QBP^Q11   analyzer asks which work steps there are for a container
             RSP^K11   "understood", on the analyzer's connection; the steps do not stand in it
    LAB-28   OML^O33   the steps (AWOS), or "nothing to do", on a connection that we initiate
             ORL^O34   taken or refused, step by step
    LAB-29   OUL^R22   results and states of steps; ACK^R22 answers

A structure is a tuple of items: `One` segment, or a `Group` of items. `least` and `most` count how often an
item stands in a row; `most=0` means any number. The first segment of a group tells that it begins, so reading
needs to look at one name only.

What a segment must hold stands in `FIELDS`, by structure and segment. A rule speaks about one component (the
first, where nothing else is said) of the first repetition:

    NEEDED   something stands there; two quotation marks are something ("not known")
    EMPTY    nothing stands there
    CODED    empty or one of the values; NEEDED and values: one of the values

The extras of makers (other query names, other profile ids) are told apart: `Weight.NOTE` is what a peer does
that the framework does not, and that nobody needs to be refused for.

What QPD holds follows from what it asks for (`QUERY_SHAPES`). Prior results in OML^O33 are not written and
not read by us, so they have no table.

Sources: reference/hl7.md 3.1 (assertions LAB27-001..008, LAB28-001..008, LAB29-003, and traces of six makers).
"""

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

__all__ = [
    "FIELDS",
    "INITIATIONS",
    "ORDER_CONTROLS",
    "QUERY_SHAPES",
    "REPLY_CONTROLS",
    "STRUCTURES",
    "Group",
    "Need",
    "One",
    "QueryShape",
    "Rule",
    "Weight",
]


@dataclass(frozen=True, slots=True)
class One:
    """A segment."""

    name: str
    least: int = 1
    most: int = 1


@dataclass(frozen=True, slots=True)
class Group:
    """Items that repeat together; the first must be there, or the group is not."""

    items: "tuple[One | Group, ...]"
    least: int = 1
    most: int = 0

    @property
    def name(self) -> str:
        """The segment that begins the group; an optional one at its start also does."""
        return self.items[0].name

    @property
    def first(self) -> frozenset[str]:
        """Segments that can begin the group."""
        names: set[str] = set()
        for item in self.items:
            names |= item.first if isinstance(item, Group) else {item.name}
            if item.least:
                break
        return frozenset(names)


class Weight(Enum):
    """How much a finding matters."""

    ERROR = "error"  # the framework forbids it
    NOTE = "note"  # a maker's own way


class Need(Enum):
    """What a rule asks of a component."""

    NEEDED = "needed"
    EMPTY = "empty"
    CODED = "coded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one component of a segment must hold."""

    field: int
    component: int = 1
    need: Need = Need.NEEDED
    values: frozenset[str] = frozenset()
    weight: Weight = Weight.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryShape:
    """Which fields of QPD a kind of query fills, and which it leaves empty."""

    needed: tuple[int, ...] = ()
    empty: tuple[int, ...] = ()


_PATIENT = Group((One("PID"), One("PV1", least=0)), least=0, most=1)
_ERRORS = One("ERR", least=0, most=0)

STRUCTURES: MappingProxyType[str, tuple[One | Group, ...]] = MappingProxyType(
    {
        "QBP_Q11": (One("MSH"), One("QPD"), One("RCP")),
        "RSP_K11": (One("MSH"), One("MSA"), _ERRORS, One("QAK"), One("QPD")),
        "OML_O33": (
            One("MSH"),
            _PATIENT,
            Group(
                (
                    One("SPM"),
                    One("OBX", least=0, most=0),
                    One("SAC", least=0),
                    Group(
                        (
                            One("ORC"),
                            One("TQ1", least=0),
                            Group(
                                (
                                    One("OBR"),
                                    One("NTE", least=0, most=0),
                                    One("TCD", least=0),
                                    One("OBX", least=0, most=0),
                                ),
                                least=0,
                                most=1,
                            ),
                        )
                    ),
                )
            ),
        ),
        "ORL_O42": (
            One("MSH"),
            One("MSA"),
            _ERRORS,
            One("PID", least=0),
            Group(
                (
                    One("SPM"),
                    One("SAC", least=0),
                    Group((One("ORC"), One("OBR", least=0))),
                ),
                least=0,
            ),
        ),
        "OUL_R22": (
            One("MSH"),
            _PATIENT,
            Group(
                (
                    One("SPM"),
                    One("OBX", least=0, most=0),
                    One("SAC", least=0),
                    One("INV", least=0, most=0),
                    Group(
                        (
                            One("OBR"),
                            One("ORC", least=0),
                            One("NTE", least=0, most=0),
                            One("TQ1", least=0),
                            Group(
                                (
                                    One("OBX"),
                                    One("TCD", least=0),
                                    One("INV", least=0, most=0),
                                    One("NTE", least=0, most=0),
                                ),
                                least=0,
                            ),
                        )
                    ),
                )
            ),
        ),
        "ACK": (One("MSH"), One("MSA"), _ERRORS),
    }
)
"""ORC, OBR in OML^O33 and OBR, ORC in OUL^R22 is no slip: the two messages differ in it."""

INITIATIONS = frozenset({"QBP_Q11", "OML_O33", "OUL_R22"})

ORDER_CONTROLS = frozenset({"NW", "CA", "DC"})
"""ORC-1 of OML^O33: a new step, take it back, nothing to do."""
REPLY_CONTROLS = frozenset({"OK", "UA", "CR", "UC"})
"""ORC-1 of ORL^O34: taken, not taken, taken back, cannot be taken back (HL7 table 0119)."""

QUERY_SHAPES: MappingProxyType[str, QueryShape] = MappingProxyType(
    {
        "WOS": QueryShape(needed=(3,)),
        "WOS_ALL": QueryShape(empty=(3, 4, 5, 6, 7, 8, 9)),
        "WOS_BY_RACK": QueryShape(needed=(4, 5), empty=(3, 6, 7)),
        "WOS_BY_TRAY": QueryShape(needed=(6, 7), empty=(3, 4, 5)),
        "WOS_BY_ISOLATE": QueryShape(),
    }
)
"""By QPD-1.1; QPD-2, the tag, is needed always. Position 8 (location) may stand beside rack and tray."""

_N, _E, _C = Need.NEEDED, Need.EMPTY, Need.CODED


def _one_of(field: int, *values: str, need: Need = Need.NEEDED, **more: int | Weight) -> Rule:
    return Rule(field=field, need=need, values=frozenset(values), **more)  # type: ignore[arg-type]


_HEADER = (
    Rule(field=7),
    Rule(field=10),
    _one_of(11, "P", "T", "D"),
    _one_of(12, "2.5.1"),
    _one_of(18, "UNICODE UTF-8", weight=Weight.NOTE),
)
_INITIATION = (
    _one_of(15, "NE", "ER"),
    _one_of(15, "NE", weight=Weight.NOTE),  # ER: cobas 4800, BioSystems
    _one_of(16, "AL"),
)
_REPLY = (Rule(field=15, need=_E), Rule(field=16, need=_E))


def _header(profile: str, *rules: Rule) -> tuple[Rule, ...]:
    named = (
        _one_of(21, profile, weight=Weight.NOTE),
        _one_of(21, "IHE", component=2, weight=Weight.NOTE),
    )
    return (*_HEADER, *rules, *named)


_ACKNOWLEDGED = (_one_of(1, "AA", "AE", "AR"), Rule(field=2))
_ERROR_SEGMENT = (Rule(field=3), _one_of(4, "E", "W", "I", "F"))
_SPECIMEN = (
    Rule(field=1),
    Rule(field=4),
    _one_of(11, "P", "Q", "U", "L"),
    _one_of(11, "HL70369", need=_C, component=3),
)
_OBSERVATION = (
    Rule(field=1),
    Rule(field=2),
    Rule(field=3),
    Rule(field=5),
    Rule(field=8),
    _one_of(11, "P", "F", "C", "X"),
    Rule(field=16),
    Rule(field=18),
    Rule(field=19),
    _one_of(29, "RSLT"),
)

FIELDS: MappingProxyType[str, MappingProxyType[str, tuple[Rule, ...]]] = MappingProxyType(
    {
        "QBP_Q11": MappingProxyType(
            {
                "MSH": _header("LAB-27", *_INITIATION),
                "QPD": (
                    Rule(field=1),
                    _one_of(1, *QUERY_SHAPES, weight=Weight.NOTE),
                    _one_of(1, "IHELAW", "IHE_LABTF", component=3, weight=Weight.NOTE),
                    Rule(field=2),
                ),
                "RCP": (_one_of(1, "I"), _one_of(3, "R")),
            }
        ),
        "RSP_K11": MappingProxyType(
            {
                "MSH": _header("LAB-27", *_REPLY),
                "MSA": _ACKNOWLEDGED,
                "ERR": _ERROR_SEGMENT,
                "QAK": (Rule(field=1), _one_of(2, "OK", "AE", "AR"), Rule(field=3)),
                "QPD": (Rule(field=1), Rule(field=2)),
            }
        ),
        "OML_O33": MappingProxyType(
            {
                "MSH": _header("LAB-28", *_INITIATION),
                "SPM": _SPECIMEN,
                "SAC": (Rule(field=3),),
                "ORC": (_one_of(1, *ORDER_CONTROLS), Rule(field=9)),
                "OBR": (Rule(field=2), Rule(field=4)),
            }
        ),
        "ORL_O42": MappingProxyType(
            {
                "MSH": _header("LAB-28", *_REPLY),
                "MSA": _ACKNOWLEDGED,
                "ERR": _ERROR_SEGMENT,
                "ORC": (
                    _one_of(1, *REPLY_CONTROLS),
                    Rule(field=2),
                    _one_of(5, "SC", "CA", "IP"),
                ),
            }
        ),
        "OUL_R22": MappingProxyType(
            {
                "MSH": _header("LAB-29", *_INITIATION),
                "SPM": _SPECIMEN,
                "SAC": (Rule(field=3),),
                "OBR": (Rule(field=2), Rule(field=4)),
                "ORC": (_one_of(1, "SC"), _one_of(5, "IP", "CM", "CA")),
                "OBX": _OBSERVATION,
            }
        ),
        "ACK": MappingProxyType(
            {"MSH": _header("LAB-29", *_REPLY), "MSA": _ACKNOWLEDGED, "ERR": _ERROR_SEGMENT}
        ),
    }
)
