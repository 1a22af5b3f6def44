"""What a run says while it trains: pictures per second, and one row an epoch on the screen and in metrics.csv."""

from __future__ import annotations

import csv
import io
import sys
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar

from dctnet.data.batch import Batch
from dctnet.whole_file import room_for, write_whole

# What the progress bar shows, under which name.
SHOWN = {"train_loss": "loss", "img/s": "img/s", "val_top1": "top-1"}


class Throughput(Callback):
    """Logs ``img/s``, the pictures trained on per second over all ranks, about once every ``seconds``.

    ``epoch_rate`` is the same over the present epoch so far, validation not counted.
    """

    def __init__(self, seconds: float = 1.0):
        self.seconds = seconds
        self._restart()

    def _restart(self) -> None:
        self.since = self.epoch_since = time.perf_counter()
        self.pictures = self.epoch_pictures = 0
        self.epoch_rate = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock (also where a run resumes within an epoch)."""
        self._restart()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock anew: validation lay in between."""
        self._restart()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Count the batch; log when the time has passed."""
        now = time.perf_counter()
        self.pictures += batch.planned * trainer.world_size
        self.epoch_pictures += batch.planned * trainer.world_size
        self.epoch_rate = self.epoch_pictures / (now - self.epoch_since)
        if now - self.since >= self.seconds:
            pl_module.log("img/s", self.pictures / (now - self.since), prog_bar=True, batch_size=1)
            self.since, self.pictures = now, 0


class Bar(RichProgressBar):
    """Lightning's bar with the loss, the pictures per second and the accuracy, and nothing else."""

    def __init__(self) -> None:
        super().__init__(leave=False)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, str]:
        """What the bar shows, by name."""
        metrics = super().get_metrics(trainer, pl_module)
        return {shown: f"{float(metrics[name]):.4g}" for name, shown in SHOWN.items() if name in metrics}


class EpochTable(Callback):
    """One row for each epoch in ``path`` (CSV), and printed.

    The columns are ``COLUMNS``; a cell is empty where a value does not exist (no validation in that epoch). A resumed run
    keeps the rows of the epochs that it does not repeat. The training loss of an epoch that was resumed in its middle is
    the mean over the steps after the resume.
    """

    COLUMNS = ("epoch", "step", "lr", "train_loss", "val_loss", "val_top1", "val_top5", "img/s", "seconds")

    def __init__(self, path: str | Path, throughput: Throughput):
        self.path, self.throughput = Path(path), throughput
        self.since = 0.0
        self.validated = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop the rows of epochs that come again."""
        self.since = time.perf_counter()
        if not trainer.is_global_zero:
            return
        rows = []
        if trainer.current_epoch > 0 and self.path.is_file():
            with self.path.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if int(row["epoch"]) < trainer.current_epoch]
        self._write(rows)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember that this epoch has numbers of its own; Lightning keeps those of earlier epochs."""
        self.validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch's row."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        row = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "train_loss": metrics.get("train_loss_epoch"),
            **{name: metrics.get(name) if self.validated else None for name in ("val_loss", "val_top1", "val_top5")},
            "img/s": self.throughput.epoch_rate,
            "seconds": time.perf_counter() - self.since,
        }
        self.since, self.validated = time.perf_counter(), False
        if not trainer.is_global_zero:
            return
        row = {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()}
        with room_for(self.path), self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.COLUMNS).writerow(row)
        self._print(row, trainer.max_epochs)

    def _write(self, rows: list[dict[str, str]]) -> None:
        """The whole table at once, by a file that takes the old one's place."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
        write_whole(self.path, text.getvalue().encode())

    @staticmethod
    def _print(row: dict[str, Any], epochs: int | None) -> None:
        parts = [f"epoch {row['epoch'] + 1}" + (f"/{epochs}" if epochs and epochs > 0 else "")]
        for name, shown in (("train_loss", "train loss"), ("val_loss", "val loss")):
            if row[name] is not None:
                parts.append(f"{shown} {float(row[name]):.4f}")
        for name, shown in (("val_top1", "top-1"), ("val_top5", "top-5")):
            if row[name] is not None:
                parts.append(f"{shown} {100 * float(row[name]):.2f} %")
        parts.append(f"{float(row['img/s']):.0f} img/s")
        parts.append(f"{float(row['seconds']):.1f} s")
        print("  ".join(parts), file=sys.stdout, flush=True)
