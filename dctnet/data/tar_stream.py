"""WebDataset tar shards of JPEG files from wherever the package webdataset opens them, read from front to back.

For object storage, the web, a pipe. The order is shuffled shard by shard and within a buffer of pictures that are not decoded
yet; decoded is batch by batch, in C++, as from files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import NamedTuple

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from dctnet.arguments import whole
from dctnet.data.batch import Batch
from dctnet.data.folder import DataError, Sample, Transform
from dctnet.data.keyed_sampling import SampleKey, epoch_order, mix
from dctnet.data.lifted_batch import load_files
from dctnet.data.tar_samples import TarSample, expand, open_tar, samples
from dctnet.data.webdataset_shards import load_sample


class Pictures(NamedTuple):
    """The pictures of one batch, by their indices, as ``load_files`` takes them."""

    samples: dict[int, TarSample]
    transform: Transform | None
    seed: int

    def path(self, index: int) -> str:
        """``TAR/KEY.EXTENSION``."""
        return self.samples[index].name

    def source(self, index: int) -> bytes:
        """The bytes of the file."""
        return self.samples[index].data

    def label(self, index: int) -> int:
        """The number of the ``.cls`` member."""
        return self.samples[index].label

    def sample(self, key: SampleKey) -> Sample:
        """The sample as ``key`` draws it."""
        return load_sample(self, key)


class TarStream(IterableDataset[Batch]):
    """Batches of the pictures of tar shards at the addresses ``urls`` (one with braces, or a list), for
    ``DataLoader(stream, batch_size=None, collate_fn=collate)``.

    The shards of an epoch (``set_epoch``) come in an order keyed by ``(seed, epoch)``, and are dealt out to the ``ranks`` and
    their workers; of each, samples pass through a buffer of ``shuffle`` from which they are drawn (1: all in order). The draws
    of a sample are keyed by ``(seed, epoch, shard, place in it)``: neither workers nor ranks change a picture, but they change
    the order. Labels are the numbers of the ``.cls`` members. A picture that cannot be read is left out and named.

    A pass goes once through all shards, in batches of ``batch_size`` for this rank; the last of each worker may be smaller.
    Where ``batches`` is set it is that many of this rank, all whole: a worker whose shards hold fewer begins them again, what
    is more is left out. Of these the first ``start`` are passed over, without decoding.
    ValueError where ``ranks`` are more than shards; DataError for damaged tars, and for shards without pictures.
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        transform: Transform | None = None,
        *,
        batch_size: int = 32,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
        shuffle: int = 1000,
    ):
        self.urls = expand(urls) if isinstance(urls, str) else list(urls)
        self.transform, self.seed, self.rank, self.ranks, self.shuffle = transform, seed, rank, ranks, shuffle
        self.batch_size = whole("batch_size", batch_size, 1)
        self.epoch, self.start, self.batches = 0, 0, None
        if not 0 <= rank < ranks <= len(self.urls):
            raise ValueError(
                f"{len(self.urls)} shards cannot be dealt out to rank {rank} of {ranks}: each rank needs one at least"
            )

    def set_epoch(self, epoch: int) -> None:
        """Name the epoch that the next pass goes through."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        workers = 1 if worker is None else worker.num_workers
        # Batch n is made by worker n mod workers, and the loader asks its first worker first.
        number = 0 if worker is None else (worker.id + self.start) % workers
        pictures = self._pictures(number, workers)
        for batch in count(number, workers) if self.batches is None else range(number, self.batches, workers):
            chosen = list(islice(pictures, self.batch_size))
            if not chosen:
                return
            if batch >= self.start:
                keys = [SampleKey(self.epoch, index) for index, _ in chosen]
                yield load_files(Pictures(dict(chosen), self.transform, self.seed), keys)

    def _pictures(self, number: int, workers: int) -> Iterator[tuple[int, TarSample]]:
        """(index, sample) in the order in which worker ``number`` takes them, without end where ``batches`` is set."""
        order = epoch_order(len(self.urls), self.seed, self.epoch) if self.shuffle > 1 else list(range(len(self.urls)))
        mine = order[self.rank :: self.ranks][number::workers]
        choice = np.random.default_rng(mix(self.seed, self.epoch, self.rank, number))
        waiting: list[tuple[int, TarSample]] = []
        again = True
        while again:
            found = 0
            for shard in mine:
                with open_tar(self.urls[shard]) as stream:
                    for place, sample in enumerate(samples(stream, self.urls[shard])):
                        found += 1
                        waiting.append(((shard << 32) + place, sample))
                        if len(waiting) >= max(self.shuffle, 1):
                            yield waiting.pop(int(choice.integers(len(waiting))))
            while waiting:
                yield waiting.pop(int(choice.integers(len(waiting))))
            again = self.batches is not None
            if again and not found:
                raise DataError(f"the shards {', '.join(self.urls[shard] for shard in mine[:5])} hold no pictures")
