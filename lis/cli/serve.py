"""`lis serve` and `lis check-config`: the real laboratory."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lis.cli.output import emit_json, fail, note, say_line

if TYPE_CHECKING:
    from lis.app.settings import Settings
    from lis.store.unit import Store

RoleOption = Annotated[
    list[str] | None,
    typer.Option("--role", help="links, work or web; may repeat. Default: all in one process."),
]
ConfigOption = Annotated[Path, typer.Option("--config", help="The laboratory's lis.toml.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON only.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("serve")(serve)
    app.command("check-config")(check_config)


def serve(
    config: ConfigOption = Path("lis.toml"),
    role: RoleOption = None,
    json_log: Annotated[bool, typer.Option("--json-log")] = False,
) -> None:
    """Run the laboratory: links, workers and web, until it is stopped."""
    from lis.app.clock import SystemClock
    from lis.app.observability import configure_logging
    from lis.app.wiring import ALL_ROLES, RunRole, build_house
    from lis.cli.opening import read_settings
    from lis.cli.serving import HouseThread, address_of, web_server

    configure_logging(as_json=json_log)
    settings = read_settings(config)
    roles = frozenset(RunRole(name) for name in role) if role else ALL_ROLES
    if roles != ALL_ROLES and settings.store.url.startswith("sqlite"):
        raise fail("Roles can be split over processes on PostgreSQL only: see [store] url.", code=2)
    house = build_house(settings, clock=SystemClock())
    thread = HouseThread(house, roles)
    thread.start()
    try:
        if RunRole.WEB in roles:
            _offer_first_token(house.store, address_of(settings.web))
            note(f"Open {address_of(settings.web)}")
            web_server(house, settings.web).run()
        else:
            _wait_for_signal()
    finally:
        note("Stopping: committing what waits ...")
        thread.stop()


def check_config(config: ConfigOption = Path("lis.toml"), as_json: JsonOption = False) -> None:
    """Read lis.toml, and check what it names: drivers, links, certificate files."""
    from lis.cli.opening import read_settings
    from lis.domain.errors import Malformed

    try:
        settings = read_settings(config)
    except Malformed as error:
        if as_json:
            emit_json({"ok": False, "faults": [str(error)]})
            raise typer.Exit(1) from error
        raise fail(str(error)) from error
    faults = _faults(settings)
    if as_json:
        emit_json({"ok": not faults, "faults": faults})
    else:
        for fault in faults:
            say_line(f"wrong: {fault}")
        if not faults:
            say_line(
                f"{config} is good: {len(settings.instrument)} instruments, {len(settings.emr)} EMRs."
            )
    if faults:
        raise typer.Exit(1)


def _faults(settings: "Settings") -> list[str]:
    from lis.domain.errors import Malformed
    from lis.drivers import registry
    from lis.drivers.learned_files import faults_of

    folder = Path(settings.drivers.folder)
    faults = list(faults_of(folder))
    try:
        registry.use_folder(folder)
    except Malformed as error:
        faults = faults or [str(error)]
    known = registry.keys()
    faults += [
        f"[[instrument]] {one.name}: driver {one.driver!r} is unknown; known: {', '.join(known)}"
        for one in settings.instrument
        if one.driver not in known
    ]
    faults += [
        f"[[instrument]] {one.name}: orders_link and orders_broadcast need a driver that speaks IHE LAW, "
        f"{one.driver} does not"
        for one in settings.instrument
        if (one.orders_link or one.orders_broadcast)
        and one.driver in known
        and registry.get(one.driver).law is None
    ]
    for label, name in (
        ("tls_certificate", settings.web.tls_certificate),
        ("tls_key", settings.web.tls_key),
    ):
        if name and not Path(name).is_file():
            faults.append(f"[web] {label}: {name} does not exist")
    return faults


def _offer_first_token(store: "Store", address: str) -> None:
    from lis.access.users import offer_first_token

    with store.unit("system") as unit:
        token = offer_first_token(unit)
    if token is not None:
        note("There is no administrator yet. Create one within 24 hours, with this one-time link:")
        note(f"  {address}/start#{token}")


def _wait_for_signal() -> None:
    import signal
    import threading

    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    done.wait()
