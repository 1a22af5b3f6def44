"""A batch made in C++: crops drawn here, then each picture decoded, lifted, normalised and written into its place.

Equal to what the transform makes of each sample by itself, to the rounding of float32 (1e-3 gray levels), from the same
draws. Where a chain does more than one lifted operator, C++ does the crops and resizes in front, and each picture goes on
from there. A sample that C++ does not take (a damaged file, one of a kind that comes through pixels) is loaded by itself,
and so is every sample where the transform is no ``Compose`` or nothing is in front.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from dctnet.bands import BAND_SETS, Bands
from dctnet.coefficients import Coefficients, Grid, SelectedBands, grid_420, stack
from dctnet.data.batch import Batch, Item, Samples, collate, load_item
from dctnet.data.broken import Broken
from dctnet.data.keyed_sampling import SampleKey, sample_generator, sample_seeds
from dctnet.jpeg import _native
from dctnet.jpeg.image import sampling_grid
from dctnet.jpeg.reader import MAX_PIXELS
from dctnet.transforms.compose import Compose
from dctnet.transforms.reduced import Reduced
from dctnet.transforms.separable import Separable

FILES_AT_ONCE = 32  # whose bytes are held in memory


class Lifting:
    """A reduced transform in the form that ``_native`` takes: ``formats``, ``dtype`` and ``kind`` of the planes it writes.

    ``rest``: what is still to be done to each picture afterwards (``finished``), if anything. ``bands`` are the channels
    that the planes hold (default: all 64), ``scale`` three vectors that multiply them (default: ones). ValueError for a
    dtype other than float32, float16 and bfloat16.
    """

    DTYPES = (torch.float32, torch.float16, torch.bfloat16)

    def __init__(
        self,
        reduced: Reduced,
        dtype: torch.dtype = torch.float32,
        bands: Bands = BAND_SETS[192],
        scale: Sequence[Sequence[float]] | None = None,
        rest: Compose | None = None,
    ):
        if dtype not in self.DTYPES:
            raise ValueError(f"batches are written as one of {self.DTYPES}; got {dtype}")
        self.reduced, self.dtype, self.rest = reduced, dtype, rest
        luma, chroma = reduced.block_size
        whole = [len(kept) for kept in reduced.bands] == [luma**2, chroma**2, chroma**2]
        self.kind = Coefficients if whole else SelectedBands
        self.formats = tuple(
            _native.PlaneFormat(
                list(bands[plane]),
                [] if scale is None else [float(value) for value in scale[plane]],
                block_size,
                list(reduced.bands[plane]),
                [] if reduced.gain is None else reduced.gain[plane].tolist(),
                [] if reduced.shift is None else reduced.shift[plane].tolist(),
            )
            for plane, block_size in enumerate((luma, chroma, chroma))
        )

    def outputs(self, count: int, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Tensors ``(count, rows, columns, bands)`` to be filled with pictures that become ``size``, in reused memory."""
        shapes = [
            (count, *blocks, len(bands))
            for blocks, bands in zip(self.reduced.blocks(size), self.reduced.bands, strict=True)
        ]
        return tuple(
            torch.from_numpy(_native.memory(math.prod(shape) * self.dtype.itemsize)).view(self.dtype).view(shape)
            for shape in shapes
        )

    def finished(
        self,
        planes: Coefficients,
        size: tuple[int, int],
        sizes: Sequence[tuple[int, int]],
        generators: Iterable[torch.Generator],
    ) -> Coefficients:
        """The lifted ``planes`` (n, ...) of pictures of ``size`` after the ``rest``, which draws on after the lifted operator.

        ``sizes``: of the pictures before the operator was drawn, from the same ``generators``.
        """
        if self.rest is None:
            return planes
        made = []
        for number, (drawn, generator) in enumerate(zip(sizes, generators, strict=True)):
            for transform in self.reduced.geometric:  # only for the numbers that it takes from the generator
                drawn = transform.draw(drawn, generator).size
            picture = planes.map(lambda plane, number=number: plane[number])
            made.append(self.rest(Picture(picture, grid_420(size)), generator))
        return stack(made)


