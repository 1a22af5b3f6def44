"""Sets of the UCR archive of time series, parted into training and test as the archive publishes them.

A set called NAME is ``FOLDER/NAME_TRAIN.EXT`` with ``FOLDER/NAME_TEST.EXT`` (EXT ts, tsv, txt or csv) or ``FOLDER/NAME.npz``, or
the same in ``FOLDER/NAME/``, as the archive's own zip has it; ``series_files`` says how each is written.

Source: H. A. Dau et al., "The UCR time series archive", IEEE/CAA Journal of Automatica Sinica 2019.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dctnet.data.folder import DataError
from dctnet.data.series_files import LabelledSeries, read_npz, read_text

ENDINGS = ("ts", "tsv", "txt", "csv")


class Split(NamedTuple):
    """``values`` (n, channels, length) float32, ``labels`` (n,) int64: places in the set's ``classes``; and their file."""

    values: Tensor
    labels: Tensor
    path: Path


class UCRSet(NamedTuple):
    """The two parts of a set, and its class names: in the order of numbers if all are numbers, else of text."""

    train: Split
    test: Split
    classes: list[str]


def read_ucr(folder: str | Path, name: str, z_normalise: bool = False) -> UCRSet:
    """The set ``name`` in ``folder``, its values as they are, or each series normalised.

    ``z_normalise`` takes from each channel of each series its own mean, and divides it by its own standard deviation (that of
    all its values, not an estimate: 1/length under the root); a constant becomes 0. Many sets of the archive, not all, come so.

    DataError where there is no such set, for what ``series_files`` refuses (missing values, unequal lengths, with the line),
    and where the parts differ in shape, or the test part has a class that training has not.
    """
    train, test = _parts(Path(folder), name)
    shapes = [part.values.shape[1:] for part in (train, test)]
    if shapes[0] != shapes[1]:
        told = [
            f"{part.path} has {channels} x {length}"
            for part, (channels, length) in zip((train, test), shapes, strict=True)
        ]
        raise DataError(f"{' and '.join(told)} values a series; training and test need one shape")
    classes = sorted_classes(set(train.labels))
    if unknown := [label for label in sorted_classes(set(test.labels)) if label not in classes]:
        raise DataError(
            f"{test.path} has the classes {', '.join(unknown[:5])}, which {train.path} has not ({', '.join(classes[:5])}"
            f"{', ...' if len(classes) > 5 else ''}); take both files from one copy of the set"
        )
    place = {label: index for index, label in enumerate(classes)}
    parts = []
    for part in (train, test):
        values = z_normalised(part.values) if z_normalise else part.values
        labels = torch.tensor([place[label] for label in part.labels])
        parts.append(Split(torch.from_numpy(values.astype(np.float32)), labels, part.path))
    return UCRSet(parts[0], parts[1], classes)


def z_normalised(values: np.ndarray) -> np.ndarray:
    """(x - mean) / deviation along the last axis, 0 where all values are one.

    >>> z_normalised(np.array([[1.0, 3.0], [5.0, 5.0]])).tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """
    centred = values - values.mean(axis=-1, keepdims=True)
    deviation = values.std(axis=-1, keepdims=True)
    # Of a constant, rounding alone leaves a deviation.
    constant = values.max(axis=-1, keepdims=True) == values.min(axis=-1, keepdims=True)
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, deviation))


def sorted_classes(labels: set[str]) -> list[str]:
    """Numbers by their size, else words by their letters.

    >>> sorted_classes({"10", "9", "-1"}), sorted_classes({"10", "9", "b"})
    (['-1', '9', '10'], ['10', '9', 'b'])
    """
    try:
        return sorted(labels, key=lambda label: (float(label), label))
    except ValueError:
        return sorted(labels)


def _parts(folder: Path, name: str) -> tuple[LabelledSeries, LabelledSeries]:
    """Training and test of the first form in which the set is there."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; give the one that holds {name}_TRAIN.ts and {name}_TEST.ts")
    for place in (folder, folder / name):
        for ending in ENDINGS:
            train, test = (place / f"{name}_{part}.{ending}" for part in ("TRAIN", "TEST"))
            if train.is_file() and test.is_file():
                return read_text(train), read_text(test)
            if train.is_file() or test.is_file():
                raise DataError(
                    f"there is {train if train.is_file() else test}, but not {test if train.is_file() else train}"
                )
        if (place / f"{name}.npz").is_file():
            return read_npz(place / f"{name}.npz", "train"), read_npz(place / f"{name}.npz", "test")
    known = ucr_names(folder)
    raise DataError(
        f"there is no set {name!r} in {folder}: no {name}_TRAIN.ts (nor .tsv, .txt, .csv), and no {name}.npz, there or in "
        f"{folder / name}. Sets that are there: {', '.join(known[:20]) or 'none'}{', ...' if len(known) > 20 else ''}."
    )


def ucr_names(folder: str | Path) -> list[str]:
    """The names of the sets in ``folder``, sorted."""
    folder = Path(folder)
    files = [path for pattern in ("*", "*/*") for path in folder.glob(pattern) if path.is_file()]
    texts = {
        path.stem.removesuffix("_TRAIN")
        for path in files
        if path.stem.endswith("_TRAIN") and path.suffix[1:] in ENDINGS
    }
    return sorted(texts | {path.stem for path in files if path.suffix == ".npz"})
