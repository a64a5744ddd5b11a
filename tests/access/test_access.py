"""Users, passwords and sessions on a real store."""

import pytest

from lis.access import actor_of, sign_in, sign_out
from lis.access.passwords import hash_password, is_password, new_receipt_code, receipt_hash
from lis.access.sessions import ABSOLUTE_LIMIT, FAILURES_MAX, IDLE_LIMIT, LOCK_TIME
from lis.access.users import (
    change_own_password,
    change_user,
    create_first_administrator,
    create_user,
    list_users,
    offer_first_token,
    set_password,
)
from lis.domain.errors import Refused, StaleVersion
from lis.domain.roles import Permission, Role
from lis.store.unit import Store

PASSWORD = "correct horse 7"


@pytest.fixture
def store(store_url, manual_clock):
    store = Store.open(store_url, clock=manual_clock)
    store.create_all()
    yield store
    store.close()


@pytest.fixture
def anna(store):
    with store.unit("shell") as unit:
        return create_user(
            unit, login="Anna", name="Анна", password=PASSWORD, roles=frozenset({Role.TECHNICIAN})
        )


def enter(store, password=PASSWORD, login="anna", address="127.0.0.1"):
    return sign_in(store, login=login, password=password, address=address)


def test_signing_in_gives_the_permissions_of_the_roles_and_no_others(store, anna):
    actor = actor_of(store, enter(store).token)
    assert actor.login == "anna"
    assert actor.may(Permission.VERIFY)
    assert not actor.may(Permission.MANAGE_USERS)


def test_a_wrong_login_and_a_wrong_password_sound_the_same(store, anna):
    with pytest.raises(Refused) as wrong_password:
        enter(store, password="not the password")
    with pytest.raises(Refused) as nobody:
        enter(store, login="nobody")
    assert wrong_password.value.code == nobody.value.code == "login_refused"


def test_five_failures_lock_the_account_for_a_while_even_with_the_right_password(
    store, anna, manual_clock
):
    for _ in range(FAILURES_MAX):
        with pytest.raises(Refused):
            enter(store, password="not the password")
    with pytest.raises(Refused) as locked:
        enter(store)
    assert locked.value.code == "login_locked"
    manual_clock.advance(seconds=LOCK_TIME.total_seconds() + 1)
    assert enter(store).actor.login == "anna"


def test_a_session_ends_when_idle_when_old_and_when_signed_out(store, anna, manual_clock):
    idle = enter(store).token
    manual_clock.advance(seconds=IDLE_LIMIT.total_seconds() + 1)
    assert actor_of(store, idle) is None
    old = enter(store).token
    for _ in range(int(ABSOLUTE_LIMIT / (IDLE_LIMIT / 2)) + 1):
        manual_clock.advance(seconds=IDLE_LIMIT.total_seconds() / 2)
        actor_of(store, old)
    assert actor_of(store, old) is None
    left = enter(store).token
    sign_out(store, left)
    assert actor_of(store, left) is None
    assert actor_of(store, "made up") is None


def test_disabling_a_user_ends_his_sessions_at_once(store, anna):
    token = enter(store).token
    with store.unit("shell") as unit:
        change_user(
            unit,
            anna.id,
            version=anna.version,
            name="Анна",
            roles=frozenset({Role.TECHNICIAN}),
            is_active=False,
            language="",
        )
    assert actor_of(store, token) is None
    with pytest.raises(Refused):
        enter(store)


def test_a_new_password_ends_other_sessions_and_the_old_one_is_asked(store, anna):
    token = enter(store).token
    with store.unit("shell") as unit:
        set_password(unit, anna.id, "another secret 8")
    assert actor_of(store, token) is None
    with pytest.raises(Refused), store.unit("anna") as unit:
        change_own_password(unit, anna.id, old="wrong one 999", new="third secret 9")
    with store.unit("anna") as unit:
        change_own_password(unit, anna.id, old="another secret 8", new="third secret 9")
    assert enter(store, password="third secret 9").actor.user_id == anna.id


def test_the_last_administrator_stays(store):
    with store.unit("shell") as unit:
        boss = create_user(
            unit,
            login="boss",
            name="Boss",
            password=PASSWORD,
            roles=frozenset({Role.ADMINISTRATOR}),
        )
    for roles, is_active in (
        (frozenset({Role.DOCTOR}), True),
        (frozenset({Role.ADMINISTRATOR}), False),
    ):
        with pytest.raises(Refused) as refused, store.unit("boss") as unit:
            change_user(
                unit,
                boss.id,
                version=boss.version,
                name="B",
                roles=roles,
                is_active=is_active,
                language="",
            )
        assert refused.value.code == "last_administrator"


def test_a_change_on_a_stale_page_is_refused(store, anna):
    with pytest.raises(StaleVersion), store.unit("shell") as unit:
        change_user(
            unit,
            anna.id,
            version=99,
            name="X",
            roles=frozenset({Role.DOCTOR}),
            is_active=True,
            language="",
        )


def test_the_first_administrator_comes_by_a_token_that_works_once(store):
    with store.unit("system") as unit:
        old = offer_first_token(unit)
    with store.unit("system") as unit:
        token = offer_first_token(unit)
    new = {"login": "root", "name": "Root", "password": PASSWORD}
    for wrong in (old, "made up"):
        with pytest.raises(Refused), store.unit("setup") as unit:
            create_first_administrator(unit, token=wrong, **new)
    with store.unit("setup") as unit:
        create_first_administrator(unit, token=token, **new)
    with pytest.raises(Refused), store.unit("setup") as unit:
        create_first_administrator(unit, token=token, login="second", name="S", password=PASSWORD)
    with store.unit("system") as unit:
        assert offer_first_token(unit) is None
        assert [user.login for user in list_users(unit)] == ["root"]


@pytest.mark.parametrize("weak", ["short", "1234567890", "aaaaaaaaaaaa", "x" * 300])
def test_weak_passwords_are_refused(weak):
    with pytest.raises(Refused):
        hash_password(weak)


def test_a_hash_fits_its_password_only():
    stored = hash_password(PASSWORD)
    assert PASSWORD not in stored
    assert is_password(stored, PASSWORD)
    assert not is_password(stored, PASSWORD + " ")
    assert not is_password(None, PASSWORD)


@pytest.mark.parametrize(
    "change",
    [
        str.lower,
        lambda code: code.replace("-", " "),
        lambda code: code.replace("0", "o").replace("1", "l"),
    ],
)
def test_a_receipt_code_may_be_typed_loosely(change):
    code = new_receipt_code()
    assert receipt_hash(change(code)) == receipt_hash(code)


@pytest.mark.parametrize("login", ["", "a" * 65, "with space", "семён;drop"])
def test_a_login_has_a_plain_form(store, login):
    with pytest.raises(Refused), store.unit("shell") as unit:
        create_user(unit, login=login, name="N", password=PASSWORD, roles=frozenset({Role.DOCTOR}))
