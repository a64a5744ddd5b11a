r"""Cepheid GeneXpert: cartridge PCR, ASTM over TCP, delimiters `@^\`, host query.

    H|@^\|<id>||<system>^GeneXpert^<software>|||||<host>||P|1394-97|<time>
    O|1|<specimen>||^^^MTB-RIF|R|<time>|||||||||ORH||||||||||F
    R|1|^MTB-RIF^^Xpert^<assay>^<version>^MTB^|NOT DETECTED^|||||F||<operator>|<start>|<end>|<run>
    R|2|^MTB-RIF^^Xpert^^^rpoB1^|INVALID^|||              analyte, its own call
    R|3|^MTB-RIF^^Xpert^^^rpoB1^Ct|^0.0|||                analyte and complement, a number

What is a result. A row that names its assay (R.3.5) is the reportable one: the call, or a number, or both.
Rows without an assay stand behind it: analyte calls, Ct, end points, melt points, the probe check. They are
kept as observations of their own with `part_of` naming the result's record.

Codes. A result is `<ordered code>^<result code>`: `MTB-RIF^Xpert`. A row behind it adds analyte and complement,
both always: `MTB-RIF^Xpert^rpoB1^Ct`, `MTB-RIF^Xpert^rpoB1^`. A call that carries a number gives a second
observation `MTB-RIF^Xpert^quantity`. A single-result assay has no ordered code in R.3.2: its result code alone.
A row whose code fits no open result (one in the capture is misspelt) stays a result of its own, so that a
person sees an unknown test.

The run behind a result (R.14): model and module position, instrument serial, module serial, cartridge serial,
reagent lot, expiry. One cartridge is one run. The system's own name in H.5.1 is unique and set at installation:
it is what a swapped cable would change (S23).

Host query: Q.3 is `patient^specimen`, repeated by `@`, or ALL; Q.13 is O for a query, A when it was taken back.
It waits 60 s, wants L|1|F after orders and L|1|I when there are none, and takes no orders unasked.
Operators' notes come as comments of type I; only a comment that begins with Error is a flag.
"""

from dataclasses import replace

from lis.domain.messages import Protocol
from lis.drivers.profile import (
    ASTM_CONTROLS,
    ASTM_FIELDS,
    ASTM_FLAGS,
    ASTM_STATUSES,
    Evidence,
    FieldRule,
    Grade,
    OrderGrouping,
    OrderStyle,
    Profile,
    Query,
    Quirks,
    RowKind,
)

QUERY_WAIT_S = 60.0  # astm.md, section 3: waits 60 s for the answer

PROFILE = Profile(
    key="cepheid-genexpert",
    name="Cepheid GeneXpert",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.2", "GeneXpert"),),),
    fields=replace(
        ASTM_FIELDS,
        test="R.3.2+R.3.4",
        value="R.4.1",
        quantity="R.4.2",
        supplement="R.3.7+R.3.8",
        specimen_type="O.16",
        module="R.14.3",
        reagent_lot="R.14.5",
        run="R.14.4",
        sender_name="H.5.2",
        sender_serial="H.5.1",
        sender_version="H.5.3",
    ),
    flags={flag: ASTM_FLAGS[flag] for flag in ("N", "H", "L", "A", "<", ">")},
    statuses=ASTM_STATUSES,
    rows=((RowKind.SUPPLEMENT, FieldRule("R.3.5", "")),),
    controls=ASTM_CONTROLS,
    query=Query(wait_s=QUERY_WAIT_S),
    orders=OrderStyle(grouping=OrderGrouping.ORDER_EACH, code_until="^"),
    charsets=("utf-8", "latin-1"),
    quirks=Quirks(
        delimiters="|@^\\",
        sends_whole_message_in_one_frame=True,
        flag_comments=(FieldRule("C.4.1", "Error.*"),),
    ),
    evidence=(
        Evidence(grade=Grade.CAPTURE, source="senaite.astm genexpert.txt, 84 result records"),
        Evidence(
            grade=Grade.SPEC,
            covers="host query, orders, flags, controls",
            source="Cepheid LIS interface protocol (public description), see astm.md section 3",
        ),
    ),
)
