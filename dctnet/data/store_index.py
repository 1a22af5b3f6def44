"""The index of a packed store: read with every check that costs no reading of records, and written atomically."""

from __future__ import annotations

import io
import json
import re
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dctnet.data.folder import DataError
from dctnet.data.store_format import FORMAT, Layout, check_table, checksum, read_layout
from dctnet.whole_file import write_changed

INDEX = "index.json"
SHARD_NAME = re.compile(r"shard-[0-9]{5,}")


class Shard(NamedTuple):
    """What the index says of one shard: names of files are ``name`` with ``.bin``, ``.npy`` and ``.json``."""

    name: str
    records: int
    bytes: int
    table_bytes: int
    table_crc: int


class Index(NamedTuple):
    """What ``index.json`` says."""

    layout: Layout
    classes: list[str]
    shards: list[Shard]

    @property
    def records(self) -> int:
        """How many pictures the store holds."""
        return sum(shard.records for shard in self.shards)


def is_store(root: str | Path) -> bool:
    """Whether ``root`` is a store, or would be if it were finished."""
    plan = Path(root) / "plan.json"
    return (Path(root) / INDEX).is_file() or (plan.is_file() and read_json(plan).get("format") == FORMAT)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; DataError where it holds something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({error}); it was changed or damaged") from error
    if not isinstance(value, dict):
        raise DataError(f"{path} holds no JSON object; it was changed or damaged")
    return value


def write_index(root: Path, value: dict[str, Any]) -> None:
    """Write ``index.json`` with its checksum; one that says the same stays, so that a finished store may be read-only."""
    value = {**value, "crc": checksum(value)}
    write_changed(root / INDEX, json.dumps(value, indent=1).encode())


def read_index(root: str | Path) -> Index:
    """The index of the store ``root``; DataError that says what to do where there is none, or it was changed."""
    path = Path(root) / INDEX
    if not path.is_file():
        unfinished = (Path(root) / "plan.json").is_file()
        raise DataError(
            f"{root} is a store that is not finished: run the same `dctnet pack` again, it goes on where it stopped"
            if unfinished
            else f"{root} is not a packed store, it has no {INDEX}; make one with `dctnet pack FOLDER {root}`"
        )
    value = read_json(path)
    mend = f"Take back the change, or remove {path} and run `dctnet pack --finish {root}`: it is made again from the shards."
    try:
        layout = read_layout(value)
        if value.get("crc") != checksum(value):
            raise DataError("it was changed after packing, its checksum does not agree")
        index = Index(layout, _classes(value), [_shard(entry) for entry in value["shards"]])
        if not index.records:
            raise DataError("it names no record")
        if value["records"] != index.records:
            raise DataError(f"it counts {value['records']} records, its shards have {index.records}")
        if len({shard.name for shard in index.shards}) != len(index.shards):
            raise DataError("it names a shard twice")
    except KeyError as error:
        raise DataError(f"{path}: the entry {error} is missing. {mend}") from error
    except (TypeError, DataError) as error:
        raise DataError(f"{path}: {error}. {mend}") from error
    return index


def _classes(value: dict[str, Any]) -> list[str]:
    classes = value["classes"]
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise DataError("classes is no list of names")
    if len(set(classes)) != len(classes):
        raise DataError("it names a class twice")
    return classes


def _shard(entry: Any) -> Shard:
    if not isinstance(entry, dict):
        raise DataError(f"a shard is described by {entry!r}")
    shard = Shard(*(entry[name] for name in Shard._fields))
    if not isinstance(shard.name, str) or not SHARD_NAME.fullmatch(shard.name):
        raise DataError(f"a shard is called {shard.name!r}, not shard-00000 or the like")
    for name, number in zip(Shard._fields[1:], shard[1:], strict=True):
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**63:
            raise DataError(f"{shard.name}: {name} is {number!r}, not a count")
    return shard


def open_shard(root: Path, shard: Shard, layout: Layout, classes: int) -> np.ndarray:
    """The table of a shard, after the sizes of its two files and all rows were checked. DataError names what is wrong."""
    for suffix, size in ((".bin", shard.bytes), (".npy", shard.table_bytes)):
        path = root / (shard.name + suffix)
        found = path.stat().st_size if path.is_file() else None
        if found != size:
            state = "is missing" if found is None else f"has {found} of {size} bytes"
            raise DataError(f"{path.name} {state}")
    data = (root / f"{shard.name}.npy").read_bytes()
    if zlib.crc32(data) != shard.table_crc:
        raise DataError(f"{shard.name}.npy does not match its checksum")
    try:
        table = np.load(io.BytesIO(data), allow_pickle=False)
        check_table(table, layout, classes, shard.bytes)
    except (ValueError, EOFError) as error:
        raise DataError(f"{shard.name}.npy: {error}") from error
    if len(table) != shard.records:
        raise DataError(f"{shard.name}.npy has {len(table)} rows, the index counts {shard.records}")
    return table


def mend_advice(root: str | Path) -> str:
    """What to do about damaged shards."""
    return (
        f"Remove the files of these shards and run the `dctnet pack` that made {root} once more: it packs what is missing, "
        "and keeps the rest."
    )
