"""The ways of docs/imagenet.md to start several processes, two nodes on this machine: torchrun, and what SLURM tells a task."""

import csv
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "imagenet.md").read_text()
FIT = [
    *("fit", "--config", "clothing", "--data.root", "data", "--data.batch_size", "8", "--data.workers", "0"),
    *("--data.image_size", "32", "--data.resize_size", "32", "--trainer.max_epochs", "2", "--trainer.accelerator", "cpu"),
    *("--model.options.width", "0.125", "--trainer.num_nodes", "2", "--trainer.devices", "1", "--trainer.strategy", "ddp"),
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("machines")
    for index in range(24):
        path = place / "data" / ("train" if index < 16 else "val") / f"class{index % 2}" / f"{index:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((40, 44), Image.Resampling.BICUBIC).save(path, quality=80)
    return place


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def losses(place: Path, run: str, starts: list[list[str]], told: list[dict[str, str]]) -> list[list[str]]:
    """What the run's metrics say after one process was started for each node."""
    started = []
    for words, more in zip(starts, told, strict=True):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}
        words = [*words, *FIT, "--trainer.default_root_dir", run]
        started.append(
            subprocess.Popen(words, cwd=place, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        )
    for process in started:
        _, errors = process.communicate(timeout=500)
        assert process.returncode == 0, errors.decode()[-2000:]
    with open(place / run / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    return [[row[name] for name in ("epoch", "step", "train_loss", "val_loss", "val_top1")] for row in rows]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_torchrun_and_slurm_train_alike(place):
    """Two nodes with a process each come to the same losses, whoever counts them."""
    dctnet = [sys.executable, "-m", "dctnet.cli"]
    port = free_port()
    options = ["--no-python", "--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", *options, "--master-port", port]
    assert all(word in PAGE for word in options if word.startswith("--"))
    by_torchrun = losses(
        place, "torchrun", [[*torchrun, "--node-rank", str(node), *dctnet] for node in range(2)], [{}, {}]
    )
    known = {"SLURM_JOB_ID": port, "SLURM_JOB_NAME": "dctnet", "SLURM_NNODES": "2"}
    known |= {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "1"}
    known |= {"SLURM_JOB_NODELIST": "127.0.0.1", "SLURM_NODELIST": "127.0.0.1"}
    known |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    told = [known | {"SLURM_PROCID": node, "SLURM_NODEID": node, "SLURM_LOCALID": "0"} for node in "01"]
    by_slurm = losses(place, "slurm", [dctnet, dctnet], told)
    assert len(by_torchrun) == 2 and by_torchrun == by_slurm
