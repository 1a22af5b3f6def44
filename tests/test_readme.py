"""The README does what it says: its Python runs, its tables are those of the result files."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import sklearn

import dctnet

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert blocks
    photograph = Path(sklearn.__file__).parent / "datasets" / "images" / "china.jpg"
    shutil.copy(photograph, tmp_path / "photograph.jpg")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert names["logits"].shape == (1, 10)
    assert names["pixels"].shape == (3, *names["image"].size)
    assert dctnet.read_jpeg(names["data"]).size == names["image"].size


def test_the_python_of_the_page_on_convolutions_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "convolutions.md").read_text(), flags=re.DOTALL)
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert 0.48 < float(capsys.readouterr().out) < 0.5 and type(names["plain"].conv1).__name__ == "Conv2d"


def test_the_tables_are_those_of_the_result_files():
    done = subprocess.run(
        [sys.executable, ROOT / "experiments" / "tables.py", "--check"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README) + re.findall(r"`(docs/[^`*]+|[A-Z]+\.md)`", README):
        assert (ROOT / target).exists(), target
