"""Which test shows which requirement: `docs/reference/conformance.md`, made from the names of the tests.

    python -m tests.conformance            say what is missing, or whether the page is old
    python -m tests.conformance --write    write the page

A test belongs to the requirement that its name begins with: `test_L1_07_...` to L1-07, `test_LAW_R03_...` to
LAW-R03. The ids are those of the study this project began with; L1 and L2 rows restate CLSI LIS01-A2 and
LIS02-A2, M to C rows HL7 v2 and its lower layer protocol, LAW rows IHE LAW, S rows our own rules of safety.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
PAGE = ROOT / "docs" / "reference" / "conformance.md"

_NAME = re.compile(r"test_(LAW_R|[A-Z])(\d+)(?:_(\d\d))?_")

# Requirements that no test can show here, and why.
CANNOT_BE_TESTED: dict[str, str] = {}

LONG_RUNS = """Beside them run random streams with faults (`tests/streams`) and inputs that nobody would think of
(`tests/fuzz`), each with a seed that a failure names. Outside of the usual run:

```
LIS_STREAMS=100000 pytest tests/streams      100,000 streams of ASTM and of MLLP
LIS_FUZZ=1000000 pytest tests/fuzz           1,000,000 inputs over six targets
LIS_SERIAL_BYTES=1000000 pytest tests/drivers/test_astm_line.py      every capture at 9600 baud
```
"""

GROUPS: dict[str, dict[str, str]] = {
    "ASTM link (LIS01-A2, E1381)": {
        "L1-01": "Serial settings: 9600 baud, 8N1 unless said otherwise; 300 to 38400, 7 bits, parity, 2 stop bits",
        "L1-02": "TCP: the instrument calls us, or we call the instrument",
        "L1-03": "Neutral: ENQ gets ACK, or NAK when busy; all else is ignored",
        "L1-04": "After our ENQ only ACK, NAK and ENQ count",
        "L1-05": "ENQ unanswered for 15 s: EOT, and a second before the next ENQ",
        "L1-06": "NAK to ENQ: at least 10 s before the next",
        "L1-07": "Contention: the host is silent for up to 20 s, the instrument tries again after 1 s",
        "L1-08": "A frame is STX, number, text, ETB or ETX, two digits of checksum, CR LF",
        "L1-09": "Frame numbers start at 1 in each session and count modulo 8 over its messages",
        "L1-10": "Text limits 240 and 63,993, CR counted",
        "L1-11": "One record starts one frame when we send; several in a frame are survived",
        "L1-12": "Checksum over number to ETB or ETX, upper-case hex",
        "L1-13": "The checksum is over bytes; the charset is decided later",
        "L1-14": "Every frame is answered within 15 s, also when the store is slow",
        "L1-15": "A repeated frame gets its ACK again and is delivered once",
        "L1-16": "A damaged frame or a wrong number gets NAK",
        "L1-17": "What stands around frames is ignored",
        "L1-18": "Anything but ACK and EOT brings the same frame again",
        "L1-19": "After six sends (or seven, by setting) the message is given up and handed back",
        "L1-20": "A frame unanswered for 15 s ends the session; the message is handed back",
        "L1-21": "30 s of silence end a session; half a message is dropped as evidence",
        "L1-22": "EOT as a reply: honoured with a pause, or taken as ACK, by setting",
        "L1-23": "A receiver with data asks for the line with EOT, and asks again",
        "L1-24": "EOT makes both sides neutral",
        "L1-25": "Line control characters never stand in a text we send",
        "L1-26": "Half a message is evidence and never delivered as final",
        "L1-27": "Who cannot receive says NAK to every ENQ; who cannot send never enquires",
    },
    "ASTM records (LIS02-A2, E1394)": {
        "L2-01": "Which characters a record may hold",
        "L2-02": "CR ends a record; the letter's case does not matter, that of contents does",
        "L2-03": "Delimiters come from H and hold until L",
        "L2-04": "Escape sequences are read; delimiters in texts are written as such",
        "L2-05": "Trailing nulls may be left out, further fields may follow",
        "L2-06": "Null says nothing, two quotation marks delete",
        "L2-07": "No field and no record has a maximum length",
        "L2-08": "The hierarchy of records, and what stands outside of it",
        "L2-09": "C and M belong to the record before them",
        "L2-10": "Sequence numbers start again below each higher record; received ones are not trusted",
        "L2-11": "Parts of a test id",
        "L2-12": "Dates and times, with and without an offset",
        "L2-13": "Names, values with units and addresses are components",
        "L2-14": "H.12 says what the message is for; a wrong password is refused audibly",
        "L2-15": "Tests repeat in O.5; priority, action and report type",
        "L2-16": "Results come below their order and take its specimen",
        "L2-17": "Flags, states and repeated ranges of results",
        "L2-18": "Source and kind of comments",
        "L2-19": "A query asks for one, a list, a range or all",
        "L2-20": "A query is open until its answer ended or it was taken back",
        "L2-21": "What L says, and what ends a request",
        "L2-22": "Another H may follow after L",
        "L2-23": "What is sent again after a lost line is harmless",
        "L2-24": "M has no form; S says nothing here",
    },
    "HL7 on the line (MLLP)": {
        "M1": "VT, bytes, FS, CR; any bytes but FS inside",
        "M2": "What stands between frames is counted and dropped",
        "M3": "A frame without its CR is delivered",
        "M4": "Several frames in a read, a frame in several reads",
        "M5": "VT inside a frame is data; by setting a new frame after a pause",
        "M6": "A frame over the limit ends the connection, memory stays bounded",
        "M7": "Half a frame and silence end the connection; an idle line lives",
        "M8": "A connection serves any number of messages, answers in order",
        "M9": "An answer counts for the message that it names only",
        "M10": "Repeats are the same bytes, bounded, later and later; never after AR",
        "M11": "TLS from 1.2 on, peers by list, loopback unless configured",
    },
    "HL7 acknowledgements": {
        "A1": "Original mode: exactly one answer, addressed to the sender",
        "A2": "Enhanced mode: MSH-15 and MSH-16 say which answers are due",
        "A3": "AA only after the bytes are durable",
        "A4": "Which fault is AR and which AE, with its code of table 0357",
        "A5": "Type of the acknowledgement by version",
        "A6": "The same message again is acknowledged again and stored once",
    },
    "HL7 encoding": {
        "E1": "Separators come from MSH-1 and MSH-2",
        "E2": "Escapes are read after splitting; unknown ones stay",
        "E3": "No separator, line end or block end leaves in a field",
        "E4": "Empty and delete differ",
        "E5": "CR, LF and CR LF as line ends",
        "E6": "Unknown and Z segments are kept in order and are no error",
        "E7": "Fields beyond the declared version are read",
        "E8": "Numbers stay text; what is no number is told apart",
        "E9": "Precision and offset of times are kept",
    },
    "HL7 character sets": {
        "C1": "What MSH-18 may say",
        "C2": "A wrong declaration is seen, tried otherwise and flagged; nothing is dropped",
        "C3": "The answer is written in the set of the request",
    },
    "HL7 batches and orders": {
        "B1": "Envelopes with and without file level; counts are checked",
        "B2": "Bare messages in one frame are split at MSH",
        "O1": "Orders of a medical record system",
    },
    "IHE LAW": {
        "LAW-R01": "The query is answered on its connection, the order goes on ours",
        "LAW-R02": "No work is said with a negative response of four segments",
        "LAW-R03": "An answer carries the specimen that was asked and no other",
        "LAW-R04": "A refused negative response is an event, not a failed order",
        "LAW-R05": "Each step of work is accepted or refused by itself",
        "LAW-R06": "The id of a step of work never gets a new meaning",
        "LAW-R07": "What one analyzer finished is cancelled on the others",
        "LAW-R08": "Results that nobody ordered are taken",
        "LAW-R09": "Results of one step may come in several messages",
        "LAW-R10": "A result sent again gets AA again and is stored once",
        "LAW-R11": "Orders can be sent without a query",
        "LAW-R12": "Controls are told by SPM-11, and where an instrument says otherwise, by its profile",
        "LAW-R13": "OBX-4 pairs rows of a run, OBX-29 marks results",
        "LAW-R14": "Supplemental rows stand behind their result",
    },
    "Everywhere": {
        "Q1": "A control never reaches a patient's order, in any dialect",
        "R1": "Raw bytes are kept before they are read; what cannot be read is visible and can be replayed",
        "R2": "No data of patients in logs",
        "S16": "An id that was not read from the barcode is held",
        "S19": "Resend, edit and true second run are told apart",
        "S22": "Control under a patient's id, or a patient under a control's: held both ways",
        "S23": "Another device on the port, or a changed unit: held, never converted",
        "S24": "The instrument's clock is measured, and a wrong one holds",
        "S25": "A dilution nobody explained holds",
    },
}


def requirements() -> dict[str, str]:
    """Every id and what it asks for."""
    return {key: text for group in GROUPS.values() for key, text in group.items()}


def named_tests() -> dict[str, list[tuple[str, str]]]:
    """By id: file and name of each test that is called after it."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        place = path.relative_to(TESTS).as_posix()
        for name in _test_names(path):
            if (match := _NAME.match(name)) is not None:
                found[_id_of(match)].append((place, name))
    return dict(found)


