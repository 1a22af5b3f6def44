"""Two processes with half of each batch train to the weights of one process with the whole batch.

The network has no batch normalisation: with it each process normalises by its own half, so the weights differ by
definition.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]

SCRIPT = """
import sys, warnings
import torch
from lightning.pytorch import Trainer
from torch import nn
from dctnet.data.module import DCTDataModule
from dctnet.training.checkpoints import AtomicCheckpointIO
from dctnet.training.classifier import Classifier

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.luma, self.chroma = nn.Conv2d(16, 12, 3, padding=1), nn.Conv2d(8, 12, 3, padding=1)
        self.fc = nn.Linear(24, 2)

    def forward(self, c):
        y, chroma = self.luma(c.y / 100), self.chroma(torch.cat([c.cb, c.cr], 1) / 100)
        return self.fc(torch.cat([y.relu(), chroma.relu()], 1).mean((2, 3)))

if __name__ == "__main__":
    devices, out = int(sys.argv[1]), sys.argv[2]
    torch.manual_seed(0)
    data = DCTDataModule("data", image_size=32, block_size=(4, 2), batch_size=8, workers=0, max_broken=0.2)
    model = Classifier(Net(), data.classes, lr=0.05, weight_decay=1e-3, ema=0.9)
    trainer = Trainer(
        accelerator="cpu", devices=devices, strategy="ddp" if devices > 1 else "auto", max_epochs=3, logger=False,
        use_distributed_sampler=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, plugins=[AtomicCheckpointIO()],
    )
    trainer.fit(model, data)
    metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
    trainer.save_checkpoint(out)
    if trainer.is_global_zero:
        torch.save(metrics, out + ".metrics")
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """27 training files (one of them cut short) and 11 validation files: neither divides evenly."""
    place = tmp_path_factory.mktemp("ddp")
    for index in range(38):
        path = place / "data" / ("train" if index < 27 else "val") / f"class{index % 2}" / f"{index:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((40, 44), Image.Resampling.BICUBIC).save(path, quality=80)
    cut = place / "data" / "train" / "class1" / "09.jpg"
    cut.write_bytes(cut.read_bytes()[:300])
    (place / "script.py").write_text(SCRIPT)
    return place


def run(place, devices):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    out = f"{devices}.ckpt"
    done = subprocess.run(
        [sys.executable, "script.py", str(devices), out],
        cwd=place, env=environment, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "09.jpg" in done.stderr and "could not be read, left out" in done.stderr
    return torch.load(place / out, weights_only=True), torch.load(place / f"{out}.metrics", weights_only=True)


def test_two_processes_agree_with_one(place):
    (one, alone), (two, together) = run(place, 1), run(place, 2)
    assert one["global_step"] == two["global_step"] == 9
    for part in ("state_dict", "current_model_state"):
        for name, value in one[part].items():
            torch.testing.assert_close(two[part][name], value, rtol=1e-4, atol=1e-6)
    assert alone["val_top1"] == together["val_top1"]  # counts: 11 files, each once
    assert alone["val_loss"] == pytest.approx(together["val_loss"], rel=1e-5)
    assert 11 * alone["val_top1"] == pytest.approx(round(11 * alone["val_top1"]), abs=1e-5)
