"""``dctnet bench models``: what networks cost beside the pixel network of the same depth.

A row for each network: parameters and multiply-adds; images/s of a forward pass in evaluation mode and of a training step (cross
entropy, backward pass, SGD with momentum), each as the median over rounds of the ratio of times in one round, reference over
network, so above 1 the network is faster; and by how much the memory of a fresh process grows in a step (CUDA:
``max_memory_allocated``). The reference is torchvision's ResNet on normalised RGB pixels that are there already: decoding,
augmentation and the colour transform are not counted on either side (``dctnet bench loaders`` has those). Inputs are random; no
time depends on their values. CUDA runs in bf16 autocast, a CPU in float32; memory is channels-last.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import yaml
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from dctnet.arguments import whole
from dctnet.benchmarks.pairing import bound, paired
from dctnet.benchmarks.peak_memory import growth, peak_in_process
from dctnet.benchmarks.result_file import command_line, write_result
from dctnet.device import usable_device
from dctnet.models.cost import blank, multiply_adds, parameters
from dctnet.models.zoo import create_model

Row = dict[str, object]


def row(network: str, block_size: int | tuple[int, int] = 8, label: str | None = None, **options: object) -> Row:
    """A network of the table."""
    return {"label": label or network, "network": network, "block_size": block_size, "options": options}


AT_LAYERS = {"exchange": "both", "every": "layer"}
SLIM = {"width": 0.75, "path_width": (0.5, 0.25)}
LARGE = [
    row("rgb_resnet50"),
    row("multigrid_resnet50", 4, "multigrid_resnet50 of the recipe", **SLIM),
    row("multigrid_resnet50", 4, "multigrid_resnet50 of the recipe, exchange at every layer", **SLIM, **AT_LAYERS),
    row("multigrid_resnet50", 8, "multigrid_resnet50 of the recipe, blocks of 8", **SLIM),
    row("multigrid_resnet50", 4),
    row("late_concat"),
    row("late_concat_rfa_thinner"),
    row("upsampling"),
    row("rgb_resnet18"),
    row("multigrid_resnet18", 4),
    row("r_mg_34_imagenet", 1),
]
CIFAR = {"stem": "cifar", "path_blocks": (0, 2)}
SMALL = [
    row("rgb_resnet18", 1, stem="cifar"),
    row("multigrid_resnet18", 2, "multigrid_resnet18, blocks of 2", **CIFAR),
    row("multigrid_resnet18", 2, "multigrid_resnet18, blocks of 2, exchange at every layer", **CIFAR, **AT_LAYERS),
    row("multigrid_resnet18", 4, "multigrid_resnet18, blocks of 4", **CIFAR),
    row("multigrid_resnet18", 8, "multigrid_resnet18, blocks of 8", **CIFAR),
    row("late_concat", 2, "late_concat, depth 18, blocks of 2", depth=18),
    row("r_mg_12", 1),
]


class Step:
    """A network and a batch for it; of a pixel network the part behind the pixels, on pixels."""

    def __init__(self, of: Row, batch: int, size: int, device: str, width: float = 1.0, classes: int = 1000):
        torch.manual_seed(0)
        options = dict(of["options"])
        options["width"] = width * options.get("width", 1.0)
        block_size = of["block_size"] if isinstance(of["block_size"], int) else tuple(of["block_size"])
        self.whole = create_model(of["network"], num_classes=classes, block_size=block_size, **options)
        self.network: nn.Module = self.whole
        if hasattr(self.whole, "resnet"):
            self.network, self.inputs = self.whole.resnet, torch.randn(batch, 3, size, size)
        else:
            self.inputs = blank(size, block_size, n=batch).map(lambda plane: 20 * torch.randn_like(plane))
        self.network.to(device, memory_format=torch.channels_last)
        self.inputs = self.inputs.to(device=device, memory_format=torch.channels_last)
        self.classes = torch.arange(batch, device=device) % classes
        self.optimizer = torch.optim.SGD(self.network.parameters(), 1e-4, momentum=0.9)
        self.device = torch.device(device)

    def logits(self) -> Tensor:
        half = torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()
        with half:
            return self.network(self.inputs)

    def train(self) -> None:
        self.network.train()
        self.optimizer.zero_grad()
        F.cross_entropy(self.logits().float(), self.classes).backward()
        self.optimizer.step()
        self.synchronize()

    def forward(self) -> None:
        self.network.eval()
        with torch.inference_mode():
            self.logits()
        self.synchronize()

    def synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def models(
    size: int = 224,
    batch: int = 16,
    width: float = 1.0,
    device: str = "cpu",
    threads: int | None = None,
    repeats: int = 5,
    only: str = "",
    grid: str | None = None,
    memory: bool = True,
    out: str | None = None,
    command: str = "dctnet.benchmarks.models.models",
) -> list[Row]:
    """Measures; prints a table and gives its rows, the reference first.

    Below 96 px the rows are the networks for CIFAR-10, ten classes, beside the ResNet-18 with a 3x3 stem; with a ``grid``, a YAML
    file of ``experiments/run.py``, they are its rows, the first one the reference. ``only``: the reference and the rows whose
    name has this in it. ValueError for numbers out of range, and for a device that is not there.
    """
    usable_device(device)
    size, batch, repeats = whole("size", size, 32), whole("batch", batch, 2), whole("repeats", repeats, 3)
    table = rows_of(grid) if grid is not None else LARGE if size >= 96 else SMALL
    classes = 1000 if size >= 96 else 10
    setting = {"batch": batch, "size": size, "device": device, "width": width, "classes": classes}
    chosen = [of for i, of in enumerate(table) if i == 0 or only in of["label"]]
    if size % 32 or len(chosen) == 1:
        raise ValueError(
            f"size is a multiple of 32 and only a part of one of {', '.join(of['label'] for of in table)}; got size={size}, "
            f"only={only!r}"
        )
    with bound(threads or torch.get_num_threads()):
        reference = Step(chosen[0], **setting)
        rows = []
        for of in chosen:
            step = reference if of is chosen[0] else Step(of, **setting)
            print(f"timing {of['label']}", file=sys.stderr, flush=True)
            pairs = {"train": (step.train, reference.train), "forward": (step.forward, reference.forward)}
            measured = paired(pairs, repeats)
            made = of | {
                "parameters": parameters(step.whole),
                "multiply_adds": multiply_adds(step.whole, size, step.whole.block_size),
            }
            for name, pair in measured.items():
                made[name] = {
                    "images_per_second": batch / pair.seconds,
                    "ratio": 1 / pair.ratio,
                    "spread": [1 / worst for worst in reversed(pair.spread)],
                }
            if memory:
                made["peak"] = peak_in_process(__name__, of, setting)
            rows.append(made)
    title = (
        f"{size} px, batch {batch}, {device}, {threads or torch.get_num_threads()} threads, median of {repeats} rounds"
    )
    show(rows, title)
    if out is not None:
        write_result(out, rows, command, **setting, threads=threads or torch.get_num_threads(), rounds=repeats)
    return rows


def rows_of(grid: str) -> list[Row]:
    """The networks of a grid's rows; ValueError where it names none."""
    rows = (yaml.safe_load(Path(grid).read_text()) or {}).get("rows", {})
    needed = ("model.network", "data.block_size")
    if not rows or any(key not in settings for settings in rows.values() for key in needed):
        raise ValueError(f"a grid has rows, each with {' and '.join(needed)}; {grid} has not")
    return [
        row(settings["model.network"], settings["data.block_size"], name, **settings.get("model.options", {}))
        for name, settings in rows.items()
    ]


