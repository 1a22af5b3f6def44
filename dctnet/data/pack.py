"""``dctnet pack``: a data set decoded once into a packed store, or its files as they are into WebDataset tars.

Each shard is written beside its name and renamed, with a mark when it is finished; a run that was killed is gone on with
by the same command, and only the missing shards are written. The index comes last. Several machines pack one data set,
too big for one of them, when each takes its share: ``--shard 1/100`` to ``--shard 100/100`` in a job array over a shared
file system; the process that finds all shards finished writes the index.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dctnet.bands import BandSet, bands_of
from dctnet.data.broken import Broken, BrokenList
from dctnet.data.folder import DataError
from dctnet.data.pack_shard import finished, write_shard
from dctnet.data.pack_sources import SPLITS, FolderPart, TarPart, find_splits, open_source
from dctnet.data.store_format import Layout, read_layout
from dctnet.data.store_index import read_json, write_index
from dctnet.data.tar_samples import CLASSES
from dctnet.whole_file import room_for, write_whole

PLAN = "plan.json"
TARS = "WebDataset tars"


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


def keep_plan(store: Path, plan: dict[str, Any]) -> None:
    """Make the folder and write ``plan.json``, or compare it with the one that is there; DataError where they differ."""
    path = store / PLAN
    if store.exists() and not path.is_file() and (not store.is_dir() or any(_foreign(store))):
        raise DataError(f"{store} exists and was not made by `dctnet pack`; remove it or choose another folder")
    if not path.is_file():
        with room_for(path):
            _write_plan(path, plan)
    made = read_json(path)
    differing = [name for name in sorted({*made, *plan}) if made.get(name) != plan.get(name)]
    if differing:
        known = {"source": "the files of the source", "shards": "the number of shards"}
        raise DataError(
            f"{store} was begun with other settings or files: {', '.join(known.get(name, name) for name in differing)} "
            f"differ ({'; '.join(_differ(name, made, plan) for name in differing)}). Give the same, or choose another folder."
        )


def _write_plan(path: Path, plan: dict[str, Any]) -> None:
    """Write the plan, unless another process that starts at the same moment has just written its own."""
    mine = path.with_name(f"{PLAN}.{secrets.token_hex(4)}")
    try:
        write_whole(mine, json.dumps(plan, indent=1).encode())
        os.link(mine, path)
    except FileExistsError:
        pass
    finally:
        mine.unlink(missing_ok=True)


def _foreign(store: Path) -> Iterator[Path]:
    """What in a folder without a plan is not from another process that is about to write it, nor a split."""
    for path in store.iterdir():
        if not path.name.startswith(f"{PLAN}.") and path.name not in SPLITS:
            yield path


def _differ(name: str, made: dict[str, Any], plan: dict[str, Any]) -> str:
    old, new = (text if len(text) <= 40 else f"{text[:37]}..." for text in (str(made.get(name)), str(plan.get(name))))
    return f"{name} {old} there, {new} now"


def finish(store: Path, max_broken: float = 0.01) -> None:
    """Write the index of a store (or ``classes.json`` of tars) from its finished shards, and ``broken.csv``.

    DataError where shards are missing, or the share of broken files is greater than ``max_broken``.
    """
    path = store / PLAN
    if not path.is_file():
        raise DataError(f"{store} has no {PLAN}: nothing was packed here. Begin with `dctnet pack FOLDER {store}`.")
    plan = read_json(path)
    tars = plan.get("format") == TARS
    if not tars:
        read_layout(plan)
    count = plan.get("shards")
    if not isinstance(count, int) or not 0 < count < 2**31:
        raise DataError(f"{path} was changed: shards is {count!r}, not a number. Pack again into another folder.")
    infos = [finished(store, number, ".tar" if tars else ".bin") for number in range(count)]
    broken = [Broken(*item) for info in infos if info for item in info["broken"]]
    (store / "broken.csv").unlink(missing_ok=True)
    BrokenList(store / "broken.csv").add(broken)
    records = sum(info["records"] for info in infos if info)
    missing = [number for number, info in enumerate(infos) if info is None]
    if len(broken) > max_broken * (records + len(broken)):
        named = "; ".join(f"{item.path} ({item.reason})" for item in broken[:10])
        raise DataError(
            f"{len(broken)} of {records + len(broken)} files could not be read, more than the share of {max_broken:g} allowed: "
            f"{named}{'; ...' if len(broken) > 10 else ''}; all are named in {store / 'broken.csv'}. Repair them, remove the "
            f"files of their shards and pack again; or raise --max_broken."
        )
    if missing:
        raise DataError(
            f"{len(missing)} of {count} shards of {store} are not finished: {', '.join(map(str, missing[:5]))}"
            f"{', ...' if len(missing) > 5 else ''} (counted from 0). Run their `dctnet pack ... --shard I/{count}` again; shard "
            "k belongs to I = k + 1."
        )
    if not records:
        raise DataError(f"no file of the source of {store} could be read; see {store / 'broken.csv'}")
    classes = plan.get("classes") or None
    if tars:
        if classes is not None:
            write_whole(store / CLASSES, json.dumps(classes, indent=1).encode(), shared=True)
    else:
        labels = _labels(store, infos)
        if classes is not None and labels > len(classes):
            raise DataError(
                f"the tars of {store} have labels up to {labels - 1}, but {len(classes)} classes are named: give the whole "
                f"list with --classes, and another folder for the store"
            )
        classes = classes or [str(label) for label in range(labels)]
        shards = [{key: value for key, value in info.items() if key != "broken"} for info in infos]
        kind = {key: value for key, value in plan.items() if key not in ("shards", "shard_size", "source", "classes")}
        write_index(store, {**kind, "classes": classes, "records": records, "shards": shards})
    total = sum(info["bytes"] for info in infos)
    pixels = sum(info.get("through_pixels", 0) for info in infos)
    print(
        f"{store} holds {records} records in {count} shards, {total / 1e6:.1f} MB, {total / records:.0f} bytes each"
        f"{f'; {len(broken)} files could not be read, see broken.csv' if broken else ''}"
        f"{f'; {pixels} came through pixels' if pixels else ''}",
        flush=True,
    )


def _labels(store: Path, infos: list[dict[str, Any]]) -> int:
    """One more than the greatest label in the tables."""
    greatest = 0
    for info in infos:
        path = store / f"{info['name']}.npy"
        data = path.read_bytes()
        if zlib.crc32(data) != info["table_crc"]:
            raise DataError(f"{path} is damaged: remove the files of its shard and run the same `dctnet pack` again")
        greatest = max(greatest, int(np.load(io.BytesIO(data), allow_pickle=False)["label"].max(initial=0)))
    return 1 + greatest
