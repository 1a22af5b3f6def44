"""The loader for tar shards that are read from front to back: batches of ``TarStream``, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlparse
from urllib.request import url2pathname

import torch
from torch.utils.data import DataLoader

from dctnet.data.batch import Batch, collate
from dctnet.data.folder import DataError, Transform
from dctnet.data.keyed_sampling import KeyedBatches
from dctnet.data.passes import Account, Resumable, check_settings
from dctnet.data.store_index import read_json
from dctnet.data.tar_samples import CLASSES, expand, is_stream, read_classes
from dctnet.data.tar_stream import TarStream
from dctnet.data.worker_errors import from_workers


class Shards(NamedTuple):
    """Tar shards, the number of their pictures and the names of their classes."""

    urls: list[str]
    samples: int
    classes: list[str]


def is_pattern(root: str) -> bool:
    """Whether ``root`` names tar shards to stream, rather than a folder.

    >>> [is_pattern(root) for root in ("s3://bucket/a-{00..99}.tar", "tars/a-{00..99}.tar", "data/tars")]
    [True, True, False]
    """
    return is_stream(root) or root.endswith(".tar")


def open_shards(pattern: str, samples: int | None = None, class_names: str | None = None) -> Shards:
    """The shards of a pattern.

    Of files on a disk, ``dctnet pack --format webdataset`` has left the numbers of pictures beside them (``shard-*.json``) and
    the names of classes (``classes.json``); they need not be given. DataError where a number or the names are missing.
    """
    urls = expand(pattern)
    paths = [_path(url) for url in urls]
    local = [path for path in paths if path is not None]
    if samples is None:
        marks = [path.with_suffix(".json") for path in local]
        if len(marks) < len(urls) or not all(mark.is_file() for mark in marks):
            raise DataError(
                f"how many pictures the {len(urls)} shards of {pattern} hold has to be said, as it cannot be seen without "
                "reading all: --data.samples N. It is what an epoch has."
            )
        samples = sum(int(read_json(mark)["records"]) for mark in marks)
    if class_names is None:
        if not local or not (local[0].parent / CLASSES).is_file():
            raise DataError(
                f"the classes of {pattern} have to be named: --data.class_names FILE.json, a JSON list in the order of labels"
            )
        class_names = str(local[0].parent / CLASSES)
    return Shards(urls, samples, read_classes(class_names))


def _path(url: str) -> Path | None:
    """The file on a disk that ``url`` is, if it is one."""
    if url.startswith("file:"):
        return Path(url2pathname(urlparse(url).path))
    return None if is_stream(url) else Path(url)


class StreamLoader(Resumable):
    """Shuffled batches of tar shards for training, ``samples // batch_size`` of them an epoch, the same number on each rank.

    Shards are dealt out to the ranks and their ``workers`` (at most one a shard), anew each epoch; see ``TarStream``. A worker
    whose shards hold fewer pictures than its share begins them again, what others have more is left out: with shards of
    one size, and their number a multiple of ranks times workers, all pictures come once, but for the last batch.

    Each worker's order is keyed by ``(seed, epoch, rank, worker)``, so a run may be resumed within an epoch with the same
    ``batch_size``, ``ranks`` and ``workers``: what was handed out is read again, but not decoded. With others it may be
    resumed where an epoch ends. The other arguments, and what happens with pictures that cannot be read, are those of
    ``KeyedLoader``. ValueError for numbers out of range, and for more ranks than shards; DataError for labels
    without a name.
    """

    def __init__(
        self,
        shards: Shards,
        transform: Transform | None,
        batch_size: int,
        *,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
        workers: int = 0,
        pin_memory: bool = False,
        prefetch: int = 2,
        shuffle: int = 1000,
        max_broken: float = 0.01,
        report: bool = True,
        broken_list: str | Path | None = None,
    ):
        check_settings(batch_size, workers, prefetch, max_broken)
        batches = KeyedBatches(shards.samples, batch_size, drop_last=True, rank=rank, ranks=ranks)
        own = batch_size // ranks
        self.stream = TarStream(
            shards.urls, transform, batch_size=own, seed=seed, rank=rank, ranks=ranks, shuffle=shuffle
        )
        self.stream.batches = len(batches)
        self.workers = min(workers, len(shards.urls) // ranks)
        self.pin_memory, self.prefetch = pin_memory, prefetch
        self.sampler = self.place = batches.sampler  # Lightning looks for `set_epoch` there
        self.account = Account(self.place, max_broken, report, broken_list)
        self.asked, self.classes = batches.share(), len(shards.classes)
        self.dealt = {"batch_size": batch_size, "ranks": ranks, "workers": self.workers}

    def __len__(self) -> int:
        """Batches in a whole epoch, the same on every rank."""
        return self.stream.batches

    def __iter__(self) -> Iterator[Batch]:
        # A generator: the place is looked up at the first `next`, after Lightning has named the epoch.
        self.stream.epoch, self.stream.start = self.place.begin()
        batches = DataLoader(
            self.stream,
            batch_size=None,
            collate_fn=collate,
            num_workers=self.workers,
            pin_memory=self.pin_memory,
            prefetch_factor=self.prefetch if self.workers > 0 else None,
            generator=torch.Generator().manual_seed(0),  # so that the network's generator is left alone
        )
        named = map(self._named, from_workers(batches))
        yield from self.account.follow(named, self.asked)

    def _named(self, batch: Batch) -> Batch:
        """The batch; DataError where it has a label without a name."""
        if len(batch.labels) and int(batch.labels.max()) >= self.classes:
            raise DataError(
                f"the shards have labels up to {int(batch.labels.max())} at least, {self.classes} classes are named"
            )
        return batch

    def state_dict(self) -> dict[str, Any]:
        """The epoch, how many of its batches were handed out, and how they were dealt out."""
        return super().state_dict() | self.dealt

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on at the place that ``state_dict`` gave. DataError within an epoch that was dealt out in another way."""
        before = {name: state[name] for name in self.dealt}
        if 0 < state["batch"] < len(self) and before != self.dealt:
            raise DataError(
                f"tars that are streamed go on within an epoch only as they were dealt out, {before}; these settings are "
                f"{self.dealt}. Resume with the same, or from a checkpoint of an epoch's end."
            )
        super().load_state_dict(state)
