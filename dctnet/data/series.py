"""A LightningDataModule over a set of time series, whose batches are keyed like those of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from lightning.pytorch import LightningDataModule
from torch import Tensor

from dctnet.arguments import whole
from dctnet.data.keyed_sampling import KeyedBatches
from dctnet.data.passes import Resumable
from dctnet.data.ucr import Split, UCRSet, read_ucr


class SeriesBatch(NamedTuple):
    """What one rank gets at one step: ``series`` (n, channels, length) float32, ``labels`` and ``indices`` (n,) int64.

    ``planned`` is n; None stands for the series where n is 0.
    """

    series: Tensor | None
    labels: Tensor
    indices: Tensor
    planned: int

    @property
    def inputs(self) -> Tensor | None:
        """What the network gets."""
        return self.series


class SeriesLoader(Resumable):
    """``SeriesBatch`` es of a ``Split`` that is in memory, in the order of ``KeyedBatches``: keyed by (seed, epoch).

    Each pass goes through one epoch, and after ``load_state_dict`` on from its place. ValueError as of ``KeyedBatches``.
    """

    def __init__(
        self, split: Split, batch_size: int, *, shuffle: bool = False, seed: int = 0, rank: int = 0, ranks: int = 1
    ):
        order = {"shuffle": shuffle, "pad": shuffle, "seed": seed, "rank": rank, "ranks": ranks}
        # Lightning looks for `set_epoch` at batch_sampler.sampler.
        self.split, self.batch_sampler = split, KeyedBatches(len(split.labels), batch_size, **order)
        self.place = self.batch_sampler.sampler

    def __len__(self) -> int:
        """Batches in a whole epoch, the same on every rank."""
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[SeriesBatch]:
        # A generator: the place is looked up at the first `next`, after Lightning has named the epoch.
        keyed = self.batch_sampler
        keyed.epoch, keyed.start = self.place.begin()
        for keys in keyed:
            indices = self.split.labels.new_tensor([key.index for key in keys])
            self.place.batch += 1
            values = self.split.values[indices] if keys else None
            yield SeriesBatch(values, self.split.labels[indices], indices, len(keys))


class SeriesDataModule(LightningDataModule):
    """Training and validation batches of a set of the UCR archive (``data.ucr.read_ucr``).

    **Validation is the test part as the archive publishes it**, and so is ``test``: sets have no third part, and many are too
    small to make one. So best.ckpt is chosen on the test series, and its accuracy flatters; to compare, take that of
    the last epoch.

    ``batch_size`` counts the series of a step over all processes. Training sees each series once an epoch, in an order keyed
    by ``seed`` and epoch; its last batch may be smaller. ``classes`` are the class names, ``channels`` and ``length`` those of
    a series.

    Args:
        root: folder that holds the set: NAME_TRAIN.ts and NAME_TEST.ts (or .tsv, .txt, .csv), or NAME.npz; or NAME/ with them.
        name: name of the set, such as GunPoint.
        batch_size: series of one training step, over all processes.
        seed: key of the order.
        z_normalise: bring each series to mean 0 and deviation 1; not all sets come so.
    """

    def __init__(self, root: str, name: str, batch_size: int = 16, seed: int = 0, z_normalise: bool = False):
        super().__init__()
        self.root, self.name = Path(root), name
        self.batch_size, self.seed, self.z_normalise = whole("batch_size", batch_size, 1), seed, z_normalise

    @cached_property
    def series(self) -> UCRSet:
        """The whole set. DataError where it cannot be read."""
        return read_ucr(self.root, self.name, self.z_normalise)

    @property
    def classes(self) -> list[str]:
        """The class names of the training series."""
        return self.series.classes

    @property
    def channels(self) -> int:
        """Values of a series at each moment."""
        return self.series.train.values.shape[1]

    @property
    def length(self) -> int:
        """Moments of a series."""
        return self.series.train.values.shape[2]

    def train_dataloader(self) -> SeriesLoader:
        """Shuffled."""
        return self._loader(self.series.train, shuffle=True)

    def val_dataloader(self) -> SeriesLoader:
        """The test part, in order, each series once."""
        return self._loader(self.series.test)

    def test_dataloader(self) -> SeriesLoader:
        """The same."""
        return self._loader(self.series.test)

    def _loader(self, split: Split, shuffle: bool = False) -> SeriesLoader:
        rank, ranks = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        return SeriesLoader(split, self.batch_size, shuffle=shuffle, seed=self.seed, rank=rank, ranks=ranks)


def is_of_series(settings: Mapping[str, Any]) -> bool:
    """Whether the settings ``data`` of a run are those of ``SeriesDataModule``: they name a set.

    >>> is_of_series({"root": "data/ucr", "name": "GunPoint"}), is_of_series({"root": "data/digits", "image_size": 64})
    (True, False)
    """
    return "name" in settings