def _test_names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def _id_of(match: re.Match[str]) -> str:
    letters, number, row = match.groups()
    if letters == "LAW_R":
        return f"LAW-R{number}"
    return f"{letters}{number}-{row}" if letters == "L" and row else f"{letters}{number}"


def missing() -> list[str]:
    """Ids without a test that are not on the list of those that cannot have one."""
    found = named_tests()
    return [key for key in requirements() if key not in found and key not in CANNOT_BE_TESTED]


def page() -> str:
    """The whole page."""
    found = named_tests()
    count = sum(len(found.get(key, ())) for key in requirements())
    parts = [
        "# Conformance\n",
        "Which test shows which requirement. Made from the names of the tests by "
        "`python -m tests.conformance --write`; a test fails when an id has no test, or this page is old.\n",
        f"{len(requirements())} requirements, {count} tests named after them.\n",
    ]
    parts.append(LONG_RUNS)
    for group, rows in GROUPS.items():
        parts.append(f"## {group}\n")
        parts.append("| id | requirement | tests |\n|---|---|---|")
        parts += [_row(key, text, found.get(key, [])) for key, text in rows.items()]
        parts.append("")
    return "\n".join(parts)


def _row(key: str, text: str, tests: list[tuple[str, str]]) -> str:
    by_file: dict[str, list[str]] = defaultdict(list)
    for place, name in tests:
        by_file[place].append(name.removeprefix("test_").split("_", 1)[1])
    shown = "<br>".join(
        f"`{place}`: {', '.join(_shown(name, key) for name in names)}"
        for place, names in by_file.items()
    )
    return f"| {key} | {text} | {shown or CANNOT_BE_TESTED.get(key, '**none**')} |"


def _shown(name: str, key: str) -> str:
    """The sentence that a test's name is, without its id."""
    rest = name.removeprefix(f"{key.partition('-')[2]}_") if "-" in key else name
    return rest.replace("_", " ")


def main(arguments: list[str]) -> int:
    if "--write" in arguments:
        PAGE.write_text(page(), encoding="utf-8")
    without = missing()
    is_old = not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page()
    lines = [f"no test is named after {key}" for key in without]
    lines += [f"{PAGE.name} is old: python -m tests.conformance --write"] if is_old else []
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
