"""JPEG files to coefficients.

``read_jpeg`` and ``read_jpegs`` hand the bytes to the decoder in C++ (``decoder.hpp`` says what it reads and how it is
bounded) and wrap its memory in tensors without a copy. The few files of a kind that it does not read, such as CMYK or a
PNG under a JPEG name, come through pixels (``dctnet.jpeg.pixels``) and are marked so.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple, SupportsIndex

import numpy as np
import torch
from torch import Tensor

from dctnet.bands import Bands, bands_of
from dctnet.coefficients import Coefficients, Grid
from dctnet.jpeg import _native
from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.pixels import image_through_pixels

Source = str | os.PathLike | bytes | bytearray | memoryview

# (vertical, horizontal) spacing of chroma samples, in luma samples
SUBSAMPLING_NAMES = {
    (1, 1): "4:4:4",
    (1, 2): "4:2:2",
    (2, 2): "4:2:0",
    (2, 1): "4:4:0",
    (1, 4): "4:1:1",
    (2, 4): "4:1:0",
}

MAX_PIXELS = 2**27  # of a picture that is read without saying more
SCALES = (1, 1 / 2, 1 / 4, 1 / 8)

_through_pixels = 0


def through_pixels_count() -> int:
    """How many files of this process were read through pixels because they hold no coefficients that we can read."""
    return _through_pixels


class _Undecoded:
    """What a ``JPEGImage`` is filled from when one of its fields is first asked for: most of a large batch may never be."""

    __slots__ = ("_origin",)

    def __getattr__(self, name: str):
        # Only called for slots that are still empty.
        if name == "_origin" or name not in self.__slots__:
            raise AttributeError(f"a JPEGImage has no {name!r}; it has {', '.join(self.__slots__)}")
        for field, value in zip(self.__slots__, _fields(self._origin), strict=True):
            object.__setattr__(self, field, value)
        return object.__getattribute__(self, name)


@dataclass(frozen=True, slots=True)
class JPEGImage(_Undecoded):
    """The coefficients of a JPEG file and what its header says about them.

    ``coefficients``: int16 planes ``(64, H/8, W/8)`` of ``height_in_blocks x width_in_blocks`` blocks; a gray file has zero
    chroma planes at the resolution that 4:2:0 would give. ``size``: (height, width) in pixels. ``sampling``: the (vertical,
    horizontal) factors of each component in the file. ``quantization``: (components, 64) uint16, row-major, the steps that
    multiply the raw integers. ``dequantized``: whether ``coefficients`` were multiplied (saturating at int16) or are the
    raw integers. ``orientation``: EXIF 1..8, not applied. ``source``: the path, or "<bytes>". ``from_pixels``: why the
    file was read through pixels; None for a true read. ``bands``: the channels that the planes hold, None for all.
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

    def __reduce__(self):
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
def _spacing(sampling: tuple[tuple[int, int], ...]):
    if len(sampling) == 1:
        one, two = Fraction(1), Fraction(2)
        return (one, one), (two, two), (two, two)
    tallest, widest = (max(factors) for factors in zip(*sampling, strict=True))
    return tuple((Fraction(tallest, v), Fraction(widest, h)) for v, h in sampling)


def _unpickled(coefficients, size, sampling, quantization, *rest) -> JPEGImage:
    return JPEGImage(coefficients, size, sampling, torch.from_numpy(quantization), *rest)


