"""WebDataset tar shards of JPEG files as data sets: with random access where they lie on a disk, else as a stream.

``TarFolder`` knows where each picture lies in its (uncompressed) tar file, so samples are drawn by their keys as those of
``JPEGFolder`` are. ``TarStream`` reads shards from wherever the package webdataset can open them (object storage, the web, a
pipe), from front to back: its order is shuffled shard by shard and within a buffer, and it cannot be resumed within an epoch.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from dctnet.coefficients import Coefficients
from dctnet.data.batch import Item, ThroughPixels
from dctnet.data.broken import Broken
from dctnet.data.folder import DataError, Sample, Transform
from dctnet.data.keyed_sampling import SampleKey, epoch_order, mix, sample_generator
from dctnet.data.tar_samples import CLASSES, Member, expand, members, numbered_classes, open_tar, read_classes, samples
from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.reader import read_jpeg


class TarFolder(Dataset):
    """The pictures of the tar shards ``root/*.tar`` as ``(Coefficients, label)``, in the order of names and members.

    Otherwise like ``JPEGFolder``. Labels are those of the ``.cls`` members; their names stand in ``root/classes.json``, a JSON
    list, or are the numbers. With ``classes`` given labels are those of the same name there. DataError for a damaged tar, for
    one that is compressed, for labels without a name.
    """

    def __init__(
        self,
        root: str | Path,
        transform: Transform | None = None,
        *,
        seed: int = 0,
        classes: Sequence[str] | None = None,
    ):
        self.root, self.transform, self.seed = Path(root), transform, seed
        self.tars = sorted(self.root.glob("*.tar"))
        if not self.tars:
            raise DataError(
                f"{root} holds no tar shards, *.tar; make some with `dctnet pack --format webdataset FOLDER {root}`"
            )
        self.members: list[list[Member]] = [members(str(path)) for path in self.tars]
        self.first = [0, *accumulate(map(len, self.members))]
        beside = self.root / CLASSES
        named = read_classes(beside) if beside.is_file() else None
        greatest = max((member.label for shard in self.members for member in shard), default=-1)
        if named is None:
            named = numbered_classes(greatest, root)
        if greatest >= len(named):
            raise DataError(f"the shards of {root} have labels up to {greatest}, {CLASSES} names {len(named)} classes")
        self.classes = named if classes is None else list(classes)
        self.class_to_idx = {name: label for label, name in enumerate(self.classes)}
        if unknown := [name for name in named if name not in self.class_to_idx]:
            raise DataError(f"{root} has classes that are none of the training set: {', '.join(unknown[:5])}")
        self.labels = [self.class_to_idx[name] for name in named]
        self.mapped: list[torch.Tensor | None] = [None] * len(self.tars)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "mapped": [None] * len(self.tars)}

    def __len__(self) -> int:
        return self.first[-1]

    def _member(self, index: int) -> tuple[int, Member]:
        if not 0 <= index < len(self):
            raise IndexError(f"{self.root} has {len(self)} pictures; there is no number {index}")
        shard = bisect_right(self.first, index) - 1
        return shard, self.members[shard][index - self.first[shard]]

    def path(self, index: int) -> str:
        """Where sample ``index`` lies: ``TAR/KEY.EXTENSION``."""
        shard, member = self._member(index)
        return f"{self.tars[shard]}/{member.key}.{member.extension}"

    def label(self, index: int) -> int:
        """The label of sample ``index``."""
        return self.labels[self._member(index)[1].label]

    def data(self, index: int) -> np.ndarray:
        """The bytes of the file of sample ``index``. OSError where the tar was cut short."""
        shard, member = self._member(index)
        if self.mapped[shard] is None:
            path = self.tars[shard]
            # A private mapping that keeps no file open, so thousands of shards are no matter.
            self.mapped[shard] = torch.from_file(str(path), shared=False, size=path.stat().st_size, dtype=torch.uint8)
        mapped = self.mapped[shard]
        if member.offset + member.length > len(mapped):
            raise OSError(None, f"{self.tars[shard]} was cut short since it was opened: copy or make it again")
        return mapped[member.offset : member.offset + member.length].numpy()

    def source(self, index: int) -> memoryview:
        """What ``read_jpegs`` takes for sample ``index``: ``data`` as a buffer."""
        return self.data(index).data

    def sample(self, key: SampleKey | int) -> Sample:
        """The sample as ``key`` draws it, with what the loader wants to know about its file."""
        key = key if isinstance(key, SampleKey) else SampleKey(0, key)
        try:
            image = read_jpeg(self.data(key.index).data)
        except JPEGError as error:
            raise JPEGError(self.path(key.index), error.offset, error.reason) from error
        coefficients = image.coefficients
        if self.transform is not None:
            coefficients = self.transform(image, generator=sample_generator(self.seed, key))
        return Sample(coefficients, self.label(key.index), image.from_pixels)

    def __getitem__(self, key: SampleKey | int) -> tuple[Coefficients, int]:
        return self.sample(key)[:2]


class TarStream(IterableDataset):
    """The pictures of tar shards at the addresses ``urls`` (one with braces, or a list), for ``DataLoader(collate_fn=collate)``.

    The shards of an epoch (``set_epoch``) come in an order keyed by ``(seed, epoch)``, and are dealt out to the ``ranks`` and
    their workers; of each, samples pass through a buffer of ``shuffle`` from which they are drawn. The draws of a sample are
    keyed by ``(seed, epoch, shard, place in it)``: neither workers nor ranks change a picture, but they change the order. A
    picture that cannot be read comes as ``Broken``. Labels are the numbers of the ``.cls`` members. ValueError where
    ``ranks`` are more than shards.
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        transform: Transform | None = None,
        *,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
        shuffle: int = 1000,
    ):
        self.urls = expand(urls) if isinstance(urls, str) else list(urls)
        self.transform, self.seed, self.rank, self.ranks, self.shuffle = transform, seed, rank, ranks, shuffle
        self.epoch = 0
        if not 0 <= rank < ranks <= len(self.urls):
            raise ValueError(
                f"{len(self.urls)} shards cannot be dealt out to rank {rank} of {ranks}: each rank needs one at least"
            )

    def set_epoch(self, epoch: int) -> None:
        """Name the epoch that the next pass goes through."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Item | Broken]:
        order = epoch_order(len(self.urls), self.seed, self.epoch) if self.shuffle > 1 else range(len(self.urls))
        worker = get_worker_info()
        mine = list(order)[self.rank :: self.ranks]
        mine = mine if worker is None else mine[worker.id :: worker.num_workers]
        choice = np.random.default_rng(mix(self.seed, self.epoch, self.rank, 0 if worker is None else worker.id))
        waiting: list[Item | Broken] = []
        for shard in mine:
            with open_tar(self.urls[shard]) as stream:
                for place, sample in enumerate(samples(stream, self.urls[shard])):
                    waiting.append(self._read(shard, place, sample))
                    if len(waiting) >= max(self.shuffle, 1):
                        yield waiting.pop(int(choice.integers(len(waiting))))
        while waiting:
            yield waiting.pop(int(choice.integers(len(waiting))))

    def _read(self, shard: int, place: int, sample) -> Item | Broken:
        try:
            image = read_jpeg(sample.data)
        except JPEGError as error:
            return Broken(sample.name, error.reason if error.offset is None else f"byte {error.offset}: {error.reason}")
        coefficients, index = image.coefficients, (shard << 32) + place
        if self.transform is not None:
            coefficients = self.transform(image, generator=sample_generator(self.seed, SampleKey(self.epoch, index)))
        return Item(
            coefficients,
            sample.label,
            index,
            ThroughPixels(sample.name, image.from_pixels) if image.from_pixels else None,
        )
