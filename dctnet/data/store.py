"""A packed store as a data set: what ``JPEGFolder`` is for files, without entropy decoding. See ``store_format``."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dctnet.coefficients import Coefficients, Grid, stack
from dctnet.data.batch import Batch, why_broken
from dctnet.data.broken import Broken
from dctnet.data.folder import DataError, Sample, Transform
from dctnet.data.keyed_sampling import SampleKey, sample_generator
from dctnet.data.lifted_batch import draw_at_once, lifting_of
from dctnet.data.shard_file import ShardFile
from dctnet.data.store_format import Layout, Record, blocks, read_record
from dctnet.data.store_index import mend_advice, open_shard, read_index
from dctnet.jpeg import _native
from dctnet.jpeg.errors import JPEGError

MOST_OPEN = 256  # shards in one process, which may have about 1000 files open


class StoredImage(NamedTuple):
    """A picture of a store: planes ``(64, H/8, W/8)``, bands that were not kept are zero, and their grid.

    int16 where the store holds the integers of the file, float32 otherwise.
    """

    coefficients: Coefficients
    grid: Grid
    source: str


class StoreFolder(Dataset[Any]):
    """The pictures of a packed store as ``(Coefficients, label)``, in the order in which ``JPEGFolder`` has the files.

    ``transform(image, generator=g)`` gets a ``StoredImage`` and the generator that ``JPEGFolder`` would give it: keyed by
    ``(seed, epoch, index)``. ``classes`` gives the names and their order where they are known already.

    Opening checks the index, the sizes of all files, and the tables with their checksums; each record is checked against its
    own when it is first read by a process. Shards are opened when they are first read, by each process for itself, and the
    ``MOST_OPEN`` last used stay open; in a pickle goes the path. DataError names damaged shards, and folders that are no
    store; JPEGError a damaged record; OSError a shard that was cut short since it was opened.
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
        self.index = read_index(root)
        self.classes = self.index.classes if classes is None else list(classes)
        self.class_to_idx = {name: label for label, name in enumerate(self.classes)}
        if unknown := [name for name in self.index.classes if name not in self.class_to_idx]:
            raise DataError(
                f"{root} has classes that are none of the training set: {', '.join(unknown[:5])}"
                f"{', ...' if len(unknown) > 5 else ''} (known: {', '.join(self.classes[:5])}"
                f"{', ...' if len(self.classes) > 5 else ''})"
            )
        tables, damaged = [], []
        for shard in self.index.shards:
            try:
                tables.append(open_shard(self.root, shard, self.index.layout, len(self.index.classes)))
            except DataError as error:
                damaged.append(str(error))
        if damaged:
            raise DataError(
                f"{len(damaged)} of {len(self.index.shards)} shards of {root} are damaged: {'; '.join(damaged[:5])}"
                f"{'; ...' if len(damaged) > 5 else ''}. {mend_advice(root)}"
            )
        self.table = np.concatenate(tables)
        self.first = [0, *accumulate(map(len, tables))]  # of each shard, and the end
        self.labels = np.array([self.class_to_idx[name] for name in self.index.classes], dtype=np.int64)[
            self.table["label"]
        ]
        self.places = self.table[["offset", "length", "crc"]]
        files = [(f"{root}/{shard.name}.bin", shard.bytes) for shard in self.index.shards]
        self.shard_file = lru_cache(MOST_OPEN)(lambda number: ShardFile(*files[number]))
        self.checked = np.zeros(len(self.table), dtype=bool)

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, (self.root, self.transform, self.seed, self.classes)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def layout(self) -> Layout:
        """Bands, type and size of all records."""
        return self.index.layout

    def label(self, index: int) -> int:
        """The label of sample ``index``."""
        return int(self.labels[index])

    def path(self, index: int) -> str:
        """The name of the source file of sample ``index``, below the store's folder; where its shard is gone, that."""
        offset, length, _ = self.places.item(index)
        name = int(self.table["name"][index])
        number = bisect_right(self.first, index) - 1
        try:
            data = self.shard_file(number).read(offset + length - name, name)
        except OSError:
            return f"{self.root}/{self.index.shards[number].name}.bin, record {index - self.first[number]}"
        return str(self.root / data.decode("utf-8", "surrogateescape"))

    def _bytes(self, index: int) -> np.ndarray:
        """The bytes of record ``index``. JPEGError where it is damaged, OSError where its shard was cut short."""
        number = bisect_right(self.first, index) - 1
        offset, length, crc = self.places.item(index)
        data = self.shard_file(number).read(offset, length)
        if not self.checked[index]:
            if zlib.crc32(data) != crc:
                raise JPEGError(
                    f"{self.root}/{self.index.shards[number].name}.bin",
                    offset,
                    f"record {index - self.first[number]} does not match its checksum: the shard is damaged. "
                    f"`dctnet pack --verify {self.root}` names all such shards",
                )
            self.checked[index] = True
        return np.frombuffer(data, np.uint8)

    def record(self, index: int) -> Record:
        """The values of sample ``index`` as they are stored. JPEGError where it is damaged, OSError where it is cut short."""
        if not 0 <= index < len(self.table):
            raise IndexError(f"{self.root} has {len(self.table)} records; there is no record {index}")
        return read_record(self._bytes(index), self.table[index].tolist(), self.layout)

    def image(self, index: int) -> StoredImage:
        """The picture of sample ``index`` with all 64 bands."""
        record = self.record(index)
        exact = self.layout.dtype == "int16" and all((scale == 1).all() for scale in record.scales)
        planes = (
            _whole(values, scale, bands, exact)
            for values, scale, bands in zip(record.planes, record.scales, self.layout.bands, strict=True)
        )
        return StoredImage(Coefficients(*planes), record.grid, self.path(index))

    def sample(self, key: SampleKey | int) -> Sample:
        """The sample as ``key`` draws it."""
        key = key if isinstance(key, SampleKey) else SampleKey(0, key)
        image = self.image(key.index)
        coefficients = image.coefficients
        if self.transform is not None:
            coefficients = self.transform(image, generator=sample_generator(self.seed, key))
        return Sample(coefficients, self.label(key.index), None)

    def load_batch(self, keys: Sequence[SampleKey]) -> Batch:
        """The samples of ``keys`` as one batch, damaged records left out and named; what ``collate`` makes of them singly.

        A ``Compose`` that can be reduced (``Compose.reduced``) is done for the whole batch in one call of C++.
        """
        records: dict[int, np.ndarray] = {}
        broken: dict[int, Broken] = {}
        for index in {key.index for key in keys}:
            try:
                records[index] = self._bytes(index)
            except (JPEGError, OSError) as error:
                broken[index] = Broken(self.path(index), why_broken(error))
        good = [key for key in keys if key.index not in broken]
        indices = np.array([key.index for key in good], dtype=np.int64)
        return Batch(
            self._lifted(good, [records[key.index] for key in good]) if good else None,
            torch.from_numpy(self.labels[indices]),
            torch.from_numpy(indices),
            len(keys),
            tuple(broken[key.index] for key in keys if key.index in broken),
        )

    def _lifted(self, keys: list[SampleKey], records: list[np.ndarray]) -> Coefficients:
        """The coefficients of a batch: stored integers scaled, lifted, normalised and written in one call of C++."""
        lifting = lifting_of(self.transform, self.layout.bands)
        if lifting is None:
            return self._stacked(keys)
        rows = self.table[[key.index for key in keys]]
        sizes = np.stack([rows["height"], rows["width"]], axis=1).astype(np.int64)
        drawn = draw_at_once(lifting.reduced, sizes, rows["sampling"], self.seed, keys)
        if drawn is None:
            generators = (sample_generator(self.seed, key) for key in keys)
            grids = (read_record(*pair, self.layout).grid for pair in zip(records, rows.tolist(), strict=True))
            drawn = [lifting.reduced.operators(grid, g) for grid, g in zip(grids, generators, strict=True)]
            if len({lifting.reduced.blocks(one.size) for one in drawn}) != 1:
                return self._stacked(keys)
            operators, size = drawn, drawn[0].size
        else:
            operators, size = drawn
        outputs = lifting.outputs(len(keys), size)
        places = np.stack([np.arange(len(keys)), np.zeros(len(keys), np.int64)], axis=1)
        counts = np.array(blocks(*sizes.T, rows["sampling"].transpose(1, 2, 0).astype(np.int64)))
        counts = np.ascontiguousarray(counts.transpose(2, 0, 1))
        item = np.dtype(self.layout.dtype).itemsize
        _native.lift_records(records, places, counts, item, operators, lifting.formats, outputs, 1)
        planes = lifting.kind(*(output.movedim(-1, -3) for output in outputs))
        generators = (sample_generator(self.seed, key) for key in keys)
        return lifting.finished(planes, size, list(map(tuple, sizes.tolist())), generators)

    def _stacked(self, keys: list[SampleKey]) -> Coefficients:
        """The same picture by picture, which says what is wrong if something is."""
        return stack([self.sample(key).coefficients for key in keys])

    def __getitem__(self, key: SampleKey | int) -> tuple[Coefficients, int]:
        return self.sample(key)[:2]


