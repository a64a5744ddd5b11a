"""The message lab over HTTP: read captures, propose a driver, save it. The page calls the same functions.

Nothing that is shown here becomes a result, and nothing is stored but a driver that somebody confirmed line by line;
who saved it stands in the audit trail.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from lis.access import Actor
from lis.api.deps import InLaboratory, RawReader
from lis.api.instruments import zone_of
from lis.api.problems import responses
from lis.app.laboratory import Laboratory
from lis.domain.errors import Malformed, NotFound, Refused
from lis.drivers import registry
from lis.drivers.learned_files import protocol_of_files, remarks_of, save_driver
from lis.drivers.learned_profile import Proposal as Proposal  # noqa: PLC0414  # pages name it
from lis.drivers.learned_profile import evidence_of, profile_from, propose
from lis.drivers.message_lab import LabMessage, documents_of, read_lab
from lis.drivers.profile import Profile
from lis.wire.errors import RemoteProtocolError
from lis.wire.redaction import NotRedactable

CAPTURE_BYTES_MAX: Final = (
    1_000_000  # of all captures together; as text in a form they are a third longer
)
CAPTURES_MAX: Final = 20
MESSAGES_MAX: Final = 20  # shown of one capture; the layout shows in the first
REFUSALS: Final = responses(400, 401, 403, 404, 422)

router = APIRouter(prefix="/message-lab", tags=["message lab"])

CaptureText = Annotated[str, Field(max_length=2 * CAPTURE_BYTES_MAX)]
Answers = Annotated[dict[str, str], Field(max_length=200)]


class CapturesBody(BaseModel):
    """Captures in Base64, and the driver to read them by; none: the header tells."""

    model_config = ConfigDict(extra="forbid")

    captures: Annotated[list[CaptureText], Field(min_length=1, max_length=CAPTURES_MAX)]
    driver: str = ""


class ProposalBody(CapturesBody):
    """Captures, and answers that are given already."""

    answers: Answers = {}


class DriverBody(ProposalBody):
    """A driver to be saved: every question of the proposal must be answered."""

    key: str
    name: str
    source: str = ""
    is_from_instrument: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LabReading:
    """Captures as the lab shows them."""

    messages: tuple[LabMessage, ...]
    left_out: int  # messages beyond what is shown
    mapped: Mapping[tuple[str, str], str]  # (driver, code) -> test of the catalog


def read_captures(
    laboratory: Laboratory,
    captures: Sequence[bytes],
    *,
    driver: str = "",
    profile: Profile | None = None,
) -> LabReading:
    """What the captures say. Raises `NotFound` for a driver, `Malformed` for a capture that is none."""
    messages: list[LabMessage] = []
    for data in captures:
        try:
            messages += read_lab(
                data,
                driver=driver or None,
                profile=profile,
                zone=zone_of(laboratory),
                at=laboratory.clock.now(),
            )
        except RemoteProtocolError as error:
            raise Malformed(expected="a capture", got=str(error), where="capture") from error
    return LabReading(
        messages=tuple(messages[:MESSAGES_MAX]),
        left_out=max(len(messages) - MESSAGES_MAX, 0),
        mapped=_mapped(laboratory),
    )


def _mapped(laboratory: Laboratory) -> dict[tuple[str, str], str]:
    """What the catalog knows of instruments' codes; nothing while there is no catalog yet."""
    try:
        entries = laboratory.catalog().instrument_tests
    except NotFound:
        return {}
    return {(entry.driver, entry.code): entry.test for entry in entries}


def known_drivers() -> tuple[tuple[str, str], ...]:
    """Key and name of every driver, by name."""
    profiles = registry.profiles().values()
    return tuple(sorted(((one.key, one.name) for one in profiles), key=lambda one: one[1].lower()))


def propose_driver(captures: Sequence[bytes], answers: Mapping[str, str]) -> Proposal:
    """The questions of a new driver with the answers as they are now. Raises `Malformed`."""
    protocol, units = protocol_of_files(captures)
    return propose(protocol, units, answers)


def preview_of(proposal: Proposal) -> Profile:
    """The profile as the answers describe it now, before it has a name."""
    return profile_from(
        proposal, key="preview", name="-", evidence=evidence_of("", is_from_instrument=False)
    )


def save_learned(
    laboratory: Laboratory,
    actor: Actor,
    captures: Sequence[bytes],
    proposal: Proposal,
    *,
    key: str,
    name: str,
    source: str,
    is_from_instrument: bool,
) -> tuple[Path, ...]:
    """Write the driver and audit who taught it; returns its files. Raises `Malformed` or `Refused`."""
    folder = laboratory.settings.drivers.folder
    if not folder:
        raise Refused("lab.no_folder")
    evidence = evidence_of(source, is_from_instrument=is_from_instrument)
    profile = profile_from(proposal, key=key.strip(), name=name.strip(), evidence=evidence)
    remarks = remarks_of(proposal.codes, actor.login)
    try:
        written = save_driver(Path(folder), profile, captures, remarks=remarks)
    except NotRedactable as error:
        raise Refused("lab.not_redactable") from error
    with laboratory.store.unit(actor.login) as unit:
        told = {"key": profile.key, "name": profile.name, "answers": proposal.answers}
        unit.audit("driver_learned", "Driver", profile.key, after=told)
    return written


def captures_from(texts: Sequence[str]) -> list[bytes]:
    """Captures that came as URL-safe or plain Base64. Raises `Malformed`."""
    captures = []
    for text in texts:
        try:
            captures.append(base64.b64decode(text.translate(_PLAIN), validate=True))
        except (binascii.Error, ValueError) as error:
            raise Malformed(expected="Base64", got=str(error), where="captures") from error
    check_size(captures)
    return captures


_PLAIN: Final = str.maketrans("-_", "+/")


def check_size(captures: Sequence[bytes]) -> None:
    """Raises `Malformed` for more than the lab takes at once."""
    if sum(map(len, captures)) > CAPTURE_BYTES_MAX:
        expected = f"at most {CAPTURE_BYTES_MAX} bytes"
        raise Malformed(expected=expected, got=sum(map(len, captures)), where="captures")


@router.post("/read", responses=REFUSALS)
def read_messages(
    body: CapturesBody, _actor: RawReader, laboratory: InLaboratory
) -> list[dict[str, Any]]:
    """What the captures say, message by message, with every field by its place."""
    reading = read_captures(laboratory, captures_from(body.captures), driver=body.driver)
    documents = documents_of(reading.messages)
    return [
        {**document, "records": [asdict(row) for row in message.rows]}
        for document, message in zip(documents, reading.messages, strict=True)
    ]


@router.post("/propose", responses=REFUSALS)
def propose_for(body: ProposalBody, _actor: RawReader) -> dict[str, Any]:
    """The questions of a new driver, with evidence and proposed answers."""
    return asdict(propose_driver(captures_from(body.captures), body.answers))


@router.post("/drivers", status_code=201, responses=REFUSALS)
def save(body: DriverBody, actor: RawReader, laboratory: InLaboratory) -> dict[str, Any]:
    """Save a driver; every question must be among the answers: they are what a person confirmed."""
    captures = captures_from(body.captures)
    proposal = propose_driver(captures, body.answers)
    if missing := [one.name for one in proposal.questions if one.name not in body.answers]:
        raise Malformed(expected="an answer to every question", got=missing, where="answers")
    written = save_learned(
        laboratory,
        actor,
        captures,
        proposal,
        key=body.key,
        name=body.name,
        source=body.source,
        is_from_instrument=body.is_from_instrument,
    )
    return {"key": body.key, "files": [path.name for path in written]}
