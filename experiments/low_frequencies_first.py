"""Are low frequencies learned first, and if so, because they are low or because photographs have most of their power there?

Usage: dctnet prepare cifar10
       python experiments/low_frequencies_first.py data/cifar10 --out experiments/low_frequencies_first.json \
           --figure docs/pictures/low_frequencies_first.png

The recipe cifar10_resnet18 with rgb_resnet18 at a quarter of its width and its 7x7 stem, on pictures in three forms: as they are;
white, the power of each ring of frequencies made equal; reversed, the power of each ring made one over its square root
(experiments/radial_spectrum.py). All have the same sum of squares, start from the same weights and see the same crops, for each
seed. At steps evenly spaced in their logarithm, with batch statistics taken anew from training pictures:

    change     power of the stem's filters minus those of the start, zero-padded to the picture: a ring's mean
    weights    the same of the filters themselves
    error      power of the gradient of a validation picture's cross-entropy with respect to what the network sees
    low, high  top-1 in percent and mean cross-entropy where of each validation picture the rings up to a radius are left
               alone, and where those above it are

``patches`` of a run is the power of what a filter sees, patches of the filter's size around their mean: the spectrum with which
the filters would change if the error that reaches them had nothing to do with the picture. ``input`` is that of whole pictures.
``counts`` are the coefficients of each ring.
"""

from __future__ import annotations

import argparse
import copy
import json
import shlex
import sys
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
import yaml
from collect import machine
from lightning.pytorch import Callback, Trainer, seed_everything
from low_frequencies_figure import draw
from radial_spectrum import counts, passed, power, tilted, weighted
from run import subset
from torch import Tensor, nn

from dctnet.coefficients import Coefficients
from dctnet.data.module import DCTDataModule
from dctnet.models.zoo import create_model
from dctnet.packaged import packaged_file
from dctnet.source_tree import commit
from dctnet.training.classifier import Classifier

FORMS = {"as they are": 0.0, "white": 1.0, "reversed": 1.5}
RADII = (2, 3, 4, 6, 8, 12)
POINTS = 14
SIZE = 32
VALIDATION = 1000  # files, evenly among all


class Tilted(nn.Module):
    """A pixel network that sees pictures whose rings are multiplied by ``gain``."""

    def __init__(self, network: nn.Module, gain: Tensor):
        super().__init__()
        self.network = network
        self.register_buffer("gain", gain)

    def seen(self, coefficients: Coefficients) -> Tensor:
        """The pictures as the ResNet sees them."""
        return weighted(self.network.frontend(coefficients), self.gain)

    def forward(self, coefficients: Coefficients) -> Tensor:
        return self.network.resnet(self.seen(coefficients))


def calibrated(resnet: nn.Module, pictures: Tensor) -> nn.Module:
    """A copy for inference whose batch statistics are the means of those of ``pictures``, not of steps long past."""
    resnet = copy.deepcopy(resnet).train()
    for module in resnet.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    with torch.no_grad():
        for part in pictures.split(256):
            resnet(part)
    return resnet.eval()


def judged(resnet: nn.Module, pictures: Tensor, labels: Tensor) -> tuple[float, float]:
    """Top-1 in percent and mean cross-entropy."""
    with torch.inference_mode():
        logits = torch.cat([resnet(part) for part in pictures.split(256)])
    return 100 * float((logits.argmax(1) == labels).double().mean()), float(F.cross_entropy(logits, labels))


def error(resnet: nn.Module, pictures: Tensor, labels: Tensor) -> Tensor:
    """The gradient of each picture's cross-entropy with respect to it."""
    parts = []
    for part, classes in zip(pictures.split(256), labels.split(256), strict=True):
        part = part.detach().requires_grad_()
        loss = F.cross_entropy(resnet(part), classes, reduction="sum")
        parts += torch.autograd.grad(loss, part)
    return torch.cat(parts)


def patches(pictures: Tensor, taps: int) -> Tensor:
    """What filters of ``taps`` a side see, every fourth place, minus the mean of all, zero-padded to the picture."""
    size = pictures.shape[-1]
    seen = F.unfold(pictures, taps, stride=4)
    seen = (seen - seen.mean((0, 2), keepdim=True)).transpose(1, 2).unflatten(2, (-1, taps, taps))
    return padded(seen, size)


def padded(filters: Tensor, size: int) -> Tensor:
    return F.pad(filters, (0, size - filters.shape[-1], 0, size - filters.shape[-2]))


