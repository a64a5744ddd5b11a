"""`lis user token`: keys of machines that send us referrals."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from lis.cli.output import emit_json, note, say_line

tokens_app = typer.Typer(help="Keys of machines that send referrals.", no_args_is_help=True)

ConfigOption = Annotated[Path, typer.Option("--config", help="The laboratory's lis.toml.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON only.")]


@tokens_app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="The sender, as its orders will name it.")],
    site: Annotated[str, typer.Option("--site", help="Where its orders go; the first one.")] = "",
    days: Annotated[int, typer.Option("--days", min=0, help="Ends by itself; 0: never.")] = 0,
    config: ConfigOption = Path("lis.toml"),
    as_json: JsonOption = False,
) -> None:
    """Make a token for referrals over FHIR and REST; it is shown only now."""
    from lis.access.tokens import Scope, issue_token
    from lis.app.configuring import add_sites
    from lis.app.settings import load_settings
    from lis.cli.opening import open_store

    settings = load_settings(config)
    home = settings.site_of(site)
    life = timedelta(days=days) if days else None
    with open_store(config) as store, store.unit("shell") as unit:
        add_sites(unit, settings)  # before the first `lis serve` the store has none
        token = issue_token(unit, name=name, scope=Scope.REFERRALS, site=home, life=life)
    if as_json:
        emit_json({"name": name, "scope": Scope.REFERRALS.value, "token": token})
        return
    note(
        "Keep this token; it is not shown again. The sender puts it behind `Authorization: Bearer`."
    )
    say_line(token)


@tokens_app.command("list")
def list_all(config: ConfigOption = Path("lis.toml"), as_json: JsonOption = False) -> None:
    """Show all tokens, also those that ended; never the tokens themselves."""
    from dataclasses import asdict

    from lis.access.tokens import list_tokens
    from lis.cli.opening import open_store

    with open_store(config) as store, store.unit("shell") as unit:
        tokens = list_tokens(unit)
    if as_json:
        emit_json([asdict(token) for token in tokens])
        return
    if not tokens:
        note("There are no tokens: no machine may send referrals over HTTP.")
    for token in tokens:
        state = f"  (revoked {token.revoked_at:%Y-%m-%d})" if token.revoked_at else ""
        used = f"{token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else "never used"
        say_line(f"{token.id:4} {token.name:24} {token.scope:12} {used}{state}")


@tokens_app.command("revoke")
def revoke(
    token_id: Annotated[int, typer.Argument(help="As `lis user token list` shows it.")],
    config: ConfigOption = Path("lis.toml"),
    as_json: JsonOption = False,
) -> None:
    """End a token now."""
    from lis.access.tokens import revoke_token
    from lis.cli.opening import open_store

    with open_store(config) as store, store.unit("shell") as unit:
        revoke_token(unit, token_id)
    if as_json:
        emit_json({"id": token_id, "revoked": True})
    else:
        note(f"Token {token_id} is revoked.")
