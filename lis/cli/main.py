"""`lis`: the command line. Each group of commands lives in its own module and is imported when asked for.

`lis --help` stays fast because FastAPI, numpy and SQLAlchemy are imported inside commands only.
"""

import sys

import typer

from lis.cli import (
    administration,
    bench,
    catalog_check,
    demo,
    instrument_codes,
    instrument_traffic,
    listen,
    message,
    qc,
    rules,
    serve,
    simulate,
    users,
)

app = typer.Typer(
    name="lis",
    help="Laboratory information system with its own instrument drivers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for module in (
    demo,
    serve,
    message,
    listen,
    simulate,
    qc,
    rules,
    users,
    administration,
    catalog_check,
    instrument_codes,
    instrument_traffic,
    bench,
):
    module.register(app)

AREAS = ("access", "traffic")  # where the words of a command's refusals stand


def main() -> None:
    """Entry point of the `lis` command: errors of the laboratory's rules become words, not traces."""
    from lis.app.observability import configure_logging
    from lis.domain.errors import LisError, Malformed, Refused
    from lis.words import Words, say

    configure_logging(as_json=False, level="error")  # `serve` says more
    try:
        app()
    except Malformed as error:
        typer.echo(str(error), err=True)
        sys.exit(2)
    except Refused as error:
        codes = [error.code] if "." in error.code else [f"{area}.{error.code}" for area in AREAS]
        known = Words("en").has
        key = next((code for code in codes if known(code)), codes[0])
        typer.echo(say("en", key, **error.parameters), err=True)
        sys.exit(1)
    except LisError as error:
        typer.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
