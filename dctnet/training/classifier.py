"""The classifier: a network with its loss, optimizer, schedule and metrics, for Lightning's Trainer."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, LightningModule
from torch import Tensor, nn

from dctnet.coefficients import Coefficients, block_sizes
from dctnet.data.batch import Batch
from dctnet.data.keyed_sampling import mix
from dctnet.data.series import SeriesBatch
from dctnet.models.zoo import create_model, list_models
from dctnet.training.accuracy import Sums
from dctnet.training.ema import MovingAverage
from dctnet.training.schedule import warmup_cosine_schedule
from dctnet.transforms.mixing import CutMix, Mixing, MixUp


class Classifier(LightningModule):
    """Cross-entropy training of ``network`` on ``Batch`` es, SGD or AdamW under a warm-up and cosine schedule.

    With ``channels`` it is a network on time series, and the batches are ``SeriesBatch`` es; what describes pictures
    (``image_size`` to ``std``) is not looked at then.

    The loss of a step is the sum over its samples divided by the number of samples planned, so a file that could not be
    read counts zero, and R ranks of B/R samples give the gradient of one rank of B. A network that has ``penalty()``
    gets its value added. Draws inside the network (dropout), and those of ``mixup`` and ``cutmix``, are keyed by
    ``(seed, step, rank)``, which makes a resumed run repeat them. Batch statistics remain those of each rank's own part of
    the batch, and each rank mixes its own part.

    Everything ``dctnet predict`` needs (classes, sizes, the network's name and options) is in the hyperparameters, which
    are plain values, so checkpoints load with ``torch.load(path, weights_only=True)``. With an ``nn.Module`` as network
    the checkpoint cannot rebuild it: build the same one and pass it again.

    Args:
        network: a name of dctnet.list_models("all"), or (in Python) a module that takes Coefficients, or series.
        classes: names of the classes, in the order of the labels.
        options: further arguments of dctnet.create_model, such as depth and width.
        image_size: height and width of the pictures that the network sees.
        resize_size: length of the shorter side before the central crop of validation.
        block_size: blocks of luma and chroma: one number, or two.
        bands: channels of Y, Cb and Cr that the network reads; null for all.
        mean: of each of them, which the data take away; null for none.
        std: of each of them, which the data divide by; null for none.
        channels: of the time series that the network reads; null for pictures.
        optimizer: sgd or adamw.
        lr: learning rate after the warm-up.
        momentum: of sgd.
        nesterov: Nesterov's momentum, for sgd.
        betas: of adamw.
        weight_decay: of all weights; not of norms and biases, unless decay_all.
        decay_all: decay norms and biases as well.
        warmup_epochs: length of the linear warm-up, in epochs.
        label_smoothing: share of the target spread evenly over all classes, in training.
        mixup: alpha of MixUp, in training; null for none. With cutmix, each step takes one of the two at random.
        cutmix: alpha of CutMix, in training; null for none. Needs gray levels with all bands of a block.
        ema: decay of the moving average of the weights that validation uses; null for none.
        channels_last: keep convolution weights in channels-last memory, as the planes are.
        compile: pass the network through torch.compile.
        seed: key of the draws inside the network.

    ValueError for numbers out of range.
    """

    def __init__(
        self,
        network: str | nn.Module,
        classes: list[str],
        options: dict[str, Any] | None = None,
        image_size: int = 224,
        resize_size: int | None = None,
        block_size: int | tuple[int, int] = 8,
        bands: list[list[int]] | None = None,
        mean: list[list[float]] | None = None,
        std: list[list[float]] | None = None,
        channels: int | None = None,
        optimizer: Literal["sgd", "adamw"] = "sgd",
        lr: float = 0.1,
        momentum: float = 0.9,
        nesterov: bool = True,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 1e-4,
        decay_all: bool = False,
        warmup_epochs: float = 0.0,
        label_smoothing: float = 0.0,
        mixup: float | None = None,
        cutmix: float | None = None,
        ema: float | None = None,
        channels_last: bool = True,
        compile: bool = False,
        seed: int = 0,
    ):
        super().__init__()
        check_settings(lr, momentum, betas, weight_decay, warmup_epochs, label_smoothing, ema)
        block_size = block_size if isinstance(block_size, int) else tuple(block_size)
        resize_size = round(image_size * 256 / 224) if resize_size is None else resize_size
        classes, options = list(classes), dict(options or {})
        self.save_hyperparameters(ignore=[] if isinstance(network, str) else ["network"], logger=False)
        if isinstance(network, str):
            check_kind(network, channels)
            read_from, instead = ("block_size", "bands"), "Set data.block_size and data.bands instead."
            if channels is not None:
                read_from, instead = ("channels",), "Leave them out: the series say it."
            if linked := [name for name in (*read_from, "num_classes") if name in options]:
                raise ValueError(
                    f"{', '.join(linked)} of the network follows from the data; got options {options}. {instead}"
                )
            read = {"block_size": block_size} if channels is None else {"channels": channels}
            read |= {} if bands is None else {"bands": bands}
            network = create_model(network, num_classes=len(classes), **read, **options)
        self.network = network.to(memory_format=torch.channels_last) if channels_last else network
        self.mixing = mixing_of(mixup, cutmix, len(classes))
        if self.mixing and channels is not None:
            raise ValueError("mixup and cutmix mix pictures; leave them null for time series")
        self.sums = Sums()
        self.place: dict[str, int] | None = None

    def forward(self, inputs: Coefficients | Tensor) -> Tensor:
        """Logits (n, classes)."""
        return self.network(inputs)

    def configure_callbacks(self) -> list[Callback]:
        """The moving average, where ``ema`` asks for one."""
        return [] if self.hparams.ema is None else [MovingAverage(self.hparams.ema)]

    def configure_optimizers(self) -> dict[str, Any]:
        """SGD or AdamW in two groups, with and without weight decay, and the schedule by steps."""
        options = self.hparams
        if options.optimizer == "sgd":
            optimizer = torch.optim.SGD(
                parameter_groups(self.network, options.weight_decay, options.decay_all),
                lr=options.lr,
                momentum=options.momentum,
                nesterov=options.nesterov and options.momentum > 0,  # without momentum it is the same; torch refuses
            )
        else:
            optimizer = torch.optim.AdamW(
                parameter_groups(self.network, options.weight_decay, options.decay_all),
                lr=options.lr,
                betas=tuple(options.betas),
            )
        total = int(self.trainer.estimated_stepping_batches)
        warmup = round(options.warmup_epochs * total / max(1, self.trainer.max_epochs or 1))
        schedule = warmup_cosine_schedule(optimizer, warmup, total)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the training loader's place within the epoch."""
        loader = self.trainer.train_dataloader
        if hasattr(loader, "state_dict"):
            checkpoint["train_place"] = loader.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember the place until the loader exists."""
        self.place = checkpoint.get("train_place")

    def on_train_start(self) -> None:
        """Move the training loader to its place.

        Lightning keeps the state of loaders too, but loses it here: to know the number of steps, the schedule has the
        loader made before the state of the loops is restored.
        """
        if self.place is not None and hasattr(self.trainer.train_dataloader, "load_state_dict"):
            self.trainer.train_dataloader.load_state_dict(self.place)
        self.place = None

    def on_fit_start(self) -> None:
        """Compile, once the moving average has copied the network."""
        if self.hparams.compile:
            self.network.compile()

    def on_train_batch_start(self, batch: Batch | SeriesBatch, batch_idx: int) -> None:
        """Key the network's own draws."""
        torch.manual_seed(mix(self.hparams.seed, self.global_step, self.global_rank))

    def mixed(self, batch: Batch | SeriesBatch) -> tuple[Coefficients | Tensor, Tensor]:
        """The inputs of a training batch and its labels, mixed where ``mixup`` or ``cutmix`` asks for it: shares then."""
        if not self.mixing:
            return batch.inputs, batch.labels
        # The word 1 keeps these draws apart from those of the network.
        generator = torch.Generator().manual_seed(mix(self.hparams.seed, self.global_step, self.global_rank, 1))
        chosen = self.mixing[torch.randint(len(self.mixing), (1,), generator=generator).item()]
        if isinstance(chosen, CutMix):
            check_bands(batch.coefficients, self.hparams.block_size)
        return chosen(batch.coefficients, batch.labels, generator, (self.hparams.image_size,) * 2)

    def training_step(self, batch: Batch | SeriesBatch, batch_idx: int) -> Tensor:
        """The loss of one step."""
        if batch.inputs is None:
            # A zero that depends on every parameter, so that the ranks still meet in the gradient's reduction.
            return sum(parameter.sum() * 0.0 for parameter in self.network.parameters() if parameter.requires_grad)
        inputs, labels = self.mixed(batch)
        logits = self(inputs).float()
        losses = F.cross_entropy(logits, labels, label_smoothing=self.hparams.label_smoothing, reduction="none")
        loss = losses.sum() / batch.planned
        self.log("train_loss", loss.detach(), prog_bar=True, batch_size=batch.planned)
        self.log(
            "train_loss_epoch", loss.detach(), on_step=False, on_epoch=True, sync_dist=True, batch_size=batch.planned
        )
        if hasattr(self.network, "penalty"):
            penalty = self.network.penalty()
            self.log("penalty", penalty.detach(), on_step=True, batch_size=batch.planned)
            loss = loss + penalty
        return loss

    def validation_step(self, batch: Batch | SeriesBatch, batch_idx: int) -> None:
        """Count loss and hits."""
        if batch.inputs is not None:
            logits = self(batch.inputs).float()
            self.sums.add(F.cross_entropy(logits, batch.labels, reduction="none"), logits, batch.labels)

    def test_step(self, batch: Batch | SeriesBatch, batch_idx: int) -> None:
        """Count loss and hits."""
        self.validation_step(batch, batch_idx)

    def predict_step(self, batch: Batch | SeriesBatch, batch_idx: int) -> Tensor | None:
        """Class probabilities (n, classes), None for a batch of which no file could be read."""
        return None if batch.inputs is None else self(batch.inputs).float().softmax(dim=1)

    def on_validation_epoch_end(self) -> None:
        """Log val_loss, val_top1 and val_top5, summed over all ranks."""
        self._log_means("val")

    def on_test_epoch_end(self) -> None:
        """Log test_loss, test_top1 and test_top5, summed over all ranks."""
        self._log_means("test")

    def _log_means(self, stage: str) -> None:
        means = self.sums.means(self.device, lambda total: self.trainer.strategy.reduce(total, reduce_op="sum"))
        for name, value in means.items():
            self.log(f"{stage}_{name}", value, prog_bar=name == "top1", sync_dist=True)


def check_kind(network: str, channels: int | None) -> None:
    """ValueError for a network on series where the data are pictures, and the other way round."""
    known, other = (list_models("pictures"), list_models("series"))[:: 1 if channels is None else -1]
    if network in other:
        have, needs = ("pictures", "time series") if channels is None else ("time series", "pictures")
        raise ValueError(f"{network} reads {needs}, and the data are {have}; take one of {', '.join(known)}")


def check_settings(
    lr: float,
    momentum: float,
    betas: tuple[float, float],
    weight_decay: float,
    warmup_epochs: float,
    label_smoothing: float,
    ema: float | None,
) -> None:
    """ValueError for numbers that no training can work with."""
    for name, value in (("lr", lr), ("weight_decay", weight_decay), ("warmup_epochs", warmup_epochs)):
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} is a number of at least 0; got {value}")
    shares = (
        ("momentum", momentum),
        ("betas[0]", betas[0]),
        ("betas[1]", betas[1]),
        ("ema", 0 if ema is None else ema),
    )
    for name, value in shares:
        if not 0 <= value < 1:
            raise ValueError(f"{name} lies in [0, 1); got {value}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing is a share, from 0 to 1; got {label_smoothing}")


