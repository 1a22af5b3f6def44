"""WebDataset tar shards of JPEG files on a disk, as a data set: samples are drawn by their keys as those of ``JPEGFolder``."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from dctnet.coefficients import Coefficients
from dctnet.data.batch import Batch
from dctnet.data.folder import DataError, Sample, Transform, load
from dctnet.data.keyed_sampling import SampleKey
from dctnet.data.lifted_batch import Files, load_files
from dctnet.data.tar_samples import CLASSES, Member, members, numbered_classes, read_classes
from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.reader import read_jpeg


class TarFolder(Dataset[Any]):
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

    def source(self, index: int) -> bytes:
        """The bytes of the file of sample ``index``. OSError where they cannot be read, or the tar was cut short."""
        shard, member = self._member(index)
        # Opened each time, so thousands of shards are no matter; read, as a mapped file that is cut short ends the process.
        with open(self.tars[shard], "rb") as tar:
            tar.seek(member.offset)
            data = tar.read(member.length)
        if len(data) < member.length:
            raise OSError(None, f"{self.tars[shard]} was cut short since it was opened: copy or make it again")
        return data

    def sample(self, key: SampleKey | int) -> Sample:
        """The sample as ``key`` draws it, with what the loader wants to know about its file."""
        return load_sample(self, key if isinstance(key, SampleKey) else SampleKey(0, key))

    def load_batch(self, keys: Sequence[SampleKey]) -> Batch:
        """The samples of ``keys`` that can be read, as one batch."""
        return load_files(self, keys)

    def __getitem__(self, key: SampleKey | int) -> tuple[Coefficients, int]:
        return self.sample(key)[:2]


def load_sample(pictures: Files, key: SampleKey) -> Sample:
    """A sample whose source is bytes, as ``key`` draws it. JPEGError, which names it, where it cannot be read."""
    index = key.index
    try:
        return load(pictures.source(index), pictures.label(index), key, pictures.transform, pictures.seed, read_jpeg)
    except JPEGError as error:
        raise JPEGError(pictures.path(index), error.offset, error.reason) from error
