"""``dctnet bench activations``: memory and gradients of a training step that saves truncated spectra, beside the exact step.

One network with random weights, one batch, cross entropy; a row for each format and share of bands that are kept
(``nn.compressed_activations``).

- bytes: what is saved for the backward pass, counted by the hooks through which every saved tensor goes; storages that are
  saved several times count once, parameters not at all. Beside it the share of what the exact step saves.
- peak: by how much the memory of a fresh process grows in one step beyond what it holds before (Linux: ``VmHWM`` - ``VmRSS``,
  with large blocks given back to the system at once; CUDA: ``max_memory_allocated``). It contains what packing itself needs.
- error, cosine: of the gradient of all weights, g, against the exact one, e: |g - e| / |e| and g.e / (|g| |e|), in float64.
- time: of the step over that of the exact step, alternating, the median of the ratios.

Pictures come from ``--folder``; without one they are drawn: noise whose amplitude falls as 1 / frequency, as that of photographs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor

from dctnet.arguments import several, whole
from dctnet.benchmarks.files import readable
from dctnet.benchmarks.pairing import paired
from dctnet.benchmarks.peak_memory import growth, peak_in_process
from dctnet.benchmarks.result_file import command_line, write_result
from dctnet.coefficients import Coefficients, stack
from dctnet.dct import block_dct
from dctnet.device import usable_device
from dctnet.jpeg.reader import read_jpegs
from dctnet.models.zoo import create_model
from dctnet.nn.compressed_activations import compressed_activations
from dctnet.transforms.compose import Compose
from dctnet.transforms.geometric import CenterCrop, Resize

KEEPS = (1.0, 0.75, 0.5, 0.25, 0.1)
FORMATS = ("bf16", "int8", "int4")


class Step:
    """A training step without the optimizer: the network, a batch of pictures, and their classes."""

    def __init__(self, model: str, batch: int, size: int, device: str, folder: str | None = None):
        torch.manual_seed(0)
        self.network = create_model(model, num_classes=1000).to(device).train()
        self.pictures = pictures(self.network.block_size, batch, size, folder).to(device)
        self.classes = (torch.arange(batch) * 37 % 1000).to(device)

    def __call__(self, keep: float | None = None, form: str = "float32") -> tuple[int, int]:
        """Leaves the gradients in the network; gives the bytes that were saved and kept. ``keep=None`` is the exact step."""
        self.network.zero_grad(set_to_none=False)  # so that their memory is there before the step, too
        packing = nullcontext() if keep is None else compressed_activations(self.network, keep, form)
        with packing as saved:
            loss = F.cross_entropy(self.network(self.pictures), self.classes)
        loss.backward()
        return (saved.exact, saved.kept) if saved else (0, 0)

    def gradient(self) -> Tensor:
        return torch.cat([p.grad.double().flatten() for p in self.network.parameters() if p.grad is not None])


def pictures(sizes: tuple[int, int], batch: int, size: int, folder: str | None) -> Coefficients:
    """A batch of planes, from the files of a folder, again and again if they are few, or drawn."""
    if folder is not None:
        square = Compose([Resize(size), CenterCrop(size)], block_size=sizes)
        planes = [square(image) for image in read_jpegs(readable(folder, batch))]
        return stack([planes[i % len(planes)] for i in range(batch)])
    generator = torch.Generator().manual_seed(0)
    planes = []
    for b, side in zip((sizes[0], sizes[1], sizes[1]), (size, -(-size // 2), -(-size // 2)), strict=True):
        side = -(-side // b) * b
        vertical, horizontal = torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)
        amplitude = 1 / (vertical**2 + horizontal**2).sqrt().clamp(min=1 / side)
        noise = torch.randn(batch, side, side, generator=generator)
        samples = torch.fft.irfft2(torch.fft.rfft2(noise) * amplitude, s=(side, side))
        planes.append(block_dct(samples * (50 / samples.std()), b))
    return Coefficients(*planes)


def activations(
    model: str = "rgb_resnet18",
    batch: int = 16,
    size: int = 128,
    device: str = "cpu",
    folder: str | None = None,
    keeps: Sequence[float] = KEEPS,
    formats: Sequence[str] = FORMATS,
    repeats: int = 3,
    memory: bool = True,
    out: str | None = None,
    command: str = "dctnet.benchmarks.activations.activations",
) -> list[dict[str, Any]]:
    """Measures; prints a table and gives its rows, the exact step first. ``memory=False`` leaves out the fresh processes,
    ``repeats=0`` the times.

    ValueError for names and numbers that do not exist; DataError for a folder without JPEG files.
    """
    usable_device(device)
    setting = {"model": model, "batch": whole("batch", batch, 2), "size": whole("size", size, 8), "device": device}
    setting["folder"] = folder
    keeps = several("keeps", list(keeps), (len(keeps),), 0, 1, open_low=True)
    step = Step(**setting)
    step()
    exact = step.gradient()
    alternatives: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {}
    rows: list[dict[str, Any]] = [{"keep": None, "format": "exact", "error": 0.0, "cosine": 1.0}]
    for form in formats:
        for keep in keeps:
            whole_bytes, bytes_kept = step(keep, form)
            gradient = step.gradient()
            row = {"keep": keep, "format": form, "bytes": bytes_kept, "share": bytes_kept / whole_bytes}
            row["error"] = float((gradient - exact).norm() / exact.norm())
            row["cosine"] = float(F.cosine_similarity(gradient, exact, 0))
            rows[0] |= {"bytes": whole_bytes, "share": 1.0}
            rows.append(row)
            alternatives[f"{form} {keep}"] = (timed(step, keep, form), timed(step, None, form))
    if repeats:
        print(f"timing {len(alternatives)} alternatives", file=sys.stderr, flush=True)
        for row, pair in zip(rows[1:], paired(alternatives, repeats).values(), strict=True):
            row |= {"ratio": pair.ratio, "spread": list(pair.spread), "seconds": pair.seconds}
    if memory:
        print(f"measuring the peak of {len(rows)} fresh processes", file=sys.stderr, flush=True)
        for row in rows:
            row["peak"] = peak_in_process(__name__, setting | {"keep": row["keep"], "form": row["format"]})
    show(rows, f"{model}, batch {batch}, {size} px, {device}; {folder or 'drawn pictures'}")
    if out is not None:
        of = Path(folder).name if folder else "drawn"
        write_result(out, rows, command, **(setting | {"folder": of}), threads=torch.get_num_threads(), rounds=repeats)
    return rows


def timed(step: Step, keep: float | None, form: str) -> Callable[[], None]:
    """One step, to its end on the device."""

    def run() -> None:
        step(keep, form)
        if step.classes.is_cuda:
            torch.cuda.synchronize(step.classes.device)

    return run


def print_peak(setting: dict[str, Any]) -> None:
    """Prints by how many bytes one step raises the memory of this process; null where the system does not tell."""
    keep, form = setting.pop("keep"), setting.pop("form")
    step = Step(**setting)
    whole_batch, classes = step.pictures, step.classes
    # A step of two pictures first, for what is loaded at the first use, and for the memory of the gradients.
    step.pictures, step.classes = whole_batch.map(lambda plane: plane[:2]), classes[:2]
    step(keep, form)
    step.pictures, step.classes = whole_batch, classes
    print(json.dumps(growth(lambda: step(keep, form), classes.device)))


def show(rows: list[dict[str, Any]], title: str) -> None:
    """Prints the rows."""
    table = Table(title=title)
    for name in ("kept as", "bands", "saved, MB", "of exact", "peak, MB", "gradient error", "cosine", "time"):
        table.add_column(name, justify="right")
    for row in rows:
        peak = row.get("peak")
        table.add_row(
            row["format"],
            "" if row["keep"] is None else f"{row['keep']:g}",
            f"{row['bytes'] / 1e6:.1f}",
            f"{row['share']:.3f}",
            "" if peak is None else f"{peak / 1e6:.0f}",
            f"{row['error']:.4f}",
            f"{row['cosine']:.4f}",
            f"{row['ratio']:.2f}" if "ratio" in row else "",
        )
    Console().print(table)


def main(arguments: Sequence[str]) -> None:
    """``dctnet bench activations`` with these arguments."""
    parser = argparse.ArgumentParser(
        prog="dctnet bench activations",
        description="Memory, gradient error and time of training steps that save truncated spectra, beside the exact step.",
    )
    parser.add_argument(
        "--model", default="rgb_resnet18", metavar="NAME", help="a network of dctnet (default rgb_resnet18)"
    )
    parser.add_argument("--batch", type=int, default=16, metavar="N", help="pictures of a step (default 16)")
    parser.add_argument("--size", type=int, default=128, metavar="SIDE", help="pixels of a side (default 128)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--folder", help="a folder of JPEG files, at any depth (default: drawn pictures)")
    parser.add_argument("--keeps", type=float, nargs="+", default=KEEPS, metavar="SHARE", help="shares of the bands")
    parser.add_argument("--formats", nargs="+", default=FORMATS, metavar="FORMAT", help="bf16, int8, int4, float32")
    parser.add_argument(
        "--repeats", type=int, default=3, metavar="N", help="rounds, 3 at least; 0: no times (default 3)"
    )
    parser.add_argument("--no_memory", dest="memory", action="store_false", help="leave out the peaks")
    parser.add_argument("--out", metavar="RESULT.json", help="write the rows here as well")
    activations(**vars(parser.parse_args(arguments)), command=command_line("activations", arguments))
