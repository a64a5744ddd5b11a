"""Administration from the shell: migrate, backup, restore, audit, catalog, instrument, doctor, hl7."""

import json
from pathlib import Path
from typing import Annotated

import typer

from lis.cli.output import emit_json, fail, note, say_line

ConfigOption = Annotated[Path, typer.Option("--config", help="The laboratory's lis.toml.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
DEFAULT_CONFIG = Path("lis.toml")

audit_app = typer.Typer(help="The audit chain.", no_args_is_help=True)
catalog_app = typer.Typer(help="Versions of catalog, intervals and rules.", no_args_is_help=True)
instrument_app = typer.Typer(help="Instruments and their drivers.", no_args_is_help=True)
hl7_app = typer.Typer(help="HL7 v2 tools.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("migrate")(migrate)
    app.command("backup")(backup)
    app.command("restore")(restore)
    app.command("doctor")(doctor)
    app.add_typer(audit_app, name="audit")
    app.add_typer(catalog_app, name="catalog")
    app.add_typer(instrument_app, name="instrument")
    app.add_typer(hl7_app, name="hl7")


def migrate(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Bring the store to the newest schema."""
    from lis.cli.opening import open_store

    with open_store(config) as store:
        url = store.url.split("@")[-1]
    _report({"ok": True, "store": url}, f"The store {url} has the newest schema.", as_json=as_json)


def backup(
    target: Path, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False
) -> None:
    """Copy the store into TARGET while it is in use, and verify the copy."""
    from lis.app.clock import SystemClock
    from lis.cli.opening import read_settings
    from lis.store.backup import BackupFailed
    from lis.store.backup import backup as make

    try:
        report = make(read_settings(config).store.url, target, clock=SystemClock())
    except BackupFailed as error:
        raise fail(f"No backup was made: {error}") from error
    rows = sum(report.rows.values())
    document = {
        "path": report.path,
        "taken_at": report.taken_at,
        "rows": report.rows,
        "audit_intact": report.audit.is_intact,
    }
    _report(document, f"{target}: {rows} rows, audit chain intact.", as_json=as_json)


def restore(
    source: Path, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False
) -> None:
    """Bring a backup back into an empty place; counters jump past printed labels (S17)."""
    from lis.app.clock import SystemClock
    from lis.cli.opening import read_settings
    from lis.store.backup import BackupFailed
    from lis.store.backup import restore as bring_back

    try:
        report = bring_back(source, read_settings(config).store.url, clock=SystemClock())
    except BackupFailed as error:
        raise fail(f"Nothing was restored: {error}") from error
    document = {
        "taken_at": report.taken_at,
        "rows": report.rows,
        "audit_intact": report.audit.is_intact,
        "differences": report.differences,
        "sequences_moved": report.sequences_moved,
    }
    words = (
        f"Restored the state of {report.taken_at:%Y-%m-%d %H:%M} UTC: {sum(report.rows.values())} rows. "
        "Reports that went out after it must be reconciled: see the alarms."
    )
    _report(document, words, as_json=as_json)
    if report.differences or not report.audit.is_intact:
        raise typer.Exit(1)


def doctor(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Check ports, serial rights, clock, disk, database and fonts of this machine."""
    from dataclasses import asdict

    from lis.app.checkup import examine
    from lis.cli.opening import read_settings

    findings = examine(read_settings(config) if config.exists() else None)
    if as_json:
        emit_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            say_line(f"{'ok   ' if finding.is_good else 'WRONG'}  {finding.what}: {finding.found}")
            if finding.advice and not finding.is_good:
                say_line(f"       {finding.advice}")
    if not all(finding.is_good for finding in findings):
        raise typer.Exit(1)


@audit_app.command("verify")
def audit_verify(
    head_file: Annotated[
        Path | None, typer.Option("--head", help="A head exported earlier.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Walk the audit chain; name the first entry that is not as it was written."""
    from dataclasses import asdict

    from lis.cli.opening import open_store
    from lis.store.audit import AuditHead, seal, verify

    kept = AuditHead(**json.loads(head_file.read_text("utf-8"))) if head_file else None
    with open_store(config) as store:
        seal(store)
        with store.read() as session:
            verdict = verify(session, kept)
    words = (
        f"{verdict.checked} entries, intact."
        if verdict.is_intact
        else f"Broken at entry {verdict.audit_id}: {verdict.fault}."
    )
    _report({"ok": verdict.is_intact, **asdict(verdict)}, words, as_json=as_json)
    if not verdict.is_intact:
        raise typer.Exit(1)


@audit_app.command("head")
def audit_head(target: Path, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Write the newest entry's hash to a file outside the database."""
    from dataclasses import asdict

    import orjson

    from lis.cli.opening import open_store
    from lis.store.audit import export_head

    with open_store(config) as store, store.read() as session:
        target.write_bytes(orjson.dumps(asdict(export_head(session)), default=str))
    note(f"Wrote {target}. Keep it where the database cannot reach.")


@catalog_app.command("list")
def catalog_list(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Show all versions of the catalog, the intervals and the rules."""
    from lis.cli.opening import open_store
    from lis.store.definitions import DefinitionKind, definition_versions

    with open_store(config) as store, store.read() as session:
        rows = [row for kind in DefinitionKind for row in definition_versions(session, kind)]
    document = [
        {
            "kind": row.kind,
            "version": row.version,
            "effective_from": row.effective_from,
            "author": row.author,
            "approver": row.approver,
        }
        for row in rows
    ]
    if as_json:
        emit_json(document)
        return
    if not rows:
        note(
            "No definitions yet: `lis catalog put KIND FILE --approver WHO`, or `--demo` for the demo's."
        )
    for row in rows:
        say_line(
            f"{row.kind:9} {row.version:16} from {row.effective_from:%Y-%m-%d %H:%M}  {row.author} / {row.approver}"
        )


@catalog_app.command("put")
def catalog_put(
    kind: Annotated[str, typer.Argument(help="catalog, interval or rule.")],
    file: Path,
    author: Annotated[str, typer.Option("--author")],
    approver: Annotated[str, typer.Option("--approver", help="The second person.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Put a new version into force from now on; a second person approves it."""
    from lis.cli.opening import open_store
    from lis.store.definitions import DefinitionKind, put_definition

    body = json.loads(file.read_text("utf-8"))
    with open_store(config) as store, store.unit(author) as unit:
        row = put_definition(unit, DefinitionKind(kind), body["version"], body, unit.now, approver)
        document = {"kind": row.kind, "version": row.version, "effective_from": row.effective_from}
    _report(document, f"{kind} {body['version']} is in force.", as_json=as_json)


@catalog_app.command("demo")
def catalog_demo(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Put the demo catalog into an empty store: to look around, never for patients."""
    from lis.cli.opening import open_store
    from lis.store.seed.demo_catalog import put_demo_catalog

    with open_store(config) as store, store.unit("shell") as unit:
        put_demo_catalog(unit, effective_from=unit.now)
    _report(
        {"ok": True}, "The demo catalog is in force. It is not for clinical use.", as_json=as_json
    )


@instrument_app.command("list")
def instrument_list(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Show the configured instruments and where they stand."""
    from lis.cli.opening import open_store
    from lis.store.traffic_queries import all_devices

    with open_store(config) as store, store.read() as session:
        rows = [
            {
                "name": one.name,
                "driver": one.driver,
                "serial": one.serial,
                "last_message_at": one.last_message_at,
                "quarantine": one.quarantine_reason,
            }
            for one in all_devices(session)
        ]
    if as_json:
        emit_json(rows)
        return
    if not rows:
        note("No instruments yet: add [[instrument]] to lis.toml and start `lis serve`.")
    for row in rows:
        say_line(
            f"{row['name']:20} {row['driver']:24} last {row['last_message_at'] or 'never'}  {row['quarantine']}"
        )


@instrument_app.command("drivers")
def instrument_drivers(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Show the drivers this installation knows, learned ones too."""
    from lis.cli.learning import drivers_folder, use_drivers
    from lis.drivers import registry

    use_drivers(drivers_folder(None, config))
    rows = [
        {
            "key": profile.key,
            "name": profile.name,
            "protocol": profile.protocol.value,
            "grade": profile.grade.name.lower(),
        }
        for profile in registry.profiles().values()
    ]
    if as_json:
        emit_json(rows)
        return
    for row in rows:
        say_line(f"{row['key']:24} {row['protocol']:5} {row['grade']:13} {row['name']}")


@hl7_app.command("check")
def hl7_check(file: Path, as_json: JsonOption = False) -> None:
    """Hold an HL7 message against the standard's tables (hl7apy): advice, never a gate."""
    from dataclasses import asdict

    from lis.emr.check import check_message

    findings = check_message(file.read_bytes())
    if as_json:
        emit_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            say_line(f"message {finding.message}: {finding.text}")
        if not findings:
            say_line("No objection.")
    if findings:
        raise typer.Exit(1)


def _report(document: object, words: str, *, as_json: bool) -> None:
    if as_json:
        emit_json(document)
    else:
        say_line(words)
