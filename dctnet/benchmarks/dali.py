"""``dctnet bench dali FOLDER``: routes by which coefficients can come into a DALI pipeline, beside the bare reader.

Every route makes the whole coefficients of all pictures, batch by batch; the reference is ``read_jpegs`` on as many threads,
its results dropped batch by batch. Each is measured next to the reference in the same round, on one thread, the process bound
to one core, and on as many as there are cores. Files fewer than ``--limit`` are gone through again until a round has that many
pictures: to start a pass takes some milliseconds, once an epoch.

**What DALI carries** differs, and the table says it of each row. "arrays": the coefficients themselves go in, and come out of
the pipeline. "order": DALI delivers the number of samples of each batch, in order, while the arrays stay where they were decoded;
this is what ``DALILoader`` does on the CPU. "nothing": no DALI. The routes:

- ``packed``: two threads ahead of the pipeline read a batch and decode it to its place in three arrays. On a GPU DALI carries
  them to the device.
- ``packed, random crops``: drawn and planned, and of each picture only the blocks that the crop reads. As a share of the
  reader, which reads all blocks of all pictures.
- ``an array a picture``: ``external_source`` with a callback that calls ``read_jpegs``, copied by DALI; and ``no copy``.
- ``worker processes``: ``external_source(parallel=True)``, a batch a worker, as many workers as threads; and ``forked``.
- ``python_function``: DALI's file reader, then ``read_jpegs`` on the bytes of a batch.

Measured on an EPYC with two shared cores, 192 to 200 ImageNet files, seven rounds, on one thread and on two: packed, order 0.83
to 0.85 and 0.76; packed, nothing 0.92 to 0.96 and 0.86: the headers are read first, for the draws, the files' bytes wait in
between, and the next batch is decoded into other memory than the one that is handed out. Packed, arrays 0.33 to 0.42 and 0.28;
random crops, order 0.67 to 0.69 and 0.61, arrays 0.53 and 0.35. Single rounds go from 0.25 to 1.05.

What leaves a CPU pipeline is copied, 0.56 MB a picture, into memory that DALI takes fresh. No cheaper way through was found:
``no_copy=True`` saves the copy on the way in alone and is what is measured; with ``exec_dynamic=True`` it is 0.39, with a
pipeline that is neither asynchronous nor pipelined 0.43, with buffers that never shrink 0.40, and 0.45 where malloc keeps all
memory. One array a batch instead of three copies the same bytes.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dctnet.arguments import whole
from dctnet.benchmarks.files import cores, readable
from dctnet.benchmarks.loader_peers import drained
from dctnet.benchmarks.pairing import bound, paired
from dctnet.benchmarks.result_file import command_line, write_result
from dctnet.coefficients import Grid
from dctnet.data.batch_memory import Slots
from dctnet.data.batch_reader import BatchReader
from dctnet.data.dali_loader import carried
from dctnet.data.dali_pipeline import load_dali
from dctnet.data.folder import FileList
from dctnet.data.keyed_sampling import SampleKey
from dctnet.jpeg.image import JPEGImage
from dctnet.jpeg.reader import read_jpegs
from dctnet.transforms.batched import plan_grids
from dctnet.transforms.compose import Compose
from dctnet.transforms.geometric import RandomHorizontalFlip, RandomResizedCrop

PLANES = 3


class Batches:
    """The callback of ``external_source``: three lists of arrays for each batch, over and over; it can be pickled."""

    def __init__(self, batches: Sequence[Sequence[str]], threads: int):
        self.batches, self.threads = batches, threads

    def __call__(self, number: Any) -> tuple[list[np.ndarray], ...]:
        number = number if isinstance(number, int) else number.iteration
        images = read_jpegs(self.batches[number % len(self.batches)], threads=self.threads)
        return tuple([arrays(image)[plane] for image in images] for plane in range(PLANES))


@lru_cache
def blocks_of(grid: Grid) -> list[tuple[int, int]]:
    """(rows, columns) of the planes."""
    return [tuple(-(-samples // 8) for samples in grid.samples(plane)) for plane in range(PLANES)]


class WholePictures:
    """In place of a ``Plan``: all blocks of all pictures."""

    def __init__(self, transform: object, grids: Sequence[Grid], generators: object) -> None:
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


def arrays(image: JPEGImage) -> list[np.ndarray]:
    """The planes of an image as (rows, columns, 64), views."""
    return [plane.permute(1, 2, 0).numpy() for plane in image.coefficients]


def routes(paths: list[str], batch_size: int, threads: int) -> dict[tuple[str, str], Callable[[], None]]:
    """For each (route, what passes through DALI) a function that runs once through all batches."""
    dali = load_dali()
    batches = [paths[i : i + batch_size] for i in range(0, len(paths), batch_size)]

    def through(pipeline: Any) -> Callable[[], None]:
        def run() -> None:
            for _ in drained(pipeline, len(batches)):
                pass

        return run

    def external(**options: Any) -> Callable[[], None]:
        start = options.pop("start", "spawn")
        workers = {"py_num_workers": threads, "py_start_method": start} if options.get("parallel") else {}
        pipeline = dali.Pipeline(batch_size, threads, None, prefetch_queue_depth=2, **workers)
        source = Batches(batches, 1 if workers else threads)
        with pipeline:
            pipeline.set_outputs(*dali.fn.external_source(source=source, num_outputs=PLANES, batch=True, **options))
        pipeline.build()
        return through(pipeline)

    def decode(files: list[Any]) -> tuple[list[Any], ...]:
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

    crops = FileList(paths, Compose([RandomResizedCrop(224), RandomHorizontalFlip()], block_size=8))
    keys = [
        [SampleKey(0, number) for number in range(len(paths))][i : i + batch_size]
        for i in range(0, len(paths), batch_size)
    ]

    def packed(find_windows: Callable[..., Any], arrays: bool) -> Callable[[], None]:
        reader = BatchReader(crops, threads, finish=False, find_windows=find_windows)
        slots = Slots(pin_memory=False)

        def run() -> None:
            for _ in carried(reader, keys, slots, arrays=arrays):
                pass

        return run

    def alone() -> Callable[[], None]:
        reader = BatchReader(crops, threads, finish=False, find_windows=WholePictures)
        slots = Slots(pin_memory=False)

        def run() -> None:
            for batch in keys:
                slot = slots.take()
                reader.read(reader.open(batch), slot.empty)
                slots.give_back(slot)

        return run

    return {
        ("packed", "order"): packed(WholePictures, arrays=False),
        ("packed", "arrays"): packed(WholePictures, arrays=True),
        ("packed", "nothing"): alone(),
        ("packed, random crops", "order"): packed(plan_grids, arrays=False),
        ("packed, random crops", "arrays"): packed(plan_grids, arrays=True),
        ("an array a picture", "arrays"): external(no_copy=False),
        ("an array a picture, no copy", "arrays"): external(no_copy=True),
        ("worker processes", "arrays"): external(parallel=True),
        ("worker processes, forked", "arrays"): external(parallel=True, start="fork"),
        ("python_function", "arrays"): python_function(),
    }


def measure(paths: list[str], batch_size: int, threads: int, repeats: int) -> list[dict[str, Any]]:
    """The rows of all routes on ``threads`` threads, the bare reader first."""
    batches = [paths[i : i + batch_size] for i in range(0, len(paths), batch_size)]

    def bare() -> None:
        for batch in batches:
            read_jpegs(batch, threads=threads)

    with bound(threads):
        runs = routes(paths, batch_size, threads)
        pairs = paired({name: (run, bare) for name, run in runs.items()}, repeats)
    seconds = sorted(pair.reference_seconds for pair in pairs.values())
    first = {"route": "read_jpegs", "threads": threads, "through_dali": "nothing"}
    rows = [first | {"images_per_second": len(paths) / seconds[len(seconds) // 2], "share": 1.0}]
    for (route, through), pair in pairs.items():
        low, high = pair.spread
        row = {"route": route, "threads": threads, "through_dali": through}
        row |= {"images_per_second": len(paths) / pair.seconds, "share": 1 / pair.ratio, "spread": [1 / high, 1 / low]}
        rows.append(row)
    return rows


def dali(
    folder: str,
    threads: int | None = None,
    batch_size: int = 32,
    repeats: int = 7,
    limit: int = 512,
    out: str | None = None,
    command: str = "dctnet.benchmarks.dali.dali",
) -> list[dict[str, Any]]:
    """Prints a table of the routes over the first ``limit`` JPEG files below ``folder``, and gives its rows.

    ``threads``: so many; None: one, then as many as there are cores. ``out`` names a JSON file for the rows and for the
    ``command`` that measured. DataError without DALI or files; ValueError for numbers out of range.
    """
    whole("batch_size", batch_size, 1)
    counts = sorted({1, cores()}) if threads is None else [whole("threads", threads, 1)]
    version = load_dali().__version__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paths = readable(folder, limit)
        files = len(paths)
        paths = (paths * -(-limit // files))[:limit]
        rows = [row for count in counts for row in measure(paths, batch_size, count, repeats)]
    about = (
        f"{files} files of {folder}, {len(paths)} pictures a round, batches of {batch_size}, median of {repeats} rounds"
    )
    show(rows, about)
    if out is not None:
        numbers = {"files": files, "pictures": len(paths), "batch_size": batch_size, "rounds": repeats, "dali": version}
        write_result(out, rows, command, **numbers)
    return rows


def show(rows: list[dict[str, Any]], title: str) -> None:
    """Prints the rows."""
    table = Table(title=Text(title, style="table.title"))
    columns = {
        "route": "left",
        "DALI carries": "left",
        "threads": "right",
        "images/s": "right",
        "of the bare reader's": "right",
    }
    for name, side in columns.items():
        table.add_column(name, justify=side)
    for row in rows:
        spread = f" ({row['spread'][0]:.2f}-{row['spread'][1]:.2f})" if "spread" in row else ""
        table.add_row(
            row["route"],
            row["through_dali"],
            str(row["threads"]),
            f"{row['images_per_second']:.0f}",
            f"{row['share']:.2f}{spread}",
        )
    Console().print(table)


def main(arguments: Sequence[str]) -> None:
    """``dctnet bench dali`` with these arguments."""
    parser = argparse.ArgumentParser(
        prog="dctnet bench dali", description="Routes of coefficients into a DALI pipeline, beside the bare reader."
    )
    parser.add_argument("folder", metavar="FOLDER", help="a folder of JPEG files, at any depth")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="decoding threads (default: 1 on one core, then as many as cores)"
    )
    parser.add_argument("--batch_size", type=int, default=32, metavar="N", help="pictures of a batch (default 32)")
    parser.add_argument(
        "--limit", type=int, default=512, metavar="N", help="pictures of a round, at most N files (default 512)"
    )
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="rounds, 3 at least (default 7)")
    parser.add_argument("--out", metavar="RESULT.json", help="write the rows here as well")
    dali(**vars(parser.parse_args(arguments)), command=command_line("dali", arguments))
