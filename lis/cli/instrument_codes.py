"""`lis instrument codes` and `map`, `lis catalog get`: what an instrument's codes stand for.

    lis instrument codes xp-1                         every code it sent, those nobody knows first
    lis instrument map xp-1 WBC=WBC HGB=HGB:g/dL --author anna --approver boris
    lis catalog get catalog > catalog.json            the document in force, to edit and put back

A mapping is a new version of the catalog, approved by a second person like any other. The unit is the
instrument's; without one, the unit that was seen with the code is taken, if it was one and the same.
"""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lis.cli.administration import catalog_app, instrument_app
from lis.cli.output import USAGE, emit_json, fail, note, say_line
from lis.domain.errors import NotFound

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from lis.store.code_queries import SeenCode
    from lis.store.traffic_rows import Device

DEFAULT_CONFIG = Path("lis.toml")
ConfigOption = Annotated[Path, typer.Option("--config", help="The laboratory's lis.toml.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON only.")]


def register(app: typer.Typer) -> None:  # noqa: ARG001 - the groups are the application's already
    """Add the commands to `lis instrument` and `lis catalog`."""
    instrument_app.command("codes")(codes)
    instrument_app.command("map")(map_codes)
    catalog_app.command("get")(get)


def codes(
    name: Annotated[str, typer.Argument(help="The instrument's name in lis.toml.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Show every code an instrument sent, and the test it stands for; unknown codes come first."""
    from lis.cli.opening import open_store
    from lis.store.code_queries import seen_codes

    with open_store(config) as store, store.read() as session:
        seen = seen_codes(session, _device(session, name), store.clock.now())
    if as_json:
        emit_json([asdict(one) for one in seen])
        return
    if not seen:
        note(f"{name} has sent no result yet. Measure a sample and look again.")
    for one in seen:
        say_line(f"{one.code:24} {one.unit:12} {one.test or '?':16} {one.count:6} times")
    unknown = [one.code for one in seen if not one.test]
    if unknown:
        note(f"Map them: lis instrument map {name} {unknown[0]}=TEST ... --author A --approver B")


def map_codes(
    name: Annotated[str, typer.Argument(help="The instrument's name in lis.toml.")],
    mappings: Annotated[list[str], typer.Argument(help="CODE=TEST or CODE=TEST:UNIT, each.")],
    author: Annotated[str, typer.Option("--author")],
    approver: Annotated[str, typer.Option("--approver", help="The second person.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Say which tests an instrument's codes stand for: a new version of the catalog, from now on."""
    from lis.cli.opening import open_store
    from lis.domain.catalog_mapping import CodeMapping, with_mappings
    from lis.results.rejudging import judge_mapped_codes
    from lis.store.code_queries import catalog_document, seen_codes
    from lis.store.definitions import DefinitionKind, catalog_in_force, put_definition

    with open_store(config) as store, store.unit(author) as unit:
        device = _device(unit.session, name)
        units = _only_units(seen_codes(unit.session, device, unit.now))
        read = [
            CodeMapping.parse(text, driver=device.driver, units=units, where="mapping")
            for text in mappings
        ]
        version = f"{unit.now:%Y%m%d-%H%M%S}"
        body = with_mappings(catalog_document(unit.session, unit.now), read, version)
        put_definition(unit, DefinitionKind.CATALOG, version, body, unit.now, approver)
        catalog = catalog_in_force(unit.session, unit.now)
        known = [one.code for one in read]
        judged = judge_mapped_codes(unit, catalog, device.id, known, user=author)
    if as_json:
        emit_json({"version": version, "mappings": [asdict(one) for one in read], "judged": judged})
        return
    for one in read:
        say_line(f"{one.code} is {one.test} in {one.unit or 'no unit'}")
    note(f"Catalog {version} is in force; {judged} waiting values were judged with it.")


def _device(session: "Session", name: str) -> "Device":
    from lis.store.traffic_queries import all_devices, device_by_name

    device = device_by_name(session, name)
    if device is None:
        known = ", ".join(one.name for one in all_devices(session)) or "none yet"
        raise NotFound("instrument", f"{name} (known: {known})")
    return device


def _only_units(seen: "Iterable[SeenCode]") -> dict[str, str]:
    """The unit of each code that was always sent with the same one."""
    found: dict[str, set[str]] = {}
    for one in seen:
        found.setdefault(one.code, set()).add(one.unit)
    return {code: units.pop() for code, units in found.items() if len(units) == 1}


def get(
    kind: Annotated[str, typer.Argument(help="catalog, interval or rule.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Print the document in force as JSON: edit it, give it a new version, put it back."""
    from lis.cli.opening import open_store
    from lis.store.definitions import DefinitionKind, body_in_force

    kinds = [known.value for known in DefinitionKind]
    if kind not in kinds:
        raise fail(f"There is no kind {kind!r}; known: {', '.join(kinds)}.", code=USAGE)
    with open_store(config) as store, store.read() as session:
        emit_json(body_in_force(session, DefinitionKind(kind), store.clock.now()))