def _opened(root: Path, transform: Transform | None, seed: int, classes: Sequence[str]) -> StoreFolder:
    return StoreFolder(root, transform, seed=seed, classes=classes)


def _whole(values: np.ndarray, scales: np.ndarray, bands: Sequence[int], exact: bool) -> Tensor:
    """A plane ``(64, rows, columns)``, blocks contiguous."""
    plane = np.zeros((*values.shape[:2], 64), np.int16 if exact else np.float32)
    plane[..., list(bands)] = values if exact else values * scales
    return torch.from_numpy(plane).movedim(-1, 0)


def verify(root: str | Path) -> list[str]:
    """What is damaged in a store, shard by shard and record by record; an empty list where all is whole.

    Reads every byte once. DataError where the index itself is missing or was changed.
    """
    root = Path(root)
    index = read_index(root)
    problems = []
    for shard in index.shards:
        try:
            table = open_shard(root, shard, index.layout, len(index.classes))
        except DataError as error:
            problems.append(str(error))
            continue
        with (root / f"{shard.name}.bin").open("rb") as file:
            for number, row in enumerate(table):
                file.seek(int(row["offset"]))
                data = file.read(int(row["length"]))
                if zlib.crc32(data) != row["crc"]:
                    name = data[len(data) - int(row["name"]) :].decode("utf-8", "backslashreplace")
                    problems.append(f"{shard.name}.bin: record {number} (of {name!r}) does not match its checksum")
    return problems
