"""``experiments/run.py``: one line a run, none twice, and no line taken for another run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from tests.series_sets import tones, write_ts

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


SERIES_GRID = {
    "question": "does a grid of time series run?",
    "config": "ucr_bandlimited_fcn",
    "seeds": [0],
    "settings": {"trainer.max_epochs": 2, "trainer.check_val_every_n_epoch": 2, "trainer.accelerator": "cpu"},
    "rows": {
        f"tones_{percent}": {"data.name": "Tones", "model.options": {"width": 0.1, "compression": percent / 100}}
        for percent in (0, 50)
    },
}


def test_networks_on_series_are_tested_at_each_rate_of_training(tmp_path):
    data = write_ts(tmp_path / "ucr", "Tones", tones(20, 0), tones(30, 1))
    done = run(tmp_path, SERIES_GRID, data)
    assert done.returncode == 0, done.stderr
    trained = {row["options"]["compression"]: row for row in rows(tmp_path)}
    about = {"set": "Tones", "channels": 1, "length": 40, "train": 20, "test": 30, "epochs": 2}
    assert trained.keys() == {0, 0.5} and all(row.items() >= about.items() for row in trained.values())

    program, out = PROGRAM.with_name("ucr_rates.py"), tmp_path / "rates.json"
    command = [sys.executable, program, tmp_path / "runs", "--out", out]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())["rows"]
    assert [(row["trained"], row["tested"]) for row in found] == [(0, 0), (0, 0.5), (0.5, 0), (0.5, 0.5)]
    for row in found:
        if row["trained"] == row["tested"]:  # what the run itself found
            assert row["top1"] == pytest.approx(trained[row["trained"]]["top1"], abs=1e-3)
    same = [f"{row['top1']:.1f}" for row in found if row["trained"] == row["tested"]]
    assert f"| Tones | {same[0]} | {same[1]} |" in done.stdout
    assert f"| 0 | {found[0]['top1']:.1f} | {found[1]['top1']:.1f} |" in done.stdout
