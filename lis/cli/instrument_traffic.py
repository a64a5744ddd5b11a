"""`lis instrument board`, `queries`, `journal`, `export`, and `lis replay`: what passed, and what it means today.

    lis instrument board                                 every link: state, last message, what waits
    lis instrument queries xp-1 --empty                  questions that got nothing, and why
    lis instrument journal xp-1 --text 2600001 --verdict refused
    lis instrument export xp-1 xp-1.cap --since 2026-11-02T08:00
    lis replay 1207                                      today's driver on a kept message: differences only
    lis replay 1207 --process                            let a message that was held as a whole go through

An export has no personal data in it, unless `--with-personal-data` says so with a `--reason` and an `--actor`, which
the audit keeps. Times without an offset are those of the first site.
"""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lis.cli.administration import instrument_app
from lis.cli.output import FOUND_WRONG, USAGE, emit_json, fail, note, say_line

if TYPE_CHECKING:
    from lis.app.replay import ReplayReport
    from lis.app.settings import Settings

DEFAULT_CONFIG = Path("lis.toml")
LINES_MAX = 500
ConfigOption = Annotated[Path, typer.Option("--config", help="The laboratory's lis.toml.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
NameArgument = Annotated[str, typer.Argument(help="The link's name, as on the board.")]
SinceOption = Annotated[str, typer.Option("--since", help="Not before this time (ISO 8601).")]
UntilOption = Annotated[str, typer.Option("--until", help="Before this time (ISO 8601).")]


def register(app: typer.Typer) -> None:
    """Add `lis replay`, and the commands of `lis instrument`."""
    app.command("replay")(replay)
    for name, command in (
        ("board", board),
        ("queries", queries),
        ("journal", journal),
        ("export", export),
    ):
        instrument_app.command(name)(command)


def board(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Show every link: its state, when it last spoke, what waits, and which tests are locked."""
    from lis.app.board import read_board
    from lis.cli.opening import open_store, read_settings

    with open_store(config) as store, store.read() as session:
        zone = _zone(read_settings(config))
        found = read_board(session, at=store.clock.now(), zone=zone, language="en")
    if as_json:
        emit_json([asdict(tile) for tile in found.tiles])
        return
    for tile in found.tiles:
        age = "never" if tile.age_s is None else f"{tile.age_s} s ago"
        locked = f"  locked: {', '.join(tile.qc_locked)}" if tile.qc_locked else ""
        waits = f"queue {tile.queue}, held {tile.held}, alarms {tile.alarms}"
        say_line(f"{tile.name:20} {tile.state:12} last {age:14} {waits}{locked}")


def queries(
    name: NameArgument,
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    empty: Annotated[bool, typer.Option("--empty", help="Only what got nothing.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=LINES_MAX)] = 50,
    as_json: JsonOption = False,
) -> None:
    """Show what an analyzer asked, what it was told, and why an answer was empty; newest first."""
    from lis.app.link_page import link_named, read_queries
    from lis.cli.opening import open_store
    from lis.words import say

    with open_store(config) as store, store.read() as session:
        link = link_named(session, name)
        lines = read_queries(session, link, limit=limit, is_empty_only=empty)
    if as_json:
        emit_json([asdict(line) for line in lines])
        return
    if not lines:
        note(f"{name} has asked nothing" + (" that was left without orders." if empty else "."))
    for line in lines:
        took = "" if line.took_ms is None else f", {line.took_ms} ms"
        say_line(f"{line.at:%Y-%m-%d %H:%M:%S}Z {line.kind:6} {', '.join(line.asked)}")
        for tube in line.told:
            said = " ".join(tube.tests) or say("en", f"orders.{tube.reason}")
            say_line(f"    {tube.specimen}: {said}")
        if line.empty_reason and not line.told:
            say_line(f"    {say('en', f'orders.{line.empty_reason}')}")
        say_line(f"    {line.records} records{took}" + (", cut" if line.is_cut else ""))


def journal(
    name: NameArgument,
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    text: Annotated[str, typer.Option("--text", help="Lines that hold this text.")] = "",
    hex_digits: Annotated[str, typer.Option("--hex", help="Lines that hold these bytes.")] = "",
    direction: Annotated[str, typer.Option("--direction", help="in or out.")] = "",
    verdict: Annotated[str, typer.Option("--verdict", help="accepted, refused, ...")] = "",
    since: SinceOption = "",
    until: UntilOption = "",
    before: Annotated[int | None, typer.Option(help="Go on: `older` of the last answer.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Search the raw traffic of a link, newest first."""
    from lis.app.journal_page import TrafficFilter, read_traffic
    from lis.cli.opening import open_store, read_settings
    from lis.domain.traffic_verdict import LineVerdict

    if direction not in {"", "in", "out"} or verdict not in {"", *LineVerdict}:
        known = ", ".join(LineVerdict)
        raise fail(f"--direction is in or out; --verdict is one of {known}", code=USAGE)
    settings = read_settings(config)
    wanted = TrafficFilter(
        text=hex_digits or text,
        is_hex=bool(hex_digits),
        direction=direction,
        verdict=verdict,
        since=_moment(since, settings),
        until=_moment(until, settings),
    )
    with open_store(config) as store, store.read() as session:
        page = read_traffic(session, name, before=before, wanted=wanted)
    if as_json:
        emit_json(asdict(page))
        return
    for line in reversed(page.lines):
        arrow = "->" if line.direction == "in" else "<-"
        what = line.text or (f"message {line.inbox_id}" if line.inbox_id else "")
        told = " ".join(filter(None, (line.verdict, line.checksum.replace("none", ""))))
        say_line(f"{line.at:%Y-%m-%d %H:%M:%S.%f}Z {arrow} [{told}] {what} {line.reason}".rstrip())
    if page.older is not None:
        note(f"There is more: --before {page.older}")


def export(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(help="The capture file to write.")],
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    since: SinceOption = "",
    until: UntilOption = "",
    raw: Annotated[bool, typer.Option("--with-personal-data")] = False,
    reason: Annotated[str, typer.Option(help="Why, with personal data: for the audit.")] = "",
    actor: Annotated[str, typer.Option(help="Who takes it: for the audit.")] = "shell",
    as_json: JsonOption = False,
) -> None:
    """Write traffic of a link as a capture file, without personal data."""
    from lis.app.traffic_export import Stretch, export_raw, export_redacted
    from lis.cli.opening import open_store, read_settings

    if file.exists():
        raise fail(f"{file} exists already; give another name.", code=USAGE)
    settings = read_settings(config)
    stretch = Stretch(link=name, since=_moment(since, settings), until=_moment(until, settings))
    with open_store(config) as store:
        if raw:
            with store.unit(actor) as unit:
                done = export_raw(unit, stretch, reason=reason)
        else:
            with store.read() as session:
                done = export_redacted(session, stretch)
    file.write_bytes(done.file(is_redacted=not raw))
    if as_json:
        emit_json({"file": str(file), "chunks": done.chunks, "cut_at": done.cut_at})
        return
    say_line(f"{file}: {done.chunks} pieces of traffic.")
    if done.cut_at is not None:
        note(f"There is more: --since {done.cut_at.isoformat()}")


def replay(
    inbox_id: Annotated[list[int], typer.Argument(help="Kept messages, by their numbers.")],
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    process: Annotated[
        bool, typer.Option("--process", help="Process messages that were held as a whole.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Read kept messages with today's drivers and show what differs; nothing is changed (S13)."""
    from lis.app.replay import replay_message
    from lis.cli.opening import open_store

    if process:
        _process(inbox_id, config, as_json=as_json)
        return
    with open_store(config) as store, store.read() as session:
        at = store.clock.now()
        reports = [replay_message(session, one, at=at) for one in inbox_id]
    if as_json:
        emit_json([asdict(report) | {"is_equal": report.is_equal} for report in reports])
    else:
        for report in reports:
            _say_report(report)
    if not all(report.is_equal for report in reports):
        raise typer.Exit(FOUND_WRONG)


def _say_report(report: "ReplayReport") -> None:
    found = report.replayed
    driver = f"{report.driver_now} {report.version_now}"
    say_line(
        f"message {report.inbox_id} ({report.state}): {len(found.candidates)} read by {driver}"
    )
    for one in found.differences:
        what = f"{one.field}: {one.before!r} -> {one.now!r}" if one.field else one.before or one.now
        say_line(f"    {one.change.value:8} {one.record:8} {what}")
    if report.is_equal:
        say_line("    no difference")


def _process(inbox_id: list[int], config: Path, *, as_json: bool) -> None:
    """Reopen what was held as a whole and take it in; what was reported is never changed."""
    from lis.app.wiring import translate_row
    from lis.cli.opening import open_store
    from lis.results.intake import Intake
    from lis.store.traffic_queries import reopen_held

    with open_store(config) as store:
        with store.unit("shell") as unit:
            reopened = reopen_held(unit, inbox_id)
        intake, done = Intake(store, translate_row), []
        while (report := intake.run_once(len(inbox_id))).claimed:
            done.append(report)
    counts: dict[str, Any] = {
        "reopened": reopened,
        "processed": sum(one.processed for one in done),
        "held": sum(one.held for one in done),
    }
    if as_json:
        emit_json(counts)
    else:
        say_line(
            f"{len(reopened)} reopened, {counts['processed']} processed, {counts['held']} held."
        )
    if len(reopened) != len(inbox_id) or counts["held"]:
        raise typer.Exit(FOUND_WRONG)


def _zone(settings: "Settings") -> Any:
    from zoneinfo import ZoneInfo

    return ZoneInfo(settings.site[0].timezone)


def _moment(text: str, settings: "Settings") -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise fail(f"{text!r} is no time: write 2026-11-02T08:30.", code=USAGE) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=_zone(settings))
