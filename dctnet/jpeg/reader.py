"""JPEG files to coefficients.

``read_jpeg`` and ``read_jpegs`` hand the bytes to the decoder in C++ (``decoder.hpp`` says what it reads and how it is
bounded) and wrap its memory in tensors without a copy. The few files of a kind that it does not read, such as CMYK or a
PNG under a JPEG name, come through pixels (``dctnet.jpeg.pixels``) and are marked so.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, SupportsIndex

import numpy as np
import torch
from torch import Tensor

from dctnet.bands import Bands, BandSet, bands_of
from dctnet.coefficients import Coefficients
from dctnet.jpeg import _native
from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.image import JPEGImage, Request, Source, source_name
from dctnet.jpeg.pixels import image_through_pixels

MAX_PIXELS = 2**27  # of a picture that is read without saying more
SCALES = (1, 1 / 2, 1 / 4, 1 / 8)

_through_pixels = 0


def through_pixels_count() -> int:
    """How many files of this process were read through pixels because they hold no coefficients that we can read."""
    return _through_pixels


def read_jpeg(
    source: Source,
    *,
    dequantize: bool = True,
    max_pixels: int = MAX_PIXELS,
    bands: BandSet = None,
    scale: float = 1,
    out: Coefficients | None = None,
) -> JPEGImage:
    """The coefficients of one JPEG file: a path, or its bytes in any contiguous buffer. No pixels are computed.

    Reads 8-bit baseline, extended and progressive Huffman files of one or three components with any sampling factors;
    other kinds come through pixels, with a warning at the first. ``dequantize=False`` leaves the raw integers, which are
    those of libjpeg-turbo. Raises JPEGError for damaged files and for more than ``max_pixels`` pixels, and what ``open``
    raises for paths that cannot be opened.

    ``bands`` keeps some frequencies of each block, as ``dctnet.bands`` names them: the size of a static set, "zigzag-16", three
    lists of channels and so on; the planes are dense, with as many channels as bands. ``scale`` 1/2, 1/4 or 1/8 reads the
    picture smaller: the low 4x4, 2x2 or 1x1 corner of each block times ``scale``, float32, which are the coefficients of
    blocks of 4, 2 or 1 samples of the picture without its higher frequencies. ``out`` is memory to write to, int16 planes
    ``(C, rows, columns)`` as an earlier read gave them: the result holds these tensors. ValueError where it has another shape.
    Whether the memory may be written to, a tensor does not say: memory that is mapped for reading ends the process.

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
    bands: BandSet = None,
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
    bands: BandSet = None,
) -> list[JPEGImage | JPEGError | OSError]:
    """``read_jpegs`` with the error itself in the place of a source that fails, and without warnings.

    For loaders, which count and name what failed or came through pixels, on threads where warnings cannot be caught.
    """
    return _results(sources, threads, dequantize, max_pixels, bands, 1, None)[0]


def _results(
    sources: Iterable[Source],
    threads: int,
    dequantize: bool,
    max_pixels: int,
    bands: BandSet,
    scale: float,
    out: Coefficients | None,
) -> tuple[list[JPEGImage | JPEGError | OSError], bool]:
    """An image or an error for each source, and whether all are images that were decoded."""
    # Lists and integers pass quickly: looking for __fspath__ and __index__ takes as long as decoding five thumbnails.
    if not isinstance(sources, list) and isinstance(sources, (str, bytes, bytearray, memoryview, os.PathLike)):
        raise ValueError(f"sources is a list of paths or buffers; got one {type(sources).__name__}. Pass [source].")
    for name, value in (("threads", threads), ("max_pixels", max_pixels)):
        integer = type(value) is int or (not isinstance(value, bool) and isinstance(value, SupportsIndex))
        if not integer or not 1 <= value < 2**63:
            raise ValueError(f"{name} is a positive integer; got {value!r}")
    try:
        sources = list(sources)
    except TypeError as error:
        raise ValueError(f"sources is a list of paths or buffers; got {type(sources).__name__}") from error
    kept = _kept(bands, scale, dequantize, out)
    request = Request(bool(dequantize), int(max_pixels), kept, float(scale), out)
    memory = None if out is None else _memory(out, len(sources))
    try:
        how = (request.dequantize, request.max_pixels, kept, memory)
        results, complete = _native.decode(sources, int(threads), *how, JPEGImage, request)
    except (TypeError, BufferError) as error:
        raise ValueError(f"a source is a path, or a contiguous buffer of bytes: {error}") from error
    for i, result in enumerate(results if not complete else ()):
        if type(result) is tuple:
            try:
                results[i] = _not_decoded(sources[i], i, *result, request)
            except (JPEGError, OSError) as error:
                results[i] = error
    return results, complete


def _kept(bands: BandSet, scale: float, dequantize: bool, out: Coefficients | None) -> Bands | None:
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


def _memory(out: Coefficients, count: int) -> list[Any]:
    """The arrays (n, rows, columns, C) of a batch to write to. ValueError where it cannot be written to."""
    arrays: list[Any] = []
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


def _not_decoded(source: Source, index: int, kind: str, offset: int | None, reason: str, request: Request) -> JPEGImage:
    """Raises the error of a source that was not decoded, or reads one of another kind through pixels."""
    name = source_name(source)
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
        **(fields | {"coefficients": request.kind(*planes)}),
        dequantized=request.dequantize,
        progressive=False,
        source=name,
        from_pixels=reason,
        bands=request.bands_read,
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