def mixing_of(mixup: float | None, cutmix: float | None, num_classes: int) -> list[Mixing]:
    """The mixtures between which a step chooses; none where both are None. ValueError for an alpha that is not positive."""
    chosen = []
    for name, kind, alpha in (("mixup", MixUp, mixup), ("cutmix", CutMix, cutmix)):
        if alpha is not None and not 0 < alpha < math.inf:
            raise ValueError(
                f"{name} is the alpha of Beta(alpha, alpha), a number greater than 0, or null; got {alpha}"
            )
        if alpha is not None:
            chosen.append(kind(alpha=alpha, num_classes=num_classes))
    return chosen


def check_bands(coefficients: Coefficients, block_size: int | tuple[int, int]) -> None:
    """ValueError where planes do not have all the bands of their blocks, which ``cutmix`` needs."""
    luma, chroma = block_sizes(block_size)
    for name, plane, b in zip(Coefficients._fields, coefficients, (luma, chroma, chroma), strict=True):
        if plane.shape[-3] != b * b:
            raise ValueError(
                f"cutmix needs all {b * b} bands of blocks of {b}; plane {name} has {plane.shape[-3]} bands. "
                "Leave SelectBands out of the transforms, or train with mixup alone."
            )


def parameter_groups(network: nn.Module, weight_decay: float, decay_all: bool = False) -> list[dict[str, Any]]:
    """Two groups for an optimizer: tensors of two or more axes with ``weight_decay``, norms and biases (one axis) without."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    decayed = [parameter for parameter in parameters if decay_all or parameter.ndim >= 2]
    spared = [parameter for parameter in parameters if not decay_all and parameter.ndim < 2]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
