"""``dctnet prepare``: data sets in the layout that training reads, ``FOLDER/{train,val}/CLASS/NAME.jpg``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dctnet.data.cifar import copy_tree, make_cifar10, make_cifar100
from dctnet.data.digits import make_digits
from dctnet.data.folder import DataError, find_classes, find_images
from dctnet.data.imagenet import make_imagenet
from dctnet.data.split import split_folder

MARK = "prepared.json"
PARTIAL_MARK = ".made-by-dctnet-prepare"

RECIPES: dict[str, Callable[..., dict[str, object]]] = {
    "digits": make_digits,
    "cifar10": make_cifar10,
    "cifar100": make_cifar100,
    "clothing": copy_tree,
    "folder": split_folder,
    "imagenet": make_imagenet,
}


def prepare(name: str, folder: str | Path | None = None, source: str | Path | None = None) -> Path:
    """Make the data set ``name`` in ``folder`` (default ``data/NAME``); returns the folder.

    It is made beside ``folder`` under a name that ends in ``.partial`` and renamed when it is whole (an empty ``folder``,
    which may be the present one, stays and is filled by renaming); what a killed run left is removed. ``folder/prepared.json``
    comes last and says what was made; where it says ``name`` already, nothing is done. ``source`` is a folder or file that
    the recipe starts from. DataError for an unknown name, a ``folder`` (or ``.partial``) that holds something else, or a
    source that the recipe cannot use.
    """
    if name not in RECIPES:
        raise DataError(f"there is no data set {name!r}; there are: {', '.join(RECIPES)}")
    folder = Path("data") / name if folder is None else Path(folder)
    if (folder / MARK).is_file():
        made = json.loads((folder / MARK).read_text())
        if made.get("name") != name:
            raise DataError(f"{folder} holds the data set {made.get('name')!r}; choose another folder for {name!r}")
        print(f"{folder} holds {name} already: {_describe(made)}")
        return folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(
            f"{folder} exists and was not made by `dctnet prepare {name}`; remove it or choose another folder"
        )
    whole = folder.resolve()
    partial = whole.with_name(whole.name + ".partial")
    if partial.exists():
        if not (partial / PARTIAL_MARK).is_file():
            raise DataError(
                f"{partial} is in the way and was not made by `dctnet prepare`; move it, or choose another folder"
            )
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    (partial / PARTIAL_MARK).touch()
    print(f"making {name} in {folder} ...", flush=True)
    try:
        facts = RECIPES[name](partial, None if source is None else Path(source))
        made = {"name": name, **count(partial), **facts}
        (partial / MARK).write_text(json.dumps(made, indent=1) + "\n")
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    (partial / PARTIAL_MARK).unlink()
    if whole.exists():
        for entry in sorted(partial.iterdir(), key=lambda entry: entry.name == MARK):
            entry.rename(whole / entry.name)
        partial.rmdir()
    else:
        partial.rename(whole)
    print(f"{folder} holds {name}: {_describe(made)}")
    return folder


def count(folder: Path) -> dict[str, int]:
    """Numbers of classes, training files and validation files."""
    return {
        "classes": len(find_classes(folder / "train")),
        "train": len(find_images(folder / "train")),
        "val": len(find_images(folder / "val")),
    }


def _describe(made: dict[str, Any]) -> str:
    return f"{made['train']} training and {made['val']} validation files in {made['classes']} classes"
