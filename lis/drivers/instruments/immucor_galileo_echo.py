r"""Immucor Galileo Echo: blood groups and antibody screens on microplates, ASTM.

    H|\^&|||Echo|||||LIS|||LIS2-A2|<time>                                   no processing id
    P|1|<patient>|||...
    O|1|<specimen>||^^^ABOD Full|R||||||||||Blood^Patient                   specimen type in O.16
    R|3|^^^Anti-B|3+^3+^45|||||F||<operator>||<time>|M0002                  a reaction in three parts
    R|9|^^^ABOD Full Interp|B Pos|||||F||...                                what the reactions mean together

One order for each assay, several in a message; the instrument's own id stands in R.14.

A reaction is a grade (`0`, `2+`, `4+`) and is kept as a word: the `0` of a reaction is no amount. The second and
third part of its field stand behind it as `Anti-B^2` and `Anti-B^3`. What they mean the capture does not say, so
nothing is made of them.

Not claimed: flags (the capture has none, so any is held), its own mark of a control, host query, and orders. The order beside the
capture shows that a host writes one O for each test with N in O.12 and the donor of a crossmatch in a comment, but
not whether the instrument had asked for it.
"""

from dataclasses import replace

from lis.domain.messages import Protocol
from lis.drivers.profile import (
    ASTM_CONTROLS,
    ASTM_FIELDS,
    ASTM_STATUSES,
    Evidence,
    FieldRule,
    Grade,
    OrderStyle,
    Profile,
    ValuePart,
)

PROFILE = Profile(
    key="immucor-galileo-echo",
    name="Immucor Galileo Echo",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.1", "Echo"),),),
    fields=replace(ASTM_FIELDS, value="R.4.1", module="R.14"),
    flags={},
    statuses=ASTM_STATUSES,
    parts=(ValuePart("R.4.2", "2"), ValuePart("R.4.3", "3")),
    words=(FieldRule("R.4.2", ".+"),),
    controls=ASTM_CONTROLS,
    orders=OrderStyle(may_query=False),
    evidence=(
        Evidence(
            grade=Grade.CAPTURE,
            source="blutspende/go-astm examples/galileo/result.astm, 14 results of 2 orders",
        ),
        Evidence(
            grade=Grade.SPEC, covers="states but F, controls", source="LIS02-A2 9.9, 8.4, 6.12"
        ),
    ),
)
