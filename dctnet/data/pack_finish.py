"""The end of packing: from finished shards to the index of a store, or to the class names of WebDataset tars."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dctnet.data.broken import Broken, BrokenList
from dctnet.data.folder import DataError
from dctnet.data.pack_plan import TARS, read_plan
from dctnet.data.pack_shard import finished
from dctnet.data.store_index import write_index
from dctnet.data.tar_samples import CLASSES, numbered_classes
from dctnet.whole_file import write_changed

OF_THE_PLAN = ("shards", "shard_size", "source", "classes")  # what does not go into the index as it is

Info = dict[str, Any]  # what the mark of a shard says


def finish(store: Path, max_broken: float = 0.01) -> None:
    """Write the index of a store (or ``classes.json`` of tars) from its finished shards, and ``broken.csv``.

    DataError where shards are missing, or the share of broken files is greater than ``max_broken``.
    """
    plan = read_plan(store)
    shards = finished_shards(store, plan)
    _list_broken(store, shards, max_broken)
    refuse_missing(store, shards)
    if plan["format"] == TARS:
        if plan["classes"]:
            write_changed(store / CLASSES, json.dumps(plan["classes"], indent=1).encode())
    else:
        kind = {key: value for key, value in plan.items() if key not in OF_THE_PLAN}
        entries = [{key: value for key, value in shard.items() if key != "broken"} for shard in shards]
        records = sum(shard["records"] for shard in shards)
        classes = _class_names(store, shards, plan["classes"])
        write_index(store, {**kind, "classes": classes, "records": records, "shards": entries})
    print(_summary(store, plan, shards), flush=True)


def finished_shards(store: Path, plan: dict[str, Any]) -> list[Info | None]:
    """What is known of each shard of the plan; None of those that are not finished."""
    suffix = ".tar" if plan["format"] == TARS else ".bin"
    return [finished(store, number, suffix) for number in range(plan["shards"])]


def _list_broken(store: Path, shards: Sequence[Info | None], max_broken: float) -> None:
    """Write ``broken.csv``; DataError where more files are broken than may be, or all."""
    written = [shard for shard in shards if shard]
    broken = [Broken(*item) for shard in written for item in shard["broken"]]
    files = len(broken) + sum(shard["records"] for shard in written)
    listed = store / "broken.csv"
    BrokenList(listed).replace(broken)
    if len(broken) > max_broken * files:
        named = "; ".join(f"{item.path} ({item.reason})" for item in broken[:10])
        raise DataError(
            f"{len(broken)} of {files} files could not be read, more than the share of {max_broken:g} allowed: "
            f"{named}{'; ...' if len(broken) > 10 else ''}; all are named in {listed}. Raise --max_broken; or repair "
            "them under the same names, remove the files of their shards and run the same command again; or remove them and "
            "pack into another folder."
        )
    if len(broken) == files and all(shards):
        raise DataError(f"no file of the source of {store} could be read; see {listed}")


def refuse_missing(store: Path, shards: Sequence[Info | None]) -> None:
    """DataError where shards are not finished."""
    missing = [number for number, shard in enumerate(shards) if shard is None]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(shards)} shards of {store} are not finished: {', '.join(map(str, missing[:5]))}"
            f"{', ...' if len(missing) > 5 else ''} (counted from 0). Run the same `dctnet pack` again, it packs what "
            f"is missing; of a job array `--shard I/{len(shards)}` is shard I - 1."
        )


def _class_names(store: Path, shards: Sequence[Info], names: list[str] | None) -> list[str]:
    """``names``, or the numbers of the labels; DataError where there are more labels than names."""
    greatest = max(int(_table(store, shard)["label"].max(initial=0)) for shard in shards)
    if not names:
        return numbered_classes(greatest, store)
    if greatest >= len(names):
        raise DataError(
            f"the tars of {store} have labels up to {greatest}, but {len(names)} classes are named: give the whole "
            f"list with --classes, and another folder for the store"
        )
    return names


def _table(store: Path, shard: Info) -> np.ndarray:
    path = store / f"{shard['name']}.npy"
    data = path.read_bytes()
    if zlib.crc32(data) != shard["table_crc"]:
        raise DataError(f"{path} is damaged: remove the files of its shard and run the same `dctnet pack` again")
    return np.load(io.BytesIO(data), allow_pickle=False)


def _summary(store: Path, plan: dict[str, Any], shards: Sequence[Info]) -> str:
    """How much there is, and how much it was: a store of large pictures is larger than their files, and can be smaller."""

    def total(name: str) -> int:
        return sum(shard.get(name, 0) for shard in shards)

    size, records, broken = (
        total("bytes") + total("table_bytes"),
        total("records"),
        sum(len(s["broken"]) for s in shards),
    )
    parts = [
        f"{store} holds {records} records in {len(shards)} shards, {size / 1e6:.1f} MB, {size / records:.0f} bytes each"
    ]
    if broken:
        parts.append(f"{broken} files could not be read, see broken.csv")
    if pixels := total("through_pixels"):
        parts.append(f"{pixels} came through pixels")
    if source := total("source_bytes"):
        parts.append(f"the files that it was made from have {source / 1e6:.1f} MB, it has {size / source:.2f}x of that")
        if size > source:
            advice = ["--resize 256 or so" if plan["resize"] is None else "a smaller --resize", "fewer --bands"]
            advice += ["--dtype int8"] if plan["dtype"] == "int16" else []
            parts.append(f"smaller would be one with {', '.join(advice[:-1])} or {advice[-1]}")
    return "; ".join(parts)
