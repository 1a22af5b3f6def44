"""What DALI does for the loader: it takes the arrays of each batch to the device, one batch ahead.

DALI lets go of what it was given on threads of its own. An array that belongs to Python needs the interpreter's lock for
that, and a thread that waits for the lock while it holds one of DALI's stops, for good, a Python thread that asks for them
the other way round. So DALI is given no Python memory: numbers are copied, planes are handed over as DLPack, whose owner
is torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dctnet.data.folder import DataError

DEPTH = 2  # of DALI's own queue: one batch is on its way to the device while the one before is used


def load_dali() -> Any:
    """The module ``nvidia.dali``; DataError, which says what to install, where there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of DALI's own imports
            import nvidia.dali
            import nvidia.dali.fn
    except ImportError as error:
        raise DataError(
            f'the dali loader needs NVIDIA DALI: pip install "dctnet[dali]" (Linux; the import said: {error}). Or take '
            "--data.loader torch, which gives the same batches."
        ) from error
    return nvidia.dali


def pipeline(source: Callable[[], list[Any]], arrays: int, device: int | None, no_copy: bool) -> Any:
    """A built pipeline of batches of one sample, whose ``arrays`` outputs are what ``source()`` gives, on ``device``."""
    dali = load_dali()
    made = dali.Pipeline(batch_size=1, num_threads=1, device_id=device, prefetch_queue_depth=DEPTH, py_num_workers=0)
    with made:
        planes = dali.fn.external_source(source=source, num_outputs=arrays, no_copy=no_copy)
        made.set_outputs(*(planes if device is None else [plane.gpu() for plane in planes]))
    made.build()
    return made


def lent(planes: Sequence[Tensor]) -> list[list[Any]]:
    """What ``source`` gives for these planes; their memory is read until the batch has come out of the pipeline."""
    tensor = load_dali().tensors.TensorCPU
    return [[tensor(torch.utils.dlpack.to_dlpack(plane))] for plane in planes]


def received(output: Any, device: int | None) -> Tensor:
    """The one array of an output, as a tensor on the device."""
    if device is None:
        return torch.from_dlpack(output[0])
    from nvidia.dali.plugin.pytorch import feed_ndarray

    tensor = torch.empty(output[0].shape(), dtype=torch.int16, device=device)
    # A copy: the pipeline uses its own memory again while kernels on torch's stream still read.
    return feed_ndarray(output[0], tensor, cuda_stream=torch.cuda.current_stream(device))
