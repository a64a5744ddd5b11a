"""`lis user`: users, roles and passwords from the shell."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lis.cli.output import emit_json, fail, note, say_line
from lis.cli.tokens import tokens_app

if TYPE_CHECKING:
    from lis.domain.roles import Role

users_app = typer.Typer(help="Users, roles and passwords.", no_args_is_help=True)

ConfigOption = Annotated[Path, typer.Option("--config", help="The laboratory's lis.toml.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
RoleOption = Annotated[
    list[str],
    typer.Option("--role", help="technician, doctor, qc_officer or administrator; may repeat."),
]
PasswordOption = Annotated[
    str, typer.Option("--password-file", help="File with the password; - reads standard input.")
]


def register(app: typer.Typer) -> None:
    """Add `lis user`."""
    users_app.add_typer(tokens_app, name="token")
    app.add_typer(users_app, name="user")


@users_app.command("list")
def list_all(config: ConfigOption = Path("lis.toml"), as_json: JsonOption = False) -> None:
    """Show all users with their roles."""
    from dataclasses import asdict

    from lis.access.users import list_users
    from lis.cli.opening import open_store

    with open_store(config) as store, store.unit("shell") as unit:
        users = list_users(unit)
    if as_json:
        emit_json([asdict(user) for user in users])
        return
    if not users:
        note(
            "There are no users yet: `lis serve` prints a one-time token for the first administrator."
        )
    for user in users:
        state = "" if user.is_active else "  (disabled)"
        say_line(f"{user.login:20} {', '.join(user.roles):40} {user.name}{state}")


@users_app.command("add")
def add(
    login: str,
    name: Annotated[str, typer.Option("--name", help="The person's name.")],
    role: RoleOption,
    password_file: PasswordOption = "",
    config: ConfigOption = Path("lis.toml"),
    as_json: JsonOption = False,
) -> None:
    """Add a user; asks for the password unless a file is given."""
    from dataclasses import asdict

    from lis.access.users import create_user
    from lis.cli.opening import open_store

    roles = _roles(role)
    password = _password(password_file)
    with open_store(config) as store, store.unit("shell") as unit:
        user = create_user(unit, login=login, name=name, password=password, roles=roles)
    _report(asdict(user), f"Added {user.login}.", as_json=as_json)


@users_app.command("password")
def password(
    login: str,
    password_file: PasswordOption = "",
    config: ConfigOption = Path("lis.toml"),
    as_json: JsonOption = False,
) -> None:
    """Set a user's password and end his sessions."""
    from lis.access.users import list_users, set_password
    from lis.cli.opening import open_store

    new = _password(password_file)
    with open_store(config) as store, store.unit("shell") as unit:
        found = [user for user in list_users(unit) if user.login == login.lower()]
        if not found:
            raise fail(f"There is no user {login!r}. `lis user list` shows all.")
        set_password(unit, found[0].id, new)
    _report({"login": login, "done": True}, f"Password of {login} is set.", as_json=as_json)


@users_app.command("disable")
def disable(
    login: str, config: ConfigOption = Path("lis.toml"), as_json: JsonOption = False
) -> None:
    """Disable a user and end his sessions at once."""
    _set_active(login, config, is_active=False, as_json=as_json)


@users_app.command("enable")
def enable(
    login: str, config: ConfigOption = Path("lis.toml"), as_json: JsonOption = False
) -> None:
    """Enable a user again."""
    _set_active(login, config, is_active=True, as_json=as_json)


@users_app.command("roles")
def roles(
    login: str,
    role: RoleOption,
    config: ConfigOption = Path("lis.toml"),
    as_json: JsonOption = False,
) -> None:
    """Give a user exactly these roles."""
    from dataclasses import asdict

    from lis.access.users import change_user, list_users
    from lis.cli.opening import open_store

    wanted = _roles(role)
    with open_store(config) as store, store.unit("shell") as unit:
        found = [user for user in list_users(unit) if user.login == login.lower()]
        if not found:
            raise fail(f"There is no user {login!r}. `lis user list` shows all.")
        user = change_user(
            unit,
            found[0].id,
            version=found[0].version,
            name=found[0].name,
            roles=wanted,
            is_active=found[0].is_active,
            language=found[0].language,
        )
    _report(asdict(user), f"{login} is now {', '.join(user.roles)}.", as_json=as_json)


def _set_active(login: str, config: Path, *, is_active: bool, as_json: bool) -> None:
    from dataclasses import asdict

    from lis.access.users import change_user, list_users
    from lis.cli.opening import open_store
    from lis.domain.roles import Role

    with open_store(config) as store, store.unit("shell") as unit:
        found = [user for user in list_users(unit) if user.login == login.lower()]
        if not found:
            raise fail(f"There is no user {login!r}. `lis user list` shows all.")
        user = change_user(
            unit,
            found[0].id,
            version=found[0].version,
            name=found[0].name,
            is_active=is_active,
            roles=frozenset(Role(name) for name in found[0].roles),
            language=found[0].language,
        )
    _report(asdict(user), f"{login} is {'enabled' if is_active else 'disabled'}.", as_json=as_json)


def _roles(names: list[str]) -> "frozenset[Role]":
    from lis.domain.roles import Role

    known = {role.value for role in Role}
    unknown = sorted(set(names) - known)
    if unknown:
        raise fail(
            f"Unknown role {', '.join(unknown)}; expected {', '.join(sorted(known))}.", code=2
        )
    return frozenset(Role(name) for name in names)


def _password(source: str) -> str:
    if not source:
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    text = (
        typer.get_text_stream("stdin").read() if source == "-" else Path(source).read_text("utf-8")
    )
    return text.rstrip("\r\n")


def _report(value: object, words: str, *, as_json: bool) -> None:
    if as_json:
        emit_json(value)
    else:
        say_line(words)
