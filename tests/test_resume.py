"""A run that SIGKILL ends goes on, and ends with the weights of the run that nobody killed, bit for bit (on the CPU)."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]

# A callback that kills its own process: after a step, or between writing a checkpoint and giving it its name.
KILLER = """
import os, signal
from lightning.pytorch.callbacks import Callback

class Killer(Callback):
    def __init__(self, step: int, during_save: bool = False):
        self.step, self.during_save = step, during_save

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            if not self.during_save:
                os.kill(os.getpid(), signal.SIGKILL)
            os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""

RUN = """
seed_everything: 3
trainer: {max_epochs: 3, accelerator: cpu, devices: 1}
model: {network: late_concat, options: {depth: 18, width: 0.1}, lr: 0.05, warmup_epochs: 1, label_smoothing: 0.1, ema: 0.9,
        mixup: 0.2, cutmix: 1.0}
data: {root: data, image_size: 32, block_size: [4, 2], batch_size: 5, workers: 0, scale: [0.3, 1.0], erasing: 0.3}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with 28 training and 6 validation files of two classes, a run's file and the module with the killer."""
    place = tmp_path_factory.mktemp("resume")
    for index in range(34):
        path = place / "data" / ("train" if index < 28 else "val") / f"class{index % 2}" / f"{index:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((40, 44), Image.Resampling.BICUBIC).save(path, quality=80)
    (place / "killer.py").write_text(KILLER)
    (place / "run.yaml").write_text(RUN)
    return place


def fit(place, folder, *arguments):
    command = [sys.executable, "-m", "dctnet.cli", "fit", "--config", "run.yaml"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{place}", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, "--trainer.default_root_dir", folder, *arguments],
        cwd=place, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def last(place, folder):
    return torch.load(place / folder / "last.ckpt", weights_only=True)


def kill(step, during_save=False):
    callback = {"class_path": "killer.Killer", "init_args": {"step": step, "during_save": during_save}}
    return f"--trainer.callbacks={json.dumps([callback])}"


@pytest.fixture(scope="module")
def straight(place):
    done = fit(place, "straight")
    assert done.returncode == 0, done.stderr
    return last(place, "straight")


# 28 files in batches of 5 are 5 steps an epoch, 15 in all.
@pytest.mark.parametrize(
    "folder,arguments,killed_at,saved_at",
    [
        ("epoch_end", ["--data.workers", "2"], kill(8), 5),
        ("mid_epoch", ["--checkpoint_every_n_steps", "3"], kill(9, during_save=True), 6),
    ],
    ids=["after_an_epoch_end", "within_an_epoch_and_a_save"],
)
def test_killed_and_resumed_is_bit_for_bit_the_straight_run(place, straight, folder, arguments, killed_at, saved_at):
    killed = fit(place, folder, *arguments, killed_at)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert last(place, folder)["global_step"] == saved_at
    assert (place / folder / "last.ckpt.partial").exists() == (folder == "mid_epoch")  # the kill came within a save
    resumed = fit(place, folder, *arguments, "--ckpt_path", "last")
    assert resumed.returncode == 0, resumed.stderr
    found = last(place, folder)
    assert found["global_step"] == straight["global_step"] == 15
    for part in ("state_dict", "current_model_state"):
        assert found[part].keys() == straight[part].keys()
        assert all(torch.equal(value, straight[part][name]) for name, value in found[part].items())
    momenta = [run["optimizer_states"][0]["state"] for run in (found, straight)]
    assert all(torch.equal(momenta[0][i]["momentum_buffer"], momenta[1][i]["momentum_buffer"]) for i in momenta[1])
