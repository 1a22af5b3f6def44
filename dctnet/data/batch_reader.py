"""Whole batches of files, read in two steps: headers and draws, then decoding to the place in the batch. No processes.

Of each file only the blocks that the transform reads are kept, decoded straight to their place: "windows", which a device
transforms later (``transforms.batched``), or the finished planes where the decoding threads transform as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dctnet.coefficients import Coefficients
from dctnet.data.batch import Batch, ThroughPixels, why_broken
from dctnet.data.broken import Broken
from dctnet.data.keyed_sampling import SampleKey, sample_generator
from dctnet.data.lifted_batch import Drawn, Lifting, draw_files
from dctnet.jpeg import _native
from dctnet.jpeg.image import JPEGImage, sampling_grid
from dctnet.jpeg.reader import MAX_PIXELS, results_of
from dctnet.transforms.batched import Plan, plan, plan_grids
from dctnet.transforms.together import one_shape


class Ready(NamedTuple):
    """A batch read and packed, before the device transforms it; ``packed`` is None where nothing could be read.

    ``plan`` is None where ``packed`` holds the finished planes ``(n, rows, columns, bands)``.
    """

    batch: Batch
    plan: Plan | None
    packed: Coefficients | None

    def transformed(self, dtype: torch.dtype) -> Batch:
        """The batch with its coefficients, of ``dtype``."""
        if self.packed is None:
            return self.batch
        if self.plan is not None:
            return self.batch._replace(coefficients=self.plan.apply(self.packed, dtype))
        return self.batch._replace(coefficients=self.packed.map(lambda plane: plane.view(dtype).movedim(-1, -3)))


class Opened(NamedTuple):
    """The files of a batch before they are decoded.

    ``missing`` says what is wrong with samples that have no source. ``files`` and ``plan`` are None where not every
    file is a JPEG file that the decoder reads. ``plan`` is ``Drawn`` where the decoding threads apply the operators.
    """

    keys: Sequence[SampleKey]
    sources: list[Any]
    missing: dict[int, OSError]
    files: _native.Files | None
    plan: Plan | Drawn | None


class BatchReader:
    """Batches of ``dataset``, whose transform is a ``Compose``, read on ``threads`` threads with the GIL released.

    With ``finish`` the threads that decode transform as well, to ``dtype``, where the transform is one lifted operator; else
    what is read are windows. ``find_windows`` says which, and is called as ``transforms.batched.plan_grids`` is.
    """

    def __init__(
        self,
        dataset: Any,
        threads: int = 1,
        dtype: torch.dtype = torch.float32,
        *,
        finish: bool,
        find_windows: Callable[..., Plan] = plan_grids,
    ):
        self.dataset, self.threads, self.dtype, self.find_windows = dataset, threads, dtype, find_windows
        reduced = dataset.transform.reduced() if finish and dtype in Lifting.DTYPES else None
        self.lifting = Lifting(reduced, dtype) if reduced else None
        self.carrier = torch.float32 if dtype == torch.float32 else torch.int16

    def nothing(self) -> list[Tensor]:
        """Arrays without elements, for a batch of which nothing could be read."""
        dtype, dimensions = (torch.int16, 3) if self.lifting is None else (self.carrier, 4)
        return [torch.empty((0,) * dimensions, dtype=dtype)] * 3

    def open(self, keys: Sequence[SampleKey]) -> Opened:
        """The bytes and headers of these samples' files, and what the keys draw for pictures of these sizes."""
        sources: list[Any] = []
        missing: dict[int, OSError] = {}
        for place, key in enumerate(keys):
            try:
                sources.append(self.dataset.source(key.index))
            except OSError as error:  # a tar that is no longer whole
                missing[place] = error
        files = _native.Files(sources, self.threads, MAX_PIXELS)
        heads = files.heads
        if missing or not heads or None in heads:
            return Opened(keys, sources, missing, None, None)
        if self.lifting is None:
            grids, generators = [sampling_grid(*head) for head in heads], self._generators(keys)
            return Opened(keys, sources, missing, files, self.find_windows(self.dataset.transform, grids, generators))
        drawn = draw_files(self.lifting.reduced, heads, self.dataset.seed, keys)
        if len(drawn.chosen) < len(keys):
            return Opened(keys, sources, missing, None, None)
        one_shape(drawn.sizes)
        return Opened(keys, sources, missing, files, drawn)

    def read(self, opened: Opened, empty: Callable[..., Tensor] = torch.empty) -> Ready:
        """The windows of these pictures that the transforms will read, decoded into memory that ``empty`` gives."""
        keys = opened.keys
        if isinstance(opened.plan, Drawn):
            (size,), places = opened.plan.sizes, list(range(len(keys)))
            outputs, formats = self.lifting.outputs(len(keys), size), self.lifting.formats
            if all(opened.files.load(places, opened.plan.operators, formats, outputs, places, self.threads)):
                # DALI's arrays are numpy's, which has no bfloat16.
                planes = self.lifting.kind(*(plane.view(self.carrier) for plane in outputs))
                return Ready(self._batch(keys), None, planes)
        elif opened.plan is not None:
            packed = Coefficients(*(empty(opened.plan.packed_shape(plane), dtype=torch.int16) for plane in range(3)))
            if all(opened.files.pack(opened.plan.places(), [plane.numpy() for plane in packed], self.threads)):
                return Ready(self._batch(keys), opened.plan, packed)
        # Something is damaged, missing, or to be read through pixels: picture by picture, to know which and why.
        images = [opened.missing.get(place) for place in range(len(keys))]
        results = iter(results_of(opened.sources, threads=self.threads))
        images = [image or next(results) for image in images]
        good = [(key, image) for key, image in zip(keys, images, strict=True) if isinstance(image, JPEGImage)]
        path = self.dataset.path
        batch = self._batch([key for key, _ in good])._replace(
            planned=len(keys),
            broken=tuple(
                Broken(path(key.index), why_broken(image))
                for key, image in zip(keys, images, strict=True)
                if not isinstance(image, JPEGImage)
            ),
            through_pixels=tuple(
                ThroughPixels(path(key.index), image.from_pixels) for key, image in good if image.from_pixels
            ),
        )
        if not good:
            return Ready(batch, None, None)
        made = plan(self.dataset.transform, [image for _, image in good], self._generators([key for key, _ in good]))
        pictures = [image.coefficients for _, image in good]
        if self.lifting is None:
            return Ready(batch, made, made.pack(pictures, empty))
        finished = made.apply(made.pack(pictures), self.dtype)
        return Ready(batch, None, finished.map(lambda plane: plane.movedim(-3, -1).contiguous().view(self.carrier)))

    def _generators(self, keys: Sequence[SampleKey]) -> Iterator[torch.Generator]:
        return (sample_generator(self.dataset.seed, key) for key in keys)

    def _batch(self, keys: Sequence[SampleKey]) -> Batch:
        """The batch of these samples, its coefficients to come."""
        labels = torch.tensor([self.dataset.label(key.index) for key in keys], dtype=torch.int64)
        return Batch(None, labels, torch.tensor([key.index for key in keys], dtype=torch.int64), len(keys), ())
