"""``dctnet bench loaders FOLDER``: batches for training from JPEG files and from a store, beside the usual pipelines.

Every loader delivers the same: batches of the same files, randomly cropped to 224 x 224, mirrored, normalised, float32 (RGB, or
coefficients in blocks of 8); see ``loader_peers``. Each runs in turn with ours from JPEG (``dctnet``) in one process, a whole
pass over the files against a whole pass, and the median over rounds of the ratio counts. A loader's rates are measured

- on one core: the process bound to it, torch on one thread, no worker processes (threads of a loader stay on that core);
- on all cores: as many workers as cores: threads of ours from files and store and of DALI, processes of the others.

Peak memory is that of a fresh process that makes one pass: its own greatest resident size, and for each worker process
that of the greatest of them. The store is one that was given, or is packed on the spot: 24 bands, int8, short side 256.

A pause of 0.1 s stands before each pass: DALI's threads work on after its pass (it reads ahead), and on one core they took
half of the time of a pass from the store that followed at once. What they do in the pause is not counted against DALI.

The floor of ours is in the multiply-adds of the two lifted products, counted from the crops of the ImageNet samples: 4.4
million a picture from JPEG (64 bands), 0.67 million from the store (24 bands). A core of AVX2 does 16 a cycle: 276,000 and
42,000 cycles, 80-110 and 12-17 us at 2.5-3.5 GHz. Measured from the store: 79 us in C++ (products, 300 KB of floats written,
operators lifted, integers read), 23 us for draws and Python. From JPEG the decoder takes half of the native time.

On all cores worker processes were slower than none: each hands its batches over in shared memory, fresh each time, whose pages
alone take 0.2 to 0.3 ms for the 300 KB of a picture (a copy into memory that was used before: 0.013 ms); that is the floor of
any loader with processes, and four times what the store takes. So where C++ makes the batches the workers are threads
(``torch_loader``). On two cores, in alternating passes of 192 ImageNet files: from JPEG 1,300 to 1,700 images/s instead of 730
to 1,080, from the store 6,100 to 6,500 instead of 1,750. Of a picture from JPEG 0.06 ms are Python's on one core: headers, draws;
0.70 ms are C++'s, and 0.40 on two threads. A stream still reads in processes: Python takes the tars apart.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import resource
import tempfile
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dctnet.arguments import whole
from dctnet.benchmarks.files import cores, readable
from dctnet.benchmarks.loader_peers import LOADERS, Job, missing
from dctnet.benchmarks.pairing import bound, paired
from dctnet.benchmarks.result_file import command_line, write_result
from dctnet.data.pack import pack

OURS = "dctnet"
PAUSE = 0.1  # seconds


def packed(paths: list[str], workshop: Path, formats: Sequence[str] = ("store", "webdataset")) -> dict[str, str]:
    """These files in each of the ``formats`` of ``dctnet pack``, made in the folder ``workshop``."""
    source = workshop / "files" / "all"
    source.mkdir(parents=True)
    for number, path in enumerate(paths):
        (source / f"{number:06d}.jpg").symlink_to(Path(path).resolve())
    # Shards of one size, two for each core: the workers of a stream then share them evenly.
    options = {"workers": cores(), "shard_size": -(-len(paths) // (2 * cores()))}
    if "store" in formats:
        pack(str(workshop / "files"), workshop / "store", bands=24, dtype="int8", resize=256, **options)
    if "webdataset" in formats:
        pack(str(workshop / "files"), workshop / "webdataset", format="webdataset", **options)
    return {format: str(workshop / format) for format in formats}


def through(job: Job, name: str) -> Callable[[], None]:
    """A function that makes one pass and drops each batch."""
    one_pass = LOADERS[name](job)

    def run() -> None:
        for _ in one_pass():
            pass

    return run


def _memory(job: Job, name: str, count: int, connection: Connection) -> None:
    """In a fresh process: one pass, then the peak memory in MB of the process and its workers."""
    warnings.simplefilter("ignore")

    def children() -> int:
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of the greatest that has ended, in kB

    before = children()  # whatever the imports started
    with bound(count):
        run = through(job, name)
        run()
        del run
        gc.collect()
    worker = children() if children() > before else 0  # threads are no processes
    connection.send((own_peak() + job.workers * worker) / 1024)


def own_peak() -> int:
    """The greatest resident size of this process in kB. Linux's ru_maxrss would count what started it, too."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next((line for line in status.read_text().splitlines() if line.startswith("VmHWM:")), None)
        if line is not None:
            return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def peak_memory(job: Job, name: str, count: int) -> float | None:
    """Peak memory of one pass in a fresh process, in MB; None where that process failed."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_memory, args=(job, name, count, there))
    process.start()
    there.close()
    try:
        return here.recv()
    except EOFError:
        return None
    finally:
        process.join()


def measure(job: Job, names: Sequence[str], repeats: int, count: int, memory: bool) -> list[dict[str, Any]]:
    """Rows of the loaders ``names`` on ``count`` cores, ours from JPEG first."""
    with bound(count):
        ours = through(job, OURS)
        pairs = {}
        for name in names:
            # One after the other, so that no more than two loaders hold memory and workers at a time.
            if name != OURS:
                run = through(job, name)
                pairs |= paired({name: (run, ours)}, repeats, pause=PAUSE)
                del run
                gc.collect()
        if not pairs:
            pairs = paired({OURS: (ours, ours)}, repeats, pause=PAUSE)
    own = sorted(pair.reference_seconds for pair in pairs.values())
    images = len(job.paths)
    rows = [{"loader": OURS, "images_per_second": images / own[len(own) // 2], "ratio": 1.0, "spread": [1.0, 1.0]}]
    rows += [
        {"loader": name, "images_per_second": images / pair.seconds, "ratio": pair.ratio, "spread": list(pair.spread)}
        for name, pair in pairs.items()
        if name != OURS
    ]
    for row in rows:
        row |= {"cores": count, "workers": job.workers, "memory": None}
        if memory:
            row["memory"] = peak_memory(job, row["loader"], count)
    return rows


def loaders(
    folder: str,
    store: str | None = None,
    batch_size: int = 32,
    repeats: int = 5,
    limit: int = 512,
    only: str | None = None,
    memory: bool = True,
    out: str | None = None,
    command: str = "dctnet.benchmarks.loaders.loaders",
) -> list[dict[str, Any]]:
    """Times the loaders on the first ``limit`` JPEG files below ``folder``, a whole number of batches of them.

    ``store`` is a packed store to read instead of one made on the spot; ``only`` names loaders, separated by ``;``.
    Prints a table and gives its rows; ``out`` names a JSON file for them and for the ``command`` that measured. DataError
    without files; ValueError for a loader that there is not, and for numbers out of range.
    """
    whole("batch_size", batch_size, 1)
    names = list(LOADERS) if only is None else [name.strip() for name in only.split(";")]
    if unknown := [name for name in names if name not in LOADERS]:
        raise ValueError(f"there is no loader {unknown[0]!r}; there are: {'; '.join(LOADERS)}")
    absent = missing()
    with tempfile.TemporaryDirectory() as workshop, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paths = readable(folder, limit)
        paths = paths[: len(paths) // batch_size * batch_size] or paths
        batch_size = min(batch_size, len(paths))
        wanted = ["store"] if "dctnet, store" in names and store is None else []
        wanted += ["webdataset"] if any("WebDataset" in name for name in names) else []
        made = packed(paths, Path(workshop), wanted)
        here = [name for name in names if name not in absent]
        rows = []
        for count in sorted({1, cores()}):
            job = Job(paths, made.get("store", store), made.get("webdataset"), batch_size, 0 if count == 1 else count)
            rows += measure(job, here, repeats, count, memory)
    rows += [{"loader": name, "missing": why} for name, why in absent.items() if only is None or name in names]
    show(rows, f"{len(paths)} files of {folder}, batches of {batch_size}, median of {repeats} rounds")
    if out is not None:
        size = sum(os.path.getsize(path) for path in paths)
        write_result(out, rows, command, files=len(paths), bytes=size, batch_size=batch_size, rounds=repeats)
    return rows


def show(rows: list[dict[str, Any]], title: str) -> None:
    """Prints the rows."""
    table = Table(title=Text(title, style="table.title"))
    for name, side in (
        ("loader", "left"),
        ("cores", "right"),
        ("workers", "right"),
        ("images/s", "right"),
        ("dctnet is faster by", "right"),
        ("peak MB", "right"),
    ):
        table.add_column(name, justify=side)
    for row in rows:
        if "missing" in row:
            table.add_row(row["loader"], "-", "-", "-", Text(row["missing"]), "-")
            continue
        low, high = row["spread"]
        ratio = "1" if row["loader"] == OURS else f"{row['ratio']:.2f} ({low:.2f}-{high:.2f})"
        memory = "-" if row["memory"] is None else f"{row['memory']:.0f}"
        table.add_row(
            row["loader"], str(row["cores"]), str(row["workers"]), f"{row['images_per_second']:.0f}", ratio, memory
        )
    Console().print(table)


def main(arguments: Sequence[str]) -> None:
    """``dctnet bench loaders`` with these arguments."""
    parser = argparse.ArgumentParser(
        prog="dctnet bench loaders",
        description="Batches for training from JPEG files and from a packed store, beside the usual pipelines.",
        epilog=f"loaders: {'; '.join(LOADERS)}",
    )
    parser.add_argument("folder", metavar="FOLDER", help="a folder of JPEG files, at any depth")
    parser.add_argument("--store", metavar="STORE", help="a packed store of such files (default: made on the spot)")
    parser.add_argument("--batch_size", type=int, default=32, metavar="N", help="pictures of a batch (default 32)")
    parser.add_argument("--limit", type=int, default=512, metavar="N", help="at most N files (default 512)")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="rounds, 3 at least (default 5)")
    parser.add_argument("--only", metavar="'NAME;NAME'", help="only these loaders")
    parser.add_argument("--no_memory", dest="memory", action="store_false", help="leave out peak memory: it takes long")
    parser.add_argument("--out", metavar="RESULT.json", help="write the rows here as well")
    loaders(**vars(parser.parse_args(arguments)), command=command_line("loaders", arguments))
