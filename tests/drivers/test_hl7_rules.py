"""What an HL7 peer may rely on, rule by rule (hl7.md, section 7), over a pipe and the real session."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.messages import Reason
from lis.drivers import registry, translate
from lis.drivers.hl7_dialect import Acknowledging
from lis.drivers.hl7_driver import specimens_first
from lis.drivers.hl7_orders import Asked
from lis.drivers.session import run_session
from lis.drivers.session_events import AnswerFailed, InputRejected, LibertyTaken
from lis.transport import memory_pair
from lis.wire.hl7 import Message
from lis.wire.mllp import frame
from tests.drivers.test_mllp_session import Peer, codes, oru, serving
from tests.drivers.wires import Host
from tests.wire.test_hl7_matrix import CASES

NAME = "Иванова"
AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
WANTED = {"AL": (True, True), "NE": (False, False), "ER": (False, True), "SU": (True, False)}
CONDITIONS = ["AL", "NE", "ER", "SU", ""]


def asking(msh15: str, msh16: str, *, kind: str = "ORU^R01") -> bytes:
    """A message with these two conditions, of a kind that may be refused."""
    before = oru("1", kind=kind)
    return before.replace(b"|2.3.1||||||", f"|2.3.1|||{msh15}|{msh16}||".encode())


def due(msh15: str, msh16: str, *, ok: bool) -> list[str]:
    if not msh15 and not msh16:
        return ["AA" if ok else "AR"]
    accept = WANTED.get(msh15, (False, False))[not ok]
    application = WANTED.get(msh16, (False, False))[not ok]
    return ["CA" if ok else "CR"] * accept + ["AA" if ok else "AR"] * application


@pytest.mark.parametrize("ok", [True, False], ids=["taken", "refused"])
@pytest.mark.parametrize(("msh15", "msh16"), list(product(CONDITIONS, repeat=2)))
async def test_A2_exactly_the_answers_that_the_header_asks_for_are_sent(
    msh15: str, msh16: str, *, ok: bool
) -> None:
    host, expected = Host(), due(msh15, msh16, ok=ok)
    async with serving(host) as peer:
        await peer.pipe.send(frame(asking(msh15, msh16, kind="ORU^R01" if ok else "SIU^S12")))
        await peer.pipe.send(frame(oru("2")))
        answers = await peer.answers(len(expected) + 1)

    assert [code for code, _ in codes(answers)] == [*expected, "AA"]
    assert [asked for _, asked in codes(answers)] == ["1"] * len(expected) + ["2"]


async def test_M8_one_connection_serves_ten_thousand_messages_and_answers_each_in_order() -> None:
    host = Host()
    async with serving(host) as peer:
        for number in range(10_000):
            await peer.pipe.send(frame(b"MSH|^~\\&|B|C|||2026||ORU^R01|%d|P|2.3.1\r" % number))
            assert codes(await peer.answers(1)) == [("AA", str(number))]
            host.shelf.units.clear()  # the shelf looks through all it holds


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize("key", ["mindray-bs", "mindray-bc"])
async def test_A4_a_mindray_reads_the_code_of_an_error_in_msa_6(key: str) -> None:
    host = Host()
    async with serving(host, key=key) as peer:
        await peer.pipe.send(frame(oru("1", kind="SIU^S12")))
        await peer.pipe.send(frame(oru("2")))
        refused, taken = await peer.answers(2)

    assert [refused.all("MSA")[0].component(n) for n in (1, 3, 6)] == [
        "AR",
        "Unsupported message type",
        "200",
    ]
    assert refused.all("ERR")[0].component(1, 4, sub=1) == "200"
    assert [taken.all("MSA")[0].component(n) for n in (1, 3, 6)] == ["AA", "Message accepted", "0"]


async def test_A4_a_header_that_nobody_can_read_is_refused_with_200_and_never_accepted() -> None:
    host = Host()
    async with serving(host) as peer:
        for payload in (b"", b"MSH", b"MSH|^~\\&", b"PID|1||7\r", b"\x00" * 50):
            await peer.pipe.send(frame(payload))
            [answer] = await peer.answers(1)
            assert answer.all("MSA")[0].component(1) == "AR"
            assert answer.all("ERR")[0].component(3) == "200"


# ------------------------------------------------------------------ the manner of an instrument


async def test_A5_a_genexpert_is_acknowledged_by_commit_whatever_its_header_leaves_out() -> None:
    host = Host()
    async with serving(host, key="cepheid-genexpert-hl7") as peer:
        await peer.pipe.send(frame(oru("7", kind="ORU^R32^ORU_R30").replace(b"2.3.1", b"2.5")))
        [answer] = await peer.answers(1)

    assert codes([answer]) == [("CA", "7")]
    assert answer.header.field(9) == "ACK"


async def test_A5_a_mindray_chemistry_analyzer_gets_its_own_number_back() -> None:
    host = Host()
    async with serving(host, key="mindray-bs") as peer:
        await peer.pipe.send(frame(oru("4711")))
        [answer] = await peer.answers(1)

    assert (answer.control_id, answer.header.field(9)) == ("4711", "ACK^R01")


async def test_M8_a_days_worklist_goes_one_by_one_each_after_its_acknowledgement() -> None:
    replies = tuple(oru(f"a{n}", kind="DSR^Q03") for n in range(4))
    host = Host(answers={1: replies})
    async with serving(host, key="mindray-bs") as peer:
        await peer.pipe.send(frame(oru("9", kind="QRY^Q02")))
        assert [one.control_id for one in await peer.answers(2)] == ["a0", "a1"]
        for expected in ("a2", "a3"):
            await peer.pipe.send(frame(oru("9", kind="ACK^Q03") + b"MSA|AA|9\r"))
            assert [one.control_id for one in await peer.answers(1)] == [expected]


async def test_M8_a_worklist_that_was_taken_back_is_not_sent_on() -> None:
    host = Host(answers={1: tuple(oru(f"a{n}", kind="DSR^Q03") for n in range(4)), 2: (oru("nf"),)})
    async with serving(host, key="mindray-bs") as peer:
        await peer.pipe.send(frame(oru("9", kind="QRY^Q02")))
        await peer.answers(2)
        await peer.pipe.send(frame(oru("10", kind="QRY^Q02")))
        assert [one.control_id for one in await peer.answers(1)] == ["nf"]
        await peer.pipe.send(frame(oru("9", kind="ACK^Q03") + b"MSA|AA|9\r"))
        await peer.pipe.send(frame(oru("11")))
        assert codes(await peer.answers(1)) == [("AA", "11")]


async def test_M9_an_instrument_that_refuses_our_answer_is_heard() -> None:
    host = Host(answers={1: (oru("a0", kind="DSR^Q03"),)})
    async with serving(host, key="mindray-bs") as peer:
        await peer.pipe.send(frame(oru("9", kind="QRY^Q02")))
        await peer.answers(1)
        await peer.pipe.send(frame(oru("9", kind="ACK^Q03") + b"MSA|AR|9|record locked|||206\r"))
        await peer.pipe.send(frame(oru("10")))
        await peer.answers(1)

    assert host.of(AnswerFailed) == [AnswerFailed(inbox_id=1, attempts=1, reason="answered AR")]


# ------------------------------------------------------------------ what comes again, or together


async def test_A6_the_same_number_with_other_bytes_is_another_message_and_said_once() -> None:
    host = Host()
    async with serving(host) as peer:
        for specimen in (b"10000017", b"10000025", b"10000033"):
            await peer.pipe.send(frame(oru("1").replace(b"10000017", specimen)))
            assert codes(await peer.answers(1)) == [("AA", "1")]

    assert len(host.shelf.units) == 3
    assert host.of(LibertyTaken) == [LibertyTaken(name="control id used for another message")]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (oru("1") + oru("2"), "AA"),
        (b"BHS|^~\\&|A\r" + oru("1") + oru("2") + b"BTS|2\r", "AA"),
        (b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + oru("1") + b"BTS|1\rFTS|1\r", "AA"),
        (b"BHS|^~\\&|A\r" + oru("1") + oru("2") + b"BTS|3\r", "AE"),
        (oru("1") + b"MSH|^~\r", "AE"),
    ],
    ids=["B2 bare", "B1 batch", "B1 file", "B1 wrong count", "B2 one unreadable"],
)
async def test_B1_several_messages_in_one_block_get_one_answer(payload: bytes, code: str) -> None:
    host = Host()
    async with serving(host) as peer:
        await peer.pipe.send(frame(payload) + frame(oru("9")))
        answers = await peer.answers(2)

    assert codes(answers) == [(code, "1"), ("AA", "9")]
    assert host.shelf.units[0].raw == payload


def test_B2_each_message_of_a_block_is_read_and_one_that_cannot_be_hides_no_other() -> None:
    payload = oru("1") + b"MSH|^~\r" + oru("2").replace(b"10000017", b"10000025")
    read = translate(registry.get("mindray-bc"), payload, zone=UTC, received_at=AT)

    assert [(row.record, row.specimen) for row in read.observations] == [
        ("OBX|1", "10000017"),
        ("3/OBX|1", "10000025"),
    ]
    assert [(entry.record, entry.reason) for entry in read.unreadable] == [
        ("2/MSH|1", Reason.UNREADABLE_RECORD)
    ]


# ------------------------------------------------------------------ character sets


def named(declared: str, codec: str, name: str = NAME) -> bytes:
    head = f"MSH|^~\\&|{name}|BC-5380|||20261122080000||ORU^R01|1|P|2.3.1||||||{declared}\r"
    return (head + f"PID|1||7||{name}\rOBR|1||10000017\rOBX|1|ST|X||{name}||||||F\r").encode(codec)


@pytest.mark.parametrize(
    ("declared", "codec", "name"),
    [
        ("8859/5", "iso8859-5", NAME),
        ("UNICODE UTF-8", "utf-8", NAME),
        ("UTF8", "utf-8", NAME),
        ("GB18030", "gb18030", "王小明"),
        ("WINDOWS-1251", "cp1251", NAME),
    ],
)
async def test_C3_the_answer_speaks_the_character_set_of_the_message(
    declared: str, codec: str, name: str
) -> None:
    host = Host()
    async with serving(host) as peer:
        await peer.pipe.send(frame(named(declared, codec, name)))
        [answer] = await peer.answers(1)

    assert (answer.charset, answer.header.field(5), answer.header.field(18)) == (
        codec,
        name,
        declared,
    )
    assert name.encode(codec) in answer.raw
    assert host.of(LibertyTaken) == []


async def test_C2_a_wrong_declaration_is_read_by_the_fallback_answered_and_said_once() -> None:
    host = Host()
    async with serving(host) as peer:
        for _ in range(3):
            await peer.pipe.send(frame(named("UNICODE UTF-8", "cp1251")))
            [answer] = await peer.answers(1)

    assert NAME.encode("cp1251") in answer.raw
    assert host.of(LibertyTaken) == [LibertyTaken(name="charset not as declared")]
    assert [line.note for line in host.shelf.lines if "charset" in line.note] == [
        "charset not as declared: read as cp1251"
    ]


async def test_C2_the_charset_of_the_link_comes_before_the_usual_ones() -> None:
    host = Host()
    ours, theirs = memory_pair()
    session = asyncio.create_task(
        run_session(
            ours,
            profile=registry.get("wondfo-finecare"),
            keep=host.shelf.keep,
            answer=host.answer,
            clock=host.clock,
            on_event=host.events.append,
            charset="gb18030",
        )
    )
    peer = Peer(theirs)
    await theirs.send(frame(named("CHA", "gb18030", "王小明")))
    [answer] = await peer.answers(1)
    await theirs.close()
    await session

    # the answer is in a set that its header does not name, as the question was
    assert "王小明".encode("gb18030") in answer.raw


def test_C2_values_are_read_in_the_charset_of_the_link_and_kept_as_they_came() -> None:
    raw = named("UNICODE", "gb18030", "王小明")
    profile = replace(registry.get("mindray-bc"), charsets=())
    read = translate(profile, raw, zone=UTC, charset="gb18030", received_at=AT)

    assert read.observations[0].value.text == "王小明"


def test_C1_a_profile_names_the_character_set_that_its_instrument_leaves_out() -> None:
    raw = named("", "gb18030", "王小明")
    profile = replace(registry.get("mindray-bc"), charsets=("gb18030",))
    read = translate(profile, raw, zone=UTC, received_at=AT)

    assert read.observations[0].value.text == "王小明"


# ------------------------------------------------------------------ evidence, and silence about people


def test_R1_a_kept_message_that_could_not_be_read_can_be_read_again() -> None:
    raw = oru("1").replace(b"MSH|", b"msh|")
    [entry] = translate(registry.get("mindray-bc"), raw, zone=UTC, received_at=AT).unreadable
    mended = raw.replace(b"msh|", b"MSH|")

    assert entry.raw == raw.decode()[: len(entry.raw)]
    assert translate(registry.get("mindray-bc"), mended, zone=UTC, received_at=AT).observations


@pytest.mark.parametrize(
    "payload",
    [
        named("8859/5", "iso8859-5"),
        named("UNICODE", "cp1251"),
        oru("1", kind="SIU^S12") + f"PID|1||7||{NAME}\r".encode(),
        oru("1") + f"PID|1||7||{NAME}\rMSH".encode(),
        f"{NAME} is no message".encode(),
        f"MSH|^~\\&|{NAME}".encode(),
    ],
)
async def test_R2_nothing_that_is_said_of_a_message_names_its_patient(payload: bytes) -> None:
    host = Host()
    async with serving(host) as peer:
        await peer.pipe.send(f"{NAME} between blocks".encode() + frame(payload))
        await peer.answers(1)
        peer.pipe.finish_sending()

    said = repr(host.events) + repr([line.note for line in host.shelf.lines])
    assert host.of(InputRejected)
    assert NAME not in said


def test_R2_a_message_shows_no_patient_when_it_is_printed_or_refused() -> None:
    read = Message.parse(named("UNICODE UTF-8", "utf-8"))
    assert NAME not in repr(read) + repr(read.segments) + repr(read.all("PID")[0].repeats(5))


def test_every_manner_has_the_standard_as_its_default() -> None:
    for key in ("sysmex-xp-100", "roche-cobas-c111"):
        assert registry.get(key).hl7.acknowledging == Acknowledging()


# ------------------------------------------------------------------ the matrix, through the session


@pytest.mark.parametrize("case", CASES)
async def test_M4_the_matrix_of_19_cases_is_passed_by_the_session_too(case: str) -> None:
    reads, expected = CASES[case]
    host, wanted = Host(), [(code.value, number) for code, number, _ in expected]
    if case == "unknown message type":
        wanted = [("AR", number) for _, number in wanted]  # the wire alone has no types
    async with serving(host) as peer:
        for data in reads:
            await peer.pipe.send(data)
        answers = await peer.answers(len(wanted))

    assert codes(answers) == wanted
    assert len(host.shelf.units) == len(wanted)


# ------------------------------------------------------------------ specimens behind their rows

SEGMENTS = st.lists(st.sampled_from(["PID", "ORC", "OBR", "TQ1", "OBX", "NTE", "SPM"]), max_size=20)


@given(SEGMENTS)
def test_moving_specimens_loses_nothing_and_changes_no_other_order(names: list[str]) -> None:
    lines = [f"{name}|{number}" for number, name in enumerate(names)]
    message = Message.parse("\r".join([r"MSH|^~\&|A|B", *lines]).encode())
    moved = [one.raw for one in specimens_first(message.segments[1:])]

    assert sorted(moved) == sorted(lines)
    rest = [line for line in lines if not line.startswith("SPM")]
    assert [line for line in moved if not line.startswith("SPM")] == rest
    for number, line in enumerate(lines):
        group = list(
            takewhile(lambda text: text[:3] not in {"PID", "ORC", "OBR"}, lines[number + 1 :])
        )
        own = [text for text in group if text.startswith("SPM")][:1]
        if line.startswith("OBR") and own:
            assert moved[moved.index(line) + 1] == own[0]


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)


@given(st.lists(TEXTS, min_size=6, max_size=6), st.lists(TEXTS, max_size=3))
def test_what_a_query_said_travels_unchanged(header: list[str], segments: list[str]) -> None:
    asked = Asked.of((*header, *segments))
    assert Asked.of(asked.echo()) == asked
    assert asked.echo() == (*header, *segments)