def read_jpeg(
    source: Source,
    *,
    dequantize: bool = True,
    max_pixels: int = MAX_PIXELS,
    bands: int | Sequence[Sequence[int]] | None = None,
    scale: float = 1,
    out: Coefficients | None = None,
) -> JPEGImage:
    """The coefficients of one JPEG file: a path, or its bytes in any contiguous buffer. No pixels are computed.

    Reads 8-bit baseline, extended and progressive Huffman files of one or three components with any sampling factors;
    other kinds come through pixels, with a warning at the first. ``dequantize=False`` leaves the raw integers, which are
    those of libjpeg-turbo. Raises JPEGError for damaged files and for more than ``max_pixels`` pixels, and what ``open``
    raises for paths that cannot be opened.

    ``bands`` keeps some frequencies of each block: the size of a static set (``dctnet.bands.BAND_SETS``) or three lists of
    channels; the planes are dense, with as many channels as bands. ``scale`` 1/2, 1/4 or 1/8 reads the picture smaller: the
    low 4x4, 2x2 or 1x1 corner of each block times ``scale``, float32, which are the coefficients of blocks of 4, 2 or 1
    samples of the picture without its higher frequencies. ``out`` is memory to write to, int16 planes ``(C, rows,
    columns)`` as an earlier read gave them: the result holds these tensors. ValueError where it has another shape. Whether
    the memory may be written to, a tensor does not say: memory that is mapped for reading ends the process.

    A file is complete when each component has had its scans; it may then end without the marker EOI. A progressive file that
    ends without it must have brought every coefficient to its last bit. Bytes between entropy-coded data and the next
    marker are passed over, as by libjpeg.

    >>> import io
    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("RGB", (33, 20), (128, 128, 128)).save(file, "JPEG")
    >>> image = read_jpeg(file.getvalue())
    >>> image.size, image.subsampling, tuple(image.coefficients.y.shape), tuple(image.coefficients.cb.shape)
    ((20, 33), '4:2:0', (64, 3, 5), (64, 2, 3))
    >>> half = read_jpeg(file.getvalue(), scale=1 / 2)
    >>> half.size, tuple(half.coefficients.y.shape), read_jpeg(file.getvalue(), bands=24).coefficients.y.shape[0]
    ((10, 17), (16, 3, 5), 16)
    """
    batch = None if out is None else _three(out).map(lambda plane: plane[None])
    options = {"dequantize": dequantize, "max_pixels": max_pixels, "bands": bands, "scale": scale, "out": batch}
    return read_jpegs([source], threads=1, **options)[0]


