"""`lis demo`: a living laboratory in two commands; `--once`: a fixed workload that must reconcile."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lis.cli.output import emit_json, fail, note, say_line

if TYPE_CHECKING:
    from lis.cli.demo_laboratory import DemoLaboratory

WEB_PORT: Final = 8000
PASSWORD: Final = "demo laboratory"  # noqa: S105 - printed; the demo listens on loopback and holds no real person
ADMISSION_PAUSE_S: Final = 6.0
OPENING_PATIENTS: Final = 24
CONTROLS_EVERY: Final = 60  # admissions between control runs


def register(app: typer.Typer) -> None:
    """Add `lis demo`."""
    app.command("demo")(demo)


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="A fixed workload as fast as possible, then reconcile.")
    ] = False,
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Keep the data in this folder.")
    ] = None,
    port: Annotated[
        int, typer.Option("--port", help="Port of the pages; any free one if taken.")
    ] = WEB_PORT,
    language: Annotated[str, typer.Option("--language", help="ru or en.")] = "ru",
    as_json: Annotated[bool, typer.Option("--json", help="With --once: print JSON only.")] = False,
) -> None:
    """A living laboratory: database, pages, EMR, five simulated analyzers, controls, patients."""
    from lis.app.observability import configure_logging
    from lis.cli.demo_laboratory import HOST, demo_laboratory
    from lis.cli.serving import free_port

    configure_logging(as_json=False, level="error" if once or not keep else "warning")
    note("Opening the laboratory ...")
    with (
        _folder(keep) as folder,
        demo_laboratory(
            folder,
            password=PASSWORD,
            web_port=0 if once else free_port(HOST, port),
            language=language,
        ) as laboratory,
    ):
        laboratory.start_surroundings()
        if once:
            _once(laboratory, as_json=as_json)
        else:
            _live(laboratory)


def _once(laboratory: "DemoLaboratory", *, as_json: bool) -> None:
    from lis.cli.demo_once import run_once

    outcome = run_once(laboratory, progress=note)
    if as_json:
        emit_json(outcome.document())
    else:
        for line in outcome.lines():
            say_line(line)
    if not outcome.ok:
        raise typer.Exit(1)


def _live(laboratory: "DemoLaboratory") -> None:
    from lis.cli.demo_seed import LOGINS
    from lis.cli.serving import address_of, web_server

    web = laboratory.house.laboratory.settings.web
    laboratory.start_day(
        patients=OPENING_PATIENTS, pause_s=ADMISSION_PAUSE_S, controls_every=CONTROLS_EVERY
    )
    say_line(f"\n  The laboratory is open:  {address_of(web)}\n")
    for login, (name, role) in LOGINS.items():
        say_line(f"    {login:10} {PASSWORD:20} {role.value.replace('_', ' '):16} {name}")
    patient = laboratory.walk_in()
    say_line(
        f"\n  A patient: {address_of(web)}/r#{patient.receipt_code}   born {patient.birth_date}"
    )
    say_line("  Stop with Ctrl+C. Nothing here is for clinical use.\n")
    web_server(laboratory.house, web).run()
    note("Closing ...")


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="lis-demo-", ignore_cleanup_errors=True) as name:
            yield Path(name)
        return
    if (keep / "lis.db").exists():
        raise fail(f"{keep} holds a demo already: choose another folder, or remove it.", code=2)
    keep.mkdir(parents=True, exist_ok=True)
    yield keep
