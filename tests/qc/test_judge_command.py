"""`lis qc judge`: the contract of DESIGN 5.1, from outside."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lis.cli.qc import register

TWO_LEVELS = {
    "levels": [{"mean": 10, "sd": 1}, {"name": "high", "mean": 20, "sd": 2}],
    "values": [[12.1, 20], [None, 20], [12.2, 26.1]],
}


@pytest.fixture
def run():
    app = typer.Typer()
    register(app)

    def invoke(*arguments: object):
        return CliRunner().invoke(app, ["qc", "judge", *map(str, arguments)])

    return invoke


@pytest.fixture
def file(tmp_path: Path):
    def write(document: object) -> Path:
        path = tmp_path / "glucose.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    return write


def test_a_single_series_is_named_by_the_files_stem_and_lists_only_violations(run, file):
    done = run(file(TWO_LEVELS), "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == [
        {
            "name": "glucose",
            "runs": [
                {"run": 1, "status": "warn", "violations": {"1_2s": ["L1"]}},
                {
                    "run": 3,
                    "status": "reject",
                    "violations": {
                        "1_2s": ["L1", "high"],
                        "1_3s": ["high"],
                        "2_2s": ["L1", "run"],
                    },
                },
            ],
        }
    ]


def test_cases_of_the_corpus_are_judged_under_their_own_conventions(run, corpus: Path):
    path = corpus / "qc/rule_micro_cases.json"
    done = run(path, "--json")
    assert done.exit_code == 0
    cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
    assert [one["runs"] for one in json.loads(done.stdout)] == [one["expected"] for one in cases]


def test_options_win_over_the_case(run, file):
    path = file({**TWO_LEVELS, "compare": "inclusive", "values": [[12, 20], [12, 20]]})
    assert json.loads(run(path, "--json").stdout)[0]["runs"]
    assert not json.loads(run(path, "--json", "--compare", "strict").stdout)[0]["runs"]
    reset = json.loads(run(path, "--json", "--reset", "2").stdout)[0]["runs"]
    assert [one["status"] for one in reset] == ["warn", "warn"]
    one_rule = json.loads(run(path, "--json", "--rules", "2_2s").stdout)[0]["runs"]
    assert one_rule == [{"run": 2, "status": "reject", "violations": {"2_2s": ["L1"]}}]


def test_r4s_and_mode_are_options(run, file):
    path = file({**TWO_LEVELS, "values": [[12.8, 17.4], [12.2, 20]]})
    done = run(path, "--json", "--r4s", "difference", "--mode", "all")
    runs = json.loads(done.stdout)[0]["runs"]
    assert runs[0]["violations"]["R_4s"] == ["run"]
    assert runs[1]["violations"]["2_2s"] == ["L1"]


def test_without_json_a_person_reads_a_table(run, file):
    done = run(file(TWO_LEVELS))
    assert done.exit_code == 0
    assert "1_3s" in done.stdout


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"levels": []},
        {"levels": [{"mean": 1, "sd": 0}], "values": [[1]]},
        {"levels": [{"mean": 1, "sd": 1}], "values": [[1, 2]]},
        {"levels": [{"mean": 1, "sd": 1}], "values": [["x"]]},
        {"levels": [{"mean": 1, "sd": 1}], "values": [[True]]},
        {"levels": [{"mean": 1, "sd": 1}], "values": [[1]], "mode": "guess"},
        {"levels": [{"mean": 1, "sd": 1}], "values": [[1]], "reset_before_runs": [0]},
        {"levels": [{"mean": 1}], "values": [[1]]},
        {"levels": 5, "values": [[1]]},
        {"cases": [{}]},
    ],
)
def test_a_file_that_cannot_be_read_is_a_usage_error_that_says_why(run, file, document):
    done = run(file(document), "--json")
    assert done.exit_code == 2
    assert "expected" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [("--rules", "7T"), ("--reset", "x"), ("--compare", "maybe"), ("--mode", "x")],
)
def test_a_wrong_option_is_a_usage_error(run, file, arguments):
    assert run(file(TWO_LEVELS), *arguments).exit_code == 2


def test_a_missing_file_and_a_broken_one_are_usage_errors(run, tmp_path: Path):
    assert run(tmp_path / "none.json").exit_code == 2
    broken = tmp_path / "broken.json"
    broken.write_bytes(b"\xff{")
    assert run(broken).exit_code == 2
    broken.write_text("{")
    assert run(broken).exit_code == 2
    broken.write_text('{"levels": [{"mean": 1, "sd": 1}], "values": [[NaN]]}')
    assert run(broken).exit_code == 2
