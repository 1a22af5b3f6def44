"""``dctnet pack``: a data set decoded once into a packed store, or its files as they are into WebDataset tars.

Each shard is written beside its name and renamed, with a mark when it is finished; a run that was killed is gone on with
by the same command, and only the missing shards are written. The index comes last. Several machines pack one data set,
too big for one of them, when each takes its share: ``--shard 1/100`` to ``--shard 100/100`` in a job array over a shared
file system; the process that finds all shards finished writes the index.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from dctnet.bands import BandSet, bands_of
from dctnet.data.folder import DataError
from dctnet.data.pack_finish import finish
from dctnet.data.pack_plan import TARS, keep_plan
from dctnet.data.pack_shard import finished, write_shard
from dctnet.data.pack_sources import FolderPart, TarPart, find_splits, open_source
from dctnet.data.store_format import Layout


def pack(
    source: str,
    store: str | Path,
    *,
    bands: BandSet = 24,
    dtype: str = "int8",
    resize: int | None = None,
    format: str = "store",
    shard_size: int = 4096,
    workers: int = 1,
    share: tuple[int, int] = (1, 1),
    max_broken: float = 0.01,
    classes: str | None = None,
) -> None:
    """Pack ``source`` (see ``pack_sources.open_source``) into the folder ``store``; its train, val and test each on its own.

    ``format`` is "store" or "webdataset", for which ``bands``, ``dtype`` and ``resize`` have no meaning. ``share`` (i, n)
    takes every n-th shard from the i-th on, counted from 1. Files that cannot be read are left out and named in ``broken.csv``;
    above the share ``max_broken`` DataError stops the run. DataError, too, where ``store`` holds something else.
    """
    if format not in ("store", "webdataset"):
        raise ValueError(f"--format is store or webdataset; got {format!r}")
    if workers < 1:
        raise ValueError(f"workers is a number of processes, at least 1; got {workers}")
    if not 0 <= max_broken <= 1:
        raise ValueError(f"max_broken is a share of the files, from 0 to 1; got {max_broken}")
    if not 1 <= share[0] <= share[1]:
        raise ValueError(f"a share is I/N with 1 <= I <= N; got {share[0]}/{share[1]}")
    layout = Layout(bands_of(bands), dtype, resize) if format == "store" else None
    splits = find_splits(source)
    for split in splits or [""]:
        _pack_one(
            os.path.join(source, split) if split else source,
            Path(store) / split,
            layout,
            shard_size,
            workers,
            share,
            max_broken,
            classes,
        )


def _pack_one(
    source: str,
    store: Path,
    layout: Layout | None,
    shard_size: int,
    workers: int,
    share: tuple[int, int],
    max_broken: float,
    classes: str | None,
) -> None:
    opened = open_source(source, shard_size, classes)
    if isinstance(opened.parts[0], FolderPart) and Path(source).resolve() in store.resolve().parents:
        raise DataError(f"{store} lies in {source}, where it would be a class; choose a store beside the source")
    kind = {"format": TARS, "version": 1} if layout is None else layout.to_json()
    parts = {"shards": len(opened.parts), "shard_size": shard_size, "source": opened.digest}
    keep_plan(store, {**kind, "classes": opened.classes, **parts})
    suffix = ".tar" if layout is None else ".bin"
    own = range(share[0] - 1, len(opened.parts), share[1])
    left = [number for number in own if finished(store, number, suffix) is None]
    if len(left) < len(own):
        print(f"{store}: {len(own) - len(left)} of {len(own)} shards are finished already", flush=True)
    allowed = float("inf") if opened.records is None else max_broken * opened.records
    broken, start = 0, time.perf_counter()
    for info in write_shards(store, [(number, opened.parts[number]) for number in left], layout, allowed, workers):
        broken += len(info["broken"])
        print(f"{store}: {info['name']} finished, {info['records']} records, {info['bytes'] / 1e6:.1f} MB", flush=True)
        if broken > allowed:
            break  # `finish` says so, with the names
    else:
        if left:
            print(f"{store}: {len(left)} shards in {time.perf_counter() - start:.1f} s", flush=True)
    if broken > allowed or all(finished(store, number, suffix) is not None for number in range(len(opened.parts))):
        finish(store, max_broken)
    else:
        print(
            f"{store}: other shares are not finished yet; the process that finishes last writes the index", flush=True
        )


def write_shards(
    store: Path, parts: list[tuple[int, FolderPart | TarPart]], layout: Layout | None, allowed: float, workers: int
) -> Iterator[dict[str, Any]]:
    """What is known of each shard, as they are finished: one after the other, or on ``workers`` processes.

    DataError where a process was killed; the first error of a shard is raised after those that had begun are done.
    """
    if workers == 1 or len(parts) < 2:
        for number, part in parts:
            yield write_shard(store, number, part, layout, allowed)
        return
    with ProcessPoolExecutor(min(workers, len(parts)), get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        jobs = [pool.submit(write_shard, store, number, part, layout, allowed) for number, part in parts]
        try:
            for job in as_completed(jobs):
                yield job.result()
        except BrokenProcessPool as error:
            raise DataError(
                f"a packing process was killed, by the system if memory ran out. Finished shards of {store} are kept: run the "
                "same command again and it goes on from there, with fewer --workers if memory was short."
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
