"""`lis user token`: made once, listed without its text, revoked; orders carry the sender's name."""

import json

from tests.cli.test_commands import place, run

__all__ = ["place"]


def test_a_token_is_told_once_listed_and_revoked(place):
    assert run("migrate", cwd=place).returncode == 0
    made = run("user", "token", "add", "clinic", "--days", "30", "--json", cwd=place)
    assert made.returncode == 0, made.stderr
    token = json.loads(made.stdout)["token"]
    listed = run("user", "token", "list", "--json", cwd=place).stdout
    (one,) = json.loads(listed)
    assert (one["name"], one["scope"], one["revoked_at"]) == ("clinic", "referrals", None)
    assert token not in listed
    assert run("user", "token", "revoke", str(one["id"]), cwd=place).returncode == 0
    (one,) = json.loads(run("user", "token", "list", "--json", cwd=place).stdout)
    assert one["revoked_at"] is not None


def test_a_token_needs_a_known_site_and_a_name(place):
    assert run("migrate", cwd=place).returncode == 0
    assert run("user", "token", "add", "x", "--site", "moon", cwd=place).returncode == 1
    nameless = run("user", "token", "add", " ", cwd=place)
    assert nameless.returncode == 1
    assert "sending system" in nameless.stderr
    assert run("user", "token", "revoke", "77", cwd=place).returncode == 1
