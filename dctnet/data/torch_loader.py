"""The data loader: worker processes that read, a main process that counts what could not be read.

One loader gives the same batches with any number of workers, on any number of ranks, and after resuming; see
``dctnet.data.keyed_sampling``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dctnet.coefficients import Coefficients, stack
from dctnet.data.folder import DataError
from dctnet.data.keyed_sampling import KeyedBatches, SampleKey
from dctnet.jpeg.errors import JPEGError


class Broken(NamedTuple):
    """A file that could not be read, and why."""

    path: str
    reason: str


class Batch(NamedTuple):
    """What one rank gets at one step.

    ``coefficients`` of n samples (None when n is 0), ``labels`` and ``indices`` (n,) int64. ``planned`` is the number of
    samples that were asked for: n and the files that could not be read, which ``broken`` names.
    """

    coefficients: Coefficients | None
    labels: Tensor
    indices: Tensor
    planned: int
    broken: tuple[Broken, ...]


class _Tolerant(Dataset):
    """A data set whose unreadable files come as ``Broken`` instead of an exception."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: SampleKey) -> tuple[Coefficients, int, int] | Broken:
        try:
            coefficients, label = self.dataset[key]
        except (JPEGError, OSError) as error:
            return Broken(self.dataset.path(key.index), getattr(error, "reason", None) or str(error))
        return coefficients, label, key.index


def collate(items: Sequence[tuple[Coefficients, int, int] | Broken]) -> Batch:
    """A batch of the samples that could be read. ValueError where their shapes differ."""
    good = [item for item in items if not isinstance(item, Broken)]
    return Batch(
        stack([coefficients for coefficients, _, _ in good]) if good else None,
        torch.tensor([label for _, label, _ in good], dtype=torch.int64),
        torch.tensor([index for _, _, index in good], dtype=torch.int64),
        len(items),
        tuple(item for item in items if isinstance(item, Broken)),
    )


class KeyedLoader(DataLoader):
    """A ``torch.utils.data.DataLoader`` over ``JPEGFolder`` or ``FileList`` that yields ``Batch``.

    ``batch_size`` counts the samples of a step over all ``ranks``. Iterating goes through one epoch: the one that
    ``set_epoch`` named, else the one after the last epoch that was completed. ``state_dict`` is the place in the epoch,
    counted by the batches handed out; after ``load_state_dict`` the first pass goes on with the batch after that,
    whatever the workers had read ahead when the state was taken.

    A file that cannot be read leaves its batch one sample smaller. At the end of an epoch a warning names those that are
    new; as soon as they are more than the share ``max_broken`` of this rank's samples of the epoch, DataError is raised.
    Each rank counts its own files. ``report=False`` warns of nothing: the batches carry the names.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        *,
        shuffle: bool = False,
        drop_last: bool = False,
        pad: bool = False,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
        workers: int = 0,
        pin_memory: bool = False,
        prefetch: int = 2,
        max_broken: float = 0.01,
        report: bool = True,
    ):
        batches = KeyedBatches(
            len(dataset),
            batch_size,
            shuffle=shuffle,
            drop_last=drop_last,
            pad=pad,
            seed=seed,
            rank=rank,
            ranks=ranks,
        )
        super().__init__(
            _Tolerant(dataset),
            batch_sampler=batches,
            collate_fn=collate,
            num_workers=workers,
            pin_memory=pin_memory,
            persistent_workers=workers > 0,
            prefetch_factor=prefetch if workers > 0 else None,
            # DataLoader draws a seed for its workers; from here, so that the network's generator is left alone.
            generator=torch.Generator().manual_seed(seed),
        )
        self.place = batches.sampler
        self.max_broken, self.report = max_broken, report
        self.reported: set[str] = set()

    def set_epoch(self, epoch: int) -> None:
        """Name the epoch that the next pass goes through."""
        self.place.set_epoch(epoch)

    def state_dict(self) -> dict[str, int]:
        """The epoch, and how many of its batches were handed out."""
        return {"epoch": self.place.epoch, "batch": self.place.batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on at the place that ``state_dict`` gave."""
        self.place.resume(state["epoch"], state["batch"])

    def __iter__(self) -> Iterator[Batch]:
        # A generator: the place is looked up at the first `next`, after Lightning has named the epoch.
        keys = self.batch_sampler
        keys.epoch, keys.start = self.place.begin()
        asked = keys.share()
        broken: dict[str, str] = {}
        for batch in super().__iter__():
            self.place.batch += 1
            broken.update(batch.broken)
            if len(broken) > self.max_broken * asked:
                raise DataError(self._describe(broken, asked, f"more than the share of {self.max_broken:g} allowed"))
            if self.place.batch >= len(keys):
                self._report(broken, asked)
            yield batch

    def _report(self, broken: dict[str, str], asked: int) -> None:
        """Warn of the broken files that no earlier epoch named."""
        new = {path: reason for path, reason in broken.items() if path not in self.reported}
        self.reported.update(new)
        if new and self.report:
            warnings.warn(self._describe(new, asked, "left out"), stacklevel=2)

    @staticmethod
    def _describe(broken: dict[str, str], asked: int, verdict: str) -> str:
        names = "; ".join(f"{path} ({reason})" for path, reason in list(broken.items())[:10])
        more = f"; and {len(broken) - 10} more" if len(broken) > 10 else ""
        return f"{len(broken)} of {asked} files could not be read, {verdict}: {names}{more}"
