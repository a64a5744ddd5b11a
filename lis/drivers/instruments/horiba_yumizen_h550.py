r"""Horiba Yumizen H500 and H550: five-part haematology analyzers, ASTM.

    H|\^&|||H550^<serial>^<software>|||||||Q|LIS2-A2|<time>                 Q: a control was measured
    O|1|<id>||^^^DIF|R|<time>|||||||||CTRL^^CTRLLOW||||||||||F              kind and level of the control
    M|1|HISTOGRAM|RBC/PLT|PltAlongRes|FLOATLE-stream/deflate:base64^...     curves, up to 27 kB a record
    M|2|MATRIX|LMNE|LMNEResAbs|...
    M|3|REAGENT|CLEANER\DILUENT\LYSE|<lot>^<opened>^<expires>\...
    R|1|^^^MCV^787-2|78.4|um3|73.5-83.5^REFERENCE_RANGE|N||F||<login>^^<profile>|<start>||

Curves and reagents stand before the results of their order: the curves are kept as references with the first
result, the lots belong to all.

The stored capture doubles each backslash (`H|\\^&`); reading survives it. R.3.6 is the dilution; no capture
shows one, so whether a value is multiplied already is not claimed, and any factor but 1 holds it (S25).

Not claimed: state W, comments and alarms, host query and orders.
"""

from dataclasses import replace

from lis.domain.messages import AttachmentKind, Protocol
from lis.drivers.profile import (
    ASTM_FIELDS,
    ASTM_FLAGS,
    ASTM_STATUSES,
    Evidence,
    FieldRule,
    Grade,
    OrderStyle,
    Profile,
)

PROFILE = Profile(
    key="horiba-yumizen-h550",
    name="Horiba Yumizen H500 and H550",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.1", "H5[05]0"),),),
    fields=replace(
        ASTM_FIELDS,
        interval="R.6.1",
        dilution="R.3.6",
        operator="R.11.1",
        observed_at="R.13 R.12",
        attachment="M.4+M.5",
        reagents="M.5.1",
        control_level="O.16.3",
        sender_serial="H.5.2",
        sender_version="H.5.3",
    ),
    flags={flag: ASTM_FLAGS[flag] for flag in ("N", "H", "L", "HH", "LL")},
    statuses={status: ASTM_STATUSES[status] for status in ("F", "X")},
    attachments=(
        (AttachmentKind.HISTOGRAM, FieldRule("M.3", "HISTOGRAM")),
        (AttachmentKind.MATRIX, FieldRule("M.3", "MATRIX")),
    ),
    reagents=(FieldRule("M.3", "REAGENT"),),
    controls=(FieldRule("H.12.1", "Q"), FieldRule("O.16.1", "CTRL")),
    orders=OrderStyle(may_query=False),
    evidence=(
        Evidence(
            grade=Grade.CAPTURE,
            source="blutspende/go-astm examples/yumizen/result.astm, a control run of 20 analytes",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="model H500, flags but N, state X, dilution in R.3.6, end time in R.13",
            source="senaite/senaite.astm src/senaite/astm/instruments/horiba_yumizen_h5xx.py",
        ),
    ),
)
