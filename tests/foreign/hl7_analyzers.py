"""HL7 analyzers that know nothing of lis: Mindray's two dialects and IHE LAW, written from reference/hl7.md.

    MindrayBc   results ORU^R01 -> ACK; query ORM^O01 (ORC-1 RF) -> ORR^O02                  section 4
    MindrayBs   query QRY^Q02 -> QCK^Q02, then DSR^Q03 -> our ACK^Q03; cancel by QRD-9 CAN   section 4
    LawAnalyzer query QBP^Q11 -> RSP^K11 on our connection, then OML^O33 on the host's, our ORL^O34;
                results OUL^R22 -> ACK^R22                                                   section 3

Strict: whatever the host does against these raises `HostViolation` with what was expected and what came.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.foreign.analyzer import HostViolation
from tests.foreign.blocks import Segment, header_field, named, read_block, write_block
from tests.foreign.blocks import field as at
from tests.foreign.line import Line

WAIT_S = 15.0  # for any answer; GeneXpert's 60 s is the longest that a maker allows
SILENCE_S = 0.5  # how long we listen for what must not come
QUERY_NAME = "WOS^Work Order Step^IHELAW"


class _Speaker:
    """One connection and the numbers of our messages."""

    def __init__(self, line: Line, sender: tuple[str, str]) -> None:
        self.line = line
        self._sender = sender
        self._number = 0

    def header(self, at_time: str, kind: str, version: str, *more: str) -> Segment:
        self._number += 1
        number = str(self._number)
        return [
            *("MSH", "^~\\&", *self._sender, "", "", at_time, "", kind, number, "P", version),
            *more,
        ]

    def ask(self, segments: list[Segment], expected: str) -> list[Segment]:
        """Send, and take the answer of that kind which names our message."""
        write_block(self.line, segments)
        answer = read_block(self.line, WAIT_S)
        expect(header_field(answer, 9).split("^")[:2], expected.split("^")[:2], "MSH-9")
        expect(at(named(answer, "MSA")[0], 2), header_field(segments, 10), "MSA-2")
        return answer

    def expect_silence(self, why: str) -> None:
        came = self.line.read_byte(SILENCE_S)
        if came:
            raise HostViolation(f"{why}, yet the host sent {came!r}")

    def close(self) -> None:
        self.line.close()


def expect(came: object, wanted: object, what: str) -> None:
    if came != wanted:
        raise HostViolation(f"{what}: expected {wanted!r}, got {came!r}")


class MindrayBc(_Speaker):
    """Haematology counter, HL7 2.3.1."""

    def __init__(self, line: Line) -> None:
        super().__init__(line, ("Mindray", "BC-5380"))

    def send_count(self, specimen: str, rows: Sequence[tuple[str, str, str]], at_time: str) -> None:
        """ORU^R01 of (code, value, unit); the host must say AA."""
        segments = [
            self.header(at_time, "ORU^R01", "2.3.1", "", "", "", "", "", "UNICODE"),
            ["PID", "1"],
            ["OBR", "1", "", specimen, "00001^Automated Count^99MRC", "", at_time, at_time],
            *(
                ["OBX", str(place), "NM", f"{code}^^99MRC", "", value, unit, "", "N", "", "", "F"]
                for place, (code, value, unit) in enumerate(rows, 1)
            ),
        ]
        answer = self.ask(segments, "ACK^R01")
        expect(at(named(answer, "MSA")[0], 1), "AA", "MSA-1")

    def query(self, specimen: str, at_time: str) -> str | None:
        """The test mode the host orders for this tube; None when there is nothing to do (AR)."""
        segments = [
            self.header(at_time, "ORM^O01", "2.3.1", "", "", "", "", "", "UNICODE"),
            ["ORC", "RF", "", specimen, "", "IP"],
        ]
        answer = self.ask(segments, "ORR^O02")
        if at(named(answer, "MSA")[0], 1) == "AR":
            expect(named(answer, "OBR"), [], "OBR of a refusal")
            return None
        (order,), (request,) = named(answer, "ORC"), named(answer, "OBR")
        expect((at(order, 1), at(order, 2)), ("AF", specimen), "ORC-1 and ORC-2")
        expect(at(request, 2), specimen, "OBR-2")
        modes = [at(row, 5) for row in named(answer, "OBX") if "08003" in at(row, 3)]
        expect(len(modes), 1, "rows of the test mode")
        return modes[0]


class MindrayBs(_Speaker):
    """Chemistry analyzer, HL7 2.3.1: the answer to a query comes in two messages."""

    FIRST_TEST_SLOT = 29

    def __init__(self, line: Line) -> None:
        super().__init__(line, ("Mindray", "BS-330"))

    def query(self, specimen: str, at_time: str) -> list[str] | None:
        """The channel numbers ordered for this tube; None when the host found nothing (QAK-2 NF)."""
        asked = self._question(specimen, at_time, "OTH")
        found = self.ask(asked, "QCK^Q02")
        expect(at(named(found, "MSA")[0], 1), "AA", "MSA-1")
        verdict = at(named(found, "QAK")[0], 2)
        if verdict == "NF":
            self.expect_silence("the host found nothing")
            return None
        expect(verdict, "OK", "QAK-2")
        display = read_block(self.line, WAIT_S)
        expect(header_field(display, 9).split("^")[:2], ["DSR", "Q03"], "MSH-9")
        slots = {int(at(row, 1)): at(row, 3) for row in named(display, "DSP")}
        expect(specimen in slots.values(), True, "the specimen among the display slots")
        write_block(
            self.line,
            [
                self.header(at_time, "ACK^Q03", "2.3.1"),
                ["MSA", "AA", header_field(display, 10), "Message accepted", "", "", "0"],
                ["ERR", "0"],
            ],
        )
        return [text.split("^")[0] for slot, text in slots.items() if slot >= self.FIRST_TEST_SLOT]

    def cancel(self, specimen: str, at_time: str) -> None:
        """Take a question back: acknowledged, and no orders."""
        self.ask(self._question(specimen, at_time, "CAN"), "QCK^Q02")
        self.expect_silence("the query was cancelled")

    def _question(self, specimen: str, at_time: str, subject: str) -> list[Segment]:
        return [
            self.header(at_time, "QRY^Q02", "2.3.1", "", "", "", "", "", "ASCII"),
            ["QRD", at_time, "R", "D", "1", "", "", "RD", specimen, subject, "", "", "T"],
            ["QRF", "BS-330", "", "", "", "", "RCT", "COR", "ALL", ""],
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Awos:
    """One work order step as the host ordered it."""

    number: str
    test: str
    control: str


@dataclass(slots=True, kw_only=True)
class Broadcast:
    """One OML^O33 of the host."""

    control_id: str
    specimen: str
    steps: list[Awos] = field(default_factory=list)


class LawAnalyzer(_Speaker):
    """IHE LAW, HL7 2.5.1. `orders` is where the host's OML arrive: a line of their own, or ours."""

    def __init__(self, line: Line, *, orders: Line | None = None) -> None:
        super().__init__(line, ("cobas pro", "Roche"))
        self._orders = orders or line

    @classmethod
    def with_own_port(cls, line: Line, server: socket.socket) -> "LawAnalyzer":
        """The host calls us for its orders, as LAB-28 wants it."""
        server.settimeout(WAIT_S)
        connection, _ = server.accept()
        return cls(line, orders=Line.on_socket(connection))

    def close(self) -> None:
        super().close()
        if self._orders is not self.line:
            self._orders.close()

    def query(self, specimen: str, at_time: str) -> Broadcast:
        """LAB-27: ask for one tube, take the answer, and take the orders that follow (LAB-28)."""
        tag = f"Q{specimen}"
        asked = [
            self._law_header(at_time, "QBP^Q11^QBP_Q11", "LAB-27^IHE"),
            ["QPD", QUERY_NAME, tag, specimen],
            ["RCP", "I", "", "R^^HL70394"],
        ]
        answer = self.ask(asked, "RSP^K11")
        expect(header_field(answer, 9), "RSP^K11^RSP_K11", "MSH-9")
        expect(at(named(answer, "MSA")[0], 1), "AA", "MSA-1")
        (verdict,) = named(answer, "QAK")
        expect((at(verdict, 1), at(verdict, 2)), (tag, "OK"), "QAK-1 and QAK-2")
        expect(at(named(answer, "QPD")[0], 3), specimen, "QPD-3 echoed")
        return self.take_orders(at_time)

    def take_orders(self, at_time: str, *, accept: bool = True) -> Broadcast:
        """LAB-28: one OML^O33, answered by ORL^O34 with a word on each work order step."""
        message = read_block(self._orders, WAIT_S)
        expect(header_field(message, 9), "OML^O33^OML_O33", "MSH-9")
        specimens = named(message, "SPM")
        expect(len(specimens), 1, "specimens in the answer to one query (LAB28-007)")
        carrier = named(message, "SAC")
        broadcast = Broadcast(
            control_id=header_field(message, 10),
            specimen=at(carrier[0], 3).split("^")[0] if carrier else "",
        )
        for place, order in enumerate(message):  # two ORC may be equal, so `index` would not do
            if order[0] != "ORC":
                continue
            rest = [part for part in message[place + 1 :] if part[0] in {"ORC", "OBR"}]
            request = rest[0] if rest and rest[0][0] == "OBR" else ["OBR"]
            broadcast.steps.append(
                Awos(
                    number=at(request, 2).split("^")[0],
                    test=at(request, 4).split("^")[0],
                    control=at(order, 1),
                )
            )
        self._reply(message, broadcast, at_time, accept=accept)
        return broadcast

    def _reply(
        self, message: list[Segment], broadcast: Broadcast, at_time: str, *, accept: bool
    ) -> None:
        replies = {"NW": ("OK", "SC") if accept else ("UA", "CA"), "CA": ("CR", "CA")}
        steps = [
            ["ORC", replies[step.control][0], step.number, "", "", replies[step.control][1]]
            for step in broadcast.steps
            if step.control in replies
        ]
        header = self._law_header(at_time, "ORL^O34^ORL_O42", "LAB-28^IHE")
        header[14:16] = ["", ""]  # MSH-15 and 16 are empty on replies
        body = [header, ["MSA", "AA", header_field(message, 10)]]
        if steps:
            body += [["PID"], named(message, "SPM")[0], *steps]
        write_block(self._orders, body)

    def send_result(
        self, specimen: str, step: str, test: str, value: str, unit: str, at_time: str
    ) -> None:
        """LAB-29: one result; `step` is the AWOS number, or "" for a result that nobody ordered."""
        message = [
            self._law_header(at_time, "OUL^R22^OUL_R22", "LAB-29^IHE"),
            ["SPM", "1", f"{specimen}&BARCODE", "", "SERPLAS^^99ROC", *[""] * 6, "P^^HL70369"],
            ["SAC", "", "", f"{specimen}^BARCODE"],
            ["OBR", "1", step or '""', "", f"{test}^^99ROC"],
            ["ORC", "SC", "", "", "", "CM"],
            [
                *(
                    "OBX",
                    "1",
                    "NM",
                    f"{test}^^99ROC",
                    "1",
                    value,
                    f"{unit}^^UCUM",
                    "",
                    "N^^HL70078",
                ),
                *("", "", "F", "", "", "", "", "operator", "", "pro^Roche~1234^Roche", at_time),
                *("", "", "", "", "", "", "", "", "", "RSLT"),
            ],
        ]
        answer = self.ask(message, "ACK^R22")
        expect(header_field(answer, 9), "ACK^R22^ACK", "MSH-9")
        expect(at(named(answer, "MSA")[0], 1), "AA", "MSA-1")

    def _law_header(self, at_time: str, kind: str, profile: str) -> Segment:
        head = self.header(at_time, kind, "2.5.1", "", "", "NE", "AL", "", "UNICODE UTF-8")
        return [*head, "", "", profile]
