"""The committed results of the quick suite: whole, of clean commits, within an hour, and what the page beside them says."""

import json
import re
from pathlib import Path

import pytest
import yaml

from dctnet.findings.report_command import report
from dctnet.findings.result_files import read_results

ROOT = Path(__file__).resolve().parents[1]
QUICK = ROOT / "experiments" / "quick"
STEPS = [json.loads(line) for line in (QUICK / "suite.jsonl").read_text().splitlines()]


def questions():
    """Names of the questions that have a quick form."""
    for name in yaml.safe_load((ROOT / "experiments" / "suite.yaml").read_text()):
        asked = yaml.safe_load((ROOT / "experiments" / f"{name}.yaml").read_text())
        if "quick" in asked["minutes"]:
            yield name, asked


def test_every_question_of_the_quick_form_was_asked_in_less_than_an_hour():
    assert {step["question"] for step in STEPS} == {name for name, _ in questions()}
    assert sum(step["minutes"] for step in STEPS) < 60
    assert {step["form"] for step in STEPS} == {"quick"}


def test_every_step_has_its_result_and_every_result_its_step():
    results = {path.name for path in QUICK.iterdir() if path.suffix in (".json", ".jsonl")} - {"suite.jsonl"}
    told = {step["result"] for step in STEPS}
    assert told <= results and all(name.endswith("_speeds.json") for name in results - told)


@pytest.mark.parametrize("name", [name for name, asked in questions() if asked.get("rows")])
def test_every_row_has_two_seeds_and_says_where_it_comes_from(name):
    asked = yaml.safe_load((ROOT / "experiments" / f"{name}.yaml").read_text())
    rows = [json.loads(line) for line in (QUICK / f"{name}.jsonl").read_text().splitlines()]
    wanted = asked["quick"].get("rows", list(asked["rows"]))
    assert sorted((row["name"], row["seed"]) for row in rows) == sorted(
        (row, seed) for row in wanted for seed in (0, 1)
    )
    assert all(row[key] for row in rows for key in ("command", "commit", "cpu", "torch", "python"))


def test_all_of_it_is_of_commits_that_can_be_checked_out():
    assert not [step["question"] for step in STEPS if step["commit"].endswith("-dirty")]
    assert "-dirty" not in re.search(r"<footer.*?</footer>", (QUICK / "report.html").read_text(), re.DOTALL)[0]


def test_page_and_results_are_small_and_name_no_folder_of_a_machine():
    files = [path for path in QUICK.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 5_000_000
    for path in files:
        assert not re.search(r"(?<![\w.])/(home|work|root|tmp|mnt)/", path.read_text()), path


def test_the_page_is_that_of_the_results():
    """But for pictures, which matplotlib may draw otherwise from one version to the next, and the commit at the foot."""

    def words(page):
        page = re.sub(r"<svg.*?</svg>|<footer.*?</footer>", "", page, flags=re.DOTALL)
        return page[page.index("<main") :]

    made = report(read_results([QUICK]))
    assert words(made) == words((QUICK / "report.html").read_text())
