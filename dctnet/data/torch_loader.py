"""The data loader: workers that read, a main process that counts what could not be read.

Where C++ makes whole batches (``lifted_batch``), workers are threads of this process: it needs no interpreter, and a batch
stays where it was written. A worker process hands its batch over in shared memory, fresh each time: its pages alone take 0.2 to
0.3 ms for the 300 KB of a 224-pixel picture in float32, as much as four times the making of one from a store. Other batches
are made by Python, which wants processes.

One loader gives the same batches with any number of workers, on any number of ranks, and after resuming; see
``dctnet.data.keyed_sampling``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dctnet.data.batch import Batch, Item, collate, load_item
from dctnet.data.broken import Broken
from dctnet.data.keyed_sampling import KeyedBatches, SampleKey
from dctnet.data.lifted_batch import lifting_of
from dctnet.data.passes import Account, Resumable, check_settings
from dctnet.data.worker_errors import from_workers
from dctnet.jpeg.reader import read_jpeg


class _Tolerant(Dataset[Any]):
    """A data set whose unreadable files come as ``Broken`` instead of an exception; whole batches where it makes them."""

    def __init__(self, dataset: Dataset[Any]):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: SampleKey) -> Item | Broken:
        return load_item(self.dataset, key)

    def __getitems__(self, keys: list[SampleKey]) -> Batch | list[Item | Broken]:
        if hasattr(self.dataset, "load_batch"):
            return self.dataset.load_batch(keys)
        return [load_item(self.dataset, key) for key in keys]


class KeyedLoader(Resumable, DataLoader[Any]):
    """A ``torch.utils.data.DataLoader`` over ``JPEGFolder`` or ``FileList`` that yields ``Batch``.

    ``workers`` threads (or processes, see above; 0: none) make the batches, each ``prefetch`` ahead.
    ``batch_size`` counts the samples of a step over all ``ranks``. Iterating goes through one epoch: the one that
    ``set_epoch`` named, else the one after the last epoch that was completed. ``state_dict`` is the place in the epoch,
    counted by the batches handed out; after ``load_state_dict`` the first pass goes on with the batch after that,
    whatever the workers had read ahead when the state was taken.

    A file that cannot be read leaves its batch one sample smaller. At the end of an epoch a warning counts those that are
    new and names ten; ``broken_list`` is a CSV file that gets the names of all. As soon as they are more than the share
    ``max_broken`` of this rank's samples of the epoch, DataError is raised. Files that came through pixels are counted at
    the end of the epoch, too. Each rank counts its own files. ``report=False`` warns of nothing: the batches carry the
    names. ValueError for numbers out of range.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
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
        broken_list: str | Path | None = None,
    ):
        check_settings(batch_size, workers, prefetch, max_broken)
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
        self.threads = workers if made_in_cpp(dataset) else 0
        processes = workers - self.threads
        super().__init__(
            _Tolerant(dataset),
            batch_sampler=batches,
            collate_fn=collate,
            num_workers=processes,
            pin_memory=pin_memory,
            persistent_workers=processes > 0,
            prefetch_factor=prefetch if processes > 0 else None,
            # DataLoader draws a seed for its workers; from here, so that the network's generator is left alone.
            generator=torch.Generator().manual_seed(seed),
        )
        self.ahead = workers * prefetch
        self.place = batches.sampler
        self.account = Account(self.place, max_broken, report, broken_list)

    def __iter__(self) -> Iterator[Batch]:
        # A generator: the place is looked up at the first `next`, after Lightning has named the epoch.
        keys = self.batch_sampler
        keys.epoch, keys.start = self.place.begin()
        batches = self._from_threads() if self.threads else from_workers(self, super().__iter__)
        yield from self.account.follow(batches, keys.share())

    def _from_threads(self) -> Iterator[Batch]:
        """The batches of a pass in order, ``ahead`` of them under way."""
        pool = ThreadPoolExecutor(self.threads, "dctnet-worker")
        waiting: deque[Future[Batch]] = deque()
        try:
            for keys in self.batch_sampler:
                waiting.append(pool.submit(self._make, keys))
                if len(waiting) > self.ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _make(self, keys: list[SampleKey]) -> Batch:
        batch = self.dataset.dataset.load_batch(keys)
        if not self.pin_memory or batch.coefficients is None:
            return batch
        return batch._replace(coefficients=batch.coefficients.map(Tensor.pin_memory))


def made_in_cpp(dataset: Dataset[Any]) -> bool:
    """Whether C++ makes the batches of ``dataset``, and all of them: what follows a lifted operator is done in Python."""
    if getattr(dataset, "read", read_jpeg) is not read_jpeg or not hasattr(dataset, "load_batch"):
        return False
    lifting = lifting_of(dataset.transform)
    return lifting is not None and lifting.rest is None
