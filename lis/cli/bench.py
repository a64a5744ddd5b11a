"""`lis bench`: figures beside peers and floors, measured in one run."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lis.cli.output import emit_json, fail, say_line

if TYPE_CHECKING:
    from lis.cli.bench_timing import Figure


def register(app: typer.Typer) -> None:
    """Add `lis bench`."""
    app.command("bench")(bench)


def bench(
    what: Annotated[str, typer.Argument(help="intake, wire, many, qc, worklist, lists or query.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
    seconds: Annotated[
        float, typer.Option(min=1, help="How long `many` keeps its analyzers working.")
    ] = 60.0,
    orders: Annotated[
        int, typer.Option(min=1_000, help="How many orders `lists` and `query` seed first.")
    ] = 1_000_000,
    store: Annotated[
        str,
        typer.Option(help="An empty store for `lists` or `query` instead of its own SQLite file."),
    ] = "",
) -> None:
    """Measure, and compare with the peer in the same run."""
    benches = _benches(seconds, orders, store)
    if what not in benches:
        raise fail(f"There is no bench {what!r}; known: {', '.join(benches)}.", code=2)
    figures = benches[what]()
    if as_json:
        emit_json({"figures": figures})
        return
    for figure in figures:
        peer = figure["peer"]
        beside = f"   {peer['name']} {peer['version']}: {peer['value']:,.4g}" if peer else ""
        ratio = f"   ratio {figure['ratio']:.3g}" if figure["ratio"] is not None else ""
        say_line(
            f"{figure['what']:36} {figure['value']:>12,.4g} {figure['unit']:12}{beside}{ratio}"
        )


def _benches(
    seconds: float, orders: int, store: str
) -> "Mapping[str, Callable[[], Sequence[Figure]]]":
    from lis.cli import (
        bench_intake,
        bench_lists,
        bench_many,
        bench_qc,
        bench_query,
        bench_wire,
        bench_worklist,
    )

    return {
        "intake": bench_intake.figures,
        "wire": bench_wire.figures,
        "many": lambda: bench_many.figures(seconds=seconds),
        "qc": bench_qc.figures,
        "worklist": bench_worklist.figures,
        "lists": lambda: bench_lists.figures(orders=orders, url=store),
        "query": lambda: bench_query.figures(orders=orders, url=store),
    }
