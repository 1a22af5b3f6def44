"""The value that reading gives: a file's coefficients, and what its header says about them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dctnet.bands import BAND_SETS, Bands
from dctnet.coefficients import Coefficients, Grid, SelectedBands
from dctnet.jpeg import _native

Source = str | os.PathLike[str] | bytes | bytearray | memoryview

# (vertical, horizontal) spacing of chroma samples, in luma samples
SUBSAMPLING_NAMES = {
    (1, 1): "4:4:4",
    (1, 2): "4:2:2",
    (2, 2): "4:2:0",
    (2, 1): "4:4:0",
    (1, 4): "4:1:1",
    (2, 4): "4:1:0",
}


class Request(NamedTuple):
    """How a file was asked for."""

    dequantize: bool
    max_pixels: int
    bands: Bands | None  # that the decoder keeps
    scale: float
    out: Coefficients | None

    @property
    def bands_read(self) -> Bands | None:
        """The bands that the planes hold, None for all: a smaller picture is all of its own."""
        return self.bands if self.scale == 1 else None

    @property
    def kind(self) -> type[Coefficients]:
        """What the planes are: ``SelectedBands`` where they hold some bands only."""
        return Coefficients if self.bands_read in (None, BAND_SETS[192]) else SelectedBands


class Undecoded(_native.Origin):
    """What a ``JPEGImage`` is filled from when one of its fields is first asked for: most of a large batch may never be."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        # Only called for slots that are still empty.
        if name not in self.__slots__:
            raise AttributeError(f"a JPEGImage has no {name!r}; it has {', '.join(self.__slots__)}")
        for field, value in zip(self.__slots__, _fields(_native.decoded_of(self)), strict=True):
            object.__setattr__(self, field, value)
        return object.__getattribute__(self, name)


@dataclass(frozen=True, slots=True)
class JPEGImage(Undecoded):
    """The coefficients of a JPEG file and what its header says about them.

    ``coefficients``: int16 planes ``(64, H/8, W/8)`` of ``height_in_blocks x width_in_blocks`` blocks, ``SelectedBands``
    where only some bands were read; a gray file has zero chroma planes at the resolution that 4:2:0 would give. ``size``:
    (height, width) in pixels. ``sampling``: the (vertical, horizontal) factors of each component in the file.
    ``quantization``: (components, 64) uint16, row-major, the steps that multiply the raw integers. ``dequantized``: whether
    ``coefficients`` were multiplied (saturating at int16) or are the raw integers. ``orientation``: EXIF 1..8, not applied.
    ``source``: the path, or "<bytes>". ``from_pixels``: why the file was read through pixels; None for a true read.
    ``bands``: the channels that the planes hold, None for all.
    ``scale``: what the file's size was multiplied with; below 1 the planes are float32 in blocks of 4, 2 or 1.
    """

    coefficients: Coefficients
    size: tuple[int, int]
    sampling: tuple[tuple[int, int], ...]
    quantization: Tensor
    dequantized: bool
    progressive: bool
    orientation: int
    source: str
    from_pixels: str | None = None
    bands: Bands | None = None
    scale: float = 1.0

    def __reduce__(self) -> tuple[Callable[..., JPEGImage], tuple[Any, ...]]:
        # torch pickles no uint16 tensors; numpy does.
        fields = [getattr(self, name) for name in self.__slots__]
        fields[self.__slots__.index("quantization")] = self.quantization.numpy()
        return _unpickled, tuple(fields)

    @property
    def subsampling(self) -> str:
        """ "gray", "4:2:0" and the like; for other factors all of them, horizontal x vertical: "2x2,2x1,1x1"."""
        if len(self.sampling) == 1:
            return "gray"
        luma, *chroma = self.sampling
        spacings = {(Fraction(luma[0], v), Fraction(luma[1], h)) for v, h in chroma}
        name = SUBSAMPLING_NAMES.get(spacings.pop()) if len(spacings) == 1 else None
        return name or ",".join(f"{h}x{v}" for v, h in self.sampling)

    @property
    def grid(self) -> Grid:
        """Where the samples behind the planes lie: the spacing of a component is the greatest factor over its own.

        ValueError where only some bands were read: such planes are no samples.
        """
        if self.bands is not None:
            raise ValueError(
                f"the planes hold only {'+'.join(str(len(kept)) for kept in self.bands)} bands of {self.source}, so they can "
                "be neither transformed nor shown. Read all bands, and select some after the transform."
            )
        return sampling_grid(self.size, self.sampling)


def sampling_grid(size: tuple[int, int], sampling: tuple[tuple[int, int], ...]) -> Grid:
    """The grid of a file with these sampling factors, (vertical, horizontal) of each component."""
    return Grid(size, _spacing(sampling))


@lru_cache(maxsize=64)
def _spacing(sampling: tuple[tuple[int, int], ...]) -> tuple[tuple[Fraction, Fraction], ...]:
    if len(sampling) == 1:
        one, two = Fraction(1), Fraction(2)
        return (one, one), (two, two), (two, two)
    tallest, widest = (max(factors) for factors in zip(*sampling, strict=True))
    return tuple((Fraction(tallest, v), Fraction(widest, h)) for v, h in sampling)


def _unpickled(coefficients: Coefficients, size: Any, sampling: Any, quantization: np.ndarray, *rest: Any) -> JPEGImage:
    return JPEGImage(coefficients, size, sampling, torch.from_numpy(quantization), *rest)


def source_name(source: Source) -> str:
    """The path of a source, or "<bytes>"."""
    return os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else "<bytes>"


def _fields(decoded: _native.Decoded) -> tuple[Any, ...]:
    """The fields of a ``JPEGImage``, in their order."""
    request = decoded.request
    if request.out is None:
        planes = (torch.from_numpy(plane).permute(2, 0, 1) for plane in decoded.planes)
    else:
        planes = (plane[decoded.index] for plane in request.out)
    planes = request.kind(*planes)
    size = decoded.size
    if request.scale != 1:
        planes = planes.map(lambda plane: plane.to(torch.float32) * request.scale)
        size = (math.ceil(size[0] * request.scale), math.ceil(size[1] * request.scale))
    steps = torch.from_numpy(decoded.quantization)
    head = (request.dequantize, decoded.progressive, decoded.orientation, source_name(decoded.source))
    return planes, size, decoded.sampling, steps, *head, None, request.bands_read, request.scale
