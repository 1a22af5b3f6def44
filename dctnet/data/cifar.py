"""The recipes ``cifar10``, ``cifar100`` and ``clothing``: trees of JPEG files, and CIFAR as torchvision knows it.

CIFAR-10 and CIFAR-100: 60,000 colour pictures of 32x32 in 10 and in 100 classes, 50,000 of them for training (A. Krizhevsky,
"Learning multiple layers of features from tiny images", 2009); no licence is stated. Written as JPEG of quality 75, 4:2:0:
the distributed pixels are lossless, so this is where the coefficients come from.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path, PurePosixPath
from urllib.error import URLError

from torchvision.datasets import CIFAR10, CIFAR100

from dctnet.data.digits import save_jpeg
from dctnet.data.folder import EXTENSIONS, DataError, find_images

SPLITS = {"train": "train", "val": "val", "validation": "val", "test": "val"}


def make_cifar10(folder: Path, source: Path | None = None, kind: type[CIFAR10] = CIFAR10) -> dict[str, object]:
    """Write ``folder/{train,val}/CLASS/NUMBER.jpg`` from one of

    - no ``source``: torchvision downloads the archive (160 MiB), checks and unpacks it, in ``folder`` for the time being;
    - a folder that holds ``cifar-10-batches-py/`` (of CIFAR-100 ``cifar-100-python/``), as torchvision leaves it;
    - a zip or a folder of JPEG files ``train/CLASS/*.jpg`` and ``test/CLASS/*.jpg``: these bytes are copied as they are.

    DataError where the source is none of these or the download fails.
    """
    name = kind.__name__.replace("CIFAR", "CIFAR-")
    if source is not None and not (source / kind.base_folder).is_dir():
        return copy_tree(folder, source)
    root = source if source is not None else folder / "download"
    for train, split in ((True, "train"), (False, "val")):
        try:
            data = kind(str(root), train=train, download=source is None)
        except (URLError, OSError) as error:
            raise DataError(
                f"{name} could not be downloaded ({error}). Without a network give --source: a folder that holds "
                f"{kind.base_folder}/, or a zip or folder of JPEG files train/CLASS/*.jpg and test/CLASS/*.jpg."
            ) from error
        except RuntimeError as error:
            raise DataError(f"{root}/{kind.base_folder} is not {name} as distributed: {error}") from error
        for index, (pixels, label) in enumerate(zip(data.data, data.targets, strict=True)):
            save_jpeg(pixels, folder / split / data.classes[label] / f"{index:05d}.jpg")
    if source is None:
        shutil.rmtree(root)
    return {}


def make_cifar100(folder: Path, source: Path | None = None) -> dict[str, object]:
    """The same of CIFAR-100, with its 100 fine classes."""
    return make_cifar10(folder, source, CIFAR100)


def copy_tree(folder: Path, source: Path | None = None) -> dict[str, object]:
    """Copy JPEG files from a zip or a folder ``{train,val,validation,test}/CLASS/NAME``, bytes unchanged.

    Without a ``val`` or ``validation``, ``test`` serves for validation; with one, ``test`` is left out. The tree may lie
    one folder down, as in archives that a web site made. DataError where there is no such tree.
    """
    if source is None:
        raise DataError(
            "this data set is not downloaded; give --source, a zip or a folder with train/CLASS/*.jpg and val/CLASS/*.jpg"
        )
    if source.is_file() and zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            for name, target in planned(names, source).items():
                (folder / target).parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as read, (folder / target).open("wb") as write:
                    shutil.copyfileobj(read, write)
    elif source.is_dir():
        for name, target in planned([os.path.relpath(path, source) for path in find_images(source)], source).items():
            (folder / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, folder / target)
    else:
        raise DataError(f"{source} is neither a folder nor a zip file")
    return {}


def planned(names: list[str], source: Path) -> dict[str, str]:
    """From each name that is ``.../SPLIT/CLASS/FILE`` of a JPEG file to where it goes; DataError if a split is missing,
    or two names go to one place.

    >>> planned(["a/train/cat/1.jpg", "a/test/cat/2.jpg", "a/LICENSE"], Path("x.zip"))
    {'a/train/cat/1.jpg': 'train/cat/1.jpg', 'a/test/cat/2.jpg': 'val/cat/2.jpg'}
    """
    found = {}
    for name in names:
        parts = PurePosixPath(name.replace(os.sep, "/")).parts
        if len(parts) >= 3 and parts[-3] in SPLITS and ".." not in parts and name.lower().endswith(EXTENSIONS):
            found[name] = parts[-3:]
    splits = {split for split, _, _ in found.values()}
    if "train" not in splits or len(splits) < 2:
        raise DataError(
            f"{source} has no JPEG files at train/CLASS/NAME.jpg and val/CLASS/NAME.jpg (or validation/, test/); "
            f"found {', '.join(sorted(splits)) or 'none of them'}"
        )
    if splits & {"val", "validation"}:
        found = {name: parts for name, parts in found.items() if parts[0] != "test"}
    targets: dict[str, str] = {}
    for name, (split, label, file) in found.items():
        target = f"{SPLITS[split]}/{label}/{file}"
        if target in targets:
            raise DataError(
                f"{source} has two files that belong at {target}: {targets[target]} and {name}. Rename one, or give "
                "--source one data set at a time."
            )
        targets[target] = name
    return {name: target for target, name in targets.items()}
