"""The commands as a person runs them: in a process of their own, judged by what they print and return."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 30.0
PASSWORD = "secret words 99"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(*arguments, cwd, stdin=""):
    return subprocess.run(
        [sys.executable, "-m", "lis.cli.main", *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture
def place(tmp_path):
    """A folder with a lis.toml for one analyzer and one EMR."""
    (tmp_path / "lis.toml").write_text(
        f"""
[laboratory]
name = "Test laboratory"
language = "en"
[[site]]
name = "main"
timezone = "Europe/Moscow"
[web]
listen = "127.0.0.1:{free_port()}"
[[instrument]]
name = "xp-1"
driver = "sysmex-xp-100"
link = "tcp-listen://127.0.0.1:{free_port()}"
[[emr]]
name = "his"
receive = "tcp-listen://127.0.0.1:{free_port()}"
send = "tcp-connect://127.0.0.1:9"
""",
        encoding="utf-8",
    )
    return tmp_path


def test_help_names_every_command_of_the_contract(tmp_path):
    text = run("--help", cwd=tmp_path).stdout
    for command in [
        "demo",
        "serve",
        "check-config",
        "doctor",
        "listen",
        "message",
        "capture",
        "redact",
        "replay",
        "simulate",
        "qc",
        "user",
        "catalog",
        "instrument",
        "audit",
        "backup",
        "restore",
        "migrate",
        "bench",
    ]:
        assert re.search(rf"\b{command}\b", text), command


def test_check_config_tells_what_is_wrong_and_where(place):
    assert run("check-config", cwd=place).returncode == 0
    text = (place / "lis.toml").read_text(encoding="utf-8")
    (place / "lis.toml").write_text(
        text.replace("sysmex-xp-100", "no-such-driver"), encoding="utf-8"
    )
    done = run("check-config", "--json", cwd=place)
    assert done.returncode == 1
    assert "no-such-driver" in json.loads(done.stdout)["faults"][0]
    (place / "lis.toml").write_text(text + "\ncolour = 1\n", encoding="utf-8")
    assert "colour" in run("check-config", cwd=place).stderr


def test_users_are_managed_from_the_shell(place):
    added = run(
        "user",
        "add",
        "Anna",
        "--name",
        "Анна",
        "--role",
        "technician",
        "--password-file",
        "-",
        "--json",
        cwd=place,
        stdin=PASSWORD,
    )
    assert json.loads(added.stdout)["login"] == "anna"
    again = run(
        "user",
        "add",
        "anna",
        "--name",
        "A",
        "--role",
        "doctor",
        "--password-file",
        "-",
        cwd=place,
        stdin=PASSWORD,
    )
    assert (again.returncode, "taken" in again.stderr) == (1, True)
    wrong = run(
        "user",
        "add",
        "bob",
        "--name",
        "B",
        "--role",
        "nurse",
        "--password-file",
        "-",
        cwd=place,
        stdin=PASSWORD,
    )
    assert (wrong.returncode, "technician" in wrong.stderr) == (2, True)
    assert run("user", "roles", "anna", "--role", "doctor", cwd=place).returncode == 0
    assert run("user", "disable", "anna", cwd=place).returncode == 0
    (user,) = json.loads(run("user", "list", "--json", cwd=place).stdout)
    assert (user["roles"], user["is_active"]) == (["doctor"], False)


def test_a_backup_comes_back_with_its_audit_chain_and_never_overwrites(place, tmp_path):
    run("catalog", "demo", cwd=place)
    run(
        "user",
        "add",
        "anna",
        "--name",
        "A",
        "--role",
        "doctor",
        "--password-file",
        "-",
        cwd=place,
        stdin=PASSWORD,
    )
    assert run("backup", "copy.db", cwd=place).returncode == 0
    assert run("backup", "copy.db", cwd=place).returncode == 1
    assert run("restore", "copy.db", cwd=place).returncode == 1
    (place / "lis.db").rename(place / "old.db")
    for suffix in ("-wal", "-shm"):
        (place / f"lis.db{suffix}").unlink(missing_ok=True)
    restored = run("restore", "copy.db", "--json", cwd=place)
    assert restored.returncode == 0, restored.stderr
    assert json.loads(restored.stdout)["audit_intact"]
    assert json.loads(run("audit", "verify", "--json", cwd=place).stdout)["ok"]
    assert [
        user["login"] for user in json.loads(run("user", "list", "--json", cwd=place).stdout)
    ] == ["anna"]


def test_doctor_reports_every_finding_as_json(place):
    findings = json.loads(run("doctor", "--json", cwd=place).stdout)
    assert {"disk", "fsync", "clock", "serial ports", "database", "link xp-1", "link his"} <= {
        one["what"] for one in findings
    }


def test_a_missing_configuration_is_said_without_a_trace(tmp_path):
    done = run("serve", cwd=tmp_path)
    assert done.returncode == 2
    assert "lis.toml" in done.stderr
    assert "Traceback" not in done.stderr


def test_hl7_check_advises(tmp_path):
    (tmp_path / "bad.hl7").write_text(
        "MSH|^~\\&|A|B|C|D|20260101||ORU^R01|1|P|2.5.1\rOBX|1|NM|A||1\r", encoding="utf-8"
    )
    done = run("hl7", "check", "bad.hl7", "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout)[0]["message"] == 1


class Served:
    """`lis serve` in its own process."""

    def __init__(self, place, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lis.cli.main", "serve", *arguments],
            cwd=place,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.said = []

    def hear(self, pattern):
        deadline_s = time.monotonic() + WAIT_S
        for line in self.process.stderr:
            self.said.append(line)
            if found := re.search(pattern, line):
                return found
            assert time.monotonic() < deadline_s, self.said
        pytest.fail(f"ended without saying {pattern!r}: {self.said}")

    def end(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.communicate(timeout=WAIT_S)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stderr.close()
        return self.process.returncode


def fetch(url, context=None):
    deadline_s = time.monotonic() + WAIT_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5, context=context) as answer:
                return answer.status, answer.read().decode(), dict(answer.headers)
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline_s
            time.sleep(0.1)


def test_serve_offers_a_one_time_token_serves_pages_and_ends_cleanly(place):
    served = Served(place)
    try:
        token = served.hear(r"/start#(\S+)")[1]
        address = served.hear(r"Open (\S+)")[1]
        status, body, headers = fetch(f"{address}/healthz")
        assert (status, json.loads(body)["status"]) == (200, "ok")
        assert "default-src 'none'" in headers["content-security-policy"]
        assert len(token) > 30
    finally:
        assert served.end() == 0


def test_serve_speaks_https_when_a_certificate_is_given(place):
    made = subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            place / "key.pem",
            "-out",
            place / "cert.pem",
        ],
        capture_output=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    text = (place / "lis.toml").read_text(encoding="utf-8")
    text = text.replace("[web]\n", '[web]\ntls_certificate = "cert.pem"\ntls_key = "key.pem"\n')
    (place / "lis.toml").write_text(text, encoding="utf-8")
    served = Served(place)
    try:
        address = served.hear(r"Open (https://\S+)")[1]
        context = ssl.create_default_context(cafile=place / "cert.pem")
        status, _, headers = fetch(f"{address}/healthz", context)
        assert status == 200
        assert "strict-transport-security" in headers
    finally:
        served.end()


def test_roles_are_not_split_on_sqlite(place):
    done = run("serve", "--role", "web", cwd=place)
    assert done.returncode == 2
    assert "PostgreSQL" in done.stderr


def test_the_fixed_workload_reconciles(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "lis.cli.main", "demo", "--once", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    assert figures["ok"]
    assert figures["sent"] == figures["received"] > 500
    assert figures["released"] == figures["acked"] > 0
    assert figures["dead"] == 0
    for reason in (
        "unknown_specimen",
        "unknown_test",
        "unknown_flag",
        "not_ordered",
        "second_run",
        "unit_changed",
        "order_cancelled",
    ):
        assert figures["held"][reason], reason


def test_check_config_tells_that_only_law_analyzers_take_orders_unasked(place):
    config = place / "lis.toml"
    config.write_text(
        '[[instrument]]\nname = "xp"\ndriver = "sysmex-xp-100"\n'
        'link = "tcp-listen://127.0.0.1:15001"\norders_link = "tcp-connect://127.0.0.1:15002"\n',
        encoding="utf-8",
    )
    done = run("check-config", "--json", cwd=place)
    assert done.returncode == 1
    assert "IHE LAW" in done.stdout
    config.write_text(
        config.read_text(encoding="utf-8").replace("sysmex-xp-100", "roche-cobas-pro"),
        encoding="utf-8",
    )
    assert run("check-config", cwd=place).returncode == 0