def read_jpegs(
    sources: Iterable[Source],
    *,
    threads: int = 2,
    on_error: Literal["raise", "skip"] = "raise",
    dequantize: bool = True,
    max_pixels: int = MAX_PIXELS,
    bands: int | Sequence[Sequence[int]] | None = None,
    scale: float = 1,
    out: Coefficients | None = None,
) -> list[JPEGImage | None]:
    """``read_jpeg`` of many sources on ``threads`` threads outside the GIL, which cost nothing to other Python threads.

    The result has one place for each source. ``on_error="raise"`` raises the error of the first source that fails;
    ``"skip"`` leaves None in the place of a source that is damaged or cannot be opened. ``out`` is a batch, int16 planes
    ``(n, C, rows, columns)`` in channels-last memory for n pictures of one size; the images hold slices of it, and a source
    that fails leaves its slice undefined. ValueError for bad arguments.
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(f'on_error is "raise" or "skip"; got {on_error!r}')
    options = {"dequantize": dequantize, "max_pixels": max_pixels, "bands": bands, "scale": scale, "out": out}
    results, complete = _results(sources, threads, **options)
    if complete:
        return results
    images: list[JPEGImage | None] = []
    for image in results:
        if isinstance(image, JPEGImage):
            if image.from_pixels:
                _count_through_pixels(image)
            images.append(image)
        elif on_error == "raise":
            raise image
        else:
            images.append(None)
    return images


def results_of(
    sources: Iterable[Source],
    *,
    threads: int = 2,
    dequantize: bool = True,
    max_pixels: int = MAX_PIXELS,
    bands: int | Sequence[Sequence[int]] | None = None,
) -> list[JPEGImage | JPEGError | OSError]:
    """``read_jpegs`` with the error itself in the place of a source that fails, and without warnings.

    For loaders, which count and name what failed or came through pixels, on threads where warnings cannot be caught.
    """
    return _results(sources, threads, dequantize, max_pixels, bands, 1, None)[0]


class _Request(NamedTuple):
    """How a file was asked for."""

    dequantize: bool
    max_pixels: int
    bands: Bands | None  # that the decoder keeps
    scale: float
    out: Coefficients | None


def _results(
    sources: Iterable[Source],
    threads: int,
    dequantize: bool,
    max_pixels: int,
    bands: int | Sequence[Sequence[int]] | None,
    scale: float,
    out: Coefficients | None,
) -> tuple[list[JPEGImage | JPEGError | OSError], bool]:
    """An image or an error for each source, and whether all are images that were decoded."""
    if isinstance(sources, (str, bytes, bytearray, memoryview, os.PathLike)):
        raise ValueError(f"sources is a list of paths or buffers; got one {type(sources).__name__}. Pass [source].")
    for name, value in (("threads", threads), ("max_pixels", max_pixels)):
        if isinstance(value, bool) or not isinstance(value, SupportsIndex) or not 1 <= value < 2**63:
            raise ValueError(f"{name} is a positive integer; got {value!r}")
    try:
        sources = list(sources)
    except TypeError as error:
        raise ValueError(f"sources is a list of paths or buffers; got {type(sources).__name__}") from error
    kept = _kept(bands, scale, dequantize, out)
    request = _Request(bool(dequantize), int(max_pixels), kept, float(scale), out)
    memory = None if out is None else _memory(out, len(sources))
    try:
        how = (request.dequantize, request.max_pixels, kept, memory)
        results, complete = _native.decode(sources, int(threads), *how, JPEGImage, _Undecoded._origin, request)
    except (TypeError, BufferError) as error:
        raise ValueError(f"a source is a path, or a contiguous buffer of bytes: {error}") from error
    for i, result in enumerate(results if not complete else ()):
        if type(result) is tuple:
            try:
                results[i] = _not_decoded(sources[i], i, *result, request)
            except (JPEGError, OSError) as error:
                results[i] = error
    return results, complete


def _kept(bands, scale: float, dequantize: bool, out: Coefficients | None) -> Bands | None:
    """The bands that the decoder is asked for; ValueError for options that do not go together."""
    if scale == 1:
        return None if bands is None else bands_of(bands)
    if scale not in SCALES:
        raise ValueError(f"scale is one of {', '.join(map(str, SCALES))}; got {scale!r}")
    for name, wrong in (("bands", bands is not None), ("dequantize=False", not dequantize), ("out", out is not None)):
        if wrong:
            raise ValueError(f"scale below 1 gives whole blocks of float32 and does not go together with {name}")
    side = int(8 * scale)
    corner = tuple(8 * v + u for v in range(side) for u in range(side))
    return Bands(corner, corner, corner)


def _three(out: Coefficients) -> Coefficients:
    """``out``, if it is three tensors; ValueError for anything else."""
    if not isinstance(out, Coefficients) or not all(isinstance(plane, Tensor) for plane in out):
        raise ValueError(f"out is Coefficients of three tensors to write to; got {type(out).__name__}")
    return out


def _memory(out: Coefficients, count: int) -> list:
    """The arrays (n, rows, columns, C) of a batch to write to. ValueError where it cannot be written to."""
    arrays: list = []
    for name, plane in zip(Coefficients._fields, _three(out), strict=True):
        if plane.ndim != 4:
            raise ValueError(f"out of a batch has planes (n, C, rows, columns); got {name} {tuple(plane.shape)}")
        blocks = plane.movedim(-3, -1)
        if plane.dtype != torch.int16 or plane.device.type != "cpu" or not blocks.is_contiguous():
            raise ValueError(
                f"out needs int16 planes (n, C, rows, columns) on the CPU whose blocks are contiguous (channels-last); got "
                f"{name} {tuple(plane.shape)} {plane.dtype} on {plane.device} with strides {plane.stride()}. Make one with "
                "torch.empty(n, rows, columns, C, dtype=torch.int16).permute(0, 3, 1, 2)."
            )
        if len(plane) != count:
            raise ValueError(f"out holds {len(plane)} pictures in plane {name}; there are {count} sources")
        array = blocks.numpy()
        if any(np.may_share_memory(array, other) for other in arrays):
            raise ValueError(f"plane {name} of out lies in the memory of another plane; give each its own")
        arrays.append(array)
    return arrays


def _name(source: Source) -> str:
    return os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else "<bytes>"


def _fields(decoded: _native.Decoded) -> tuple:
    """The fields of a ``JPEGImage``, in their order."""
    request = decoded.request
    if request.out is None:
        planes = Coefficients(*(torch.from_numpy(plane).permute(2, 0, 1) for plane in decoded.planes))
    else:
        planes = request.out.map(lambda plane: plane[decoded.index])
    size = decoded.size
    if request.scale != 1:
        planes = planes.map(lambda plane: plane.to(torch.float32) * request.scale)
        size = (math.ceil(size[0] * request.scale), math.ceil(size[1] * request.scale))
    bands = request.bands if request.scale == 1 else None
    steps = torch.from_numpy(decoded.quantization)
    head = (request.dequantize, decoded.progressive, decoded.orientation, _name(decoded.source))
    return planes, size, decoded.sampling, steps, *head, None, bands, request.scale


def _not_decoded(
    source: Source, index: int, kind: str, offset: int | None, reason: str, request: _Request
) -> JPEGImage:
    """Raises the error of a source that was not decoded, or reads one of another kind through pixels."""
    name = _name(source)
    if kind == "system":
        raise OSError(offset, os.strerror(offset), name)  # becomes FileNotFoundError and so on by its number
    if kind == "memory":
        raise MemoryError(f"no memory left to decode {name}")
    if kind == "shape":
        raise ValueError(f"{name} does not fit into out: {reason}")
    if kind == "corrupt":
        raise JPEGError(name, offset, reason)
    data = Path(source).read_bytes() if isinstance(source, (str, os.PathLike)) else bytes(source)
    fields = image_through_pixels(data, name, reason, request.max_pixels)
    planes, (height, width) = fields["coefficients"], fields["size"]
    if request.bands is not None:
        chosen = (plane.movedim(0, -1)[..., list(kept)] for plane, kept in zip(planes, request.bands, strict=True))
        planes = Coefficients(*(blocks.contiguous().movedim(-1, 0) for blocks in chosen))
    if request.scale != 1:
        planes = planes.map(lambda plane: plane.to(torch.float32) * request.scale)
        fields["size"] = (math.ceil(height * request.scale), math.ceil(width * request.scale))
    if request.out is not None:
        slices = request.out.map(lambda plane: plane[index])
        for name_of, into, plane in zip(Coefficients._fields, slices, planes, strict=True):
            if into.shape != plane.shape:
                shapes = f"its plane {name_of} has shape {tuple(plane.shape)}, out has {tuple(into.shape)}"
                raise ValueError(f"{name} does not fit into out: {shapes}")
            into.copy_(plane)
        planes = slices
    return JPEGImage(
        **(fields | {"coefficients": planes}),
        dequantized=request.dequantize,
        progressive=False,
        source=name,
        from_pixels=reason,
        bands=request.bands if request.scale == 1 else None,
        scale=request.scale,
    )


def _count_through_pixels(image: JPEGImage) -> None:
    global _through_pixels
    _through_pixels += 1
    if _through_pixels == 1:
        warnings.warn(
            f"{image.source}: {image.from_pixels}; read through pixels: slower, and coefficients rounded to integers. "
            "Further such files are counted without a warning "
            "(dctnet.jpeg.reader.through_pixels_count).",
            UserWarning,
            stacklevel=3,
        )
