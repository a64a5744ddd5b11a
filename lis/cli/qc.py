"""`lis qc`: quality control from the shell.

`lis qc judge FILE` judges the control series of a file with the same engine as the gate. Exit code 0:
judged (whatever the verdict); 2: the file or an option cannot be read.
"""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from lis.domain.errors import Malformed
from lis.qc.series import FILE_SIZE_MAX, Wishes, judge_series, read_series, rules_from
from lis.qc.westgard import RULES, Compare, Mode, Pairs, RangeReading

EXIT_USAGE = 2


def register(app: typer.Typer) -> None:
    """Add `qc` to the command line."""
    group = typer.Typer(help="Quality control.", no_args_is_help=True)
    group.callback()(_qc)
    group.command(name="judge")(judge)
    app.add_typer(group, name="qc")


def _qc() -> None:
    """Quality control."""


def judge(
    file: Annotated[Path, typer.Argument(help="Control series, JSON.")],
    *,
    compare: Annotated[
        Compare | None, typer.Option(help="Whether a point on the limit is beyond it.")
    ] = None,
    r4s: Annotated[
        RangeReading | None, typer.Option(help="R_4s by both limits, or by the difference of 4 SD.")
    ] = None,
    mode: Annotated[
        Mode | None, typer.Option(help="What a rejected run does to later windows.")
    ] = None,
    pairs: Annotated[
        Pairs | None, typer.Option(help="Levels that make a 2_2s within a run.")
    ] = None,
    reset: Annotated[
        str | None, typer.Option(help="Runs before which all windows end: 3,7.")
    ] = None,
    rules: Annotated[
        str | None, typer.Option(help=f"Rules to apply: {','.join(RULES)} by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Judge control series by Westgard rules. Options win over what a case says."""
    try:
        wishes = Wishes(
            compare=compare,
            r4s=r4s,
            mode=mode,
            pairs=pairs,
            rules=None if rules is None else rules_from(rules),
            reset_before_runs=None if reset is None else _run_numbers(reset),
        )
        series = read_series(_text(file), name=file.stem, wishes=wishes)
    except (Malformed, OSError) as error:
        typer.echo(f"lis qc judge: {error}", err=True)
        raise typer.Exit(EXIT_USAGE) from error
    verdicts = [judge_series(one) for one in series]
    if as_json:
        typer.echo(orjson.dumps(verdicts).decode())
    else:
        Console().print(_table(verdicts))


def _text(file: Path) -> str:
    size = file.stat().st_size
    if size > FILE_SIZE_MAX:
        raise Malformed(expected=f"at most {FILE_SIZE_MAX} bytes", got=str(size), where=str(file))
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(expected="UTF-8 text", got=error.reason, where=str(file)) from error


def _run_numbers(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    wrong = [part for part in parts if not (part.isascii() and part.isdigit())]
    if wrong:
        raise Malformed(expected="run numbers such as 3,7", got=wrong[0], where="reset")
    return tuple(int(part) for part in parts)


def _table(verdicts: list[dict[str, Any]]) -> Table:
    table = Table("series", "run", "status", "violations")
    for verdict in verdicts:
        if not verdict["runs"]:
            table.add_row(verdict["name"], "", "", "none")
        for run in verdict["runs"]:
            fired = ", ".join(
                f"{code} ({', '.join(labels)})" for code, labels in run["violations"].items()
            )
            table.add_row(verdict["name"], str(run["run"]), run["status"], fired)
    return table
