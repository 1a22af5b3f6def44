"""The plan of a store: the settings and a digest of the source list, written first, and held against those of each run."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dctnet.data.folder import DataError
from dctnet.data.pack_sources import SPLITS
from dctnet.data.store_format import checksum, read_layout
from dctnet.data.store_index import read_json
from dctnet.whole_file import room_for, write_whole

PLAN = "plan.json"
TARS = "WebDataset tars"


def keep_plan(store: Path, plan: dict[str, Any]) -> None:
    """Make the folder and write ``plan.json``, or compare it with the one that is there; DataError where they differ."""
    path = store / PLAN
    if store.exists() and not path.is_file() and (not store.is_dir() or any(_foreign(store))):
        raise DataError(f"{store} exists and was not made by `dctnet pack`; remove it or choose another folder")
    if not path.is_file():
        with room_for(path):
            _write_plan(path, plan)
    made = read_plan(store)
    differing = [name for name in sorted({*made, *plan}) if made.get(name) != plan.get(name)]
    if differing:
        known = {"source": "the files of the source", "shards": "the number of shards"}
        raise DataError(
            f"{store} was begun with other settings or files: {', '.join(known.get(name, name) for name in differing)} "
            f"differ ({'; '.join(_differ(name, made, plan) for name in differing)}). Give the same, or choose another folder."
        )


def _foreign(store: Path) -> Iterator[Path]:
    """What in a folder without a plan is not from another process that is about to write it, nor a split."""
    for path in store.iterdir():
        if not path.name.startswith(f"{PLAN}.") and path.name not in SPLITS:
            yield path


def _write_plan(path: Path, plan: dict[str, Any]) -> None:
    """Write the plan, unless another process that starts at the same moment has just written its own."""
    mine = path.with_name(f"{PLAN}.{secrets.token_hex(4)}")
    try:
        write_whole(mine, json.dumps({**plan, "crc": checksum(plan)}, indent=1).encode())
        os.link(mine, path)
    except FileExistsError:
        pass
    finally:
        mine.unlink(missing_ok=True)


def _differ(name: str, made: dict[str, Any], plan: dict[str, Any]) -> str:
    old, new = (text if len(text) <= 40 else f"{text[:37]}..." for text in (str(made.get(name)), str(plan.get(name))))
    return f"{name} {old} there, {new} now"


def read_plan(store: Path) -> dict[str, Any]:
    """The plan without its checksum. DataError where there is none, or it was changed: shards would be taken for others."""
    path = store / PLAN
    if not path.is_file():
        raise DataError(f"{store} has no {PLAN}: nothing was packed here. Begin with `dctnet pack FOLDER {store}`.")
    plan = read_json(path)
    if plan.pop("crc", None) != checksum(plan):
        raise DataError(
            f"{path} was changed since the store was begun, its checksum does not agree: take back the change, or pack into "
            "another folder"
        )
    if plan["format"] != TARS:
        read_layout(plan)
    return plan
