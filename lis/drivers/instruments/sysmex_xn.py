r"""Sysmex XN (XN-10, XN-20, XN-1000): haematology, ASTM over TCP (the instrument calls) or RS-232.

    H|\^&|||    XN-10^00-22^11001^^^^AW618382||||||||E1394-97     name padded; software, serial; no time
    P|1|||<patient>|^<given>^<family>||<born>|<sex>
    C|1||<patient's comment>
    O|1||<rack>^<pos>^<id, 22 wide>^<how read>|^^^^WBC\^^^^RBC|||||||N||||||||||||||F
    R|1|^^^^WBC^1|8.13|10*3/uL||N||F||<operator>||<measured>      code in component 5, dilution in 6
    R|24|^^^^Eosinophilia||||A||F||||<measured>                   alarm of the whole count: raised, as it has a flag
    R|26|^^^^Blasts/Abn_Lympho?|40|||||F                          suspicion 0-300, not raised: no flag
    R|38|^^^^SCAT_WDF|PNG&R&<day>&R&<file>.PNG|||N||F             name of an image on the instrument's disk

    Q|1|<rack>^<pos>^<id>^<how read>||||<time>||||||N             O.3 of the answer repeats Q.3 as it stands

R.3.6 is 1, or 5 for a capillary specimen that was prediluted; whether such a value is multiplied is not in the
sources, so it is held (S25). R.9: F, or P and I when a rerun, reflex or repeat follows: preliminary. Where R.9 is
empty, O.26 speaks for all results. How the id was read: M typed, A made up by the instrument, B barcode; C (given
by a host) is held. Nothing to do is told by an order without tests and report type Y, "no order".

Not claimed: R.9 = N (the sources disagree: query to host, or normal), control charts (XbarM), comments to the
instrument, ordering a rerun (O.12 = A), extended order results (`^^^^W` behind a code is kept, not read).
"""

from dataclasses import replace

from lis.domain.messages import AttachmentKind, IdReadMode, Protocol
from lis.drivers.order_style import Nothing, OrderStyle
from lis.drivers.profile import (
    ASTM_CONTROLS,
    ASTM_FIELDS,
    ASTM_FLAGS,
    ASTM_STATUSES,
    Evidence,
    FieldRule,
    Grade,
    Profile,
    Query,
    Quirks,
    ReadMode,
    RowKind,
)

CELLS = "Neutro|Lympho|Leukocyto|Mono|Eosino|Baso|Erythro|Thrombocyto|Reticulocyto"
ALARMS = "|".join(
    (
        r".*\?",  # suspicions: Blasts/Abn_Lympho?, Left_Shift?
        r".*_Abn_(?:Scattergram|Distribution)",
        r"Positive_(?:Diff|Morph|Count)",
        r"Error_(?:Func|Result)",
        r"ACTION_MESSAGE_.*",
        r"IG_Present|NRBC_Present|Dimorphic_Population|Anemia|Hypochromia",
        r"(?:Aniso|Micro|Macro)cytosis",
        rf"(?:{CELLS})(?:cytosis|sis|penia|philia)",
    )
)
"""Codes of rows that carry an alarm. A name that is not here becomes an unknown test and is held."""

PROFILE = Profile(
    key="sysmex-xn",
    name="Sysmex XN",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.1", "XN-(?:10|20|1000)"),),),
    fields=replace(
        ASTM_FIELDS,
        specimen="O.4.3",
        test="R.3.5",
        dilution="R.3.6",
        status="R.9 O.26",
        position="O.4.1+O.4.2",
        attachment="R.4",
        sender_version="H.5.2",
        sender_serial="H.5.3",
    ),
    flags={flag: ASTM_FLAGS[flag] for flag in ("N", "L", "H", "LL", "HH", ">", "A", "W")},
    statuses={
        "F": ASTM_STATUSES["F"],
        "P": ASTM_STATUSES["P"],
        "I": ASTM_STATUSES["P"],
    },
    read_mode=ReadMode(
        path="O.4.4",
        modes={"M": IdReadMode.TYPED, "A": IdReadMode.AUTOMATIC, "B": IdReadMode.BARCODE},
    ),
    rows=(
        (RowKind.ATTACHMENT, FieldRule("R.3.5", "(?:SCAT|DIST)_.*")),
        (RowKind.FLAG, FieldRule("R.3.5", ALARMS)),
    ),
    attachments=(
        (AttachmentKind.HISTOGRAM, FieldRule("R.3.5", "DIST_.*")),
        (AttachmentKind.IMAGE, FieldRule("R.3.5", "SCAT_.*")),
    ),
    controls=(*ASTM_CONTROLS, FieldRule("O.4.3", "QC-.*")),
    query=Query(component=3),
    orders=OrderStyle(
        test_component=5,
        nothing=Nothing.EMPTY_ORDER,
        nothing_report_type="Y",
        answer_end="N",
        action="N",
        header={"H.5": "{sender}", "H.13": "E1394-97"},
        patient={
            "P.5": "{patient_id}",
            "P.6": "^{given_name}^{family_name}",
            "P.8": "{birth_date}",
            "P.9": "{sex}",
        },
        order={
            "O.3": "{asked}",
            "O.5": "{tests}",
            "O.7": "{time}",
            "O.12": "{action}",
            "O.26": "{report_type}",
        },
    ),
    quirks=Quirks(padding=" "),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="senaite/senaite.astm src/senaite/astm/instruments/sysmex_xn.py (names its source: Sysmex "
            "ASTM Host Interface Specifications) and tests/data/sysmex_xn550.txt",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="query, answer, report types Q and Y, read modes, action codes, statuses",
            source="the same schema; Sysmex XN series ASTM Host Interface Specifications R314185 rev. 18 and "
            "R314187 rev. 11 (their revision tables); dmytrotankode/medlink.lab OrderBuilders.cs",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="names of alarms and images, QC- ids",
            source="DIGI-UW/openelis-work, Sysmex XN-L ASTM field mapping 0.1, from the Sysmex guide "
            "1273-MKT rev. 3",
        ),
    ),
)
