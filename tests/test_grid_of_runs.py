"""``experiments/run.py``: one line a run, none twice, and no line taken for another run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

PROGRAM = Path(__file__).resolve().parents[1] / "experiments" / "run.py"
GRID = {
    "question": "does a grid run?",
    "config": "digits",
    "train_per_class": 8,
    "seeds": [0],
    "settings": {
        "trainer.max_epochs": 1,
        "trainer.accelerator": "cpu",
        "model.warmup_epochs": 0,
        "data.workers": 0,
        "data.batch_size": 8,
    },
    "rows": {
        "wide": {"model.network": "multigrid_resnet18", "model.options": {"width": 0.25}},
        "narrow": {"model.network": "multigrid_resnet18", "model.options": {"width": 0.125}},
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes, dark and light, 12 training and 4 validation files each."""
    root = tmp_path_factory.mktemp("shades")
    draws = torch.Generator().manual_seed(0)
    for kind, count in (("train", 12), ("val", 4)):
        for shade, low in (("dark", 0), ("light", 128)):
            (root / kind / shade).mkdir(parents=True)
            for number in range(count):
                pixels = torch.randint(low, low + 128, (64, 64, 3), generator=draws, dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(root / kind / shade / f"{number}.jpg")
    return root


def run(tmp_path, grid: dict, folder: Path, *words: str) -> subprocess.CompletedProcess:
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(grid, sort_keys=False))
    command = [
        sys.executable,
        PROGRAM,
        tmp_path / "grid.yaml",
        folder,
        tmp_path / "out.jsonl",
        "--runs",
        tmp_path / "runs",
    ]
    return subprocess.run([*map(str, command), *words], capture_output=True, text=True, check=False)


def rows(tmp_path) -> list[dict]:
    return [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]


def test_a_run_is_made_once_and_told_apart(folder, tmp_path):
    done = run(tmp_path, GRID, folder, "--only", "wide")
    assert done.returncode == 0, done.stderr
    (wide,) = rows(tmp_path)
    assert wide["name"] == "wide" and wide["seed"] == 0 and wide["train_per_class"] == 8 and wide["epochs"] == 1
    assert "--model.options '{\"width\": 0.25}'" in wide["command"] and str(tmp_path) not in wide["command"]
    assert len(list((tmp_path / "runs" / "data-8-0" / "train" / "dark").iterdir())) == 8

    done = run(tmp_path, GRID, folder)  # goes on with what is missing
    assert done.returncode == 0, done.stderr
    assert [row["name"] for row in rows(tmp_path)] == ["wide", "narrow"]
    assert rows(tmp_path)[0] == wide

    longer = GRID | {"settings": GRID["settings"] | {"trainer.max_epochs": 2}}
    done = run(tmp_path, longer, folder)
    assert done.returncode != 0 and "has wide, seed 0, with other settings" in done.stderr
    assert len(rows(tmp_path)) == 2
