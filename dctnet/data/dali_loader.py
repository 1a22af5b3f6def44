"""The loader for GPUs that train faster than workers can crop: NVIDIA DALI carries coefficients, the device transforms them.

    headers, draws     ->  decode, keep the windows  ->  DALI pipeline  ->  lifted transform of the whole batch
    thread 1, ahead        thread 2, ahead: C++          to the device      on the device, a few kernels
                                                                (CPU: by thread 2 already)

No worker processes: reading and decoding need no GIL, and run on ``threads`` threads. A pass reads ``prefetch`` batches
ahead. Of each file only the blocks that the transform reads are kept, decoded straight to their place in the batch; its
memory is used again, what was used last before the rest.

DALI gets each batch as three arrays in pinned memory, the windows of all pictures one below the other
(``transforms.batched``); one array a picture keeps the interpreter busier (``dctnet bench dali`` measures the routes). On
the CPU there is nowhere to carry them to, and a CPU pipeline copies what leaves it into fresh memory, for half the cost of
the decoder: there DALI passes on no more than the number of samples, and the planes stay where they are.

A pass that is dropped may end on any thread, wherever the garbage collector runs, also on one of its own: only the thread
that asked for its batches waits for its threads to end.

The batches are those of ``torch_loader.KeyedLoader`` with the same arguments: same samples, same draws, same account of
what could not be read, same place to resume from.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dctnet.arguments import whole
from dctnet.coefficients import Coefficients
from dctnet.data.batch import Batch, ThroughPixels, why_broken
from dctnet.data.batch_memory import Slot, Slots
from dctnet.data.broken import Broken
from dctnet.data.dali_pipeline import lent, load_dali, pipeline, received
from dctnet.data.folder import DataError
from dctnet.data.keyed_sampling import KeyedBatches, SampleKey, sample_generator
from dctnet.data.lifted_batch import Drawn, Lifting, draw_files
from dctnet.data.passes import Account, Resumable, check_settings
from dctnet.jpeg import _native
from dctnet.jpeg.image import JPEGImage, sampling_grid
from dctnet.jpeg.reader import MAX_PIXELS, results_of
from dctnet.transforms.batched import Plan, plan, plan_grids
from dctnet.transforms.compose import Compose
from dctnet.transforms.together import one_shape


class Ready(NamedTuple):
    """A batch read and packed, before the device transforms it; ``packed`` is None where nothing could be read.

    ``plan`` is None where ``packed`` holds the finished planes ``(n, rows, columns, bands)``.
    """

    batch: Batch
    plan: Plan | None
    packed: Coefficients | None


class Opened(NamedTuple):
    """The files of a batch before they are decoded.

    ``missing`` says what is wrong with samples that have no source. ``files`` and ``plan`` are None where not every
    file is a JPEG file that the decoder reads. ``plan`` is ``Drawn`` where the decoding threads apply the operators.
    """

    keys: Sequence[SampleKey]
    sources: list
    missing: dict[int, OSError]
    files: _native.Files | None
    plan: Plan | Drawn | None


class DALILoader(Resumable):
    """The batches of ``KeyedLoader``, decoded on ``threads`` threads, transformed on ``device`` in one go.

    On the CPU the decoding threads themselves transform, as ``lifted_batch`` does.

    ``dataset`` is a ``JPEGFolder``, ``FileList`` or ``TarFolder`` whose transform is a ``Compose`` of geometric transforms
    and ``Normalize`` or ``SelectBands``. ``device`` is None for the CPU or the number of a GPU, where the coefficients then
    are, of ``dtype``. The other arguments, iterating, ``set_epoch``, ``state_dict`` and what happens with files that cannot
    be read are those of ``KeyedLoader``. The coefficients equal its own to 1e-3 gray levels (float32).

    A pass that is given up early stops its threads when its iterator is closed or dropped. DataError where DALI is not
    installed, or CUDA is asked for where there is none; ValueError for numbers out of range, other transforms, and data sets
    that hold no files.
    """

    def __init__(
        self,
        dataset,
        batch_size: int,
        *,
        shuffle: bool = False,
        drop_last: bool = False,
        pad: bool = False,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
        threads: int = 2,
        device: int | None = None,
        dtype: torch.dtype = torch.float32,
        prefetch: int = 2,
        max_broken: float = 0.01,
        report: bool = True,
        broken_list: str | Path | None = None,
    ):
        check_settings(batch_size, 0, prefetch, max_broken)
        whole("threads", threads, 1)
        if not hasattr(dataset, "source"):
            raise ValueError(
                f"the dali loader decodes files; a {type(dataset).__name__} has none. Read it with KeyedLoader, or "
                "--data.loader store."
            )
        if not isinstance(dataset.transform, Compose):
            raise ValueError(
                f"the dali loader applies a Compose of dctnet.transforms; the data set has {dataset.transform!r}"
            )
        if device is not None and not torch.cuda.is_available():
            raise DataError(f"there is no CUDA device {device} here; device=None transforms on the CPU")
        load_dali()
        self.dataset, self.threads, self.device, self.prefetch = dataset, threads, device, prefetch
        self.dtype = dataset.transform.dtype or dtype
        if not getattr(self.dtype, "is_floating_point", False):
            raise ValueError(
                f"transformed coefficients are of a floating-point dtype, such as torch.float32; got {self.dtype}"
            )
        self.batch_sampler = KeyedBatches(
            len(dataset),
            batch_size,
            shuffle=shuffle,
            drop_last=drop_last,
            pad=pad,
            seed=seed,
            rank=rank,
            ranks=ranks,
        )
        reduced = dataset.transform.reduced() if device is None else None
        self.lifting = Lifting(reduced, self.dtype) if reduced and self.dtype in Lifting.DTYPES else None
        self.carries = device is not None
        self.carrier = torch.float32 if self.dtype == torch.float32 else torch.int16
        self.plan = plan_grids
        self.slots = Slots(device is not None)
        self.place = self.batch_sampler.sampler
        self.account = Account(self.place, max_broken, report, broken_list)

    def __len__(self) -> int:
        """Batches in a whole epoch."""
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[Batch]:
        # A generator: the place is looked up at the first `next`, after Lightning has named the epoch.
        keys = self.batch_sampler
        keys.epoch, keys.start = self.place.begin()
        yield from self.account.follow(self._transformed(), keys.share())

    def _transformed(self) -> Iterator[Batch]:
        for ready in self.carried():
            if ready.packed is None:
                yield ready.batch
            elif ready.plan is None:
                planes = ready.packed.map(lambda plane: plane.view(self.dtype).movedim(-1, -3))
                yield ready.batch._replace(coefficients=planes)
            else:
                yield ready.batch._replace(coefficients=ready.plan.apply(ready.packed, self.dtype))

    def carried(self) -> Iterator[Ready]:
        """The batches of the rest of the epoch as DALI delivers them: packed coefficients on the device, not transformed.

        What one holds is overwritten once the next is asked for.
        """
        consumer = threading.current_thread()
        opener, decoder = ThreadPoolExecutor(1, "dctnet-open"), ThreadPoolExecutor(1, "dctnet-decode")
        keys = iter(self.batch_sampler)
        waiting: deque[Future[tuple[Ready, Slot]]] = deque()
        carried: deque[tuple[Ready, Slot]] = deque()
        # Of a batch of which nothing could be read, arrays without elements keep the place.
        nothing = [torch.empty((0,) * (3 if self.lifting is None else 4), dtype=self.carried_type())] * 3

        def read_ahead() -> None:
            for batch in keys:
                waiting.append(decoder.submit(self._read, opener.submit(self.open, batch)))
                if len(waiting) > self.prefetch:
                    return

        def source() -> list:
            read_ahead()
            if not waiting:
                raise StopIteration
            carried.append(waiting.popleft().result())
            ready, _ = carried[-1]
            return lent(ready.packed or nothing) if self.carries else [[np.array([ready.batch.planned])]]

        try:
            through = pipeline(source, 3 if self.carries else 1, self.device, no_copy=self.carries)
            for _ in range(self.batch_sampler.start, len(self)):
                outputs = through.run()
                ready, slot = carried.popleft()
                if self.carries and ready.packed is not None:
                    ready = ready._replace(
                        packed=type(ready.packed)(*(received(plane, self.device) for plane in outputs))
                    )
                yield ready
                self.slots.give_back(slot)
        finally:
            for executor in (decoder, opener):
                executor.shutdown(wait=False, cancel_futures=True)
            if threading.current_thread() is consumer:
                for executor in (decoder, opener):
                    executor.shutdown()

    def carried_type(self) -> torch.dtype:
        """The type of what is packed: the coefficients of the files, or the bits of finished ones."""
        return torch.int16 if self.lifting is None else self.carrier

    def open(self, keys: Sequence[SampleKey]) -> Opened:
        """The bytes and headers of these samples' files, and what the keys draw for pictures of these sizes."""
        sources: list = []
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
            return Opened(keys, sources, missing, files, self.plan(self.dataset.transform, grids, generators))
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

    def _read(self, opened: Future[Opened]) -> tuple[Ready, Slot]:
        slot = self.slots.take()
        return self.read(opened.result(), slot.empty), slot

    def _generators(self, keys: Sequence[SampleKey]) -> Iterator[torch.Generator]:
        return (sample_generator(self.dataset.seed, key) for key in keys)

    def _batch(self, keys: Sequence[SampleKey]) -> Batch:
        """The batch of these samples, its coefficients to come."""
        labels = torch.tensor([self.dataset.label(key.index) for key in keys], dtype=torch.int64)
        return Batch(None, labels, torch.tensor([key.index for key in keys], dtype=torch.int64), len(keys), ())
