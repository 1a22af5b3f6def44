"""JPEG files to coefficients.

``read_jpeg`` and ``read_jpegs`` hand the bytes to the decoder in C++ (``decoder.hpp`` says what it reads and how it is
bounded) and wrap its memory in tensors without a copy. The few files of a kind that it does not read, such as CMYK or a
PNG under a JPEG name, come through pixels (``dctnet.jpeg.pixels``) and are marked so.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Literal, SupportsIndex

import torch
from torch import Tensor

from dctnet.coefficients import Coefficients, Grid
from dctnet.jpeg import _native
from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.pixels import image_through_pixels

Source = str | os.PathLike | bytes | bytearray | memoryview

MAX_PIXELS = 2**27  # of a picture that is read without saying more

# (vertical, horizontal) spacing of chroma samples, in luma samples
SUBSAMPLING_NAMES = {
    (1, 1): "4:4:4",
    (1, 2): "4:2:2",
    (2, 2): "4:2:0",
    (2, 1): "4:4:0",
    (1, 4): "4:1:1",
    (2, 4): "4:1:0",
}

_through_pixels = 0


def through_pixels_count() -> int:
    """How many files of this process were read through pixels because they hold no coefficients that we can read."""
    return _through_pixels


@dataclass(frozen=True, slots=True)
class JPEGImage:
    """The coefficients of a JPEG file and what its header says about them.

    ``coefficients``: int16 planes ``(64, H/8, W/8)`` of ``height_in_blocks x width_in_blocks`` blocks; a gray file has zero
    chroma planes at the resolution that 4:2:0 would give. ``size``: (height, width) in pixels. ``sampling``: the (vertical,
    horizontal) factors of each component in the file. ``quantization``: (components, 64) uint16, row-major, the steps that
    multiply the raw integers. ``dequantized``: whether ``coefficients`` were multiplied (saturating at int16) or are the
    raw integers. ``orientation``: EXIF 1..8, not applied. ``source``: the path, or "<bytes>". ``from_pixels``: why the
    file was read through pixels; None for a true read.
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
        """Where the samples behind the planes lie: the spacing of a component is the greatest factor over its own."""
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


def read_jpeg(source: Source, *, dequantize: bool = True, max_pixels: int = MAX_PIXELS) -> JPEGImage:
    """The coefficients of one JPEG file: a path, or its bytes in any contiguous buffer. No pixels are computed.

    Reads 8-bit baseline, extended and progressive Huffman files of one or three components with any sampling factors;
    other kinds come through pixels, with a warning at the first. ``dequantize=False`` leaves the raw integers, which are
    those of libjpeg-turbo. Raises JPEGError for damaged files and for more than ``max_pixels`` pixels, and what ``open``
    raises for paths that cannot be opened.

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
    """
    return read_jpegs([source], threads=1, dequantize=dequantize, max_pixels=max_pixels)[0]


def read_jpegs(
    sources: Iterable[Source],
    *,
    threads: int = 2,
    on_error: Literal["raise", "skip"] = "raise",
    dequantize: bool = True,
    max_pixels: int = MAX_PIXELS,
) -> list[JPEGImage | None]:
    """``read_jpeg`` of many sources on ``threads`` threads outside the GIL, which cost nothing to other Python threads.

    The result has one place for each source. ``on_error="raise"`` raises the error of the first source that fails;
    ``"skip"`` leaves None in the place of a source that is damaged or cannot be opened. ValueError for bad arguments.
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(f'on_error is "raise" or "skip"; got {on_error!r}')
    images: list[JPEGImage | None] = []
    for image in results_of(sources, threads=threads, dequantize=dequantize, max_pixels=max_pixels):
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
    sources: Iterable[Source], *, threads: int = 2, dequantize: bool = True, max_pixels: int = 2**27
) -> list[JPEGImage | JPEGError | OSError]:
    """``read_jpegs`` with the error itself in the place of a source that fails, and without warnings.

    For loaders, which count and name what failed or came through pixels, on threads where warnings cannot be caught.
    """
    if isinstance(sources, (str, bytes, bytearray, memoryview, os.PathLike)):
        raise ValueError(f"sources is a list of paths or buffers; got one {type(sources).__name__}. Pass [source].")
    for name, value in (("threads", threads), ("max_pixels", max_pixels)):
        if isinstance(value, bool) or not isinstance(value, SupportsIndex) or not 1 <= value < 2**63:
            raise ValueError(f"{name} is a positive integer; got {value!r}")
    try:
        sources = list(sources)
    except TypeError as error:
        raise ValueError(f"sources is a list of paths or buffers; got {type(sources).__name__}") from error
    try:
        results = _native.decode(sources, int(threads), bool(dequantize), int(max_pixels))
    except (TypeError, BufferError) as error:
        raise ValueError(f"a source is a path, or a contiguous buffer of bytes: {error}") from error
    images: list[JPEGImage | JPEGError | OSError] = []
    for source, result in zip(sources, results, strict=True):
        try:
            images.append(_image(source, result, dequantize, max_pixels))
        except (JPEGError, OSError) as error:
            images.append(error)
    return images


def _image(source: Source, result: tuple, dequantize: bool, max_pixels: int) -> JPEGImage:
    """The image of one result of the decoder, or its error."""
    name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else "<bytes>"
    if result[0] is None:
        return _not_decoded(source, os.fsdecode(name), *result[1:], dequantize, max_pixels)
    y, cb, cr, quantization, size, sampling, progressive, orientation = result
    plane = torch.from_numpy
    return JPEGImage(
        Coefficients(plane(y).permute(2, 0, 1), plane(cb).permute(2, 0, 1), plane(cr).permute(2, 0, 1)),
        size,
        sampling,
        plane(quantization),
        bool(dequantize),
        progressive,
        orientation,
        name,
    )


def _not_decoded(
    source: Source, name: str, kind: str, offset: int | None, reason: str, dequantize: bool, max_pixels: int
) -> JPEGImage:
    """Raises the error of a source that was not decoded, or reads one of another kind through pixels."""
    if kind == "system":
        raise OSError(offset, os.strerror(offset), name)  # becomes FileNotFoundError and so on by its number
    if kind == "memory":
        raise MemoryError(f"no memory left to decode {name}")
    if kind == "corrupt":
        raise JPEGError(name, offset, reason)
    data = Path(source).read_bytes() if isinstance(source, (str, os.PathLike)) else bytes(source)
    fields = image_through_pixels(data, name, reason, max_pixels)
    return JPEGImage(**fields, dequantized=bool(dequantize), progressive=False, source=name, from_pixels=reason)


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
