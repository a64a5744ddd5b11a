r"""Siemens DCA Vantage: HbA1c and albumin/creatinine at the point of care, ASTM over RS-232.

    H|\^&|||DCA VANTAGE^<software>^<serial>|||||||P||<time>
    P|1|<id>                                                                what was scanned or typed
    O|1||<number of the run>^<reagent lot>||||||||||||||||||||||F            O.3 empty
    R|1|^^^Alb|63.7|mg/L||||F|||<start>                                     time in R.12
    C|1|I|1.000^0.0 mg/L|G                                                  slope and offset set by the user

The whole message comes in one frame that ends with CR, without LF.

The comment behind a result says how the user corrects its values on the instrument: 1.000 and 0.0 mean not at
all. It stays beside the value, so that a person sees a correction that the laboratory did not make.

Not claimed: host query and orders (the instrument only reports), how the id was read, HbA1c in two units.
"""

from dataclasses import replace

from lis.domain.messages import Protocol
from lis.drivers.profile import (
    ASTM_FIELDS,
    ASTM_FLAGS,
    ASTM_STATUSES,
    Evidence,
    FieldRule,
    Grade,
    OrderStyle,
    Profile,
    Quirks,
)

PROFILE = Profile(
    key="siemens-dca-vantage",
    name="Siemens DCA Vantage",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.1", "DCA VANTAGE|DCA Vantage"),),),
    fields=replace(
        ASTM_FIELDS,
        specimen="P.3",
        observed_at="R.12",
        run="O.4.1",
        reagent_lot="O.4.2",
        sender_version="H.5.2",
        sender_serial="H.5.3",
    ),
    flags={flag: ASTM_FLAGS[flag] for flag in ("<", ">", "H", "L")},
    statuses={status: ASTM_STATUSES[status] for status in ("F", "C")},
    controls=(FieldRule("O.12", "Q"),),
    orders=OrderStyle(may_query=False),
    quirks=Quirks(sends_whole_message_in_one_frame=True),
    evidence=(
        Evidence(
            grade=Grade.CAPTURE,
            source="senaite.astm dca_vantage.txt, 3 results; one frame, CR without LF",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="flags, state C, controls, run and lot in O.4, meaning of the comments",
            source="DCA Vantage host computer communications link, 17306 Rev. E 2012-06, as quoted in "
            "senaite/senaite.astm src/senaite/astm/instruments/dca_vantage.py",
        ),
    ),
)
