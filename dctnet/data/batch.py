"""What a loader hands out: a batch, and what of it could not be read."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from dctnet.coefficients import Coefficients, stack
from dctnet.data.broken import Broken
from dctnet.data.keyed_sampling import SampleKey
from dctnet.jpeg.errors import JPEGError


class ThroughPixels(NamedTuple):
    """A file that was read through pixels, and why."""

    path: str
    reason: str


class Batch(NamedTuple):
    """What one rank gets at one step.

    ``coefficients`` of n samples (None when n is 0), ``labels`` and ``indices`` (n,) int64. ``planned`` is the number of
    samples that were asked for: n and the files that could not be read, which ``broken`` names. ``through_pixels`` names
    those of the n whose files hold no coefficients that we read, and came through pixels.
    """

    coefficients: Coefficients | None
    labels: Tensor
    indices: Tensor
    planned: int
    broken: tuple[Broken, ...]
    through_pixels: tuple[ThroughPixels, ...] = ()

    @property
    def inputs(self) -> Coefficients | None:
        """What the network gets."""
        return self.coefficients


class Item(NamedTuple):
    """One sample on its way into a batch."""

    coefficients: Coefficients
    label: int
    index: int
    through_pixels: ThroughPixels | None = None


class Samples(Protocol):
    """A data set whose samples are drawn by keys. One that also has ``load_batch(keys) -> Batch`` makes batches itself."""

    def path(self, index: int) -> str:
        """The name of a sample for messages."""

    def sample(self, key: SampleKey) -> tuple[Coefficients, int, str | None]:
        """Coefficients, label, and why the file was read through pixels (None: it was not)."""


def why_broken(error: JPEGError | OSError) -> str:
    """What is wrong with a file, with the byte where reading stopped if there is one."""
    if isinstance(error, JPEGError):
        return error.reason if error.offset is None else f"byte {error.offset}: {error.reason}"
    return error.strerror or str(error)


QUIETLY = threading.Lock()  # the filters of warnings belong to all threads


def load_item(dataset: Samples, key: SampleKey) -> Item | Broken:
    """One sample; ``Broken`` instead of an exception where its file cannot be read.

    The reader's own warning of files that come through pixels is silent here: each worker would give it. The loader
    counts them and warns once.
    """
    path = dataset.path(key.index)
    try:
        with QUIETLY, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*read through pixels")
            coefficients, label, from_pixels = dataset.sample(key)
    except (JPEGError, OSError) as error:
        return Broken(path, why_broken(error))
    return Item(coefficients, label, key.index, ThroughPixels(path, from_pixels) if from_pixels else None)


def collate(items: Batch | Sequence[Item | Broken]) -> Batch:
    """A batch of the samples that could be read; a ``Batch`` as it is. ValueError where the shapes of samples differ."""
    if isinstance(items, Batch):
        return items
    good = [item for item in items if not isinstance(item, Broken)]
    return Batch(
        stack([item.coefficients for item in good]) if good else None,
        torch.tensor([item.label for item in good], dtype=torch.int64),
        torch.tensor([item.index for item in good], dtype=torch.int64),
        len(items),
        tuple(item for item in items if isinstance(item, Broken)),
        tuple(item.through_pixels for item in good if item.through_pixels),
    )
