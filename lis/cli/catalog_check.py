"""`lis catalog check`: where the reference intervals in force leave a gap, or say two things at once."""

from pathlib import Path
from typing import Annotated

import typer

from lis.cli.administration import catalog_app
from lis.cli.output import emit_json, note, say_line

DEFAULT_CONFIG = Path("lis.toml")
FOUND_WRONG = 1


def register(app: typer.Typer) -> None:  # noqa: ARG001 - the group is the application's already
    """Add the command to `lis catalog`."""
    catalog_app.command("check")(check)


def check(
    config: Annotated[
        Path, typer.Option("--config", help="The laboratory's lis.toml.")
    ] = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Prove that the intervals in force cover every sex and age once; exit 1 and say where they do not."""
    from lis.cli.opening import open_store
    from lis.domain.document_fields import age_text
    from lis.domain.interval_cover import cover_flaws
    from lis.store.definitions import catalog_in_force

    with open_store(config) as store, store.read() as session:
        tests = catalog_in_force(session, store.clock.now()).tests.values()
    found = [
        {
            "test": test.code,
            "flaw": flaw.flaw.value,
            "sex": flaw.sex.value,
            "from": age_text(flaw.age_from_h),
            "to": None if flaw.age_to_h is None else age_text(flaw.age_to_h),
        }
        for test in tests
        for flaw in cover_flaws(test.intervals)
    ]
    without = [test.code for test in tests if not test.intervals]
    if as_json:
        emit_json({"tests": len(tests), "without_intervals": without, "flaws": found})
    else:
        for one in found:
            end = one["to"] or "any later age"
            say_line(f"{one['test']:12} {one['flaw']:8} {one['sex']}  from {one['from']} to {end}")
        note(f"{len(tests)} tests, {len(without)} without intervals, {len(found)} flaws.")
    if found:
        raise typer.Exit(FOUND_WRONG)