class Picture(NamedTuple):
    """What ``Compose`` takes."""

    coefficients: Coefficients
    grid: Grid


def lifting_of(transform: object, bands: Bands = BAND_SETS[192]) -> Lifting | None:
    """How C++ does ``transform`` to whole batches; None where it is no ``Compose``, has no lifted operator in front, or
    writes another type than C++ does.
    """
    return _lifting_of(transform, bands) if isinstance(transform, Compose) else None


@lru_cache(maxsize=16)
def _lifting_of(transform: Compose, bands: Bands) -> Lifting | None:
    dtype = transform.dtype or torch.float32
    if dtype not in Lifting.DTYPES:
        return None
    reduced = transform.reduced()
    if reduced is not None:
        return Lifting(reduced, dtype, bands)
    front, rest = transform.parted()
    return Lifting(front.reduced(), torch.float32, bands, rest=rest) if front.transforms else None


class Drawn(NamedTuple):
    """Of a list of pictures those that the transform fits, ``operators`` of these as ``_native`` takes them, and the sizes
    that they come to."""

    chosen: list[int]
    operators: np.ndarray | list[Separable]
    sizes: set[tuple[int, int]]


GRAY = ((2, 2), (1, 1), (1, 1))  # the chroma that a picture without has


def draw_files(
    reduced: Reduced, heads: Sequence[tuple[Any, ...] | None], seed: int, keys: Sequence[SampleKey]
) -> Drawn:
    """What each key draws for the file with these headers: (size, sampling), or None for an unreadable file."""
    chosen = [number for number, head in enumerate(heads) if head is not None]
    if not chosen:
        return Drawn([], [], set())
    sizes = np.array([heads[number][0] for number in chosen], dtype=np.int64)
    sampling = np.array([heads[number][1] if len(heads[number][1]) == 3 else GRAY for number in chosen])
    drawn = draw_at_once(reduced, sizes, sampling, seed, [keys[number] for number in chosen])
    if drawn is not None:
        return Drawn(chosen, drawn[0], {drawn[1]})
    singly = {number: _drawn(reduced, heads[number], seed, keys[number]) for number in chosen}
    fitting = {number: operators for number, operators in singly.items() if operators is not None}
    return Drawn(list(fitting), list(fitting.values()), {operators.size for operators in fitting.values()})


def draw_at_once(
    reduced: Reduced, sizes: np.ndarray, sampling: np.ndarray, seed: int, keys: Sequence[SampleKey]
) -> tuple[np.ndarray, tuple[int, int]] | None:
    """``Reduced.operators_of_many`` as the keys draw them; None, too, where a transform does not fit one of the pictures."""
    try:
        return reduced.operators_of_many(sizes, sampling, _native.Streams(sample_seeds(seed, keys)))
    except ValueError:
        return None


class Files(Samples, Protocol):
    """Samples that are files, with the transform and the seed that they are drawn by."""

    transform: object
    seed: int

    def source(self, index: int) -> str | bytes:
        """The path of a sample's file, or its bytes. OSError where they cannot be had."""

    def label(self, index: int) -> int:
        """The label of a sample."""


