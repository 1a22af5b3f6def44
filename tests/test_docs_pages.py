"""The pages of docs/ do what they say: their Python and their commands run, their links lead somewhere."""

import doctest
import re
import shlex
import shutil
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import sklearn
from PIL import Image

from dctnet.cli import COMMANDS, main
from dctnet.data.recipes import prepare
from dctnet.models.zoo import MODELS
from dctnet.robustness.channels import CHANNELS
from tests.photographs import photograph

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
PICTURE = Path(sklearn.__file__).parent / "datasets" / "images" / "china.jpg"
LIGHTNING = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore:.*many workers", "ignore:.*LeafSpec", "ignore:.*smaller than the logging"
)


def blocks(page: str, *languages: str) -> list[str]:
    """The fenced blocks of a page in these languages, in order."""
    return re.findall(rf"^```(?:{'|'.join(languages)})\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)


def run(page: str) -> dict:
    """The names that the Python blocks of a page leave, run from top to bottom."""
    names: dict = {}
    found = blocks(page, "python")
    assert found
    for number, block in enumerate(found, 1):
        exec(compile(block, f"{page}, block {number}", "exec"), names)
    return names


def commands(page: str) -> list[list[str]]:
    """The words of each command of a page, lines that go on joined."""
    lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("page", ["index.md", "measured.md"])
def test_python_runs(page, tmp_path, monkeypatch):
    shutil.copy(PICTURE, tmp_path / "photograph.jpg")
    monkeypatch.chdir(tmp_path)
    names = run(page)
    if page == "measured.md":
        assert 1 < names["ratio"] < 4


@LIGHTNING
def test_what_is_added_obeys_its_laws(tmp_path, monkeypatch, capsys):
    prepare("digits", tmp_path / "data" / "digits")
    shutil.copy(PICTURE, tmp_path / "photograph.jpg")
    monkeypatch.chdir(tmp_path)
    with patch.dict(MODELS), patch.dict(CHANNELS):
        names = run("adding.md")
    assert names["trainer"].global_step == 4 and tuple(names["planes"].y.shape) == (64, 8, 8)
    assert "two_stacks" not in MODELS and "pixelation" not in CHANNELS
    assert "two_stacks" in capsys.readouterr().out or names["model"].block_size == (4, 4)


def test_formulas_hold():
    """The examples of the page on mathematics give what stands below them."""
    runner, names = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE), {}
    found = blocks("mathematics.md", "pycon")
    assert len(found) > 10
    for number, block in enumerate(found, 1):
        test = doctest.DocTestParser().get_doctest(block, names, f"mathematics.md, block {number}", None, 0)
        runner.run(test, clear_globs=False)
        names = test.globs
    assert runner.summarize(verbose=False).failed == 0
