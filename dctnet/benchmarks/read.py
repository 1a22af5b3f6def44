"""``dctnet bench read FOLDER``: reading JPEG files on one core, beside libjpeg-turbo and the usual readers.

Every peer runs in turn with ours, file for file on the same input (bytes in memory; paths for jpeglib, which takes only
those), in one process bound to one core, and drops what it read before it goes on. Ours is the public
``read_jpegs(threads=1)``, with its memory and the multiplication by the quantisation steps, on one file a call or, of small
files, on 64 KB; "tensors" also asks each image for its planes. The peers:

- ``libjpeg-turbo``: ``jpeg_read_coefficients`` of the system's libjpeg, called from C on all files in memory
  (``libjpeg_peer.c``, compiled here where a C compiler and ``jpeglib.h`` are installed, such as Debian's
  libjpeg62-turbo-dev). Its blocks stay in libjpeg's own memory: nothing is copied out and nothing dequantised.
- ``jpeglib``: ``read_dct`` and its planes, through temporary files as jpeglib does it.
- ``jpeg2dct``: ``loads``, dequantised. It decodes to pixels and encodes again what is not 4:2:0.
- ``simplejpeg``, ``torchvision``, ``Pillow``: RGB pixels.

These read one file a call. The error is the largest absolute difference of raw coefficients from those of libjpeg-turbo (of
jpeg2dct: of dequantised ones); readers of pixels have none. A peer that is not installed is listed as such. Where there are
two cores, ours on two threads is measured as well, beside ours on one, both on 4 MB a call and free to run anywhere.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dctnet.benchmarks.files import readable, with_coefficients
from dctnet.benchmarks.pairing import Pair, bound, paired
from dctnet.benchmarks.readers import Blocks, Peer, blocks_of, installed_peers
from dctnet.benchmarks.result_file import command_line, write_result
from dctnet.jpeg.image import JPEGImage
from dctnet.jpeg.reader import read_jpegs

CALL = 1 << 16  # bytes of the files of one call, where they are smaller than that
BATCH = 1 << 22  # the same where two threads share a call


def read(
    folder: str,
    repeats: int = 7,
    limit: int = 200,
    out: str | None = None,
    progressive: bool = False,
    command: str = "dctnet.benchmarks.read.read",
) -> list[dict[str, Any]]:
    """Times the readers on the first ``limit`` JPEG files under ``folder`` that hold coefficients, in ``repeats`` rounds.

    ``progressive`` takes copies that Pillow saves as progressive files, of the files' own quality.

    Prints a table and gives its rows: reader, images per second, ours over it (with the smallest and the largest ratio of
    the rounds), error. ``out`` names a JSON file for them and for the ``command`` that measured. DataError where the folder
    has no JPEG files; ValueError for numbers out of range.
    """
    with tempfile.TemporaryDirectory() as workshop:
        paths = readable(folder, limit)
        if progressive:
            paths = with_coefficients(saved_progressive(paths, Path(workshop)), folder, limit)
        rows, size = _read([Path(path) for path in paths], repeats, Path(workshop))
    show(rows, folder, len(paths), repeats)
    if out is not None:
        write_result(out, rows, command, files=len(paths), bytes=size, rounds=repeats, threads=1)
    return rows


def _read(paths: list[Path], repeats: int, workshop: Path) -> tuple[list[dict[str, Any]], int]:
    """The rows, and the bytes of all files."""
    chosen = list(zip(paths, read_jpegs(paths, dequantize=False), strict=True))
    raw = [blocks_of(image) for _, image in chosen]
    files = [path.read_bytes() for path in paths]
    with bound(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peers that announce their end
        peers, missing = installed_peers(workshop, paths, files)
        truth = next((peers[name].blocks for name in ("libjpeg-turbo", "jpeglib") if name in peers), None)
        rows = measure(peers, repeats, paths, files)
        rows[0]["error"] = largest_difference(lambda i: raw[i], truth, len(files)) if truth else None
        for row in rows[1:]:
            blocks = peers[row["reader"]].blocks if row["reader"] in peers else None
            if blocks is not None:
                expected = scaled(raw, chosen) if row["reader"] == "jpeg2dct" else truth
                row["error"] = largest_difference(blocks, expected, len(files))
    rows += two_threads(repeats, files)
    rows += [{"reader": name, "missing": why} for name, why in missing.items()]
    return rows, sum(map(len, files))


def ours(sources: Sequence[Any], threads: int = 1, call: int = CALL, tensors: bool = False) -> Callable[[], None]:
    """Reads all sources, as many a call as have ``call`` bytes together, one at least."""
    batches: list[list[Any]] = []
    room = 0
    for source in sources:
        size = len(source) if isinstance(source, bytes) else os.path.getsize(source)
        if room < size:
            batches.append([])
            room = call
        batches[-1].append(source)
        room -= size

    def run() -> None:
        for batch in batches:
            images = read_jpegs(batch, threads=threads)
            if tensors:
                for image in images:
                    _ = image.coefficients

    return run


def two_threads(repeats: int, files: list[bytes]) -> list[dict[str, Any]]:
    """A row of ours on two threads, where there are two cores: one thread's time over its own is ``speedup``."""
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        return []
    one, two = (ours(files, threads, call=BATCH) for threads in (1, 2))
    pair = paired({"one": (one, two)}, repeats)["one"]
    row = {"reader": "dctnet (2 threads)", "images_per_second": len(files) / pair.reference_seconds}
    return [row | {"speedup": pair.ratio, "spread": list(pair.spread)}]


