"""`lis message` and `lis redact`: the message lab.

`lis message FILE` takes a capture in any form that `lis.wire.capture` knows and shows what a driver makes of it:
one object a message. Without `--driver` the header tells which one. A message that no driver knows is read by the
letter of its standard, with `driver` null and every observation held for `unknown_driver`: a hint for whoever
writes the profile, never a result. What is no message at all is one unreadable entry.

There is no instrument here, so there is no zone: times without an offset are read in `--timezone`, UTC by default.
"""

import sys
from collections.abc import Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
import typer

from lis.app.clock import SystemClock
from lis.cli.administration import ConfigOption, JsonOption
from lis.cli.learning import Wish, drivers_folder, learn_driver, use_drivers
from lis.cli.message_tables import print_tables
from lis.cli.output import fail
from lis.domain.clock import Clock
from lis.domain.errors import Malformed, NotFound
from lis.domain.messages import Protocol
from lis.drivers.message_lab import documents_of, read_lab
from lis.drivers.profile import Profile
from lis.wire.astm_assembly import decode_raw
from lis.wire.errors import RemoteProtocolError
from lis.wire.redaction import NotRedactable, redacted

FOUND_WRONG = 1
USAGE = 2
FILE_LIMIT_BYTES = 256 * 1024 * 1024  # a week of traffic of a busy link; larger is no capture


def texts_of(
    protocol: Protocol, raw: bytes, *, profile: Profile | None = None, is_complete: bool = True
) -> list[str]:
    """Records or segments exactly as they came: Latin-1, or what the driver says."""
    if protocol is Protocol.ASTM:
        parts = list(decode_raw(raw))
    else:
        parts = raw.replace(b"\r\n", b"\r").replace(b"\n", b"\r").split(b"\r")
        if not is_complete:
            parts = parts[:-1]  # what follows the last segment end is not whole
        parts = [part for part in parts if part]
    charsets = profile.charsets if profile is not None else ()
    for charset in charsets:
        try:
            return [part.decode(charset) for part in parts]
        except UnicodeDecodeError:
            continue
    return [part.decode("latin-1") for part in parts]


def read_messages(
    data: bytes, *, driver: str | None, zone: tzinfo, clock: Clock
) -> list[dict[str, Any]]:
    """What `lis message --json` prints. Raises `NotFound` for a driver, `RemoteProtocolError` for a bad file."""
    return documents_of(read_lab(data, driver=driver, zone=zone, at=clock.now()))


def read_file(path: Path) -> bytes:
    if path.stat().st_size > FILE_LIMIT_BYTES:
        raise RemoteProtocolError(f"{path}: larger than {FILE_LIMIT_BYTES} bytes")
    return path.read_bytes()


def show(paths: Sequence[Path], driver: str | None, zone_name: str, *, as_json: bool) -> int:
    """Print what the files say; the exit code: 1 when something could not be read."""
    messages: list[dict[str, Any]] = []
    for path in paths:
        try:
            zone = ZoneInfo(zone_name)
            messages += read_messages(
                read_file(path), driver=driver, zone=zone, clock=SystemClock()
            )
        except (OSError, ZoneInfoNotFoundError, ValueError, NotFound, RemoteProtocolError) as error:
            typer.echo(f"{path}: {error}", err=True)
            return USAGE
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(messages, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        print_tables(messages)
    is_wrong = not messages or any(message["unreadable"] for message in messages)
    return FOUND_WRONG if is_wrong else 0


def redact(path: Path, output: Path | None) -> int:
    """Write the file without personal data; the exit code."""
    try:
        clean = redacted(read_file(path))
    except (OSError, NotRedactable, RemoteProtocolError) as error:
        typer.echo(f"{path}: {error}", err=True)
        return FOUND_WRONG if isinstance(error, NotRedactable) else USAGE
    if output is None:
        sys.stdout.buffer.write(clean)
        return 0
    try:
        with output.open("xb") as file:
            file.write(clean)
    except OSError as error:
        typer.echo(f"{output}: {error.strerror}", err=True)
        return USAGE
    return 0


def _is_for_people() -> bool:
    return sys.stdout.isatty()


def register(app: typer.Typer) -> None:
    """Add `lis message` and `lis redact`."""

    @app.command("message")
    def _message_command(
        files: Annotated[list[Path], typer.Argument(help="Captures in any known form.")],
        driver: Annotated[
            str | None, typer.Option(help="Driver key; else the header tells.")
        ] = None,
        timezone: Annotated[str, typer.Option(help="Zone of times without offset.")] = "UTC",
        as_json: JsonOption = False,
        learn: Annotated[bool, typer.Option("--learn", help="Write a driver for them.")] = False,
        key: Annotated[str, typer.Option(help="With --learn: key of the new driver.")] = "",
        name: Annotated[str, typer.Option(help="With --learn: maker and model.")] = "",
        source: Annotated[str, typer.Option(help="With --learn: where they come from.")] = "",
        from_instrument: Annotated[
            bool, typer.Option(help="With --learn: a real instrument sent them.")
        ] = False,
        confirm: Annotated[
            list[str] | None, typer.Option(help="With --learn: NAME=ANSWER, may be repeated.")
        ] = None,
        yes: Annotated[bool, typer.Option("--yes", help="With --learn: ask nothing.")] = False,
        folder: Annotated[Path | None, typer.Option(help="Folder of learned drivers.")] = None,
        config: ConfigOption = Path("lis.toml"),
    ) -> None:
        """Show what messages say: observations, queries, what could not be read. Or learn a driver."""
        wants_json = as_json or not _is_for_people()
        try:
            place = drivers_folder(folder, config)
            use_drivers(place)
        except Malformed as error:
            raise fail(str(error), code=USAGE) from error
        if not learn:
            raise typer.Exit(show(files, driver, timezone, as_json=wants_json))
        wish = Wish(
            key=key,
            name=name,
            source=source,
            is_from_instrument=from_instrument,
            confirmed=tuple(confirm or ()),
            takes_all=yes,
            folder=place,
        )
        raise typer.Exit(learn_driver(files, wish, as_json=wants_json))

    @app.command("redact")
    def _redact_command(
        file: Annotated[Path, typer.Argument(help="A capture in any known form.")],
        output: Annotated[Path | None, typer.Option(help="A new file; else stdout.")] = None,
    ) -> None:
        """Remove personal data from a capture, keeping its shape, frames and checksums."""
        raise typer.Exit(redact(file, output))
