"""`lis rules`: what the rules about repeating would have done to the values of the last days."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from lis.cli.output import USAGE, emit_json, fail, note, say_line

ConfigOption = Annotated[Path, typer.Option("--config", help="The laboratory's lis.toml.")]


def register(app: typer.Typer) -> None:
    """Add `lis rules`."""
    group = typer.Typer(help="Rules about reflex, rerun and dilution.", no_args_is_help=True)
    group.callback()(_rules)
    group.command("dry-run")(dry_run)
    app.add_typer(group, name="rules")


def _rules() -> None:
    """Rules about reflex, rerun and dilution."""


def dry_run(
    file: Annotated[
        Path | None,
        typer.Argument(help="A version of the rules, JSON; without it the one in force."),
    ] = None,
    *,
    days: Annotated[int, typer.Option(help="How many days back.", min=1, max=366)] = 30,
    config: ConfigOption = Path("lis.toml"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Count how many tests each rule would have added; changes nothing."""
    from lis.cli.opening import open_store
    from lis.results.repeat_dry_run import dry_run as count
    from lis.results.repeat_versions import check_rules
    from lis.store.definitions import DefinitionKind, body_in_force, catalog_in_force

    with open_store(config) as store, store.read() as session:
        now = store.clock.now()
        body = _document(file) if file else body_in_force(session, DefinitionKind.REPEAT, now)
        if not body.get("version"):
            raise fail("No rules are in force; name a file.", code=USAGE)
        catalog = catalog_in_force(session, now)
        counted = count(session, catalog, check_rules(body, catalog), until=now, days=days)
    if as_json:
        emit_json(counted.document())
        return
    for one in counted.rules:
        say_line(
            f"{one.rule:30} {one.test:10} {one.action:8} {one.made_test:10}"
            f" {one.fired:6} of {one.asked} values, {one.per_day} a day"
        )
        for example in one.examples:
            say_line(f"    {example.at[:16]}  {example.specimen}  {example.value} {example.unit}")
    cut = " (cut: there are more)" if counted.is_cut else ""
    note(
        f"{counted.values} values of {counted.days} days{cut}:"
        f" {counted.extra_per_day} more measurements a day. Nothing was changed."
    )


def _document(file: Path) -> dict[str, Any]:
    try:
        document = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise fail(f"{file}: {error}", code=USAGE) from error
    if not isinstance(document, dict):
        raise fail(f"{file}: expected an object with version and rules", code=USAGE)
    return document
