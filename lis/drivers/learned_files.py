"""Keeping a learned driver: its profile, the captures it came from without personal data, what it must read there.

A driver is written whole or not at all: into a folder that nothing reads, which then gets its name. What is there
already is never written over; a driver in use may have read results. `faults_of` reads everything back.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from lis.domain.errors import Malformed
from lis.domain.messages import Protocol
from lis.drivers import registry
from lis.drivers.driver_folder import PROFILE_FILE, load_profiles
from lis.drivers.expressions import compiled
from lis.drivers.learning_evidence import CodeSeen
from lis.drivers.message_lab import documents_of, read_lab
from lis.drivers.profile import Profile
from lis.drivers.profile_document import read_profile, write_profile
from lis.wire.capture import read_any
from lis.wire.errors import RemoteProtocolError
from lis.wire.redaction import redacted

CAPTURE_SUFFIX: Final = ".cap"
LEARNABLE: Final = frozenset({Protocol.ASTM.value, Protocol.HL7.value})
READ_AT: Final = datetime(
    2000, 1, 1, tzinfo=UTC
)  # expectations do not depend on when they are read


def remarks_of(codes: Sequence[CodeSeen], learned_by: str) -> str:
    """What stands above the document: who confirmed it, and the codes that the catalog must know."""
    lines = [f"Learned from captures, confirmed by {' '.join(learned_by.split())}.", ""]
    lines.append("Codes and units seen, to be mapped in the catalog:")
    for one in codes:
        units = ", ".join(unit or "no unit" for unit in one.units)
        lines.append(f"  {_line(one.code) or 'no code'}: {_line(units)} ({one.count})")
    return "\n".join(lines)


def _line(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def save_driver(
    folder: Path, profile: Profile, captures: Sequence[bytes], *, remarks: str = ""
) -> tuple[Path, ...]:
    """Write a new driver; returns its files. Raises `Malformed` when its key is taken."""
    home = folder / profile.key
    if home.exists() or profile.key in registry.profiles():
        raise Malformed(expected="a key that is not used yet", got=profile.key, where=str(home))
    text = write_profile(profile, remarks=remarks)
    read_profile(text, where=PROFILE_FILE)  # what cannot be read again would stop the next start
    files = {PROFILE_FILE: text.encode("utf-8")}
    for number, data in enumerate(captures, 1):
        clean = clean_capture(profile, data)
        files[f"{number}{CAPTURE_SUFFIX}"] = clean
        files[f"{number}.json"] = expected_json(profile, clean)
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{profile.key}.new"
    shutil.rmtree(draft, ignore_errors=True)  # left by a power cut; nobody reads it
    draft.mkdir()
    for name, content in files.items():
        _write(draft / name, content)
    draft.rename(home)
    return tuple(home / name for name in files)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def clean_capture(profile: Profile, data: bytes) -> bytes:
    """The messages without frames and without personal data, where this profile has ids and names too."""
    units = [unit.rstrip(b"\r\n") + b"\r" for unit in read_any(data).units]
    places = compiled(profile.fields)
    numbered = _fields_named(places["specimen"].alternatives)
    personal = _fields_named(places["operator"].alternatives)
    return redacted(b"".join(units), numbered=numbered, personal=personal)


def _fields_named(alternatives: tuple[tuple[Any, ...], ...]) -> Mapping[str, list[int]]:
    found: dict[str, list[int]] = {}
    for path in (path for parts in alternatives for path in parts):
        if path.record not in {"H", "MSH"}:  # the header names no person, and delimits the rest
            found.setdefault(path.record, []).append(path.field)
    return found


def expected_json(profile: Profile, capture: bytes) -> bytes:
    """What the profile makes of the capture, as `1.json` holds it."""
    messages = documents_of(read_lab(capture, profile=profile, zone=UTC, at=READ_AT))
    document = {"driver": profile.key, "version": profile.version, "messages": messages}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"


def faults_of(folder: Path) -> tuple[str, ...]:
    """What is wrong in a folder of drivers, in words: documents, and captures that read otherwise now."""
    faults: list[str] = []
    try:
        profiles = list(load_profiles(folder))
    except Malformed as error:
        return (str(error),)
    for profile, where in profiles:
        for capture in sorted(Path(where).parent.glob(f"*{CAPTURE_SUFFIX}")):
            faults += _capture_faults(profile, capture)
    return tuple(faults)


def _capture_faults(profile: Profile, capture: Path) -> list[str]:
    expected = capture.with_suffix(".json")
    try:
        wanted = orjson.loads(expected.read_bytes())["messages"]
        data = capture.read_bytes()
        found = orjson.loads(expected_json(profile, data))["messages"]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, RemoteProtocolError) as error:
        return [f"{expected}: expected what the driver reads in {capture.name}, got {error!r}"]
    if wanted == found:
        return []
    pairs = enumerate(zip(wanted, found, strict=False), 1)
    number = next((number for number, (one, other) in pairs if one != other), len(found))
    return [
        f"{expected}: message {number}: expected what {profile.key} reads in {capture.name}, "
        "got something else; correct the profile, or write the file again if the change is meant"
    ]


def protocol_of_files(captures: Sequence[bytes]) -> tuple[Protocol, list[bytes]]:
    """The protocol and all messages of several captures. Raises `Malformed` if they have none, or two."""
    found: dict[str, None] = {}
    units: list[bytes] = []
    for data in captures:
        try:
            reading = read_any(data)
        except RemoteProtocolError as error:
            raise Malformed(expected="a capture", got=str(error), where="capture") from error
        found[reading.protocol or "neither"] = None
        units += reading.units
    if len(found) != 1 or not LEARNABLE.issuperset(found):
        got = " and ".join(found) or "nothing"
        raise Malformed(expected="ASTM or HL7 messages", got=got, where="capture")
    return Protocol(next(iter(found))), units