class Spectra(Callback):
    """Measures at ``steps`` of the training of a ``Classifier`` around a ``Tilted``; ``rows`` has what it found."""

    def __init__(self, steps: set[int], training: Tensor, validation: Tensor, labels: Tensor):
        self.steps, self.training, self.validation, self.labels = steps, training, validation, labels
        self.rows: list[dict[str, object]] = []

    def on_train_start(self, trainer: Trainer, classifier: Classifier) -> None:
        self.start = classifier.network.network.resnet.conv1.weight.detach().clone()
        self.measure(0, classifier)

    def on_train_batch_end(self, trainer: Trainer, classifier: Classifier, *_: object) -> None:
        if trainer.global_step in self.steps:
            self.measure(trainer.global_step, classifier)

    def measure(self, step: int, classifier: Classifier) -> None:
        resnet = calibrated(classifier.network.network.resnet, self.training)
        filters = resnet.conv1.weight.detach()
        row = {"step": step, "change": listed(power(padded(filters - self.start, SIZE)))}
        row |= {"weights": listed(power(padded(filters, SIZE)))}
        row |= {"error": listed(power(error(resnet, self.validation, self.labels)))}
        row["top1"], row["loss"] = judged(resnet, self.validation, self.labels)
        for name, high in (("low", False), ("high", True)):
            kept = [weighted(self.validation, passed(SIZE, radius, high)) for radius in RADII]
            row[name] = [dict(zip(("top1", "loss"), judged(resnet, part, self.labels), strict=True)) for part in kept]
        self.rows.append(row)


def listed(values: Tensor) -> list[float]:
    """Four digits of each."""
    return [float(f"{value:.4g}") for value in values.tolist()]


def gathered(loader, count: int) -> tuple[Coefficients, Tensor]:
    """The first pictures of a loader, and their labels."""
    batches, held = [], 0
    for batch in loader:
        batches.append(batch)
        held += len(batch.labels)
        if held >= count:
            break
    planes = Coefficients(*(torch.cat(plane)[:count] for plane in zip(*(b.coefficients for b in batches), strict=True)))
    return planes, torch.cat([batch.labels for batch in batches])[:count]


def train(root: Path, epochs: int, tilt: float, seed: int) -> dict[str, object]:
    """One run: what was measured, point by point."""
    settings = yaml.safe_load(packaged_file("configs", "cifar10_resnet18").read_text())
    seed_everything(seed, verbose=False)
    data = DCTDataModule(**settings["data"] | {"root": str(root), "seed": seed, "batch_size": 64, "workers": 1})
    network = create_model("rgb_resnet18", len(data.classes), block_size=1, width=0.25, stem="imagenet")
    training = network.frontend(gathered(data.train_dataloader(), 1024)[0])
    spectrum = power(training - training.mean((0, 2, 3), keepdim=True))
    model = Tilted(network, tilted(spectrum, SIZE, tilt))
    every = max(1, len(data.val_set) // VALIDATION)
    validation, labels = gathered(data.val_dataloader(), len(data.val_set))
    validation, labels = validation.map(lambda plane: plane[::every]), labels[::every]
    options = settings["model"] | {"network": model, "classes": data.classes, "lr": 0.05, "warmup_epochs": 0.5}
    for name in ("image_size", "resize_size", "block_size"):
        options[name] = getattr(data, name)
    options.pop("options")
    classifier = Classifier(**options, seed=seed)
    each = len(data.train_set) // data.batch_size
    steps = torch.logspace(*torch.tensor([each / 32, each * epochs]).log10().tolist(), POINTS).round().int().tolist()
    seen = weighted(training, model.gain)
    spectra = Spectra({*steps, each * epochs}, seen, model.seen(validation), labels)
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        limit_val_batches=0,
        callbacks=[spectra],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(classifier, data)
    about = {"tilt": tilt, "seed": seed, "steps_per_epoch": each, "validation": len(labels)}
    about["input"] = listed(power(seen - seen.mean((0, 2, 3), keepdim=True)))
    about["patches"] = listed(power(patches(seen, network.resnet.conv1.kernel_size[0])))
    return about | {"points": spectra.rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--train_per_class", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--figure", type=Path, help="draw it, too")
    options = parser.parse_args()
    head = {
        "command": f"python experiments/low_frequencies_first.py DATA {shlex.join(sys.argv[2:])}",
        "commit": commit(),
        "machine": machine(),
        "epochs": options.epochs,
        "train_per_class": options.train_per_class,
        "radii": RADII,
        "counts": counts(SIZE).int().tolist(),
    }
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = subset(options.data, Path(folder), options.train_per_class, 0)
        for seed in range(options.seeds):
            for form, tilt in FORMS.items():
                rows.append({"form": form} | train(root, options.epochs, tilt, seed))
                print(f"{form}, seed {seed}: top-1 {rows[-1]['points'][-1]['top1']:.1f} %", flush=True)
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    options.out.write_text(json.dumps(head, indent=1)[:-2] + f',\n "rows": [\n{lines}\n ]\n}}\n')
    if options.figure:
        draw(options.out, options.figure)


if __name__ == "__main__":
    main()
