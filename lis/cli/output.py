"""What commands print: JSON to stdout when asked, words otherwise; progress and logs go to stderr."""

import sys
from typing import Final

import orjson
import typer

DONE: Final = 0
FOUND_WRONG: Final = 1  # done, but something was refused or found wrong
USAGE: Final = 2


def emit_json(value: object) -> None:
    """One JSON document, or one line of a stream, to stdout."""
    sys.stdout.buffer.write(orjson.dumps(value, default=str) + b"\n")
    sys.stdout.buffer.flush()


def say_line(text: str) -> None:
    """A line for a person, to stdout."""
    typer.echo(text)


def note(text: str) -> None:
    """Progress or a hint, to stderr: never mixes with data."""
    typer.echo(text, err=True)


def fail(text: str, *, code: int = FOUND_WRONG) -> typer.Exit:
    """Say what went wrong and what to do; raise the returned value."""
    typer.secho(text, err=True, fg=typer.colors.RED if sys.stderr.isatty() else None)
    return typer.Exit(code)