def print_peak(of: Row, setting: dict[str, Any]) -> None:
    """Prints the growth in a training step, behind one of two pictures, which loads what is loaded at the first use."""
    Step(of, **setting | {"batch": 2}).train()
    step = Step(of, **setting)
    print(json.dumps(growth(step.train, step.device)))


def show(rows: list[Row], title: str) -> None:
    """Prints the rows."""
    table = Table(title=title)
    table.add_column("network")
    for name in ("parameters, M", "GMAC", "forward, img/s", "faster by", "training, img/s", "faster by", "peak, MB"):
        table.add_column(name, justify="right")
    for made in rows:
        cells = [made["label"], f"{made['parameters'] / 1e6:.2f}", f"{made['multiply_adds'] / 1e9:.3f}"]
        for kind in ("forward", "train"):
            low, high = made[kind]["spread"]
            cells += [f"{made[kind]['images_per_second']:.1f}", f"{made[kind]['ratio']:.2f} ({low:.2f}-{high:.2f})"]
        peak = made.get("peak")
        table.add_row(*cells, "" if peak is None else f"{peak / 1e6:.0f}")
    Console(width=None if sys.stdout.isatty() else 150).print(table)


def main(arguments: Sequence[str]) -> None:
    """``dctnet bench models`` with these arguments."""
    parser = argparse.ArgumentParser(
        prog="dctnet bench models", description="Networks beside the pixel network: cost and speed."
    )
    parser.add_argument(
        "--size", type=int, default=224, metavar="SIDE", help="pixels of a side; below 96 CIFAR's networks"
    )
    parser.add_argument("--batch", type=int, default=16, metavar="N", help="pictures of a step (default 16)")
    parser.add_argument("--width", type=float, default=1.0, metavar="X", help="multiplies the width of all (default 1)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of torch (default: as it is)")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="rounds, 3 at least (default 5)")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose name has this in it")
    parser.add_argument("--grid", metavar="GRID.yaml", help="the networks of a grid of experiments, not the usual ones")
    parser.add_argument("--no_memory", dest="memory", action="store_false", help="leave out the peaks")
    parser.add_argument("--out", metavar="RESULT.json", help="write the rows here as well")
    models(**vars(parser.parse_args(arguments)), command=command_line("models", arguments))
