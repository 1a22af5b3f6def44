"""The pages of docs/ do what they say: their Python and their commands run, their links lead somewhere."""

import doctest
import re
import shlex
import shutil
from contextlib import suppress
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


def test_the_tests_that_the_pages_name_are_there():
    named = {match for page in PAGES for match in re.findall(r"tests/(test_\w+\.py)::(\w+)", (DOCS / page).read_text())}
    assert len(named) > 20
    for file, test in named:
        assert f"def {test}(" in (ROOT / "tests" / file).read_text(), f"{file}::{test}"


@pytest.mark.parametrize("page", PAGES)
def test_files_that_the_pages_name_are_there(page):
    text = (DOCS / page).read_text()
    for target in re.findall(r"`((?:docs|experiments|benchmarks|models|data|tests|dctnet)/[\w./-]+\.\w+)`", text):
        assert (ROOT / target).exists() or target.startswith("data/"), target


def options(command: str, capsys) -> set[str]:
    """The options that a command's help names."""
    with suppress(SystemExit):
        main([command, "--help"])
    return set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w.]*", capsys.readouterr().out))


@LIGHTNING
def test_the_commands_of_the_pages_have_the_options_that_they_are_given(capsys, monkeypatch):
    """Each `dctnet COMMAND --option` of every page, in blocks and in sentences, against the command's own help."""
    monkeypatch.setenv("COLUMNS", "200")
    given: dict[str, set[str]] = {}
    for page in PAGES:
        text = re.sub(r"\\\n\s*", " ", (DOCS / page).read_text())
        for name, rest in re.findall(r"\bdctnet (\w+)((?: [^\n`]*)?)", text):
            if name in COMMANDS and name != "bench":
                words = set(re.findall(r"(?<=\s)--[a-zA-Z][\w.]*", rest))
                given.setdefault(name, set()).update(words)
    assert {"fit", "pack", "prepare", "predict", "export", "attack"} <= given.keys()
    for name, words in given.items():
        if name == "fit":  # a value within `model.options` is named behind it
            words = {re.sub(r"^(--model\.options)\..*", r"\1", word) for word in words}
        known = {"test": "fit", "validate": "fit"}.get(name, name)
        assert words <= options(known, capsys), f"{name}: {sorted(words - options(known, capsys))}"


def test_the_size_of_a_store_is_what_the_page_computes(tmp_path):
    """Records of pictures of the size of the table, packed, less their names."""
    from experiments.store_tables import record_bytes

    for number in range(3):
        path = tmp_path / "files" / f"class{number % 2}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        photograph(375, 500, number).save(path, quality=90)
    for bands, dtype in (("24", "int8"), ("all", "int16")):
        store = tmp_path / bands
        assert main(
            ["pack", str(tmp_path / "files"), str(store), "--resize", "256", "--bands", bands, "--dtype", dtype]
        ) in (0, None)
        size = sum(path.stat().st_size for path in store.rglob("*.bin"))
        name = len("class0/0.jpg")
        one = record_bytes(int(bands) if bands.isdigit() else bands, 2 if dtype == "int16" else 1, 256, 341, name)
        assert 3 * one - 64 < size <= 3 * one


@pytest.fixture
def photographs(tmp_path):
    """A folder of pictures in three classes, which differ in what is red, green and blue."""
    for shift, name in enumerate(("daisy", "poppy", "tulip")):
        for number in range(20):
            path = tmp_path / "photos" / name / f"{number:02d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            colours = np.roll(
                np.asarray(photograph(120 + 5 * number, 200 - 3 * number, 20 * shift + number)), shift, axis=2
            )
            Image.fromarray(colours).save(path, quality=85)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(1200)
@LIGHTNING
def test_the_tutorial_runs(photographs, monkeypatch, capsys):
    """Every command of the page and then its Python; the network tells the classes apart, by onnxruntime as well."""
    monkeypatch.chdir(photographs)
    for words in commands("tutorial.md"):
        assert words[0] == "dctnet" and words[1] in COMMANDS
        assert main(words[1:]) in (0, None), words
    printed = capsys.readouterr().out
    assert float(re.search(r"val loss \S+  top-1 (\S+) %.* 12 files", printed)[1]) > 60
    for name in ("inside.png", "predictions.csv", "mine.onnx", "CARD.md"):
        assert Path(name).stat().st_size > 500, name
    names = run("tutorial.md")
    probabilities = np.exp(names["logits"] - names["logits"].max())
    np.testing.assert_allclose(probabilities[0] / probabilities.sum(), names["probabilities"].numpy(), atol=1e-4)
    assert capsys.readouterr().out.splitlines() == 2 * [names["settings"].classes[int(names["logits"].argmax())]]