def saved_progressive(paths: list[str], workshop: Path) -> list[str]:
    """Copies of the files as Pillow saves them, progressive."""
    copies = []
    for number, path in enumerate(paths):
        copy = workshop / f"progressive_{number:05d}.jpg"
        try:
            Image.open(path).save(copy, "JPEG", quality="keep", progressive=True)
        except (OSError, ValueError):  # not a file that Pillow can read and keep
            continue
        copies.append(str(copy))
    return copies


def measure(peers: dict[str, Peer], repeats: int, paths: list[Path], files: list[bytes]) -> list[dict[str, Any]]:
    """Rows of ours and of each peer."""
    by_bytes, by_path = ours(files), ours([str(path) for path in paths])
    alternatives: dict[str, tuple[Any, ...]] = {
        "dctnet (tensors)": (ours(files, tensors=True), by_bytes),
        "dctnet (paths)": (by_path, by_bytes),
    }
    alternatives |= {name: (peer.read_all, by_path if peer.by_path else by_bytes) for name, peer in peers.items()}
    pairs = paired(alternatives, repeats)
    own = sorted(pair.reference_seconds for name, pair in pairs.items() if not (name in peers and peers[name].by_path))
    fastest = len(files) / own[len(own) // 2]
    rows = [{"reader": "dctnet", "images_per_second": fastest, "ratio": 1.0, "spread": [1.0, 1.0]}]
    return rows + [_row(name, pair, len(files)) for name, pair in pairs.items()]


def _row(name: str, pair: Pair, count: int) -> dict[str, Any]:
    return {
        "reader": name,
        "images_per_second": count / pair.seconds,
        "ratio": pair.ratio,
        "spread": list(pair.spread),
    }


def scaled(raw: list[Blocks], chosen: list[tuple[Path, JPEGImage]]) -> Callable[[int], Blocks]:
    """Raw blocks of file i times its quantisation steps."""

    def blocks(i: int) -> Blocks:
        steps = chosen[i][1].quantization.numpy().astype(np.int32)
        return [plane.astype(np.int32) * step for plane, step in zip(raw[i], steps, strict=True)]

    return blocks


def largest_difference(ours: Callable[[int], Blocks], theirs: Callable[[int], Blocks], count: int) -> int | str:
    """The largest absolute difference of two readers over files 0..count-1, and in how many the planes' shapes differ."""
    largest, other = 0, 0
    for i in range(count):
        a, b = ours(i), theirs(i)
        if any(x.shape != y.shape for x, y in zip(a, b, strict=False)):
            other += 1
            continue
        largest = max(largest, *(int(np.abs(x.astype(np.int64) - y).max()) for x, y in zip(a, b, strict=False)))
    return f"{largest}; {other} files in other shapes" if other else largest


def show(rows: list[dict[str, Any]], folder: str, count: int, repeats: int) -> None:
    """Prints the rows."""
    # Text, since rich takes brackets in a folder's name for markup.
    table = Table(title=Text(f"{count} files of {folder}, one core, median of {repeats} rounds", style="table.title"))
    for name, side in (("reader", "left"), ("images/s", "right"), ("ours is faster by", "right"), ("error", "right")):
        table.add_column(name, justify=side)
    for row in rows:
        if "missing" in row:
            table.add_row(row["reader"], "-", "-", Text(row["missing"]))
            continue
        low, high = row["spread"]
        if "speedup" in row:
            ratio = f"{row['speedup']:.2f} times itself ({low:.2f}-{high:.2f})"
        else:
            ratio = "1" if row["reader"] == "dctnet" else f"{row['ratio']:.2f} ({low:.2f}-{high:.2f})"
        error = row.get("error")
        table.add_row(row["reader"], f"{row['images_per_second']:.0f}", ratio, "-" if error is None else str(error))
    Console().print(table)


def main(arguments: Sequence[str]) -> None:
    """``dctnet bench read`` with these arguments."""
    parser = argparse.ArgumentParser(
        prog="dctnet bench read",
        description="Reads JPEG files on one core, beside libjpeg-turbo and the usual readers.",
    )
    parser.add_argument("folder", metavar="FOLDER", help="a folder of JPEG files, at any depth")
    parser.add_argument("--limit", type=int, default=200, metavar="N", help="at most N files (default 200)")
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="rounds, 3 at least (default 7)")
    parser.add_argument("--progressive", action="store_true", help="copies that are saved as progressive files")
    parser.add_argument("--out", metavar="RESULT.json", help="write the rows here as well")
    read(**vars(parser.parse_args(arguments)), command=command_line("read", arguments))
