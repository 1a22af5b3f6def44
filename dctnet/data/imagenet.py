"""The recipe ``imagenet``: ILSVRC2012 as its owners hand it out, linked into the layout that training reads.

1,281,167 training and 50,000 validation pictures in 1,000 classes (O. Russakovsky et al., "ImageNet large scale visual
recognition challenge", 2015). The terms of access (https://image-net.org/download) allow non-commercial research and
education only; the archives are given to those who ask, so nothing is downloaded here.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import scipy.io
from torchvision.datasets.imagenet import parse_train_archive, parse_val_archive

from dctnet.data.folder import DataError, find_classes, find_images

DEVKIT = "ILSVRC2012_devkit_t12"
ARCHIVES = {"train": "ILSVRC2012_img_train.tar", "val": "ILSVRC2012_img_val.tar"}
NEEDS = (
    "imagenet needs --source, a folder that holds the training pictures as train/WNID/*.JPEG or "
    f"{ARCHIVES['train']}, and the validation pictures as val/WNID/*.JPEG, or as val/*.JPEG or {ARCHIVES['val']} "
    f"together with the devkit ({DEVKIT}/ or {DEVKIT}.tar.gz)"
)


def make_imagenet(folder: Path, source: Path | None = None) -> dict[str, object]:
    """Write ``folder/{train,val}/WNID``: links to the pictures of ``source``; archives are unpacked there instead.

    Class folders are linked whole; validation pictures that lie flat are linked one by one, by the devkit's ground truth.
    The links are absolute: ``source`` has to stay where it is. DataError says what is missing.
    """
    if source is None or not source.is_dir():
        raise DataError(f"{NEEDS}; got {source}")
    source = source.resolve()
    _train(folder, source)
    _validation(folder, source)
    classes = {split: find_classes(folder / split) for split in ("train", "val")}
    if only := sorted(set(classes["val"]) - set(classes["train"])):
        raise DataError(f"classes of validation that training lacks: {', '.join(only[:5])}")
    return {"full_ilsvrc2012": len(classes["train"]) == 1000}


def _train(folder: Path, source: Path) -> None:
    if (source / "train").is_dir():
        _link_classes(source / "train", folder / "train")
    elif (source / ARCHIVES["train"]).is_file():
        _unpack(parse_train_archive, source, folder=str(folder / "train"))
    else:
        raise DataError(f"{source} has neither train/ nor {ARCHIVES['train']}. {NEEDS}")


def _validation(folder: Path, source: Path) -> None:
    flat = source / "val"
    if flat.is_dir() and any(entry.is_dir() for entry in flat.iterdir()):
        _link_classes(flat, folder / "val")
    elif flat.is_dir():
        pictures, wnids = find_images(flat), validation_wnids(source)
        if len(pictures) != len(wnids):
            raise DataError(f"{flat} holds {len(pictures)} pictures, the devkit's ground truth names {len(wnids)}")
        for picture, wnid in zip(pictures, wnids, strict=True):
            target = folder / "val" / wnid / os.path.basename(picture)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(picture)
    elif (source / ARCHIVES["val"]).is_file():
        _unpack(parse_val_archive, source, wnids=validation_wnids(source), folder=str(folder / "val"))
    else:
        raise DataError(f"{source} has neither val/ nor {ARCHIVES['val']}. {NEEDS}")


def _unpack(parse: Callable[..., None], source: Path, **options: Any) -> None:
    """torchvision checks the archive's MD5 and unpacks it."""
    try:
        parse(str(source), **options)
    except RuntimeError as error:
        raise DataError(str(error)) from error


def _link_classes(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for name in find_classes(source):
        (target / name).symlink_to(source / name, target_is_directory=True)


def validation_wnids(source: Path) -> list[str]:
    """The WordNet id of each validation picture, in the order of the file names, from the devkit in ``source``."""
    if (source / DEVKIT).is_dir():
        return _read_devkit(source / DEVKIT)
    if not (source / f"{DEVKIT}.tar.gz").is_file():
        raise DataError(
            f"the validation pictures in {source} are not sorted into classes, and the devkit that says their classes is "
            f"missing: put {DEVKIT}.tar.gz there"
        )
    unpacked = tempfile.mkdtemp()
    try:
        with tarfile.open(source / f"{DEVKIT}.tar.gz") as archive:
            archive.extractall(unpacked, filter="data")
        return _read_devkit(Path(unpacked) / DEVKIT)
    finally:
        shutil.rmtree(unpacked)


def _read_devkit(devkit: Path) -> list[str]:
    synsets = scipy.io.loadmat(str(devkit / "data" / "meta.mat"), squeeze_me=True)["synsets"]
    wnids = {int(synset["ILSVRC2012_ID"]): str(synset["WNID"]) for synset in synsets}
    truth = (devkit / "data" / "ILSVRC2012_validation_ground_truth.txt").read_text().split()
    return [wnids[int(number)] for number in truth]
