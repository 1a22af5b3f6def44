"""What can be packed, cut into the parts that become shards: a folder of JPEG files, or WebDataset tar shards."""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dctnet.data.folder import DataError, JPEGFolder
from dctnet.data.tar_samples import CLASSES, expand, is_stream, open_tar, read_classes, samples

SPLITS = ("train", "val", "test")


class Item(NamedTuple):
    """One picture to pack: a path or the bytes of the file, its label, and the name that is kept."""

    source: str | bytes
    label: int
    name: str


class FolderPart(NamedTuple):
    """Consecutive files of a folder."""

    files: list[Item]

    def items(self) -> Iterator[Item]:
        """The files, unread."""
        return iter(self.files)


class TarPart(NamedTuple):
    """All samples of one tar shard, read once from front to back."""

    url: str

    def items(self) -> Iterator[Item]:
        """The pictures as bytes; DataError for a damaged archive or a picture without a label."""
        with open_tar(self.url) as stream:
            for sample in samples(stream, self.url):
                yield Item(sample.data, sample.label, sample.name)


class Source(NamedTuple):
    """``parts``, one a shard; class names (None: as many as the labels turn out to need); a digest of the list."""

    parts: list[FolderPart] | list[TarPart]
    classes: list[str] | None
    digest: str

    @property
    def records(self) -> int | None:
        """How many files there are; None where only reading tells."""
        if self.parts and isinstance(self.parts[0], FolderPart):
            return sum(len(part.files) for part in self.parts)
        return None


def open_source(source: str, shard_size: int, classes: str | None = None) -> Source:
    """``source`` cut into parts: ``shard_size`` files each of a folder ``SOURCE/CLASS/*.jpg``; or one for each tar of

    - a folder with ``*.tar``, one tar file, or a pattern of them with braces, ``tars/imagenet-{000000..001281}.tar``;
    - addresses that the package webdataset opens: ``pipe:COMMAND``, ``https://...``, ``s3://...``, braces as well.

    Tars carry labels as numbers; the names are in ``classes.json`` beside them (a JSON list), or in the file ``classes``.
    DataError where there is nothing to pack.
    """
    if shard_size < 1:
        raise ValueError(f"shard_size is the number of records of a shard, at least 1; got {shard_size}")
    tars = find_tars(source)
    if tars is None:
        if classes is not None:
            raise DataError(f"{source} is a folder of classes, their names are its sub-folders: leave out --classes")
        folder = JPEGFolder(source)
        items = [Item(path, label, os.path.relpath(path, source)) for path, label in folder.samples]
        parts = [FolderPart(items[start : start + shard_size]) for start in range(0, len(items), shard_size)]
        return Source(parts, folder.classes, _digest([f"{item.label} {item.name}" for item in items]))
    names = read_classes(classes) if classes is not None else None
    beside = Path(tars[0]).parent / CLASSES
    if names is None and not is_stream(tars[0]) and beside.is_file():
        names = read_classes(beside)
    return Source([TarPart(url) for url in tars], names, _digest([os.path.basename(url) for url in tars]))


def find_tars(source: str) -> list[str] | None:
    """The addresses of the tar shards that ``source`` means, in order; None where it is a folder without any."""
    if is_stream(source) or "{" in source:
        return expand(source)
    if os.path.isfile(source):
        return [source]
    return sorted(glob.glob(os.path.join(glob.escape(source), "*.tar"))) or None


def find_splits(source: str) -> list[str]:
    """Which of train, val and test are sub-folders of ``source`` with data sets of their own; none where it is one itself.

    A class may be called "train": a data set lies there only where the folder has sub-folders or tars.
    """
    found = [split for split in SPLITS if os.path.isdir(os.path.join(source, split))]
    if any(find_tars(path) or _has_folders(path) for path in (os.path.join(source, split) for split in found)):
        return found
    return []


def _has_folders(path: str) -> bool:
    with os.scandir(path) as entries:
        return any(entry.is_dir() and not entry.name.startswith(".") for entry in entries)


def _digest(names: list[str]) -> str:
    """A short hash of the names in order."""
    joined = json.dumps(names).encode()
    return f"{len(names)}:{hashlib.blake2b(joined, digest_size=16).hexdigest()}"
