"""Reading by the letter of the standards, for messages that no driver claims.

Only the message lab uses these: production holds such a message (`unknown_driver`) instead of trusting that an
unknown instrument keeps to the standard. They are not in the registry and in no list of supported instruments.
"""

from dataclasses import replace

from lis.domain.messages import Protocol
from lis.drivers.profile import (
    ASTM_CONTROLS,
    ASTM_FIELDS,
    ASTM_FLAGS,
    ASTM_STATUSES,
    HL7_ATTACHMENTS,
    HL7_FIELDS,
    HL7_FLAGS,
    HL7_STATUSES,
    FieldMap,
    Profile,
)

_ASTM: FieldMap = replace(ASTM_FIELDS, test="R.3.4 R.3.5 R.3.1", specimen="O.3.1 O.4.1")
_HL7: FieldMap = replace(HL7_FIELDS, test="OBX-3.1 OBX-3.4 OBX-3.2", specimen="SPM-2.1 OBR-3.1")
_SLIP = FieldMap(specimen="", test="", value="", unit="", status="", observed_at="", flags="")
"""Nothing says how slips are written: without a layout all of one is unreadable."""

STANDARD = {
    Protocol.ASTM: Profile(
        key="",
        name="LIS2-A2",
        protocol=Protocol.ASTM,
        version="1",
        identity=(),
        fields=_ASTM,
        evidence=(),
        flags=ASTM_FLAGS,
        statuses=ASTM_STATUSES,
        controls=ASTM_CONTROLS,
        charsets=("utf-8", "latin-1"),
    ),
    Protocol.HL7: Profile(
        key="",
        name="HL7 v2",
        protocol=Protocol.HL7,
        version="1",
        identity=(),
        fields=_HL7,
        evidence=(),
        flags=HL7_FLAGS,
        statuses=HL7_STATUSES,
        rows=HL7_ATTACHMENTS,
    ),
    Protocol.PRINTOUT: Profile(
        key="",
        name="print-out",
        protocol=Protocol.PRINTOUT,
        version="1",
        identity=(),
        fields=_SLIP,
        evidence=(),
        flags={},
        statuses={},
    ),
}
