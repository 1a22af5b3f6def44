"""Checkpoints that a kill cannot damage: last.ckpt and best.ckpt of a run folder."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from dctnet.data.folder import DataError
from dctnet.whole_file import whole_file


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes each checkpoint as a ``whole_file``: what has its final name is always whole.

    (Lightning's own writer passes through the system's temporary
    folder; onto another file system that is a copy, which a kill can cut short.)
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Save ``checkpoint`` at ``path``. TypeError for ``storage_options``: files are local."""
        if storage_options is not None:
            raise TypeError(
                f"AtomicCheckpointIO writes local files and takes no storage options; got {storage_options}"
            )
        with whole_file(path) as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # torch hides a full disk behind an error of its own
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint of plain tensors and values. DataError where the file is absent or no such checkpoint."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no checkpoint {path}; `dctnet fit` writes best.ckpt and last.ckpt in its run folder")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises UnpicklingError, RuntimeError, EOFError, KeyError and more
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path} is not a checkpoint of plain tensors and values: {reason}") from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise DataError(f"{path} is not a checkpoint: it holds no weights of a network")
    return content


class RunCheckpoints(Checkpoint):
    """``folder/last.ckpt`` after each epoch and every ``every_n_steps`` steps, ``folder/best.ckpt`` by ``monitor``.

    Best is the epoch with the greatest ``monitor`` (the first of equals). At the last step of an epoch only the
    checkpoint of the epoch's end is written, after validation.
    """

    def __init__(self, folder: str | Path, monitor: str = "val_top1", every_n_steps: int | None = None):
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"a checkpoint every {every_n_steps} steps is not possible; give 1 or more, or null")
        self.folder, self.monitor, self.every_n_steps = Path(folder), monitor, every_n_steps
        self.best = -math.inf
        self.saved_step = -1

    def state_dict(self) -> dict[str, float]:
        """The best score so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Go on with the best score so far."""
        self.best = state_dict["best"]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save within the epoch."""
        step = trainer.global_step
        last_in_epoch = batch_idx + 1 >= trainer.num_training_batches
        if self.every_n_steps and step % self.every_n_steps == 0 and step != self.saved_step and not last_in_epoch:
            self.saved_step = step
            trainer.save_checkpoint(self.folder / "last.ckpt")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save after the epoch and its validation."""
        self.saved_step = trainer.global_step
        score = trainer.callback_metrics.get(self.monitor)
        better = score is not None and float(score) > self.best
        if better:
            self.best = float(score)
            trainer.save_checkpoint(self.folder / "best.ckpt")
        trainer.save_checkpoint(self.folder / "last.ckpt")
