r"""Cepheid GeneXpert Dx in its HL7 mode: HL7 2.5 over MLLP, results behind a commit acknowledgement.

    MSH|^~\&|<system>^GeneXpert^<software>||LIS||<time>||ORU^R32^ORU_R30|<id>|P|2.5|||AL|NE
    PID|1||<patient>
    ORC|RE|1|||||||<ordered>
    OBR|1|||GBS TC|||||||||||||||||||||F
    TQ1|||||||<start>|<end>|R
    OBX|1|ST|&GBS TC&GBS Clinical Trial&4||NEGATIVE^||||||F|||||^<operator>||~~~~<serial>~
    NTE|1|L|Error^<code>^<text>
    SPM|1|<specimen>^<own number>||ORH|||||||P

SPM follows the rows it speaks for. OBX-3.1 has subcomponents: panel, test, assay, version; without a panel the
test stands alone. A call is in OBX-5.1, a number in OBX-5.2; both give two observations, as in ASTM mode. A row
with a name in OBX-4.1.2 (`LOG`) stands behind the result before it.

An order it does not take comes back with OBR-25 X, no rows, and the reason in a note.

Query: QBP^Z03 names a specimen in QPD-4, QBP^Z01 asks for everything; RSP^Z02 carries the orders inside, or
nothing behind QPD where there is no work. It waits 60 s, then takes the query back with QCN^J01. It takes
no orders unasked. All its messages are acknowledged by commit (CA), with MSH-9 `ACK` alone.

Not claimed: instrument specimen ids (SSU^U03 is acknowledged and kept), results on request (QRY^R02).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from lis.domain.messages import HostQuery, Protocol, SpecimenOrders
from lis.drivers.hl7_dialect import Acknowledging, Hl7Dialect
from lis.drivers.hl7_orders import Asked, header, is_urgent, written
from lis.drivers.profile import (
    CODE_JOINT,
    HL7_FIELDS,
    HL7_FLAGS,
    HL7_STATUSES,
    Evidence,
    FieldRule,
    Grade,
    OrderStyle,
    Profile,
    Query,
    RowKind,
)
from lis.wire.hl7_writer import segment

QUERY_WAIT_S = 60.0
SPECIMEN_TYPE = "ORH"  # the only one it writes and takes: "other" of POCT1-A


def write_orders(
    profile: Profile,
    orders: Sequence[SpecimenOrders],
    *,
    at: datetime,
    control_id: str,
    query: HostQuery | None = None,
) -> tuple[bytes, ...]:
    """RSP^Z02 with the orders inside; () when nobody asks, or the question was taken back."""
    if query is None or query.is_cancel:
        return ()
    asked = Asked.of(query.echo)
    parameters = asked.segment("QPD")
    name, tag = [*parameters.split("|")[1:3], "", ""][:2]  # as written, so they go back as written
    segments = [
        header(asked, ("RSP", "Z02"), control_id=control_id, at=at, conditions=("NE", "NE")),
        segment("MSA", "AA", asked.control_id),
        f"QAK|{tag}|OK|{name}",
        parameters,
    ]
    wanted = [entry for entry in orders if entry.tests]
    for number, entry in enumerate(wanted, 1):
        segments.extend(_specimen(profile, number, entry, at))
    return (written(asked, segments),)


def _specimen(profile: Profile, number: int, entry: SpecimenOrders, at: datetime) -> list[str]:
    until = profile.orders.code_until
    codes = dict.fromkeys(test.test.split(until)[0] for test in entry.tests)
    segments = [
        segment(
            "PID",
            str(number),
            "",
            entry.patient_id,
            "",
            (entry.family_name, entry.given_name),
            "",
            entry.birth_date,
            entry.sex,
        )
    ]
    for count, code in enumerate(codes, 1):
        segments += [
            segment("ORC", "NW", str(count), *[""] * 6, f"{at:%Y%m%d%H%M%S}"),
            segment("OBR", str(count), "", "", code, *[""] * 6, "A"),
            segment("TQ1", *[""] * 8, "S" if is_urgent(entry) else "R"),
            segment("SPM", str(count), (entry.specimen,), "", SPECIMEN_TYPE, *[""] * 6, "P"),
        ]
    return segments


MANUAL = "Cepheid GeneXpert LIS Interface Protocol Specification 301-2002 Rev. E"

PROFILE = Profile(
    key="cepheid-genexpert-hl7",
    name="Cepheid GeneXpert (HL7)",
    protocol=Protocol.HL7,
    version="1",
    identity=((FieldRule("MSH-3.2", "GeneXpert"),),),
    fields=replace(
        HL7_FIELDS,
        specimen="SPM-2.1",
        test="OBX-3.1.1+OBX-3.1.2",
        value="OBX-5.1",
        quantity="OBX-5.2",
        supplement="OBX-4.1.2",
        observed_at="OBX-14 TQ1-8",
        operator="OBX-16.2",
        specimen_type="SPM-4.1",
        module="OBX-18[4].1",
        reagent_lot="OBX-18[2].1",
        sender_name="MSH-3.2",
        sender_serial="MSH-3.1",
        sender_version="MSH-3.3",
    ),
    flags=HL7_FLAGS,
    statuses=HL7_STATUSES,
    rows=((RowKind.SUPPLEMENT, FieldRule("OBX-4.1.2", ".+")),),
    controls=(FieldRule("SPM-11.1", "Q"),),
    query=Query(
        match=(FieldRule("MSH-9.1", "QBP|QCN"), FieldRule("MSH-9.2", "Z01|Z03|J01")),
        specimen="QPD-4.1",
        everything=FieldRule("QPD-1.1", "Z01"),
        cancel=FieldRule("MSH-9.1", "QCN"),
        wait_s=QUERY_WAIT_S,
    ),
    orders=OrderStyle(code_until=CODE_JOINT),
    write_orders=write_orders,
    charsets=("iso8859-1",),  # said by the manual, so it comes before the usual guesses
    hl7=Hl7Dialect(
        is_specimen_behind=True,
        has_vendor_unicode=True,
        refusal=(FieldRule("OBR-25.1", "X"),),
        flag_notes=(FieldRule("NTE-3.1", "Error"),),
        acknowledging=Acknowledging(conditions_unless_said=("AL", "NE"), message_type=("ACK",)),
    ),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source=f"{MANUAL} (Dec 2014), as described in the public note `Cepheid GeneXpert Dx System - HL7 v2.5 Integration Specification` of OpenELIS (hl7.md, sources 42, 43)",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="ISO 8859-1 and its escapes, SPM behind OBX, subcomponents of OBX-3, OBX-5 in two components, LOG rows, OBX-18",
            source=f"{MANUAL}, its examples of single, quantitative and multi-result uploads",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="codes: panel and test, as in ASTM mode",
            source="the same make in ASTM mode, senaite.astm genexpert.txt",
        ),
    ),
)
