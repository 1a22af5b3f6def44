"""The loader for GPUs that train faster than workers can crop: NVIDIA DALI carries coefficients, the device transforms them.

    headers, draws     ->  decode, keep the windows  ->  DALI pipeline  ->  lifted transform of the whole batch
    thread 1, ahead        thread 2, ahead: C++          to the device      on the device, a few kernels
                                                                (CPU: by thread 2 already)

No worker processes: reading and decoding need no GIL, and run on ``threads`` threads. A pass reads ``prefetch`` batches
ahead. Of each file only the blocks that the transform reads are kept, decoded straight to their place in the batch; its
memory is used again, what was used last before the rest.

DALI gets each batch as three arrays in pinned memory, the windows of all pictures one below the other
(``transforms.batched``); one array a picture keeps the interpreter busier (``dctnet bench dali`` measures the routes). On
the CPU there is nowhere to carry them to, and a CPU pipeline copies what leaves it into fresh memory, for as much again as
the decoder takes: there DALI delivers the number of samples of each batch, in order, and the planes stay where they are.

A pass that is dropped may end on any thread, wherever the garbage collector runs, also on one of its own: only the thread
that asked for its batches waits for its threads to end.

The batches are those of ``torch_loader.KeyedLoader`` with the same arguments: same samples, same draws, same account of
what could not be read, same place to resume from.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dctnet.arguments import whole
from dctnet.data.batch import Batch
from dctnet.data.batch_memory import Slot, Slots
from dctnet.data.batch_reader import BatchReader, Opened, Ready
from dctnet.data.dali_pipeline import lent, load_dali, pipeline, received
from dctnet.data.folder import DataError
from dctnet.data.keyed_sampling import KeyedBatches, SampleKey
from dctnet.data.passes import Account, Resumable, check_settings
from dctnet.transforms.compose import Compose


def carried(
    reader: BatchReader,
    batches: Iterable[Sequence[SampleKey]],
    slots: Slots,
    prefetch: int = 2,
    device: int | None = None,
    *,
    arrays: bool,
) -> Iterator[Ready]:
    """The batches of these keys, read ahead by two threads and delivered by a DALI pipeline.

    With ``arrays`` DALI carries what was read, to the ``device``; without, it delivers the numbers of samples, one after the
    other, and what was read stays where it is. What a batch holds is overwritten once the next is asked for.
    """
    consumer = threading.current_thread()
    opener, decoder = ThreadPoolExecutor(1, "dctnet-open"), ThreadPoolExecutor(1, "dctnet-decode")
    keys = iter(batches)
    waiting: deque[Future[tuple[Ready, Slot]]] = deque()
    under_way: deque[tuple[Ready, Slot]] = deque()

    def read(opened: Future[Opened]) -> tuple[Ready, Slot]:
        slot = slots.take()
        return reader.read(opened.result(), slot.empty), slot

    def read_ahead() -> None:
        for batch in keys:
            waiting.append(decoder.submit(read, opener.submit(reader.open, batch)))
            if len(waiting) > prefetch:
                return

    def source() -> list[Any]:
        read_ahead()
        if not waiting:
            raise StopIteration
        under_way.append(waiting.popleft().result())
        ready, _ = under_way[-1]
        return lent(ready.packed or reader.nothing()) if arrays else [[np.array([ready.batch.planned])]]

    try:
        through = pipeline(source, 3 if arrays else 1, device, no_copy=arrays)
        while True:
            try:
                outputs = through.run()
            except StopIteration:
                return
            ready, slot = under_way.popleft()
            if arrays and ready.packed is not None:
                ready = ready._replace(packed=type(ready.packed)(*(received(plane, device) for plane in outputs)))
            yield ready
            slots.give_back(slot)
    finally:
        for executor in (decoder, opener):
            executor.shutdown(wait=False, cancel_futures=True)
        if threading.current_thread() is consumer:
            for executor in (decoder, opener):
                executor.shutdown()


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
        dataset: Any,
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
        self.dataset, self.device, self.prefetch = dataset, device, prefetch
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
        self.reader = BatchReader(dataset, threads, self.dtype, finish=device is None)
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
        ready = carried(self.reader, keys, self.slots, self.prefetch, self.device, arrays=self.device is not None)
        with closing(ready):
            batches = (one.transformed(self.dtype) for one in ready)
            yield from self.account.follow(batches, keys.share())