def load_files(dataset: Files, keys: Sequence[SampleKey], threads: int = 1) -> Batch:
    """The samples ``keys``, decoded on ``threads`` threads. ValueError where their shapes differ."""
    lifting, outputs, size = lifting_of(dataset.transform), None, None
    if lifting is None:
        return collate([load_item(dataset, key) for key in keys])
    reduced = lifting.reduced
    single = []  # places whose samples are loaded one by one
    sizes = {}  # of the pictures in the others
    for start in range(0, len(keys), FILES_AT_ONCE):
        part = keys[start : start + FILES_AT_ONCE]
        files = _native.Files([_source(dataset, key.index) for key in part], threads, MAX_PIXELS)
        drawn = draw_files(reduced, files.heads, dataset.seed, part)
        single += [start + number for number in sorted(set(range(len(part))) - set(drawn.chosen))]
        if len({reduced.blocks(size) for size in drawn.sizes | ({size} if size else set())}) > 1:
            return collate([load_item(dataset, key) for key in keys])  # which says what is wrong
        if not drawn.chosen:
            continue
        if outputs is None:
            size = next(iter(drawn.sizes))
            outputs = lifting.outputs(len(keys), size)
        places = [start + number for number in drawn.chosen]
        loaded = files.load(drawn.chosen, drawn.operators, lifting.formats, outputs, places, threads)
        single += [place for place, good in zip(places, loaded, strict=True) if not good]
        sizes |= {start + number: tuple(files.heads[number][0]) for number in drawn.chosen}
    if outputs is None:
        return collate([load_item(dataset, key) for key in keys])
    planes = lifting.kind(*(plane.movedim(-1, -3) for plane in outputs))
    if lifting.rest is not None:
        planes = _after(lifting, planes, size, {p: s for p, s in sizes.items() if p not in single}, dataset.seed, keys)
    return _joined(dataset, keys, planes, {place: load_item(dataset, keys[place]) for place in sorted(single)})


def _after(
    lifting: Lifting,
    planes: Coefficients,
    size: tuple[int, int],
    sizes: dict[int, tuple[int, int]],
    seed: int,
    keys: Sequence[SampleKey],
) -> Coefficients:
    """The places in ``sizes`` finished; what stands in the others counts for nothing."""
    if not sizes:
        return planes
    places = torch.tensor(list(sizes))
    lifted = planes if len(sizes) == len(keys) else planes.map(lambda plane: plane[places])
    generators = (sample_generator(seed, keys[place]) for place in sizes)
    made = lifting.finished(lifted, size, list(sizes.values()), generators)
    where = torch.zeros(len(keys), dtype=torch.int64)
    where[places] = torch.arange(len(places))
    return made if len(sizes) == len(keys) else made.map(lambda plane: plane[where])


def _source(dataset: Files, index: int) -> str | bytes:
    """The source of a sample; where there is none, bytes that are no JPEG: loading it by itself will say what is wrong."""
    try:
        return dataset.source(index)
    except OSError:
        return b""


def _drawn(reduced: Reduced, head: tuple[Any, ...], seed: int, key: SampleKey) -> Separable | None:
    """The operators of one file; None where they do not fit it, which loading it by itself will say, if it is whole."""
    try:
        return reduced.operators(sampling_grid(*head), sample_generator(seed, key))
    except ValueError:
        return None


def _joined(dataset: Files, keys: Sequence[SampleKey], planes: Coefficients, single: dict[int, Item | Broken]) -> Batch:
    """The batch of the planes and of what was loaded by itself, without the broken ones."""
    good = {place: item for place, item in single.items() if isinstance(item, Item)}
    for place, item in good.items():
        shapes = sorted({tuple(tuple(p.shape[-3:]) for p in sample) for sample in (planes, item.coefficients)})
        if len(shapes) > 1:
            raise ValueError(
                f"a batch needs samples of one shape; got 2 different ones, {shapes}. "
                "Resize or crop the pictures to one size first."
            )
        for plane, sample in zip(planes, item.coefficients, strict=True):
            plane[place] = sample
    places = [place for place in range(len(keys)) if place in good or place not in single]
    if len(places) < len(keys):
        kept = torch.tensor(places, dtype=torch.int64)
        planes = planes.map(lambda plane: plane.movedim(-3, -1).index_select(0, kept).movedim(-1, -3))
    indices = [keys[place].index for place in places]
    return Batch(
        planes if places else None,
        torch.tensor([dataset.label(index) for index in indices], dtype=torch.int64),
        torch.tensor(indices, dtype=torch.int64),
        len(keys),
        tuple(item for item in single.values() if isinstance(item, Broken)),
        tuple(item.through_pixels for item in good.values() if item.through_pixels),
    )
