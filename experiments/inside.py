"""What do layers that compress inside a network keep of its accuracy, and what do they save?

Usage: dctnet prepare digits data/digits
       python experiments/inside.py data/digits --out experiments/inside.json

A small network on gray digits of 32 px: six 3x3 convolutions of 32 channels with BatchNorm and ReLU, 2x2 max-pools behind the
second and the fourth, the mean, a linear layer. Each variant starts from the same seed and sees the same batches, without
augmentation: AdamW, one cycle of the learning rate. Multiply-adds are those of all products in a forward pass of one picture,
transforms too; time is that of a training step over that of the plain network, alternating, the median of the ratios.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from collect import machine
from compressed_activations import read
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dctnet.benchmarks.pairing import paired
from dctnet.models.cost import parameters
from dctnet.nn.convert import convert
from dctnet.nn.dct_compress import DCTCompress
from dctnet.nn.octave import OctaveConv2d
from dctnet.source_tree import commit

CHANNELS, DEPTH, BATCH = 32, 6, 32
POOLED = (1, 3)  # behind these convolutions


class OnBoth(nn.Module):
    """A layer for each of the two grids of an octave; one grid where there is one."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, maps: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
        if isinstance(maps, Tensor):
            return self.layers[0](maps)
        return tuple(layer(x) for layer, x in zip(self.layers, maps, strict=True))


def network(alpha: float = 0.0, keep: float = 1.0) -> nn.Sequential:
    """The network; ``alpha``: the share of low channels of octaves; ``keep``: of the bands behind each ReLU."""
    layers: list[nn.Module] = []
    for number in range(DEPTH):
        inputs, before = (1, 0.0) if number == 0 else (CHANNELS, alpha)
        after = 0.0 if number == DEPTH - 1 else alpha
        low = int(after * CHANNELS)
        if alpha:
            layers.append(OctaveConv2d(inputs, CHANNELS, 3, before, after, padding=1, bias=False))
        else:
            layers.append(nn.Conv2d(inputs, CHANNELS, 3, padding=1, bias=False))
        sizes = (CHANNELS - low, low) if low else (CHANNELS,)
        layers += [OnBoth(*map(nn.BatchNorm2d, sizes)), OnBoth(*(nn.ReLU() for _ in sizes))]
        if keep < 1:
            layers.append(DCTCompress(keep, track=False))
        if number in POOLED:
            layers.append(OnBoth(*(nn.MaxPool2d(2) for _ in sizes)))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, 10))


VARIANTS = {
    "plain": network,
    "harmonic, 6 of 9 bands": lambda: convert(network(), "harmonic", level=3),
    "harmonic, 3 of 9 bands": lambda: convert(network(), "harmonic", level=2),
    "pools truncate the DCT": lambda: convert(network(), "dct_pool"),
    "maps keep half of their bands": lambda: network(keep=0.5),
    "maps keep a quarter": lambda: network(keep=0.25),
    "octaves, a quarter low": lambda: network(alpha=0.25),
    "octaves, half low": lambda: network(alpha=0.5),
}


def train(make, train_set: tuple[Tensor, Tensor], val_set: tuple[Tensor, Tensor], seed: int, epochs: int) -> float:
    """Top-1 in percent of one run."""
    torch.manual_seed(seed)
    model = make()
    torch.manual_seed(seed)
    pictures, classes = train_set
    steps = len(classes) // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, epochs * steps)
    for _ in range(epochs):
        for picked in torch.randperm(len(classes))[: steps * BATCH].view(steps, BATCH):
            optimizer.zero_grad()
            F.cross_entropy(model(pictures[picked]), classes[picked]).backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        return 100 * float((model(val_set[0]).argmax(1) == val_set[1]).double().mean())


def cost(make, pictures: Tensor) -> dict[str, float]:
    """Parameters, multiply-adds, and the time of a training step over that of the plain network."""
    model, plain = make(), network()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(pictures[:1])
    steps = [
        lambda net=net: F.cross_entropy(net.train()(pictures), torch.zeros(len(pictures), dtype=torch.long)).backward()
        for net in (model, plain)
    ]
    time = paired({"step": (steps[0], steps[1])}, 9)["step"]
    return {
        "parameters": parameters(model),
        "multiply_adds": counter.get_total_flops() // 2,
        "time": time.ratio,
        "spread": time.spread,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    sets = [(planes.y / 64, classes) for planes, classes in map(read_samples, ("train", "val"), [options.folder] * 2)]
    rows = []
    for name, make in VARIANTS.items():
        right = [train(make, *sets, seed, options.epochs) for seed in range(options.seeds)]
        rows.append({"variant": name, "top1": right} | cost(make, sets[0][0][:BATCH]))
        print(rows[-1], flush=True)
    about = {"seeds": options.seeds, "epochs": options.epochs, "commit": commit(), "machine": machine()}
    options.out.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n")


def read_samples(kind: str, folder: Path):
    """The files of one kind as samples of 32 px, and their classes."""
    return read(folder / kind, 1)


if __name__ == "__main__":
    main()
