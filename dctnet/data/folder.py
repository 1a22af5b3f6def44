"""A folder of JPEG files, one sub-folder a class: ``root/CLASS/anything.jpg``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch.utils.data import Dataset

from dctnet.coefficients import Coefficients
from dctnet.data.batch import Batch, collate, load_item
from dctnet.data.keyed_sampling import SampleKey, sample_generator
from dctnet.data.lifted_batch import load_files
from dctnet.jpeg.image import JPEGImage
from dctnet.jpeg.reader import read_jpeg

EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif")

Transform = Callable[..., Coefficients]


class DataError(ValueError):
    """A data set that is absent, empty or too broken to use; the message says what to do."""


class Sample(NamedTuple):
    """Coefficients and label; ``from_pixels`` says why the file was read through pixels, None for a true read."""

    coefficients: Coefficients
    label: int
    from_pixels: str | None


def find_classes(root: str | Path) -> list[str]:
    """The sorted names of the sub-folders of ``root``. DataError where there is no folder, or no sub-folder."""
    root = Path(root)
    if not root.is_dir():
        raise DataError(
            f"there is no folder {root}. Make a data set first (`dctnet prepare digits data/digits`), or give the "
            f"folder of one: images in {root}/CLASS/NAME.jpg, one sub-folder a class."
        )
    classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise DataError(f"{root} has no sub-folders; images belong in {root}/CLASS/NAME.jpg, one sub-folder a class")
    return classes


def find_images(folder: str | Path) -> list[str]:
    """The paths of the JPEG files anywhere below ``folder``, sorted; hidden files are passed over.

    Links to folders are followed, each real folder is visited once: a link that leads back into ``folder`` adds nothing.
    """
    found, visited = [], set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders.sort()  # which of two ways to a folder counts does not hang on the file system
        found += [
            os.path.join(parent, name)
            for name in names
            if name.lower().endswith(EXTENSIONS) and not name.startswith(".")
        ]
    return sorted(found)


class JPEGFolder(Dataset[Any]):
    """The JPEG files below ``root/CLASS/`` as ``(Coefficients, label)``; labels number the sorted class names.

    ``transform(image, generator=g)`` gets the ``JPEGImage`` and a generator keyed by ``(seed, epoch, index)``; without a
    transform the planes come as read. ``folder[SampleKey(epoch, index)]`` draws the sample as epoch ``epoch`` sees it;
    ``folder[index]`` is epoch 0. ``read`` takes a path and gives a ``JPEGImage``.

    Files count by their extension (.jpg, .jpeg, .jpe, .jfif in any case). ``classes`` gives the names and their order
    where they are known already: validation uses those of training, so that labels agree.
    DataError for a missing folder, a class without files, or folders that ``classes`` does not name; JPEGError (or
    OSError) when a file cannot be read.
    """

    def __init__(
        self,
        root: str | Path,
        transform: Transform | None = None,
        *,
        seed: int = 0,
        classes: Sequence[str] | None = None,
        read: Callable[[str], JPEGImage] = read_jpeg,
    ):
        self.root, self.transform, self.seed, self.read = Path(root), transform, seed, read
        found = find_classes(root)
        self.classes = found if classes is None else list(classes)
        self.class_to_idx = {name: label for label, name in enumerate(self.classes)}
        if unknown := [name for name in found if name not in self.class_to_idx]:
            raise DataError(
                f"{root} has folders that are no class of the training set: {', '.join(unknown[:5])}"
                f"{', ...' if len(unknown) > 5 else ''} (known: {', '.join(self.classes[:5])}"
                f"{', ...' if len(self.classes) > 5 else ''})"
            )
        self.samples: list[tuple[str, int]] = []
        empty = []
        for name in found:
            paths = find_images(self.root / name)
            self.samples += [(path, self.class_to_idx[name]) for path in paths]
            if not paths:
                empty.append(name)
        if empty:
            raise DataError(
                f"{len(empty)} of {len(found)} class folders in {root} hold no JPEG file ({', '.join(EXTENSIONS)}): "
                f"{', '.join(empty[:5])}{', ...' if len(empty) > 5 else ''}. Fill or remove them."
            )

    def __len__(self) -> int:
        return len(self.samples)

    def path(self, index: int) -> str:
        """The file of sample ``index``."""
        return self.samples[index][0]

    def source(self, index: int) -> str:
        """What ``read_jpegs`` takes for sample ``index``: its path."""
        return self.samples[index][0]

    def label(self, index: int) -> int:
        """The label of sample ``index``, without reading the file."""
        return self.samples[index][1]

    def sample(self, key: SampleKey | int) -> Sample:
        """The sample as ``key`` draws it, with what the loader wants to know about its file."""
        key = key if isinstance(key, SampleKey) else SampleKey(0, key)
        path, label = self.samples[key.index]
        return load(path, label, key, self.transform, self.seed, self.read)

    def load_batch(self, keys: Sequence[SampleKey]) -> Batch:
        """The samples of ``keys`` that can be read, as one batch."""
        return load_batch(self, keys)

    def __getitem__(self, key: SampleKey | int) -> tuple[Coefficients, int]:
        return self.sample(key)[:2]


class FileList(Dataset[Any]):
    """Files without labels (label -1), in the order given; otherwise like ``JPEGFolder``."""

    def __init__(
        self,
        paths: Sequence[str | Path],
        transform: Transform | None = None,
        *,
        seed: int = 0,
        read: Callable[[str], JPEGImage] = read_jpeg,
    ):
        self.paths, self.transform, self.seed, self.read = [str(path) for path in paths], transform, seed, read

    def __len__(self) -> int:
        return len(self.paths)

    def path(self, index: int) -> str:
        """The file of sample ``index``."""
        return self.paths[index]

    def source(self, index: int) -> str:
        """What ``read_jpegs`` takes for sample ``index``: its path."""
        return self.paths[index]

    def label(self, index: int) -> int:
        """-1, for every sample."""
        return -1

    def sample(self, key: SampleKey | int) -> Sample:
        """The sample as ``key`` draws it, with what the loader wants to know about its file."""
        key = key if isinstance(key, SampleKey) else SampleKey(0, key)
        return load(self.paths[key.index], -1, key, self.transform, self.seed, self.read)

    def load_batch(self, keys: Sequence[SampleKey]) -> Batch:
        """The samples of ``keys`` that can be read, as one batch."""
        return load_batch(self, keys)

    def __getitem__(self, key: SampleKey | int) -> tuple[Coefficients, int]:
        return self.sample(key)[:2]


def load(
    path: str, label: int, key: SampleKey, transform: Transform | None, seed: int, read: Callable[[str], JPEGImage]
) -> Sample:
    """One file read and transformed, the transform's draws keyed by ``(seed, key)``."""
    image = read(path)
    coefficients = image.coefficients
    if transform is not None:
        coefficients = transform(image, generator=sample_generator(seed, key))
    return Sample(coefficients, label, image.from_pixels)


def load_batch(dataset: JPEGFolder | FileList, keys: Sequence[SampleKey]) -> Batch:
    """All ``keys`` at once in C++ where the files are read as ``read_jpeg`` reads them, else one by one."""
    if dataset.read is read_jpeg:
        return load_files(dataset, keys)
    return collate([load_item(dataset, key) for key in keys])
