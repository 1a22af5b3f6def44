"""``dctnet bench dali FOLDER``: routes by which coefficients can come into a DALI pipeline, beside the bare reader.

Every route delivers the whole coefficients of all pictures, batch by batch, to a CPU pipeline; the reference is
``read_jpegs`` on as many threads, its results dropped batch by batch. Each is measured next to the reference in the same
round; on one thread (the default) the process is bound to one core. Files fewer than ``--limit`` are gone through again
until a round has that many pictures: to start a pass takes some milliseconds, once an epoch. The routes:

- ``packed``: what ``DALILoader`` does on the host: two threads ahead of the pipeline read a batch and decode it to its
  place in three arrays. A GPU pipeline would copy them to the device; this one passes on their number.
- ``packed, without DALI``: the same two calls for each batch, one after the other; what threads and DALI cannot go below.
- ``packed, random crops``: drawn and planned, and of each picture only the blocks that the crop reads.
- ``packed, out of a CPU pipeline``: the arrays pass through DALI, which copies what leaves a CPU pipeline.
- ``an array a picture``: ``external_source`` with a callback that calls ``read_jpegs``, copied by DALI; and ``no copy``.
- ``worker processes``: ``external_source(parallel=True)``, a batch a worker, as many workers as threads; and ``forked``.
- ``python_function``: DALI's file reader, then ``read_jpegs`` on the bytes of a batch.

On one core of an EPYC (200 ImageNet files) ``packed`` had 0.89 and 0.91 of the bare reader's rate in two runs of five
rounds, 0.72 to 1.04 in single ones. Without threads and DALI it is 0.93 to 0.96: the headers are read first, for the draws,
the files' bytes wait in between, and the next batch is decoded into other memory than the one that is handed out. A
run of a DALI pipeline takes 0.17 ms, a hundredth of a batch; the rest of the difference is changing threads. On two
threads and two shared cores, with short rounds of 128 pictures, it was 0.71 (0.57 to 0.83): the threads that open files and
hand out batches want a core of their own.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from dctnet.benchmarks.loader_peers import drained
from dctnet.benchmarks.pairing import bound, paired
from dctnet.coefficients import Grid
from dctnet.data.dali_loader import DALILoader
from dctnet.data.dali_pipeline import load_dali
from dctnet.data.folder import DataError, FileList, find_images
from dctnet.jpeg.reader import read_jpegs
from dctnet.transforms.compose import Compose
from dctnet.transforms.geometric import RandomHorizontalFlip, RandomResizedCrop

PLANES = 3


class Batches:
    """The callback of ``external_source``: three lists of arrays for each batch, over and over; it can be pickled."""

    def __init__(self, batches: Sequence[Sequence[str]], threads: int):
        self.batches, self.threads = batches, threads

    def __call__(self, number) -> tuple[list[np.ndarray], ...]:
        number = number if isinstance(number, int) else number.iteration
        images = read_jpegs(self.batches[number % len(self.batches)], threads=self.threads)
        return tuple([arrays(image)[plane] for image in images] for plane in range(PLANES))


@lru_cache
def blocks_of(grid: Grid) -> list[tuple[int, int]]:
    """(rows, columns) of the planes."""
    return [tuple(-(-samples // 8) for samples in grid.samples(plane)) for plane in range(PLANES)]


class WholePictures:
    """In place of a ``Plan``: all blocks of all pictures."""

    def __init__(self, transform, grids: Sequence[Grid], generators) -> None:
        self.blocks = list(zip(*map(blocks_of, grids), strict=True))

    def packed_shape(self, plane: int) -> tuple[int, int, int]:
        """(rows of all pictures, widest, 64)."""
        rows, columns = zip(*self.blocks[plane], strict=True)
        return sum(rows), max(columns), 64

    def places(self) -> list[list[tuple[int, int, int, int, int]]]:
        """For each picture and plane its window, and the row of the packed plane where it goes."""
        planes = []
        for blocks in self.blocks:
            starts = accumulate((rows for rows, _ in blocks), initial=0)
            planes.append([(0, rows, 0, columns, row) for (rows, columns), row in zip(blocks, starts, strict=False)])
        return [list(three) for three in zip(*planes, strict=True)]


def arrays(image) -> list[np.ndarray]:
    """The planes of an image as (rows, columns, 64), views."""
    return [plane.permute(1, 2, 0).numpy() for plane in image.coefficients]


def routes(paths: list[str], batch_size: int, threads: int) -> dict[str, Callable[[], None]]:
    """A function for each route that runs once through all batches."""
    dali = load_dali()
    batches = [paths[i : i + batch_size] for i in range(0, len(paths), batch_size)]

    def through(pipeline) -> Callable[[], None]:
        def run() -> None:
            for _ in drained(pipeline, len(batches)):
                pass

        return run

    def external(**options) -> Callable[[], None]:
        start = options.pop("start", "spawn")
        workers = {"py_num_workers": threads, "py_start_method": start} if options.get("parallel") else {}
        pipeline = dali.Pipeline(batch_size, threads, None, prefetch_queue_depth=2, **workers)
        source = Batches(batches, 1 if workers else threads)
        with pipeline:
            pipeline.set_outputs(*dali.fn.external_source(source=source, num_outputs=PLANES, batch=True, **options))
        pipeline.build()
        return through(pipeline)

    def decode(files: list) -> tuple[list, ...]:
        images = read_jpegs([np.asarray(file) for file in files], threads=threads)
        return tuple([arrays(image)[plane] for image in images] for plane in range(PLANES))

    def python_function() -> Callable[[], None]:
        pipeline = dali.Pipeline(batch_size, threads, None, exec_async=False, exec_pipelined=False)
        with pipeline:
            data, _ = dali.fn.readers.file(files=paths, pad_last_batch=True)
            pipeline.set_outputs(
                *dali.fn.python_function(data, function=decode, num_outputs=PLANES, batch_processing=True)
            )
        pipeline.build()
        return through(pipeline)

    def loader(whole: bool, carries: bool = False, through_dali: bool = True) -> Callable[[], None]:
        crops = Compose([RandomResizedCrop(224), RandomHorizontalFlip()], block_size=8)
        made = DALILoader(FileList(paths, crops), batch_size, threads=threads)
        made.lifting = None  # coefficients alone, as they go to a GPU
        made.carries = carries
        if whole:
            made.plan = WholePictures

        def run() -> None:
            made.batch_sampler.start = 0
            for _ in made.carried():
                pass

        def run_alone() -> None:
            made.batch_sampler.start = 0
            for keys in made.batch_sampler:
                slot = made.slots.take()
                made.read(made.open(keys), slot.empty)
                made.slots.give_back(slot)

        return run if through_dali else run_alone

    return {
        "packed": loader(whole=True),
        "packed, without DALI": loader(whole=True, through_dali=False),
        "packed, random crops": loader(whole=False),
        "packed, out of a CPU pipeline": loader(whole=True, carries=True),
        "an array a picture": external(no_copy=False),
        "an array a picture, no copy": external(no_copy=True),
        "worker processes": external(parallel=True),
        "worker processes, forked": external(parallel=True, start="fork"),
        "python_function": python_function(),
    }


def dali(
    folder: str,
    threads: int = 1,
    batch_size: int = 32,
    repeats: int = 7,
    limit: int = 512,
    out: str | None = None,
) -> list[dict]:
    """Prints a table of the routes over the first ``limit`` JPEG files below ``folder``, and gives its rows.

    ``out`` names a JSON file for the rows. DataError without DALI or files.
    """
    with warnings.catch_warnings(), bound(threads):
        warnings.simplefilter("ignore")
        paths = find_images(folder)[: 2 * limit]
        images = read_jpegs(paths, threads=threads, on_error="skip")
        paths = [path for path, image in zip(paths, images, strict=True) if image and not image.from_pixels][:limit]
        del images
        if not paths:
            raise DataError(f"no readable JPEG files under {folder}; name a folder that holds some, at any depth")
        files = len(paths)
        paths = (paths * -(-limit // files))[:limit]
        batches = [paths[i : i + batch_size] for i in range(0, len(paths), batch_size)]

        def bare() -> None:
            for batch in batches:
                read_jpegs(batch, threads=threads)

        runs = routes(paths, batch_size, threads)
        pairs = paired({name: (run, bare) for name, run in runs.items()}, repeats)
    seconds = sorted(pair.reference_seconds for pair in pairs.values())
    rows = [{"route": "read_jpegs", "images_per_second": len(paths) / seconds[len(seconds) // 2], "share": 1.0}]
    for name, pair in pairs.items():
        low, high = pair.spread
        rows.append(
            {
                "route": name,
                "images_per_second": len(paths) / pair.seconds,
                "share": 1 / pair.ratio,
                "spread": [1 / high, 1 / low],
            }
        )
    show(
        rows,
        f"{files} files of {folder}, {len(paths)} pictures a round, {threads} threads, batches of {batch_size}, median of "
        f"{repeats} rounds",
    )
    if out is not None:
        command = f"dctnet bench dali FOLDER --threads {threads} --batch_size {batch_size} --limit {limit}"
        command += f" --repeats {repeats}"
        head = {
            "command": command,
            "files": files,
            "pictures": len(paths),
            "threads": threads,
            "batch_size": batch_size,
        }
        head |= {"rounds": repeats, "torch": torch.__version__, "dali": load_dali().__version__}
        Path(out).write_text(json.dumps(head | {"rows": rows}, indent=1) + "\n")
    return rows


def show(rows: list[dict], title: str) -> None:
    """Prints the rows."""
    table = Table(title=title)
    for name, side in (("route", "left"), ("images/s", "right"), ("of the bare reader's", "right")):
        table.add_column(name, justify=side)
    for row in rows:
        spread = f" ({row['spread'][0]:.2f}-{row['spread'][1]:.2f})" if "spread" in row else ""
        table.add_row(row["route"], f"{row['images_per_second']:.0f}", f"{row['share']:.2f}{spread}")
    Console().print(table)


def main(arguments: Sequence[str]) -> None:
    """``dctnet bench dali`` with these arguments."""
    parser = argparse.ArgumentParser(
        prog="dctnet bench dali", description="Routes of coefficients into a DALI pipeline, beside the bare reader."
    )
    parser.add_argument("folder", metavar="FOLDER", help="a folder of JPEG files, at any depth")
    parser.add_argument("--threads", type=int, metavar="N", default=1, help="decoding threads (default 1, on one core)")
    parser.add_argument("--batch_size", type=int, default=32, metavar="N", help="pictures of a batch (default 32)")
    parser.add_argument(
        "--limit", type=int, default=512, metavar="N", help="pictures of a round, at most N files (default 512)"
    )
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="rounds, 3 at least (default 7)")
    parser.add_argument("--out", metavar="RESULT.json", help="write the rows here as well")
    dali(**vars(parser.parse_args(arguments)))
