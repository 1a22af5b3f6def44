"""``dctnet bench convolutions``: direct, im2col, Winograd and FFT against the size of the filter and of the map.

Square maps, as many channels in as out, odd filters, "same" padding, float32. A row for each size of map, filter, and way:

- forward: without gradients; forward + backward: with the gradients of maps and filters. Median seconds, and the median over
  rounds of the time over that of torch's direct convolution in the same round: below 1 the way is quicker.
- saved: bytes saved for the backward pass, counted by the hooks through which saved tensors go; a storage counts once, the
  filters themselves not at all.
- peak: by how much the memory of a fresh process grows in a forward and backward pass (Linux: ``VmHWM`` - ``VmRSS``; CUDA:
  ``max_memory_allocated``).
- error: the largest, over the largest output, against the whole convolution in float64; with compression it is what
  was dropped of maps drawn with the spectrum of photographs. On CUDA torch's own convolution may use TF32, as is its habit.

From these the filter from which the FFT is quicker than the direct form, as measured and by fits of what theory says of both.
Ways that do not apply, would need too much memory, or are not installed, are named with the reason. Torch's direct convolution
takes minutes a pass for the largest filters on maps of 128 and more; name smaller ``--kernels`` there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from dctnet.arguments import several, whole
from dctnet.benchmarks.convolution_ways import COMPRESSIONS, operands, too_large, true_convolution, ways
from dctnet.benchmarks.crossing import Crossing, crossing
from dctnet.benchmarks.pairing import bound, paired
from dctnet.benchmarks.peak_memory import growth, peak_in_process
from dctnet.benchmarks.result_file import command_line, write_result
from dctnet.device import usable_device
from dctnet.report.figures import times_by_kernel
from dctnet.whole_file import whole_file

SIZES = (32, 64)
KERNELS = (3, 5, 7, 11, 15, 23, 31, 47, 63)
KINDS = ("forward", "train")
SECONDS = 3.0  # of rounds for each size and filter, at least, or ten times the rounds asked for
REFERENCE, FFT = "direct", f"fft, compression {COMPRESSIONS[0]:g}"
Row = dict[str, object]


def convolutions(
    sizes: Sequence[int] = SIZES,
    kernels: Sequence[int] = KERNELS,
    channels: int = 16,
    batch: int = 4,
    repeats: int = 5,
    threads: int | None = None,
    device: str = "cpu",
    only: str = "",
    memory: bool = True,
    out: str | None = None,
    plot: str | None = None,
    command: str = "dctnet.benchmarks.convolutions.convolutions",
) -> list[Row]:
    """Measures; prints a table and the crossings, gives the rows. ``memory=False`` leaves out the fresh processes; ``only``: ways
    whose name has this in it, beside "direct".

    ValueError for even filters, numbers out of range, a device that does not work, and files in folders that do not exist.
    """
    sizes = several("sizes", list(sizes), (len(sizes),), 2, of_whole=True)
    kernels = several("kernels", list(kernels), (len(kernels),), 1, of_whole=True)
    if even := [kernel for kernel in kernels if kernel % 2 == 0]:
        raise ValueError(f"kernels are odd, so that the padding is the same on both sides; got {even[0]}")
    names = [name for name in ways(1) if name != REFERENCE]
    if not any(only in name for name in names):
        raise ValueError(f"only is a part of one of {', '.join(names)}; got {only!r}")
    setting = {"channels": whole("channels", channels, 1), "batch": whole("batch", batch, 1), "device": device}
    usable_device(device)
    repeats = whole("repeats", repeats, 3)
    threads = torch.get_num_threads() if threads is None else whole("threads", threads, 1)
    for name, path in (("out", out), ("plot", plot)):  # before what takes long
        if path is not None and not Path(path).absolute().parent.is_dir():
            raise ValueError(f"{name} is a file in a folder that exists; got {path}: make {Path(path).parent} first")
    if plot is not None and Path(plot).suffix.lower() != ".png":
        raise ValueError(f"plot is a PNG file, whose name ends in .png; got {plot}")
    rows = []
    with bound(threads):
        for size in sizes:
            for kernel in kernels:
                print(f"measuring {size}x{size}, {kernel}x{kernel} taps", file=sys.stderr, flush=True)
                rows += measured({"size": size, "kernel": kernel, **setting}, repeats, only)
        for row in (row for row in rows if memory and "missing" not in row):
            print(
                f"memory: {row['size']}x{row['size']}, {row['kernel']} taps, {row['way']}", file=sys.stderr, flush=True
            )
            row["peak"] = peak_in_process(__name__, setting | {name: row[name] for name in ("size", "kernel", "way")})
    title = f"{channels} channels, batch {batch}, {device}, {threads} threads, median of {repeats} rounds or more"
    show(rows, title)
    crossings = found_crossings(rows)
    for (size, kind), at in crossings.items():
        print(sentence(size, kind, at))
    if out is not None:
        told = [{"size": size, "kind": kind, **at._asdict()} for (size, kind), at in crossings.items()]
        write_result(out, rows, command, **setting, threads=threads, rounds=repeats, crossings=told)
    if plot is not None:
        with whole_file(plot) as png:
            times_by_kernel(panels(rows), f"forward and backward pass: {title}", png)
    return rows


def measured(setting: dict[str, Any], repeats: int, only: str = "") -> list[Row]:
    """The rows of one size of map and filter, without the peaks."""
    x, w = operands(**setting)
    true, rows, pairs = true_convolution(x, w), [], {}
    chosen = {name: way for name, way in ways(setting["kernel"]).items() if name == REFERENCE or only in name}
    reference = {kind: run(kind, chosen[REFERENCE], x, w) for kind in KINDS}
    for name, way in chosen.items():
        row: Row = {"size": setting["size"], "kernel": setting["kernel"], "way": name}
        rows.append(row)
        if why := way if isinstance(way, str) else too_large(name, x, setting["kernel"]):
            row["missing"] = why
            continue
        with torch.no_grad():
            row["error"] = float((way(x, w).double() - true).abs().max() / true.abs().max())
        row["saved"] = saved_bytes(way, x, w)
        if name != REFERENCE:
            pairs |= {(name, kind): (run(kind, way, x, w), reference[kind]) for kind in KINDS}
    times = paired(pairs, repeats, once=True, seconds=SECONDS)
    for (name, kind), pair in times.items():
        row = next(row for row in rows if row["way"] == name)
        row[kind] = {"seconds": pair.seconds, "ratio": pair.ratio, "spread": list(pair.spread)}
    for kind in KINDS:
        seconds = statistics.median(pair.reference_seconds for (_, its), pair in times.items() if its == kind)
        rows[0][kind] = {"seconds": seconds, "ratio": 1.0, "spread": [1.0, 1.0]}
    return rows


def run(kind: str, way: Callable[[Tensor, Tensor], Tensor], x: Tensor, w: Tensor) -> Callable[[], None]:
    """One forward pass, or one with the backward pass, to its end on the device."""

    def once() -> None:
        with torch.set_grad_enabled(kind == "train"):
            y = way(x, w)
            if kind == "train":
                torch.autograd.grad(y, (x, w), torch.ones_like(y))
        if y.is_cuda:
            torch.cuda.synchronize(y.device)

    return once


def saved_bytes(way: Callable[[Tensor, Tensor], Tensor], x: Tensor, w: Tensor) -> int:
    """The bytes of the storages that one forward pass saves, without that of ``w``."""
    storages = {}

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()  # held, so that no address comes twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        way(x, w)
    storages.pop(w.untyped_storage().data_ptr(), None)
    return sum(storage.nbytes() for storage in storages.values())


def print_peak(setting: dict[str, Any]) -> None:
    """Prints the growth in a forward and backward pass, behind one that loads what is loaded at the first use."""
    way = ways(setting["kernel"])[setting.pop("way")]
    for last, batch in ((False, 1), (True, setting["batch"])):
        x, w = operands(**setting | {"batch": batch})
        step = run("train", way, x, w)
        if last:
            print(json.dumps(growth(step, x.device)))
        else:
            step()


def found_crossings(rows: Sequence[Row]) -> dict[tuple[int, str], Crossing]:
    """By size and kind: from which filter the FFT is quicker than the direct form; of sizes with two filters or more."""
    found = {}
    for size in dict.fromkeys(row["size"] for row in rows):
        for kind in KINDS:
            direct, fft = (
                {
                    row["kernel"]: row[kind]["seconds"]
                    for row in rows
                    if row["size"] == size and row["way"] == way and kind in row
                }
                for way in (REFERENCE, FFT)
            )
            kernels = sorted(set(direct) & set(fft))
            if len(kernels) > 1:
                found[size, kind] = crossing(size, kernels, *([by[k] for k in kernels] for by in (direct, fft)))
    return found


def sentence(size: int, kind: str, at: Crossing) -> str:
    """What a crossing says."""
    measured = "with none of the filters" if at.measured is None else f"from {at.measured:.1f} taps a side on"
    fitted = "nowhere near" if at.fitted is None else f"from {at.fitted:.1f}"
    misses = " and ".join(f"{error:.0%}" for error in at.errors)
    name = {"forward": "forward pass", "train": "forward and backward pass"}[kind]
    return (
        f"{size}x{size}, {name}: the FFT is quicker {measured}; by the fits of O(n k^2) and O(n log n) {fitted} "
        f"(they miss the times by {misses})"
    )


def panels(rows: Sequence[Row], kind: str = "train") -> dict[str, dict[str, tuple[list[int], list[float]]]]:
    """By size of map, by way: filters and milliseconds, for the plot."""
    made: dict[str, dict[str, tuple[list[int], list[float]]]] = {}
    for row in rows:
        if kind in row:
            line = made.setdefault(f"{row['size']}x{row['size']}", {}).setdefault(row["way"], ([], []))
            line[0].append(row["kernel"])
            line[1].append(1e3 * row[kind]["seconds"])
    return made


def show(rows: Sequence[Row], title: str) -> None:
    """Prints the rows; of what is missing the reason."""
    table = Table(title=title)
    names = (
        "map",
        "taps",
        "way",
        "forward, ms",
        "of direct",
        "+ backward, ms",
        "of direct",
        "saved, MB",
        "peak, MB",
        "error",
    )
    for number, name in enumerate(names):
        table.add_column(name, justify="left" if number == 2 else "right")
    for row in rows:
        cells = [str(row["size"]), str(row["kernel"]), row["way"]]
        if "missing" in row:
            table.add_row(*cells, row["missing"])
            continue
        for kind in KINDS:
            cells += [f"{1e3 * row[kind]['seconds']:.2f}", f"{row[kind]['ratio']:.2f}"]
        peak = row.get("peak")
        cells += [f"{row['saved'] / 1e6:.2f}", "" if peak is None else f"{peak / 1e6:.1f}", f"{row['error']:.1e}"]
        table.add_row(*cells)
    Console(width=None if sys.stdout.isatty() else 150).print(table)


def main(arguments: Sequence[str]) -> None:
    """``dctnet bench convolutions`` with these arguments."""
    parser = argparse.ArgumentParser(
        prog="dctnet bench convolutions",
        description="Direct, im2col, Winograd and FFT convolution: time, memory and error against the size of filter and map.",
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="SIDE", help="sides of the maps")
    parser.add_argument(
        "--kernels", type=int, nargs="+", default=KERNELS, metavar="K", help="sides of the filters, odd"
    )
    parser.add_argument("--channels", type=int, default=16, metavar="N", help="in and out (default 16)")
    parser.add_argument("--batch", type=int, default=4, metavar="N", help="maps at a time (default 4)")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="rounds at least, 3 or more (default 5)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of torch (default: as it is)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--only", default="", metavar="TEXT", help="ways whose name has this in it, beside direct")
    parser.add_argument("--no_memory", dest="memory", action="store_false", help="leave out the peaks")
    parser.add_argument("--out", metavar="RESULT.json", help="write the rows here as well")
    parser.add_argument("--plot", metavar="FILE.png", help="draw the times against the filter here, one panel a size")
    convolutions(**vars(parser.parse_args(arguments)), command=command_line("convolutions", arguments))
